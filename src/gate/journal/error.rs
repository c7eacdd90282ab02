//! Why the journal cannot be used. This is always a local fault, and no action may run.

use crate::mirror::MirrorError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(super) type Result<T> = std::result::Result<T, JournalError>;

/// Why the journal cannot be used. The message tells the user what to do.
#[derive(Debug)]
pub enum JournalError {
    /// There is no journal at this path.
    Missing(PathBuf),
    /// There is a file already where a journal was to be created.
    AlreadyThere(PathBuf),
    /// There was a journal here, which this file beside it is left of.
    Gone(PathBuf, PathBuf),
    /// The file is something else than a journal.
    NotAJournal(PathBuf),
    /// Other processes held it for too long.
    InUse(PathBuf),
    /// It is not what this program wrote.
    Damaged(PathBuf, String),
    /// A later version of this program wrote it. Contains its format, and the newest format that this program
    /// supports.
    Newer(PathBuf, i64, i64),
    /// It is older than what was acknowledged, or nothing is left that tells.
    RolledBack(PathBuf, String),
    /// The file system or SQLite reported an error: disk full, read-only, no permission, …
    Io(PathBuf, String),
    /// There is no row with this idempotency key.
    NoRow(PathBuf, String),
    /// The step does not fit what the row with this idempotency key says. Nothing was changed.
    OutOfOrder(PathBuf, String, &'static str),
    /// A value is longer or larger than a journal takes. Nothing was changed.
    TooLarge(PathBuf, String),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Missing(path) => write!(
                f,
                "there is no journal at {path:?}. If it has another place, say so with --journal, or with --config and the \
                 config that names it. If there never was one, create it once with `countersign gate --journal {path:?} \
                 --init`. If there was one, find out where it went: a fresh one does not know which approvals were used"
            ),
            JournalError::AlreadyThere(path) => write!(
                f,
                "there is a file at {path:?} already, so no journal is created there. If it is the journal, leave \
                 --init out; if not, name another file with --journal"
            ),
            JournalError::Gone(path, left) => write!(
                f,
                "there was a journal at {path:?}, of which {left:?} is left. Bring the journal back: a fresh one does \
                 not know which approvals were used. If it is lost, and no approval of its time can be used any more, \
                 remove what is left of it and run with --init again"
            ),
            JournalError::NotAJournal(path) => write!(
                f,
                "the file {path:?} is not a journal of countersign, or its beginning is damaged. Name the journal with \
                 --journal; a new one is created with --init, under a name that no file has"
            ),
            JournalError::InUse(path) => write!(
                f,
                "the journal {path:?} is in use by other processes and did not become free in time; find out which \
                 process holds {:?}, and run again",
                crate::mirror::beside(path, ".lock")
            ),
            JournalError::Damaged(path, why) => write!(
                f,
                "the journal {path:?} is damaged ({why}). Nothing runs with it: it may have lost which approvals were \
                 used. Check the disk and restore the newest copy of it with the files beside it"
            ),
            JournalError::Newer(path, version, known) => write!(
                f,
                "the journal {path:?} was written by a newer version of countersign: its format is version {version}, and \
                 this program knows formats up to version {known}. Use that newer version"
            ),
            JournalError::RolledBack(path, why) => write!(
                f,
                "the journal {path:?} may be an older copy: {why}. Nothing runs with it: it may have lost which approvals \
                 were used. Put the newest copy back, with its \".mark\" file"
            ),
            JournalError::Io(path, why) => write!(f, "cannot use the journal {path:?}: {why}"),
            JournalError::NoRow(path, key) => {
                write!(
                    f,
                    "the journal {path:?} has no row with the idempotency key {key:?}; `countersign gate list --journal \
                     {path:?}` shows them"
                )
            }
            JournalError::OutOfOrder(path, key, why) => {
                write!(
                    f,
                    "nothing was recorded under the idempotency key {key:?} in the journal {path:?}: {why}"
                )
            }
            JournalError::TooLarge(path, why) => {
                write!(f, "nothing was written to the journal {path:?}: {why}")
            }
        }
    }
}

impl std::error::Error for JournalError {}

/// What the journal has in common with the mirror fails with the mirror's errors.
impl From<MirrorError> for JournalError {
    fn from(error: MirrorError) -> JournalError {
        match error {
            MirrorError::Missing(path) => JournalError::Missing(path),
            MirrorError::InUse(path) => JournalError::InUse(path),
            MirrorError::Damaged(path, why) => JournalError::Damaged(path, why),
            MirrorError::Newer(path, version, known) => JournalError::Newer(path, version, known),
            MirrorError::RolledBack(path, why) => JournalError::RolledBack(path, why),
            MirrorError::WrongMemory(path, why)
            | MirrorError::OtherWriter(path, why)
            | MirrorError::OtherLog(path, why)
            | MirrorError::Io(path, why) => JournalError::Io(path, why),
        }
    }
}

/// The error for an error of SQLite, or for data that this program did not write.
pub(super) fn sql_error(path: &Path, error: rusqlite::Error) -> JournalError {
    crate::mirror::sql_error(path, error).into()
}

/// The error if the mark cannot be used.
pub(super) fn mark_error(path: &Path, error: &io::Error) -> JournalError {
    crate::mirror::beside_error(path, ".mark", error).into()
}
