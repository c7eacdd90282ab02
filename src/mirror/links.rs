//! Heads that are known to be of one history by proof, without their leaves (`--heads-only`).

use super::heads::SELECT;
use super::write::int;
use super::{Mirror, Result, StoredHead};
use crate::core::head::{Head, LogKey};
use rusqlite::params;

impl Mirror {
    /// Records that a head is linked, and so every head of the same tree. What the mirrored leaves bear out, or
    /// something contradicts, stays as it is.
    pub fn link_head(&mut self, head: &Head) -> Result<()> {
        let result = self.db.execute(
            "UPDATE heads SET status = 'linked' WHERE size = ?1 AND root = ?2 AND status = 'unchecked'",
            params![int(head.size()), head.root().0],
        );
        self.sql(result).map(drop)
    }

    /// Whether a head of this tree is linked, or borne out by the mirrored leaves.
    pub fn knows_tree(&self, head: &Head) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE size = ?1 AND root = ?2 AND status IN ('linked', 'consistent'))";
        let result = self.db.query_row(sql, params![int(head.size()), head.root().0], |row| row.get(0));
        self.sql(result)
    }

    /// The largest head that is linked, or borne out by the mirrored leaves.
    pub fn largest_linked(&self, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql =
            format!("{SELECT} WHERE status IN ('linked', 'consistent') ORDER BY size DESC, format LIMIT 1");
        Ok(self.select_heads(&sql, params![], key)?.into_iter().next())
    }

    /// A head of this size that is linked, or borne out by the mirrored leaves.
    pub fn linked_of_size(&self, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql = format!("{SELECT} WHERE size = ?1 AND status IN ('linked', 'consistent') LIMIT 1");
        Ok(self.select_heads(&sql, params![int(size)], key)?.into_iter().next())
    }

    /// Whether some head is linked.
    pub fn has_linked(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE status = 'linked')";
        let result = self.db.query_row(sql, [], |row| row.get(0));
        self.sql(result)
    }

    /// Has every linked head held against the mirrored leaves, as if nothing were known of it.
    pub fn unlink(&mut self) -> Result<()> {
        let result = self.db.execute("UPDATE heads SET status = 'unchecked' WHERE status = 'linked'", []);
        self.sql(result).map(drop)
    }
}
