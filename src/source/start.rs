//! What has to be had before anything is asked: descriptors, and a runtime for what waits.
//!
//! The async runtime panics where its first pair of sockets cannot be had. So as many descriptors are tried first in a
//! way that gives an error, and a machine that has run out of them is said to have.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// Descriptors of one runtime: the poll and its copy, the waker, and the pair and the copy by which signals come.
const OF_A_RUNTIME: usize = 6;

/// Whether so many descriptors are free now.
///
/// # Errors
/// They are not.
#[cfg(unix)]
pub fn room_for(descriptors: usize) -> io::Result<()> {
    let pairs = (0..descriptors.div_ceil(2)).map(|_| std::os::unix::net::UnixStream::pair());
    pairs.collect::<io::Result<Vec<_>>>().map(drop)
}

/// Elsewhere nobody sets such a limit.
#[cfg(not(unix))]
pub fn room_for(_: usize) -> io::Result<()> {
    Ok(())
}

/// A runtime on the thread that runs it.
///
/// # Errors
/// The system has no descriptors for it.
pub fn runtime() -> io::Result<Runtime> {
    room_for(OF_A_RUNTIME)?;
    Builder::new_current_thread().enable_all().build()
}
