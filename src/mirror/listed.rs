//! Which of the kept heads the log itself lists (specification section 5, `GET heads`).

use super::heads::SELECT;
use super::write::int;
use super::{Mirror, Result, StoredHead};
use crate::core::hash::Hash;
use crate::core::head::{Head, LogKey};
use rusqlite::params;

impl Mirror {
    /// Records that the log lists a head.
    pub fn set_listed(&mut self, head: &Head) -> Result<()> {
        let result = self
            .db
            .prepare_cached("UPDATE heads SET listed = 1 WHERE statement = ?1 AND listed = 0")
            .and_then(|mut update| update.execute([head.statement().0]));
        self.sql(result).map(drop)
    }

    /// Whether the log was seen to list this statement.
    pub fn is_listed(&self, statement: &Hash) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE statement = ?1 AND listed = 1)";
        let result = self.db.query_row(sql, [statement.0], |row| row.get(0));
        self.sql(result)
    }

    /// Has the whole list compared again.
    pub fn forget_listed(&mut self) -> Result<()> {
        let result = self.db.execute("UPDATE heads SET listed = 0 WHERE listed <> 0", []);
        self.sql(result).map(drop)
    }

    /// At most `limit` kept STHs that the log was not seen to list, oldest first.
    pub fn unlisted(&self, limit: usize, key: &LogKey) -> Result<Vec<StoredHead>> {
        let sql = format!("{SELECT} WHERE format = 'sth' AND listed = 0 ORDER BY time, size LIMIT ?1");
        self.select_heads(&sql, params![limit], key)
    }

    /// How many STHs of up to this time the log was not seen to list, and the time of the oldest.
    pub fn unlisted_until(&self, time: u64) -> Result<(u64, u64)> {
        let result = self.db.query_row(
            "SELECT count(*), coalesce(min(time), 0) FROM heads WHERE format = 'sth' AND listed = 0 AND time <= ?1",
            [int(time)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        self.sql(result)
    }

    /// Sizes of the trees below `size` that the mirror bears out, each once, ascending; 0 left out.
    pub fn consistent_sizes(&self, size: u64) -> Result<Vec<u64>> {
        let result = self
            .db
            .prepare_cached(
                "SELECT DISTINCT size FROM heads WHERE status = 'consistent' AND size > 0 AND size < ?1 ORDER BY size",
            )
            .and_then(|mut select| select.query_map([int(size)], |row| row.get(0))?.collect());
        self.sql(result)
    }
}
