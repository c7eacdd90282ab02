//! The leaves, and the roots of their perfect subtrees. Data that is read is used only after it was hashed again.

use super::connection::connect;
use super::db::Db;
use super::error::{Result, sql_error};
use super::values::int;
use crate::core::hash::Hash;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::ops::Deref;
use std::path::PathBuf;

/// A second, read-only connection, from which worker threads check entries while the mirror writes.
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

impl Reader {
    /// Leaves `[begin, end)` in order. The list ends before the first missing leaf.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read.
    pub fn range(&self, begin: u64, end: u64) -> Result<Vec<Vec<u8>>> {
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

/// The leaves byte for byte, and the roots of their perfect subtrees.
pub struct LeafStore<D> {
    db: D,
}

impl<D: Deref<Target = Db>> LeafStore<D> {
    pub(super) fn new(db: D) -> LeafStore<D> {
        LeafStore { db }
    }

    /// Opens a second connection for reading.
    ///
    /// # Errors
    /// `MirrorError` if the second connection cannot be opened.
    pub fn reader(&self) -> Result<Reader> {
        let db = connect(self.db.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let result = db.busy_timeout(std::time::Duration::from_secs(10));
        self.db.sql(result)?;
        Ok(Reader { db, path: self.db.path().to_owned() })
    }

    /// Leaves `[begin, end)` in order. The list ends before the first missing leaf.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read.
    pub fn range(&self, begin: u64, end: u64) -> Result<Vec<Vec<u8>>> {
        self.db.sql(leaves(self.db.connection(), begin, end))
    }

    /// The stored root of a perfect subtree of 256^`level` leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read.
    pub fn node(&self, level: u8, n: u64) -> Result<Option<Hash>> {
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT hash FROM nodes WHERE level = ?1 AND n = ?2")
            .and_then(|mut select| select.query_row(params![level, int(n)], |row| row.get(0)).optional());
        Ok(self.db.sql(result)?.map(Hash))
    }
}

impl LeafStore<&mut Db> {
    /// Stores a leaf as received. It replaces an existing leaf only if that leaf is not verified, or was found to be
    /// damaged here.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written.
    pub fn put(&mut self, index: u64, leaf: &[u8]) -> Result<()> {
        let result = self
            .db
            .connection()
            .prepare_cached("INSERT OR REPLACE INTO leaves VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![int(index), leaf]));
        self.db.sql(result).map(drop)
    }

    /// Deletes the leaves from `index` on, which were never verified.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written.
    pub fn forget_from(&mut self, index: u64) -> Result<()> {
        let result = self.db.connection().execute("DELETE FROM leaves WHERE idx >= ?1", [int(index)]);
        self.db.sql(result).map(drop)
    }

    /// Stores the root of a perfect subtree of 256^`level` leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written.
    pub fn put_node(&mut self, level: u8, n: u64, hash: &Hash) -> Result<()> {
        let result = self
            .db
            .connection()
            .prepare_cached("INSERT OR REPLACE INTO nodes VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![level, int(n), hash.0]));
        self.db.sql(result).map(drop)
    }
}
