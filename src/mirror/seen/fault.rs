//! Why a look-up or an insertion failed.

use crate::mirror::error::{MirrorError, sql_error};
use std::path::Path;

pub(super) type Result<T> = std::result::Result<T, StoreFault>;

/// Why a look-up or an insertion failed.
#[derive(Debug)]
pub enum StoreFault {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// The rows do not match the state.
    Wrong(String),
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> StoreFault {
        StoreFault::Sql(error)
    }
}

impl StoreFault {
    /// Converts it to a fault of the mirror at this path.
    pub fn of(self, path: &Path) -> MirrorError {
        match self {
            StoreFault::Sql(error) => sql_error(path, error),
            StoreFault::Wrong(why) => MirrorError::WrongMemory(
                path.to_owned(),
                format!("the table seen_rows disagrees with the state: {why}"),
            ),
        }
    }
}
