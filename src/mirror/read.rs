//! Reading leaves, nodes and the state row back. Nothing read is believed before it was re-hashed.

use super::Mirror;
use super::connection::connect;
use super::error::{Result, sql_error};
use super::seal::{MAX_KEY, Table};
use super::values::int;
use crate::audit::across::Unique;
use crate::core::entry::Decision;
use crate::core::hash::Hash;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::path::PathBuf;

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
