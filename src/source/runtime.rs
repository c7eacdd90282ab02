//! What has to be had before anything is asked: descriptors, and a runtime for what waits; and threads for what blocks.
//!
//! The async runtime panics where its first pair of sockets cannot be had. So as many descriptors are tried first in a
//! way that gives an error, and a machine that has run out of them is said to have. It panics as well where it needs a
//! thread for what blocks and gets none, at any moment of a run. So nothing is left to it that does: names are looked up,
//! and all else that blocks is done, on threads of ours ([`blocking`]), and one that cannot be had is an error.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

/// Descriptors of one runtime: the poll and its copy, the waker, and the pair and the copy by which signals come.
const RUNTIME_DESCRIPTORS: usize = 6;

/// Whether so many descriptors are free now.
///
/// # Errors
/// They are not.
#[cfg(unix)]
pub fn check_free_descriptors(descriptors: usize) -> io::Result<()> {
    let pairs = (0..descriptors.div_ceil(2)).map(|_| std::os::unix::net::UnixStream::pair());
    pairs.collect::<io::Result<Vec<_>>>().map(drop)
}

/// Elsewhere nobody sets such a limit.
#[cfg(not(unix))]
pub fn check_free_descriptors(_: usize) -> io::Result<()> {
    Ok(())
}

/// Names that are looked up at once: a name server that does not answer must not cost a thread for each attempt.
static CONCURRENT_LOOKUPS: Semaphore = Semaphore::const_new(32);

/// Does what blocks on a thread of its own. Nobody waits for it where the answer is not wanted any more.
///
/// # Errors
/// There is no thread for it, or it ended in a bug.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, answer) = oneshot::channel();
    let run = move || {
        // Where nobody waits any more, nobody wants it.
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name("blocking".to_owned()).spawn(run)?;
    answer
        .await
        .map_err(|_| io::Error::other("a bug in countersign ended it; please report what stands above"))
}

/// The addresses of a host, as the system knows them, each with this port.
///
/// # Errors
/// It knows none, or cannot say.
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

/// A runtime on the thread that runs it.
///
/// # Errors
/// The system has no descriptors for it.
pub fn runtime() -> io::Result<Runtime> {
    check_free_descriptors(RUNTIME_DESCRIPTORS)?;
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_looked_up() {
        let found = |host: &str| runtime().unwrap().block_on(resolve_host(host, 7));
        assert_eq!(found("127.0.0.1").unwrap(), ["127.0.0.1:7".parse::<SocketAddr>().unwrap()]);
        assert_eq!(found("::1").unwrap(), ["[::1]:7".parse::<SocketAddr>().unwrap()]);
        let localhost = found("localhost").unwrap();
        assert!(!localhost.is_empty());
        assert!(localhost.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        assert!(found("no host").is_err());
        // Each look-up gives back its place.
        for _ in 0..40 {
            found("localhost").unwrap();
        }
    }

    #[test]
    fn a_panic_in_what_blocks_is_an_error() {
        let runtime = runtime().unwrap();
        assert_eq!(runtime.block_on(blocking(|| 7)).unwrap(), 7);
        assert!(runtime.block_on(blocking(|| panic!("on purpose"))).is_err());
    }
}
