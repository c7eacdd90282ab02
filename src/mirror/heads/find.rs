//! Queries for kept heads.

use super::query::{COLUMNS, Query, has, key_of, only, query_head, query_heads, read_heads};
use super::store::Heads;
use super::stored::{Provenance, StoredHead};
use crate::core::hash::Hash;
use crate::core::head::{HeadFormat, LogKey};
use crate::core::time::UnixMillis;
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::{Flag, MAX_KEY, Node, Table};
use crate::mirror::values::TimeText;
use rusqlite::ToSql;
use std::ops::Deref;

impl<D: Deref<Target = Db>> Heads<D> {
    /// All heads, ascending by size, then time. Each is verified again: a head that was damaged here must not be held
    /// against the log.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn all(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        self.db().trust(Table::Heads, 0..=MAX_KEY)?;
        query_heads(self.db(), &Query::all(), key)
    }

    /// The earliest STH of each size above `size` that the mirrored leaves confirm, ascending by size.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn covering(&self, size: u64, key: &LogKey) -> Result<Vec<StoredHead>> {
        // With min(), SQLite takes the other columns from the row that has the minimum.
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, min(time) FROM heads
               WHERE size >= ?1 AND size <= ?2 AND format = 'sth' AND status = 'consistent' GROUP BY size) ORDER BY size"
        );
        let mut found = Vec::new();
        let sizes = key_of(size).saturating_add(1)..=MAX_KEY;
        if sizes.is_empty() {
            return Ok(found);
        }
        self.db().trusted_ranges(Table::Heads, sizes, false, &has(&[Flag::Consistent]), &mut |sizes| {
            read_heads(self.db(), &sql, &sizes, &[], key, usize::MAX, &mut found).map(|()| false)
        })?;
        Ok(found)
    }

    /// One head of each tree that is not known to be consistent, ascending by size.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn unchecked(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Unchecked]),
            condition: "status = 'unchecked' AND NOT EXISTS (SELECT 1 FROM heads h
               WHERE h.status = 'unchecked' AND h.size = heads.size AND h.root = heads.root
                 AND h.statement < heads.statement)",
            ..Query::all()
        };
        query_heads(self.db(), &query, key)
    }

    /// Heads of this size with another root: forks. Returns at most eight, because a log can sign any number.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn forks_of(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Vec<StoredHead>> {
        // Two ranges instead of `<>`, so that the index skips any number of heads of one tree.
        let mut found = Vec::new();
        for other in ["root < ?3", "root > ?3"] {
            let query = Query {
                sizes: only(size),
                condition: other,
                values: &[&root.0],
                then: "root",
                limit: 4,
                ..Query::all()
            };
            found.extend(query_heads(self.db(), &query, key)?);
        }
        Ok(found)
    }

    /// The newest head of this tree that has a time, or else one without a time.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn newest_of_tree(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: only(size),
            condition: "root = ?3",
            values: &[&root.0],
            then: "time DESC",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// The largest head that the mirrored leaves confirm and that is not larger than `size`.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_consistent(&self, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: 0..=key_of(size),
            descending: true,
            wanted: &has(&[Flag::Consistent]),
            condition: "status = 'consistent'",
            then: "format",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// The largest checkpoint that the mirrored leaves confirm, larger than `above` and at most `size`. If there are
    /// several over one tree, the one that was seen last.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn newest_checkpoint(&self, above: u64, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let both = |node: &Node| has(&[Flag::Consistent])(node) && has(&[Flag::Checkpoint])(node);
        let query = Query {
            sizes: key_of(above).saturating_add(1)..=key_of(size),
            descending: true,
            wanted: &both,
            condition: "format = 'checkpoint' AND status = 'consistent'",
            then: "last_seen DESC, statement",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// The largest kept head of this format (`None`: of any format) and one of these provenances.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest(
        &self,
        format: Option<HeadFormat>,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let format = format.map(HeadFormat::as_str);
        self.largest_of(provenances, "?4 IS NULL OR format = ?4", &format, key)
    }

    /// The largest kept head of one of these provenances that was first seen at this time or before.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_seen_by(
        &self,
        time: UnixMillis,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        self.largest_of(provenances, "first_seen <= ?4", &TimeText(time), key)
    }

    /// The largest head that the log served in this format and that was first seen at this time or before.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_served_by(
        &self,
        time: UnixMillis,
        format: HeadFormat,
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let condition = format!("first_seen <= ?4 AND format = '{}'", format.as_str());
        self.largest_of(&[Provenance::Served], &condition, &TimeText(time), key)
    }

    /// The largest STH of one of these provenances with a time of `time` or earlier.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_dated_by(
        &self,
        time: UnixMillis,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        self.largest_of(provenances, "format = 'sth' AND time <= ?4", &time, key)
    }

    /// The head of this tree that was seen first.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn first_of_tree(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: only(size),
            condition: "root = ?3",
            values: &[&root.0],
            then: "first_seen",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// The largest head that the log itself showed, to us or to a peer, before this time.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn largest_seen_before(&self, time: UnixMillis, key: &LogKey) -> Result<Option<StoredHead>> {
        let shown = [Provenance::Served, Provenance::Listed, Provenance::Peer];
        self.largest_of(&shown, "first_seen < ?4", &TimeText(time), key)
    }

    fn largest_of(
        &self,
        provenances: &[Provenance],
        condition: &str,
        value: &dyn ToSql,
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let names = provenances.iter().map(Provenance::as_str).collect::<Vec<&str>>().join(" ");
        let flags: Vec<usize> = provenances.iter().map(|provenance| provenance.flag().place()).collect();
        let query = Query {
            descending: true,
            wanted: &|node| flags.iter().any(|at| node.counts.get(*at).is_some_and(|count| *count > 0)),
            condition: &format!("instr(?3, provenance) > 0 AND ({condition})"),
            values: &[&names, value],
            then: "statement",
            limit: 1,
            ..Query::all()
        };
        query_head(self.db(), &query, key)
    }

    /// Heads that are kept but have not been compared with the other heads yet.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn uncompared(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Uncompared]),
            condition: "compared = 0",
            then: "time",
            ..Query::all()
        };
        query_heads(self.db(), &query, key)
    }
}
