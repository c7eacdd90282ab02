//! How far each watch rule looked.
//!
//! A rule that no config names any more keeps its row: should it come back, it goes on where it was, so an
//! audit with another config in between loses nothing.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::seal::Table;
use super::values::{as_json, int};
use crate::audit::watch_list::Memory;
use crate::core::hash::{Hash, sha256};
use rusqlite::types::ValueRef::{Blob, Integer, Text};
use rusqlite::{OptionalExtension as _, Row};
use std::ops::Deref;

/// The row that says how many hits a finished run has told of. No rule has this digest.
const TOLD: &str = "told";

/// The row that is there once rows were damaged and forgotten: which rules they were of nobody knows, and a rule that
/// comes back must not pass for a new one.
const FORGOTTEN: &str = "forgotten";

/// Where a rule is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// The first entry that it has not looked at.
    pub next: u64,
    /// What it remembers of those before.
    pub memory: Memory,
}

fn digest(rule: &str, next: u64, window: &str) -> Hash {
    sha256(format!("{rule}\0{next}\0{window}").as_bytes())
}

/// The row that says that rows were forgotten, for a mirror that is made again: its name and its digest.
pub(super) fn forgotten() -> (&'static str, Hash) {
    (FORGOTTEN, digest(FORGOTTEN, 0, ""))
}

/// What a row says, by its digest; `None`: it is damaged. Then its values may be of any kind.
fn intact(row: &Row<'_>) -> rusqlite::Result<Option<(u64, String)>> {
    let values = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
    let (Text(rule), Integer(next), Text(window), Blob(stored)) = values else { return Ok(None) };
    let texts = (std::str::from_utf8(rule), u64::try_from(next), std::str::from_utf8(window));
    let (Ok(rule), Ok(next), Ok(window)) = texts else { return Ok(None) };
    let is_as_written = digest(rule, next, window).0.as_slice() == stored;
    Ok(is_as_written.then(|| (next, window.to_owned())))
}

/// How far each watch rule looked.
pub struct WatchRules<D> {
    db: D,
}

impl<D: Deref<Target = Db>> WatchRules<D> {
    pub(super) fn new(db: D) -> WatchRules<D> {
        WatchRules { db }
    }

    /// Where a rule (by its digest) is; `None` where it never looked at this mirror.
    ///
    /// # Errors
    /// Also where the row is damaged: then nobody knows what it has passed over.
    pub fn get(&self, rule: &Hash) -> Result<Option<Looked>> {
        let Some((next, window)) = self.row(&rule.to_string())? else { return Ok(None) };
        let memory = serde_json::from_str(&window).map_err(|_| MirrorError::wrong_watch(self.db.path()))?;
        Ok(Some(Looked { next, memory }))
    }

    /// How many hits a finished run has told of.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be read.
    pub fn hits_told(&self) -> Result<u64> {
        Ok(self.row(TOLD)?.map_or(0, |(count, _)| count))
    }

    /// Whether rows were forgotten, so that a rule without one may have had one.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be read.
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
    /// Keeps where a rule is.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be written.
    pub fn put(&mut self, rule: &Hash, looked: &Looked) -> Result<()> {
        let window = self.db.sql(as_json(&looked.memory))?;
        self.put_row(&rule.to_string(), looked.next, &window)
    }

    /// Notes that so many were told of.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be written.
    pub fn put_hits_told(&mut self, count: u64) -> Result<()> {
        self.put_row(TOLD, count, "")
    }

    /// Where the table is not the one that was written: forgets the rows that are damaged, notes that there were some, and
    /// keeps the others, which are at worst earlier ones of the same rules. Gives whether it was so.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be written.
    pub fn forget_damaged(&mut self) -> Result<bool> {
        match self.db.trust(Table::WatchRules, 0..=0) {
            Ok(()) => return Ok(false),
            Err(MirrorError::WrongMemory(..)) => {}
            Err(error) => return Err(error),
        }
        // Names as bytes: that of a damaged row may be no text.
        let sql = "SELECT rule, next, window, digest, CAST(rule AS BLOB) FROM watch_rules";
        let result = self.db.connection().prepare(sql).and_then(|mut all| {
            let rows = all.query_map([], |row| {
                let name: Vec<u8> = row.get(4)?;
                let is_of_rule = ![TOLD, FORGOTTEN].map(str::as_bytes).contains(&name.as_slice());
                let is_good = |window: &str| !is_of_rule || serde_json::from_str::<Memory>(window).is_ok();
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
