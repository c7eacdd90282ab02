//! The lock beside the mirror: one process holds it at a time.

use super::error::{MirrorError, Result, beside_error, io_error};
use super::holder;
use super::side_files::{self, beside};
use std::fs::{File, TryLockError};
use std::path::Path;

/// A mirror's lock, until it is dropped.
pub(super) struct Lock(File);

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
    let file = side_files::open(&beside(path, ".lock"), path);
    let file = file.map_err(|error| beside_error(path, ".lock", &error))?;
    match file.try_lock() {
        Ok(()) => {
            holder::sign(&file);
            Ok(Lock(file))
        }
        Err(TryLockError::WouldBlock) => Err(MirrorError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(path, &error)),
    }
}
