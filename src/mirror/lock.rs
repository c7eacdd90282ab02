//! The lock beside the mirror: one process has it at a time.

use super::side_files::{self, beside};
use super::{MirrorError, Result, beside_error, holder, io_error};
use std::fs::{File, TryLockError};
use std::path::Path;

/// A mirror's lock, until it is dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Given back in so many words: closing the file would leave it to whatever process was being started at that
    /// moment, which for an instant has all files of this one.
    fn drop(&mut self) {
        // It goes with the process at the latest.
        let _ = self.0.unlock();
    }
}

/// Takes `<mirror>.lock`. The operating system gives it back however this process ends.
///
/// It is a file of its own. A lock on the database would need it opened a second time, and on closing that again all
/// locks of this process on it, SQLite's too, would be gone.
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
