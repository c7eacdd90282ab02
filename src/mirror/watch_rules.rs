//! How far each watch rule has looked, and how far approvals were held against the journal of a gate.
//!
//! A rule that is no longer in any config keeps its row. If it comes back, it continues where it stopped, so an audit
//! with another config in between misses nothing.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::seal::Table;
use super::values::{as_json, int};
use crate::audit::watch_list::WatchMemory;
use crate::core::hash::{Hash, sha256};
use rusqlite::types::ValueRef::{Blob, Integer, Text};
use rusqlite::{OptionalExtension as _, Row};
use std::ops::Deref;

/// The row with the number of hits that finished runs have reported. No rule has this digest.
const REPORTED_HITS: &str = "told";

/// The row that exists once damaged rows were deleted. It is unknown which rules they belonged to, and a rule that
/// comes back must not be treated as new.
const FORGOTTEN: &str = "forgotten";

/// The position and memory of a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// The first entry that it has not looked at.
    pub next: u64,
    /// Its memory of the entries before.
    pub memory: WatchMemory,
}

fn digest(rule: &str, next: u64, window: &str) -> Hash {
    sha256(format!("{rule}\0{next}\0{window}").as_bytes())
}

/// The row that says that rows were deleted, for a mirror that is being rebuilt: its name and its digest.
pub(super) fn forgotten() -> (&'static str, Hash) {
    (FORGOTTEN, digest(FORGOTTEN, 0, ""))
}

/// The content of a row, verified by its digest; `None` if it is damaged, in which case its values may have any type.
fn intact(row: &Row<'_>) -> rusqlite::Result<Option<(u64, String)>> {
    let values = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
    let (Text(rule), Integer(next), Text(window), Blob(stored)) = values else { return Ok(None) };
    let texts = (std::str::from_utf8(rule), u64::try_from(next), std::str::from_utf8(window));
    let (Ok(rule), Ok(next), Ok(window)) = texts else { return Ok(None) };
    let is_as_written = digest(rule, next, window).0.as_slice() == stored;
    Ok(is_as_written.then(|| (next, window.to_owned())))
}

/// The store of how far each watch rule has looked.
pub struct WatchRules<D> {
    db: D,
}

impl<D: Deref<Target = Db>> WatchRules<D> {
    pub(super) fn new(db: D) -> WatchRules<D> {
        WatchRules { db }
    }

    /// The position of a rule, by its digest; `None` if it never looked at this mirror.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read, or if the row is damaged: it is then unknown which entries the
    /// rule has passed.
    pub fn get(&self, rule: &Hash) -> Result<Option<Looked>> {
        let Some((next, window)) = self.row(&rule.to_string())? else { return Ok(None) };
        let memory = serde_json::from_str(&window).map_err(|_| MirrorError::wrong_watch(self.db.path()))?;
        Ok(Some(Looked { next, memory }))
    }

    /// The number of hits that finished runs have reported.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn hits_told(&self) -> Result<u64> {
        Ok(self.row(REPORTED_HITS)?.map_or(0, |(count, _)| count))
    }

    /// Whether rows were deleted, so that a rule without a row may have had one.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn has_forgotten(&self) -> Result<bool> {
        Ok(self.row(FORGOTTEN)?.is_some())
    }

    fn row(&self, rule: &str) -> Result<Option<(u64, String)>> {
        self.db.trust(Table::WatchRules, 0..=0)?;
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT rule, next, window, digest FROM watch_rules WHERE rule = ?1")
            .and_then(|mut select| select.query_row([rule], intact).optional());
        match self.db.sql(result)? {
            Some(None) => Err(MirrorError::wrong_watch(self.db.path())),
            Some(row) => Ok(row),
            None => Ok(None),
        }
    }
}

impl WatchRules<&mut Db> {
    /// Stores the position of a rule.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put(&mut self, rule: &Hash, looked: &Looked) -> Result<()> {
        let window = self.db.sql(as_json(&looked.memory))?;
        self.put_row(&rule.to_string(), looked.next, &window)
    }

    /// Records the number of hits that were reported.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put_hits_told(&mut self, count: u64) -> Result<()> {
        self.put_row(REPORTED_HITS, count, "")
    }

    /// If the table is not the one that was written, deletes the damaged rows, records that there were some, and
    /// keeps the others, which are at worst earlier rows of the same rules. Returns whether that was the case.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn forget_damaged(&mut self) -> Result<bool> {
        match self.db.trust(Table::WatchRules, 0..=0) {
            Ok(()) => return Ok(false),
            Err(MirrorError::WrongMemory(..)) => {}
            Err(error) => return Err(error),
        }
        // Names are read as bytes, because the name in a damaged row may not be text.
        let sql = "SELECT rule, next, window, digest, CAST(rule AS BLOB) FROM watch_rules";
        let result = self.db.connection().prepare(sql).and_then(|mut all| {
            let rows = all.query_map([], |row| {
                let name: Vec<u8> = row.get(4)?;
                let is_of_rule = ![REPORTED_HITS, FORGOTTEN].map(str::as_bytes).contains(&name.as_slice());
                let is_good =
                    |window: &str| !is_of_rule || serde_json::from_str::<WatchMemory>(window).is_ok();
                Ok((intact(row)?.is_some_and(|(_, window)| is_good(&window)), name))
            })?;
            rows.collect::<rusqlite::Result<Vec<(bool, Vec<u8>)>>>()
        });
        for (_, name) in self.db.sql(result)?.iter().filter(|(is_good, _)| !is_good) {
            let result =
                self.db.connection().execute("DELETE FROM watch_rules WHERE CAST(rule AS BLOB) = ?1", [name]);
            self.db.sql(result)?;
        }
        self.db.seal_again(Table::WatchRules)?;
        self.put_row(FORGOTTEN, 0, "")?;
        Ok(true)
    }

    fn put_row(&mut self, rule: &str, next: u64, window: &str) -> Result<()> {
        self.db
            .change(
                Table::WatchRules,
                0..=0,
                ("SELECT * FROM watch_rules WHERE rule = ?1", &[&rule]),
                (
                    "INSERT OR REPLACE INTO watch_rules VALUES (?1, ?2, ?3, ?4) RETURNING *",
                    &[&rule, &int(next), &window, &digest(rule, next, window).0],
                ),
            )
            .map(drop)
    }
}
