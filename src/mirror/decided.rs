//! When entries say that they were decided, against the heads that cover them.

use super::error::{MirrorError, Result};
use super::head_query::{Query, key_of, only};
use super::seal::Table;
use super::state::State;
use super::values::int;
use super::{HeadStatus, Mirror, StoredHead};
use crate::core::head::{Head, LogKey};
use rusqlite::{OptionalExtension as _, params};
use std::ops::Range;

/// Heads of smaller sizes that are looked at to find which entries a head concerns. Where none of them is dated
/// before it, all entries are held against it: one look at each, however such a log signs its heads.
const NEIGHBOURS: usize = 64;

/// Entries that the same head covers first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The entries.
    pub entries: Range<u64>,
    /// Size of the head.
    pub size: u64,
    /// Its time.
    pub time: u64,
}

/// What one entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The entry.
    pub index: u64,
    /// Its id, where it has a readable one.
    pub id: Option<String>,
    /// Unix milliseconds.
    pub decided_at: u64,
}

impl Mirror {
    /// Records that a head is borne out by the mirror, and has the entries judged again for which it is the
    /// earliest STH by now.
    pub fn bear_out(&mut self, state: &mut State, head: &Head, key: &LogKey) -> Result<()> {
        let before = self.earliest_of_tree(head, "consistent")?;
        self.set_head_status(head, HeadStatus::Consistent)?;
        let Some(time) = self.earliest_of_tree(head, "consistent")? else { return Ok(()) };
        if before.is_none_or(|before| time < before) {
            state.judged = state.judged.min(self.covered_by_earlier(head.size(), time, key)?);
        }
        Ok(())
    }

    /// The time of the earliest STH of this tree with this status.
    fn earliest_of_tree(&self, head: &Head, status: &str) -> Result<Option<u64>> {
        self.trust(Table::Heads, only(head.size()))?;
        let sql = "SELECT time FROM heads WHERE format = 'sth' AND size = ?1 AND root = ?2 AND status = ?3
                   ORDER BY time LIMIT 1";
        let values = params![int(head.size()), head.root().0, status];
        let result = self
            .db
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row(values, |row| row.get(0)).optional());
        self.sql(result)
    }

    /// How many entries a smaller head covers that is not later: a head of this size and time concerns none of them.
    fn covered_by_earlier(&self, size: u64, time: u64, key: &LogKey) -> Result<u64> {
        let Some(below) = key_of(size).checked_sub(1) else { return Ok(0) };
        let query = Query {
            sizes: 0..=below,
            descending: true,
            condition: "format = 'sth'",
            limit: NEIGHBOURS,
            ..Query::all()
        };
        let covers = |stored: &StoredHead| {
            stored.status == HeadStatus::Consistent && stored.head.timestamp().is_some_and(|of| of <= time)
        };
        let found = self.query_heads(&query, key)?.into_iter().find(covers);
        Ok(found.map_or(0, |stored| stored.head.size()))
    }

    /// Makes sure of what is kept of these entries.
    pub(super) fn trust_entries(&self, entries: &Range<u64>) -> Result<()> {
        match entries.is_empty() {
            true => Ok(()),
            false => self.trust(Table::Columns, entries.start..=entries.end.saturating_sub(1)),
        }
    }

    /// How many of these checked entries say when they were decided.
    pub fn with_times(&self, entries: &Range<u64>) -> Result<u64> {
        self.trust_entries(entries)?;
        let sql = "SELECT count(*), count(decided_at) FROM entry_columns WHERE idx >= ?1 AND idx < ?2";
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            select.query_row([int(entries.start), int(entries.end)], |row| Ok((row.get(0)?, row.get(1)?)))
        });
        let (there, with_times): (u64, u64) = self.sql(result)?;
        if there != entries.end.saturating_sub(entries.start) {
            let why =
                format!("of the checked entries {} to {} some are not there", entries.start, entries.end);
            return Err(MirrorError::Damaged(self.path.clone(), why));
        }
        Ok(with_times)
    }

    /// At most `limit` of these checked entries that say that they were decided after this time, ascending.
    pub fn decided_after(&self, entries: &Range<u64>, time: u64, limit: u64) -> Result<Vec<Decided>> {
        self.trust_entries(entries)?;
        let sql =
            "SELECT idx, id, decided_at FROM entry_columns WHERE idx >= ?1 AND idx < ?2 AND decided_at > ?3
                   ORDER BY idx LIMIT ?4";
        let values = params![int(entries.start), int(entries.end), int(time), int(limit)];
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Decided { index: row.get(0)?, id: row.get(1)?, decided_at: row.get(2)? })
            };
            select.query_map(values, row)?.collect()
        });
        self.sql(result)
    }
}
