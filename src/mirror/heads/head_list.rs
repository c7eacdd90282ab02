//! Which of the kept heads are in the log's own head list (specification section 5, `GET heads`).

use super::query::{Query, has, key_of, only, query_head, query_heads};
use super::store::Heads;
use super::stored::StoredHead;
use crate::core::hash::Hash;
use crate::core::head::{Head, LogKey};
use crate::core::time::UnixMillis;
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::{Flag, MAX_KEY, Table};
use crate::mirror::values::int;
use rusqlite::params;
use std::ops::Deref;

impl<D: Deref<Target = Db>> Heads<D> {
    /// Whether this statement was seen in the log's head list.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn is_listed(&self, head: &Head) -> Result<bool> {
        self.db().trust(Table::Heads, only(head.size()))?;
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE size = ?1 AND root = ?2 AND statement = ?3 AND listed = 1)";
        let values = params![int(head.size()), head.root().0, head.statement().0];
        let result = self.db().connection().query_row(sql, values, |row| row.get(0));
        self.db().sql(result)
    }

    /// The kept head with this statement.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn of_statement(&self, statement: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query { condition: "statement = ?3", values: &[&statement.0], limit: 1, ..Query::all() };
        query_head(self.db(), &query, key)
    }

    /// At most `limit` kept STHs that were not seen in the log's head list, oldest first.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn unlisted(&self, limit: usize, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Unlisted]),
            condition: "format = 'sth' AND listed = 0",
            ..Query::all()
        };
        let mut found = query_heads(self.db(), &query, key)?;
        found.sort_by_key(|stored| (stored.head.timestamp(), stored.head.size()));
        found.truncate(limit);
        Ok(found)
    }

    /// How many STHs up to this time were not seen in the log's head list, and the time of the oldest.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn unlisted_until(&self, time: UnixMillis) -> Result<(u64, UnixMillis)> {
        let sql = "SELECT count(*), min(time) FROM heads
                   WHERE size >= ?1 AND size <= ?2 AND format = 'sth' AND listed = 0 AND time <= ?3";
        let (mut count, mut oldest) = (0u64, None::<UnixMillis>);
        self.db().trusted_ranges(
            Table::Heads,
            0..=MAX_KEY,
            false,
            &has(&[Flag::Unlisted]),
            &mut |sizes| {
                let values = params![int(*sizes.start()), int(*sizes.end()), time];
                let result = self.db().connection().prepare_cached(sql).and_then(|mut select| {
                    select.query_row(values, |row| {
                        Ok((row.get::<_, u64>(0)?, row.get::<_, Option<UnixMillis>>(1)?))
                    })
                });
                let (more, earliest) = self.db().sql(result)?;
                count = count.saturating_add(more);
                oldest = [oldest, earliest].into_iter().flatten().min();
                Ok(false)
            },
        )?;
        Ok((count, oldest.unwrap_or_default()))
    }

    /// Sizes of the trees below `size` that the mirrored leaves confirm, each once, ascending; without 0.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn consistent_sizes(&self, size: u64) -> Result<Vec<u64>> {
        let sql = "SELECT DISTINCT size FROM heads WHERE size >= ?1 AND size <= ?2 AND status = 'consistent' ORDER BY size";
        let mut found = Vec::new();
        let Some(last) = key_of(size).checked_sub(1).filter(|last| *last > 0) else { return Ok(found) };
        self.db().trusted_ranges(Table::Heads, 1..=last, false, &has(&[Flag::Consistent]), &mut |sizes| {
            let values = [int(*sizes.start()), int(*sizes.end())];
            let result = self.db().connection().prepare_cached(sql).and_then(|mut select| {
                select.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<Vec<u64>>>()
            });
            found.extend(self.db().sql(result)?);
            Ok(false)
        })?;
        Ok(found)
    }
}

impl Heads<&mut Db> {
    /// Records that a head is in the log's head list.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn set_listed(&mut self, head: &Head) -> Result<()> {
        self.change(head, "listed = 1", &[])
    }

    /// Forgets which heads are in the log's head list, so that the whole list is compared again.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn forget_listed(&mut self) -> Result<()> {
        self.change_all("listed = 0", "listed <> 0")
    }
}
