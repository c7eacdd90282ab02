//! Acquires what requests need: descriptors, an async runtime, and threads for blocking work.
//!
//! The async runtime panics if it cannot get its first pair of sockets. So as many descriptors are acquired
//! first in a way that returns an error, and the exhaustion is reported. The runtime also panics if it needs a
//! thread for blocking work and gets none, at any time of a run. So it never gets such work: names are
//! resolved, and all other blocking work is done, on threads of ours ([`blocking`]), and a thread that cannot
//! be created is an error.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

/// Descriptors of one runtime: the poll and its copy, the waker, and the socket pair and its copy for signals.
const RUNTIME_DESCRIPTORS: usize = 6;

/// Checks that this many descriptors are free now.
///
/// # Errors
/// They are not.
#[cfg(unix)]
pub fn check_free_descriptors(descriptors: usize) -> io::Result<()> {
    let pairs = (0..descriptors.div_ceil(2)).map(|_| std::os::unix::net::UnixStream::pair());
    pairs.collect::<io::Result<Vec<_>>>().map(drop)
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn check_free_descriptors(_: usize) -> io::Result<()> {
    Ok(())
}

/// Limits concurrent look-ups: a name server that does not answer must not cost a thread for each attempt.
static CONCURRENT_LOOKUPS: Semaphore = Semaphore::const_new(32);

/// Runs blocking work on a thread of its own. If the future is dropped, the thread is not waited for.
///
/// # Errors
/// No thread can be created, or the work panicked, which is a bug.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, answer) = oneshot::channel();
    let run = move || {
        // Fails only if nobody waits for the result any more.
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name("blocking".to_owned()).spawn(run)?;
    answer
        .await
        .map_err(|_| io::Error::other("a bug in countersign ended it; please report the message above"))
}

/// The addresses of a host, as the system resolves it, each with this port.
///
/// # Errors
/// The host has no address, or cannot be resolved.
pub async fn resolve_host(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let place = CONCURRENT_LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let work = move || {
        let _place = place;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    };
    blocking(work).await?
}

/// A single-threaded runtime.
///
/// # Errors
/// There are not enough descriptors.
pub fn runtime() -> io::Result<Runtime> {
    check_free_descriptors(RUNTIME_DESCRIPTORS)?;
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_resolved() {
        let found = |host: &str| runtime().unwrap().block_on(resolve_host(host, 7));
        assert_eq!(found("127.0.0.1").unwrap(), ["127.0.0.1:7".parse::<SocketAddr>().unwrap()]);
        assert_eq!(found("::1").unwrap(), ["[::1]:7".parse::<SocketAddr>().unwrap()]);
        let localhost = found("localhost").unwrap();
        assert!(!localhost.is_empty());
        assert!(localhost.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        assert!(found("no host").is_err());
        // Each look-up releases its permit.
        for _ in 0..40 {
            found("localhost").unwrap();
        }
    }

    #[test]
    fn a_panic_in_blocking_work_is_an_error() {
        let runtime = runtime().unwrap();
        assert_eq!(runtime.block_on(blocking(|| 7)).unwrap(), 7);
        assert!(runtime.block_on(blocking(|| panic!("on purpose"))).is_err());
    }
}
