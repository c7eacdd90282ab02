//! The lock beside the mirror: one process holds it at a time.

use super::error::{MirrorError, Result, beside_error, io_error};
use super::holder;
use super::side_files::{self, beside};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a process that waits for the lock sleeps before it tries again: less than a commit takes on a fast disk, so
/// that the lock is not free for long while others wait, and enough that ten that wait take little of a processor.
const TRY_EVERY: Duration = Duration::from_micros(200);

/// A lock, until it is dropped.
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Unlocks explicitly. Closing the file alone would leave the lock with any child process that is being started
    /// at that moment, which briefly has all open files of this process.
    fn drop(&mut self) {
        // The lock is released when the process ends, at the latest.
        let _ = self.0.unlock();
    }
}

/// Takes `<mirror>.lock`. The operating system releases it however this process ends.
///
/// The lock is a separate file. A lock on the database would require opening the database a second time, and closing
/// that second file would release all locks of this process on the database, including those of SQLite.
pub(super) fn lock(path: &Path) -> Result<Lock> {
    let lock = lock_within(path, Duration::ZERO)?;
    holder::sign(&lock.0);
    Ok(lock)
}

/// The same, waiting up to `wait` for another process to release it, and without the name of the process in the file.
pub(crate) fn lock_within(path: &Path, wait: Duration) -> Result<Lock> {
    let file = side_files::open(&beside(path, ".lock"), path);
    let file = file.map_err(|error| beside_error(path, ".lock", &error))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < wait => sleep(TRY_EVERY),
            Err(TryLockError::WouldBlock) => return Err(MirrorError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io_error(path, &error)),
        }
    }
}
