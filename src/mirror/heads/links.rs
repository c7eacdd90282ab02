//! Heads that are proved to be of one history without their leaves (`--heads-only`).

use super::query::{Query, has, only, query_head};
use super::store::Heads;
use super::stored::StoredHead;
use crate::core::head::{Head, LogKey};
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::Flag;
use std::ops::Deref;

/// Linked, or confirmed by the mirrored leaves.
const KNOWN: &str = "status IN ('linked', 'consistent')";

/// See [`KNOWN`].
const KNOWN_FLAGS: &[Flag] = &[Flag::Linked, Flag::Consistent];

impl<D: Deref<Target = Db>> Heads<D> {
    /// Whether a head of this tree is linked, or confirmed by the mirrored leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn knows_tree(&self, head: &Head, key: &LogKey) -> Result<bool> {
        let query = Query {
            sizes: only(head.size()),
            wanted: &has(KNOWN_FLAGS),
            condition: &format!("root = ?3 AND {KNOWN}"),
            values: &[&head.root().0],
            limit: 1,
            ..Query::all()
        };
        Ok(query_head(self.db(), &query, key)?.is_some())
    }

    /// The largest head that is linked, or confirmed by the mirrored leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_linked(&self, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            descending: true,
            wanted: &has(KNOWN_FLAGS),
            condition: KNOWN,
            then: "format",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// A head of this size that is linked, or confirmed by the mirrored leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn linked_of_size(&self, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: only(size),
            wanted: &has(KNOWN_FLAGS),
            condition: KNOWN,
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// Whether some head is linked.
    pub fn has_linked(&self) -> bool {
        self.db().flagged_count(Flag::Linked) > 0
    }
}

impl Heads<&mut Db> {
    /// Records that a head, and with it every head of the same tree, is linked. A head that the mirrored leaves
    /// confirm, or that something contradicts, is left as it is.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn link(&mut self, head: &Head) -> Result<()> {
        self.change_tree(head, "status = 'linked'", "status = 'unchecked'")
    }

    /// Resets every linked head to unchecked, so that it is compared with the mirrored leaves.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn unlink(&mut self) -> Result<()> {
        self.change_all("status = 'unchecked'", "status = 'linked'")
    }
}
