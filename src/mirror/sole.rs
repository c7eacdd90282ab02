//! That this process alone writes the mirror.
//!
//! The lock sees to it, and nothing rests on the lock: it is a file that anybody can remove, and some network file
//! systems grant it twice. So each transaction begins by holding the stored state against the one that this process
//! read or wrote last. SQLite lets one writer in at a time, and what it read then stays so until it commits.

use super::state::State;
use super::{Mirror, MirrorError, Result, sql_error};
use rusqlite::OptionalExtension as _;

impl Mirror {
    /// The stored state is the one that this process knows. Within a transaction: for as long as that lasts.
    pub(super) fn written_by_none_else(&self) -> Result<()> {
        let stored: Option<String> = self
            .db
            .prepare_cached("SELECT json FROM state WHERE one = 1")
            .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())
            .map_err(|error| sql_error(&self.path, error))?;
        let stored: Option<State> = stored.and_then(|json| serde_json::from_str(&json).ok());
        let why = match stored {
            Some(stored) if stored == self.state => return Ok(()),
            Some(stored) if stored.mirror != self.state.mirror => {
                "another mirror stands in its place".to_owned()
            }
            Some(stored) => format!(
                "it is at transaction {}, and was at {} when this process last had it",
                stored.generation, self.state.generation
            ),
            None => "its state is gone".to_owned(),
        };
        Err(MirrorError::OtherWriter(self.path.clone(), why))
    }
}
