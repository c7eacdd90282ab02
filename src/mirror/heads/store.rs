//! The table of heads: how heads are kept, changed and counted.

use super::query::{key_of, only};
use super::stored::{HeadStatus, Provenance};
use crate::core::head::Head;
use crate::core::time::UnixMillis;
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::{Flag, MAX_KEY, Table};
use crate::mirror::state::State;
use crate::mirror::values::{TimeText, int};
use rusqlite::ToSql;
use std::ops::Deref;

/// Every signed head ever seen.
pub struct Heads<D> {
    db: D,
}

impl<D: Deref<Target = Db>> Heads<D> {
    pub(in crate::mirror) fn new(db: D) -> Heads<D> {
        Heads { db }
    }

    /// The database, for the statements of the other files about heads.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// How many heads are consistent or linked, how many are contradicted, and how many are neither.
    pub fn statuses(&self) -> [u64; 3] {
        let verified =
            self.db.flagged_count(Flag::Consistent).saturating_add(self.db.flagged_count(Flag::Linked));
        [verified, self.db.flagged_count(Flag::Contradicted), self.db.flagged_count(Flag::Unchecked)]
    }

    /// Whether a head of at least this size is kept.
    pub(in crate::mirror) fn has_beyond(&self, size: u64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE size >= ?1 AND size <= ?2)";
        self.db.trusted_ranges(Table::Heads, key_of(size)..=MAX_KEY, true, &|_| true, &mut |sizes| {
            let result =
                self.db
                    .connection()
                    .query_row(sql, [int(*sizes.start()), int(*sizes.end())], |row| row.get(0));
            self.db.sql(result)
        })
    }

    /// How many heads are kept.
    pub fn count(&self) -> u64 {
        self.db.sealed_rows(Table::Heads)
    }
}

impl Heads<&mut Db> {
    /// Keeps a head; `true` if it is new. A head that the log serves itself counts as served, even if it was imported
    /// before.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put(&mut self, head: &Head, provenance: &Provenance, now: UnixMillis) -> Result<bool> {
        let now = TimeText(now);
        let new = self.db.add(
            Table::Heads,
            only(head.size()),
            "INSERT OR IGNORE INTO heads VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'unchecked', ?7, ?8, ?8, 0, 0) RETURNING *",
            &[
                &head.statement().0,
                &head.format().as_str(),
                &int(head.size()),
                &head.root().0,
                &head.timestamp(),
                &head.raw(),
                &provenance.as_str(),
                &now,
            ],
        )? == 1;
        if !new && *provenance == Provenance::Served {
            self.change(head, "last_seen = ?4, provenance = 'served'", &[&now])?;
        }
        Ok(new)
    }

    /// Changes one kept head; the values for `set` begin at `?4`.
    pub(super) fn change(&mut self, head: &Head, set: &str, values: &[&dyn ToSql]) -> Result<()> {
        let (size, root, statement) = (int(head.size()), head.root().0, head.statement().0);
        let place: [&dyn ToSql; 3] = [&size, &root, &statement];
        let is_it = "WHERE size = ?1 AND root = ?2 AND statement = ?3";
        let all: Vec<&dyn ToSql> = place.into_iter().chain(values.iter().copied()).collect();
        let after = format!("UPDATE heads SET {set} {is_it} RETURNING *");
        let before = format!("SELECT * FROM heads {is_it}");
        self.db.change(Table::Heads, only(head.size()), (&before, &place), (&after, &all)).map(drop)
    }

    /// Changes the heads of one tree for which `condition` holds.
    pub(super) fn change_tree(&mut self, head: &Head, set: &str, condition: &str) -> Result<()> {
        let (size, root) = (int(head.size()), head.root().0);
        let is_it = format!("WHERE size = ?1 AND root = ?2 AND ({condition})");
        let (before, after) =
            (format!("SELECT * FROM heads {is_it}"), format!("UPDATE heads SET {set} {is_it} RETURNING *"));
        let place: [&dyn ToSql; 2] = [&size, &root];
        self.db.change(Table::Heads, only(head.size()), (&before, &place), (&after, &place)).map(drop)
    }

    /// Changes all heads for which `condition` holds.
    pub(super) fn change_all(&mut self, set: &str, condition: &str) -> Result<()> {
        let before = format!("SELECT * FROM heads WHERE {condition}");
        let after = format!("UPDATE heads SET {set} WHERE {condition} RETURNING *");
        self.db.change(Table::Heads, 0..=MAX_KEY, (&before, &[]), (&after, &[])).map(drop)
    }

    /// Replaces the text of a head that is kept already. The signed part is the same, but witnesses have cosigned it
    /// since, and receipts from the mirror should contain their cosignatures.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn keep_cosigned(&mut self, head: &Head) -> Result<()> {
        self.change(head, "raw = ?4", &[&head.raw()])
    }

    /// Records the status of a head, and with it of every head of the same tree, in any format.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn set_status(&mut self, head: &Head, status: HeadStatus) -> Result<()> {
        let status = status.as_str();
        self.change_tree(head, &format!("status = '{status}'"), &format!("status <> '{status}'"))
    }

    /// Records that a head was compared with all others and that the results are kept.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn set_compared(&mut self, state: &mut State, head: &Head) -> Result<()> {
        if let (Some(time), Some((size, until))) = (head.timestamp(), state.sths_until) {
            state.sths_until = Some((size.max(head.size()), until.max(time)));
        }
        self.change(head, "compared = 1", &[])
    }

    /// Forgets all comparisons, so that all heads are compared with each other again.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn forget_compared(&mut self, state: &mut State) -> Result<()> {
        state.sths_until = Some((0, UnixMillis::EPOCH));
        self.change_all("compared = 0", "compared <> 0")
    }
}
