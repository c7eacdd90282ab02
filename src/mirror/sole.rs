//! That this process alone writes the mirror.
//!
//! The lock sees to it, and nothing rests on the lock: it is a file that anybody can remove, and some network file
//! systems grant it twice. So each transaction begins by holding the stored state against the one that this process
//! read or wrote last. SQLite lets one writer in at a time, and what it read then stays so until it commits.

use super::error::{MirrorError, Result};
use super::{Mirror, state_row};

impl Mirror {
    /// The stored state is the one that this process knows. Within a transaction: for as long as that lasts.
    pub(super) fn written_by_none_else(&self) -> Result<()> {
        let stored = self.sql(state_row::stored(&self.db))?;
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
