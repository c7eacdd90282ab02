//! What this machine has run out of while something was asked for: descriptors, threads, memory. It looks like a server
//! that cannot be reached, and is none: nothing was asked of anybody.

use super::runtime::check_free_descriptors;
use std::error::Error;
use std::io;
use std::sync::OnceLock;

/// Descriptors that one more look-up or connection needs.
const CONNECTION_DESCRIPTORS: usize = 2;

/// The first lack for which something was not asked for; nothing that went well in the end.
#[derive(Debug, Default)]
pub struct ResourceExhaustion(OnceLock<String>);

impl ResourceExhaustion {
    /// Takes note of one, in words that are escaped.
    pub fn record(&self, what: String) {
        // The first says enough.
        let _ = self.0.set(what);
    }

    /// What was noted.
    pub fn recorded(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// What this machine has run out of, where that is among the causes of an error.
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

/// The same of an error of the system, or of what is wrapped in it.
pub fn exhaustion_of(error: &io::Error) -> Option<String> {
    if has_run_out(error) {
        return Some(said(error));
    }
    // The cause of a wrapped error is not that error, but what is behind it.
    error.get_ref().and_then(|inner| exhaustion_in(inner))
}

/// The same of a connection that did not come about: what looks names up does not always say why it could not.
pub fn exhaustion_in_connecting(error: &(dyn Error + 'static)) -> Option<String> {
    exhaustion_in(error)
        .or_else(|| check_free_descriptors(CONNECTION_DESCRIPTORS).err().map(|error| said(&error)))
}

fn said(error: &io::Error) -> String {
    format!(
        "this machine has run out of something ({error}): close other programs or raise its limits (ulimit -n, ulimit -u), \
         then run again"
    )
}

#[cfg(unix)]
fn has_run_out(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        // EAGAIN is what a thread that cannot be had is.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN)
    )
}

#[cfg(not(unix))]
fn has_run_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_found_however_deep() {
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
        // What a server may say counts for nothing.
        assert_eq!(exhaustion_of(&io::Error::other("Too many open files (os error 24)")), None);
        assert_eq!(exhaustion_of(&io::Error::from(io::ErrorKind::WouldBlock)), None);
    }

    #[test]
    fn the_first_lack_is_kept() {
        let exhaustion = ResourceExhaustion::default();
        assert_eq!(exhaustion.recorded(), None);
        exhaustion.record("one".to_owned());
        exhaustion.record("two".to_owned());
        assert_eq!(exhaustion.recorded().as_deref(), Some("one"));
    }
}
