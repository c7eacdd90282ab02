//! Which of the kept heads the log itself lists (specification section 5, `GET heads`).

use super::head_query::{Query, has, key_of, only};
use super::seal::{Flag, MAX_KEY, Table};
use super::write::int;
use super::{Mirror, Result, StoredHead};
use crate::core::hash::Hash;
use crate::core::head::{Head, LogKey};
use rusqlite::params;

impl Mirror {
    /// Records that the log lists a head.
    pub fn set_listed(&mut self, head: &Head) -> Result<()> {
        self.change_head(head, "listed = 1", &[])
    }

    /// Whether the log was seen to list this statement.
    pub fn is_listed(&self, head: &Head) -> Result<bool> {
        self.trust(Table::Heads, only(head.size()))?;
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE size = ?1 AND root = ?2 AND statement = ?3 AND listed = 1)";
        let values = params![int(head.size()), head.root().0, head.statement().0];
        let result = self.db.query_row(sql, values, |row| row.get(0));
        self.sql(result)
    }

    /// The kept head with this statement.
    pub fn head_of(&self, statement: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query { condition: "statement = ?3", values: &[&statement.0], limit: 1, ..Query::all() };
        self.query_head(&query, key)
    }

    /// Has the whole list compared again.
    pub fn forget_listed(&mut self) -> Result<()> {
        self.change_all("listed = 0", "listed <> 0")
    }

    /// At most `limit` kept STHs that the log was not seen to list, oldest first.
    pub fn unlisted(&self, limit: usize, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Unlisted]),
            condition: "format = 'sth' AND listed = 0",
            ..Query::all()
        };
        let mut found = self.query_heads(&query, key)?;
        found.sort_by_key(|stored| (stored.head.timestamp(), stored.head.size()));
        found.truncate(limit);
        Ok(found)
    }

    /// How many STHs of up to this time the log was not seen to list, and the time of the oldest.
    pub fn unlisted_until(&self, time: u64) -> Result<(u64, u64)> {
        let sql = "SELECT count(*), min(time) FROM heads
                   WHERE size >= ?1 AND size <= ?2 AND format = 'sth' AND listed = 0 AND time <= ?3";
        let (mut count, mut oldest) = (0u64, None::<u64>);
        self.trusted_ranges(Table::Heads, 0..=MAX_KEY, false, &has(&[Flag::Unlisted]), &mut |sizes| {
            let values = params![int(*sizes.start()), int(*sizes.end()), int(time)];
            let result = self.db.prepare_cached(sql).and_then(|mut select| {
                select.query_row(values, |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Option<u64>>(1)?)))
            });
            let (more, earliest) = self.sql(result)?;
            count = count.saturating_add(more);
            oldest = [oldest, earliest].into_iter().flatten().min();
            Ok(false)
        })?;
        Ok((count, oldest.unwrap_or(0)))
    }

    /// Sizes of the trees below `size` that the mirror bears out, each once, ascending; 0 left out.
    pub fn consistent_sizes(&self, size: u64) -> Result<Vec<u64>> {
        let sql = "SELECT DISTINCT size FROM heads WHERE size >= ?1 AND size <= ?2 AND status = 'consistent' ORDER BY size";
        let mut found = Vec::new();
        let Some(last) = key_of(size).checked_sub(1).filter(|last| *last > 0) else { return Ok(found) };
        self.trusted_ranges(Table::Heads, 1..=last, false, &has(&[Flag::Consistent]), &mut |sizes| {
            let values = [int(*sizes.start()), int(*sizes.end())];
            let result = self.db.prepare_cached(sql).and_then(|mut select| {
                select.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<Vec<u64>>>()
            });
            found.extend(self.sql(result)?);
            Ok(false)
        })?;
        Ok(found)
    }
}
