//! Why the mirror cannot be used. This is always a local fault, never the log's.

use super::mark;
use std::fmt;
use std::path::{Path, PathBuf};

pub(super) type Result<T> = std::result::Result<T, MirrorError>;

/// Why the mirror cannot be used. The message tells the user what to do.
#[derive(Debug)]
pub enum MirrorError {
    /// There is no mirror at this path.
    Missing(PathBuf),
    /// Another process holds it.
    InUse(PathBuf),
    /// It is not what this program wrote.
    Damaged(PathBuf, String),
    /// A later version of this program wrote it. Contains its format, and the newest format that this program
    /// supports.
    Newer(PathBuf, i64, i64),
    /// Its memory of earlier entries contradicts those entries.
    WrongMemory(PathBuf, String),
    /// It is older than what was acknowledged (see `mark`).
    RolledBack(PathBuf, String),
    /// Another process wrote to it while this one had it open.
    OtherWriter(PathBuf, String),
    /// It mirrors another log, or was written under another log key.
    OtherLog(PathBuf, String),
    /// The file system or SQLite reported an error: disk full, read-only, no permission, …
    Io(PathBuf, String),
}

impl MirrorError {
    /// The error for a memory that contradicts the entry that it is about.
    pub fn wrong_memory(path: &Path, index: u64) -> MirrorError {
        MirrorError::WrongMemory(
            path.to_owned(),
            format!(
                "what it remembers of entry {index} contradicts that \
                                                           entry"
            ),
        )
    }

    /// The error for a row of a watch rule that is not the one that was written.
    pub(super) fn wrong_watch(path: &Path) -> MirrorError {
        let why = "the stored progress of a watch rule is not what was written; with --full the rule checks all \
                   entries again";
        MirrorError::WrongMemory(path.to_owned(), why.to_owned())
    }

    /// Whether the user named the wrong file, rather than the file being damaged or inaccessible.
    pub fn is_usage(&self) -> bool {
        matches!(self, MirrorError::OtherLog(..))
    }
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MirrorError::Missing(path) => write!(
                f,
                "there is no mirror at {path:?}. If this is the first audit of this log, run `countersign audit` with --init; \
                 if not, find out where the mirror went: a fresh one would forget every head seen so far"
            ),
            MirrorError::InUse(path) => {
                write!(
                    f,
                    "the mirror {path:?} is in use by another process; wait for it, or stop it, and run again"
                )
            }
            MirrorError::Damaged(path, why) => write!(
                f,
                "the mirror {path:?} is damaged ({why}). Check the disk; then restore the newest backup of it, or run \
                 `countersign mirror check`, which says what is wrong, and with --rebuild makes again what follows from \
                 the entries"
            ),
            MirrorError::Newer(path, version, known) => write!(
                f,
                "the mirror {path:?} was written by a newer version of countersign: its format is version {version}, and \
                 this program knows formats up to version {known}. Use that newer version"
            ),
            MirrorError::WrongMemory(path, why) => write!(
                f,
                "what the mirror {path:?} remembers of earlier entries is damaged ({why}). Check the disk, then run \
                 with --full, which builds it again from the entries"
            ),
            MirrorError::RolledBack(path, why) => write!(
                f,
                "the mirror {path:?} may have been rolled back: {why}. Put the newest copy back. If this copy is all \
                 there is, remove the file {:?} if it is there, and run once with --init to go on from it: heads \
                 seen since are lost",
                mark::path_of(path)
            ),
            MirrorError::OtherWriter(path, why) => write!(
                f,
                "another process wrote to the mirror {path:?} while this one had it open ({why}); its changes were \
                 not overwritten. Find out which process that is and why the lock beside the mirror did not keep \
                 it out (was it removed, or is this a network file system?), then run again"
            ),
            MirrorError::OtherLog(path, why) => write!(
                f,
                "the mirror {path:?} is not of this log: {why}. Give the --db of this log; if there is none yet, another \
                 name with --init"
            ),
            MirrorError::Io(path, why) => write!(f, "cannot use the mirror {path:?}: {why}"),
        }
    }
}

impl std::error::Error for MirrorError {}

/// The error if a file beside the mirror cannot be used.
pub(crate) fn beside_error(path: &Path, suffix: &str, error: &std::io::Error) -> MirrorError {
    MirrorError::Io(path.to_owned(), format!("its {suffix:?} file: {error}"))
}

/// The error for an I/O error of the operating system.
pub(crate) fn io_error(path: &Path, error: &std::io::Error) -> MirrorError {
    MirrorError::Io(path.to_owned(), error.to_string())
}

/// The error for an error of SQLite, or for data that this program did not write.
pub(crate) fn sql_error(path: &Path, error: rusqlite::Error) -> MirrorError {
    use rusqlite::ErrorCode;
    let why = error.to_string();
    match &error {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            MirrorError::Damaged(path.to_owned(), why)
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
        {
            MirrorError::InUse(path.to_owned())
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(
                failure.code,
                ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::CannotOpen
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
            ) =>
        {
            MirrorError::Io(path.to_owned(), why)
        }
        // A missing table or column, a value of another type, or a violated constraint: something changed what this
        // program wrote.
        _ => MirrorError::Damaged(path.to_owned(), why),
    }
}
