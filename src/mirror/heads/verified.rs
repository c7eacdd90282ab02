//! Heads that the mirrored leaves confirm, and the entries that have to be judged again because of them.

use super::query::{Query, key_of, only, query_heads};
use super::store::Heads;
use super::stored::{HeadStatus, StoredHead};
use crate::core::head::{Head, LogKey};
use crate::core::time::UnixMillis;
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::Table;
use crate::mirror::state::State;
use crate::mirror::values::int;
use rusqlite::{OptionalExtension as _, params};
use std::ops::Deref;

/// How many heads of smaller sizes are examined to find the entries that a head concerns. If none of them has an
/// earlier time, all entries are compared with the head: this bounds the work, however the log signs its heads.
const NEIGHBOURS: usize = 64;

impl<D: Deref<Target = Db>> Heads<D> {
    /// The time of the earliest STH of this tree with this status.
    fn earliest_of_tree(&self, head: &Head, status: &str) -> Result<Option<UnixMillis>> {
        self.db().trust(Table::Heads, only(head.size()))?;
        let sql = "SELECT time FROM heads WHERE format = 'sth' AND size = ?1 AND root = ?2 AND status = ?3
                   ORDER BY time LIMIT 1";
        let values = params![int(head.size()), head.root().0, status];
        let result = self
            .db()
            .connection()
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row(values, |row| row.get(0)).optional());
        self.db().sql(result)
    }

    /// How many entries are covered by a smaller head that is not later: a head of this size and time concerns none
    /// of them.
    fn covered_by_earlier(&self, size: u64, time: UnixMillis, key: &LogKey) -> Result<u64> {
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
        let found = query_heads(self.db(), &query, key)?.into_iter().find(covers);
        Ok(found.map_or(0, |stored| stored.head.size()))
    }
}

impl Heads<&mut Db> {
    /// Records that the mirrored leaves confirm a head, and marks the entries for which it is now the earliest STH to
    /// be judged again.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn mark_verified(&mut self, state: &mut State, head: &Head, key: &LogKey) -> Result<()> {
        let before = self.earliest_of_tree(head, "consistent")?;
        self.set_status(head, HeadStatus::Consistent)?;
        let Some(time) = self.earliest_of_tree(head, "consistent")? else { return Ok(()) };
        if before.is_none_or(|before| time < before) {
            state.judged = state.judged.min(self.covered_by_earlier(head.size(), time, key)?);
        }
        Ok(())
    }
}
