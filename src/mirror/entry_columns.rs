//! The fields of checked entries, used for look-ups, for watch rules, and to compare decision times with heads.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::leaves::LeafStore;
use super::memory::EntryMemory;
use super::seal::{MAX_KEY, Table};
use super::values::int;
use crate::audit::entries::Columns;
use crate::audit::journal::LoggedApproval;
use crate::audit::watch_list::Facts;
use crate::core::entry::{Decision, read_leaf};
use crate::core::hash::Hash;
use crate::core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, Row, params};
use std::ops::{Deref, Range};

/// An entry with the time of its decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The index of the entry.
    pub index: u64,
    /// Its id, if it has a readable one.
    pub id: Option<String>,
    /// The time of the decision.
    pub decided_at: UnixMillis,
}

/// The store of the fields of checked entries.
pub struct EntryColumns<D> {
    db: D,
}

impl<D: Deref<Target = Db>> EntryColumns<D> {
    pub(super) fn new(db: D) -> EntryColumns<D> {
        EntryColumns { db }
    }

    /// Verifies the rows of these entries.
    pub(super) fn trust(&self, entries: &Range<u64>) -> Result<()> {
        match entries.is_empty() {
            true => Ok(()),
            false => self.db.trust(Table::Columns, entries.start..=entries.end.saturating_sub(1)),
        }
    }

    /// How many of these checked entries have a decision time.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn with_times(&self, entries: &Range<u64>) -> Result<u64> {
        self.trust(entries)?;
        let sql = "SELECT count(*), count(decided_at) FROM entry_columns WHERE idx >= ?1 AND idx < ?2";
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            select.query_row([int(entries.start), int(entries.end)], |row| Ok((row.get(0)?, row.get(1)?)))
        });
        let (there, with_times): (u64, u64) = self.db.sql(result)?;
        if there != entries.end.saturating_sub(entries.start) {
            let why =
                format!("of the checked entries {} to {} some are not there", entries.start, entries.end);
            return Err(self.db.damaged(why));
        }
        Ok(with_times)
    }

    /// At most `limit` of these checked entries with a decision time after `time`, ascending.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn decided_after(&self, entries: &Range<u64>, time: UnixMillis, limit: u64) -> Result<Vec<Decided>> {
        self.trust(entries)?;
        let sql =
            "SELECT idx, id, decided_at FROM entry_columns WHERE idx >= ?1 AND idx < ?2 AND decided_at > ?3
                   ORDER BY idx LIMIT ?4";
        let values = params![int(entries.start), int(entries.end), time, int(limit)];
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Decided { index: row.get(0)?, id: row.get(1)?, decided_at: row.get(2)? })
            };
            select.query_map(values, row)?.collect()
        });
        self.db.sql(result)
    }

    /// The checked entries that this approver approved, according to the entries, ascending. Reads all rows once.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn approved_by(&self, approver: &str) -> Result<Vec<u64>> {
        self.db.trust(Table::Columns, 0..=MAX_KEY)?;
        let sql = "SELECT idx FROM entry_columns WHERE approver = ?1 AND decision = ?2 ORDER BY idx";
        let values = params![approver, Decision::Approved.as_str()];
        let result = self
            .db
            .connection()
            .prepare_cached(sql)
            .and_then(|mut select| select.query_map(values, |row| row.get(0))?.collect());
        self.db.sql(result)
    }

    /// Those of these checked entries that are approvals, name their approver, and were asked for after `time` according
    /// to the entry, ascending.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn approvals_asked_after(
        &self,
        entries: &Range<u64>,
        time: UnixMillis,
    ) -> Result<Vec<LoggedApproval>> {
        self.trust(entries)?;
        let sql = "SELECT idx, id, approver, requested_at FROM entry_columns WHERE idx >= ?1 AND idx < ?2
                   AND decision = ?3 AND requested_at > ?4 AND approver IS NOT NULL ORDER BY idx";
        let values = params![int(entries.start), int(entries.end), Decision::Approved.as_str(), time];
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            let row = |row: &Row<'_>| {
                let (index, id, approver) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(LoggedApproval { index, id, approver, requested_at: row.get(3)? })
            };
            select.query_map(values, row)?.collect()
        });
        self.db.sql(result)
    }

    /// The approver that a mirrored entry names, if it has a readable one. While entries are being checked again,
    /// their rows are missing, and the leaf is read instead.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn approver_of(&self, index: u64) -> Result<Option<String>> {
        self.db.trust(Table::Columns, index..=index)?;
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT approver FROM entry_columns WHERE idx = ?1")
            .and_then(|mut select| select.query_row([int(index)], |row| row.get(0)).optional());
        if let Some(approver) = self.db.sql(result)? {
            return Ok(approver);
        }
        let leaves = LeafStore::new(&*self.db).range(index, index.saturating_add(1))?;
        let entry = leaves.first().and_then(|leaf| read_leaf(leaf, &self.db.state().origin).entry);
        Ok(entry.and_then(|entry| entry.valid_approver().map(str::to_owned)))
    }

    /// The facts of the checked entries `[begin, end)`.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read, or if an entry is missing: it must not be passed
    /// over.
    pub fn facts(&self, begin: u64, end: u64) -> Result<Vec<Facts>> {
        self.trust(&(begin..end))?;
        let sql = "SELECT idx, id, decision, decided_at, approver, rp_id, key, payload_hash
                   FROM entry_columns WHERE idx >= ?1 AND idx < ?2 ORDER BY idx";
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            select.query_map([int(begin), int(end)], facts)?.collect::<rusqlite::Result<Vec<Facts>>>()
        });
        let mut found = self.db.sql(result)?;
        // The first use of a key is where its signature first verified, as the checks across entries remember it.
        let memory = EntryMemory::new(&*self.db);
        for facts in &mut found {
            let Some(key) = &facts.key else { continue };
            facts.is_first_of_key = memory.first_use(key)? == Some(facts.index);
        }
        let is_whole = found.iter().map(|facts| facts.index).eq(begin..end);
        let why = || format!("of the entries {begin} to {end}, not all are in its columns");
        if is_whole { Ok(found) } else { Err(MirrorError::WrongMemory(self.db.path().to_owned(), why())) }
    }
}

impl EntryColumns<&mut Db> {
    /// Stores the fields of a checked leaf.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put(&mut self, index: u64, columns: &Columns) -> Result<()> {
        let [requested, decided, expires] = match columns.times {
            Some(times) => times.map(Some),
            None => [None; 3],
        };
        self.db
            .add(
                Table::Columns,
                index..=index,
                "INSERT INTO entry_columns VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) RETURNING *",
                &[
                    &int(index),
                    &columns.id,
                    &columns.decision.map(Decision::as_str),
                    &requested,
                    &decided,
                    &expires,
                    &columns.approver,
                    &columns.rp_id,
                    &columns.key.map(|key| key.0),
                    &columns.sign_count,
                    &columns.payload_encoding,
                    &columns.payload_hash,
                ],
            )
            .map(drop)
    }

    /// Deletes the fields of all entries, which are to be checked again.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.db.clear(Table::Columns)
    }
}

fn facts(row: &Row<'_>) -> rusqlite::Result<Facts> {
    Ok(Facts {
        index: row.get(0)?,
        id: row.get(1)?,
        decision: row.get::<_, Option<String>>(2)?.as_deref().and_then(Decision::from_text),
        decided_at: row.get(3)?,
        approver: row.get(4)?,
        rp_id: row.get(5)?,
        key: row.get::<_, Option<[u8; 32]>>(6)?.map(Hash),
        payload_hash: row.get(7)?,
        is_first_of_key: false,
    })
}
