//! Detects that this machine has run out of a resource: descriptors, threads, memory. The symptom looks like an
//! unreachable server, but no request was made.

use super::runtime::check_free_descriptors;
use std::error::Error;
use std::io;
use std::sync::OnceLock;

/// Descriptors that one more look-up or connection needs.
const CONNECTION_DESCRIPTORS: usize = 2;

/// The first exhausted resource that made a fetch fail. A fetch that succeeded on a later attempt is not
/// recorded.
#[derive(Debug, Default)]
pub struct ResourceExhaustion(OnceLock<String>);

impl ResourceExhaustion {
    /// Records an exhausted resource. The text must be escaped.
    pub fn record(&self, what: String) {
        // Only the first is kept.
        let _ = self.0.set(what);
    }

    /// The recorded resource.
    pub fn recorded(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// The exhausted resource, if that is among the causes of an error.
pub(super) fn exhaustion_in(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<io::Error>().and_then(exhaustion_of) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// The same for an I/O error, or for an error wrapped in it.
pub fn exhaustion_of(error: &io::Error) -> Option<String> {
    if has_run_out(error) {
        return Some(message(error));
    }
    // `source()` of a wrapped error skips the error itself.
    error.get_ref().and_then(|inner| exhaustion_in(inner))
}

/// The same for a failed connection. A resolver does not always tell why it failed, so this also tests whether
/// descriptors are free.
pub fn exhaustion_in_connecting(error: &(dyn Error + 'static)) -> Option<String> {
    exhaustion_in(error)
        .or_else(|| check_free_descriptors(CONNECTION_DESCRIPTORS).err().map(|error| message(&error)))
}

fn message(error: &io::Error) -> String {
    format!(
        "this machine has run out of something ({error}): close other programs or raise its limits (ulimit -n, ulimit -u), \
         then run again"
    )
}

#[cfg(unix)]
fn has_run_out(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        // EAGAIN is the error if no thread can be created.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN)
    )
}

#[cfg(not(unix))]
fn has_run_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_exhaustion_is_found() {
        for (code, expected) in [
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOMEM, true),
            (libc::ENOBUFS, true),
            (libc::EAGAIN, true),
            (libc::ECONNREFUSED, false),
            (libc::ECONNRESET, false),
            (libc::ETIMEDOUT, false),
            (libc::EADDRNOTAVAIL, false),
            (libc::ENOENT, false),
            (libc::EIO, false),
        ] {
            let mut error = io::Error::from_raw_os_error(code);
            for depth in 0..4 {
                assert_eq!(exhaustion_of(&error).is_some(), expected, "{error}, {depth}");
                assert_eq!(exhaustion_in(&error).is_some(), expected, "{error}, {depth}");
                error = io::Error::other(error);
            }
        }
        // The text of a server does not count.
        assert_eq!(exhaustion_of(&io::Error::other("Too many open files (os error 24)")), None);
        assert_eq!(exhaustion_of(&io::Error::from(io::ErrorKind::WouldBlock)), None);
    }

    #[test]
    fn the_first_resource_is_kept() {
        let exhaustion = ResourceExhaustion::default();
        assert_eq!(exhaustion.recorded(), None);
        exhaustion.record("one".to_owned());
        exhaustion.record("two".to_owned());
        assert_eq!(exhaustion.recorded().as_deref(), Some("one"));
    }
}
