//! Reading leaves, nodes and the state row back. Nothing read is believed before it was re-hashed.

use super::seal::{MAX_KEY, Table};
use super::state::State;
use super::write::int;
use super::{APPLICATION_ID, Mirror, MirrorError, Result, SCHEMA_VERSION, connect, sql_error};
use crate::audit::across::Unique;
use crate::core::entry::Decision;
use crate::core::hash::{Hash, sha256};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::path::{Path, PathBuf};

/// Whether a database is a mirror of ours, whatever became of it.
pub(super) fn is_mirror(db: &Connection, path: &Path) -> Result<bool> {
    let id: rusqlite::Result<i64> = db.query_row("PRAGMA application_id", [], |row| row.get(0));
    Ok(id.map_err(|error| sql_error(path, error))? == APPLICATION_ID)
}

/// Reads the state row and checks that it is what was written.
pub(super) fn state(db: &Connection, path: &Path) -> Result<State> {
    let damaged = |why: &str| MirrorError::Damaged(path.to_owned(), why.to_owned());
    let pragma = |name: &str| -> Result<i64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| sql_error(path, error))
    };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(damaged("it is not a countersign mirror"));
    }
    let version = pragma("user_version")?;
    if version > SCHEMA_VERSION {
        return Err(MirrorError::Newer(path.to_owned(), version, SCHEMA_VERSION));
    }
    if version < 1 {
        return Err(damaged(&format!("its format is version {version}, which no program wrote")));
    }
    let (json, digest): (String, Vec<u8>) = db
        .query_row("SELECT json, digest FROM state WHERE one = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|error| sql_error(path, error))?;
    if sha256(json.as_bytes()).0.as_slice() != digest {
        return Err(damaged("its state row does not have its digest"));
    }
    let state: State = serde_json::from_str(&json).map_err(|error| damaged(&error.to_string()))?;
    let ordered = state.checked <= state.verified && state.verified <= state.downloaded;
    if !ordered || state.frontier().is_none() || state.seals().is_none() {
        return Err(damaged("its cursors contradict each other"));
    }
    Ok(state)
}

/// A second, read-only connection: worker threads check entries from it while the mirror writes.
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

impl Reader {
    /// Leaves `[begin, end)` in order. A missing one ends the list early.
    pub fn leaves(&self, begin: u64, end: u64) -> Result<Vec<Vec<u8>>> {
        leaves(&self.db, begin, end).map_err(|error| sql_error(&self.path, error))
    }
}

fn leaves(db: &Connection, begin: u64, end: u64) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut select =
        db.prepare_cached("SELECT idx, leaf FROM leaves WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")?;
    let mut rows = select.query(params![int(begin), int(end)])?;
    let mut found = Vec::new();
    let mut expected = int(begin);
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? != expected {
            break;
        }
        found.push(row.get(1)?);
        expected = expected.saturating_add(1);
    }
    Ok(found)
}

impl Mirror {
    /// Opens a second connection for reading.
    pub fn reader(&self) -> Result<Reader> {
        let db = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let result = db.busy_timeout(std::time::Duration::from_secs(10));
        self.sql(result)?;
        Ok(Reader { db, path: self.path.clone() })
    }

    /// Leaves `[begin, end)` in order. A missing one ends the list early.
    pub fn leaves(&self, begin: u64, end: u64) -> Result<Vec<Vec<u8>>> {
        self.sql(leaves(&self.db, begin, end))
    }

    /// The stored root of a perfect subtree of 256^`level` leaves.
    pub fn node(&self, level: u8, n: u64) -> Result<Option<Hash>> {
        let result = self
            .db
            .prepare_cached("SELECT hash FROM nodes WHERE level = ?1 AND n = ?2")
            .and_then(|mut select| select.query_row(params![level, int(n)], |row| row.get(0)).optional());
        Ok(self.sql(result)?.map(Hash))
    }

    /// The id of a checked entry, for messages.
    pub fn entry_id(&self, index: u64) -> Result<Option<String>> {
        self.trust(Table::Columns, index..=index)?;
        let result = self
            .db
            .prepare_cached("SELECT id FROM entry_columns WHERE idx = ?1")
            .and_then(|mut select| select.query_row([int(index)], |row| row.get(0)).optional());
        Ok(self.sql(result)?.flatten())
    }

    /// The first checked entry with this id, out of what the checks across entries remember: one look,
    /// however long the log. Whether that entry has the id is for its leaf to say.
    pub fn first_with_id(&self, id: &str) -> Result<Option<u64>> {
        let fingerprint = Unique::Id.fingerprint(id.as_bytes());
        self.seen.first(&self.db, fingerprint).map_err(|fault| fault.of(&self.path))
    }

    /// The checked entries that say that this approver approved, ascending. Reads all columns once.
    pub fn approved_by(&self, approver: &str) -> Result<Vec<u64>> {
        self.trust(Table::Columns, 0..=MAX_KEY)?;
        let sql = "SELECT idx FROM entry_columns WHERE approver = ?1 AND decision = ?2 ORDER BY idx";
        let values = params![approver, Decision::Approved.as_str()];
        let result = self
            .db
            .prepare_cached(sql)
            .and_then(|mut select| select.query_map(values, |row| row.get(0))?.collect());
        self.sql(result)
    }
}
