//! Every signed head ever seen.

use super::Mirror;
use super::error::Result;
use super::head_query::{COLUMNS, Query, has, key_of, only};
use super::seal::{Flag, MAX_KEY, Node, Table};
use super::state::State;
use super::values::int;
use crate::core::hash::Hash;
use crate::core::head::{Head, HeadFormat, LogKey};
use rusqlite::ToSql;

/// Whether a head is borne out by the mirror.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadStatus {
    /// The mirror has not reached its size, or could not tell.
    Unchecked,
    /// The mirror's leaves have its root at its size.
    Consistent,
    /// It is proved to be of one history with a larger signed head, or is the largest one that others were proved
    /// to be the beginning of; the mirror has not reached its size (`--heads-only`).
    Linked,
    /// It contradicts another signed head, or the mirrored leaves.
    Contradicted,
}

impl HeadStatus {
    /// The word in the mirror and in `heads list`.
    pub fn as_str(self) -> &'static str {
        match self {
            HeadStatus::Unchecked => "unchecked",
            HeadStatus::Consistent => "consistent",
            HeadStatus::Linked => "linked",
            HeadStatus::Contradicted => "contradicted",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<HeadStatus> {
        [HeadStatus::Unchecked, HeadStatus::Consistent, HeadStatus::Linked, HeadStatus::Contradicted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// How a head came here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provenance {
    /// The log served it to us.
    Served,
    /// The log answered with it elsewhere: in its list of all heads, or in a verification bundle.
    Listed,
    /// Somebody gave it to us with `heads import`.
    Imported,
    /// A peer of the config showed it to us.
    Peer,
}

impl Provenance {
    /// The word in the mirror and in `heads list`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Provenance::Served => "served",
            Provenance::Listed => "listed",
            Provenance::Imported => "imported",
            Provenance::Peer => "peer",
        }
    }

    fn flag(&self) -> Flag {
        match self {
            Provenance::Served => Flag::Served,
            Provenance::Listed => Flag::Listed,
            Provenance::Imported => Flag::Imported,
            Provenance::Peer => Flag::Peer,
        }
    }
}

/// A kept head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredHead {
    /// The head, verified again when it was read.
    pub head: Head,
    /// See [`HeadStatus`].
    pub status: HeadStatus,
    /// `served`, `listed`, `imported` or `peer`.
    pub provenance: String,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
}

impl Mirror {
    /// Keeps a head; `true` where it is new. A head that the log serves itself counts as served,
    /// even if it was imported before.
    pub fn put_head(&mut self, head: &Head, provenance: &Provenance, now: &str) -> Result<bool> {
        let new = self.add(
            Table::Heads,
            only(head.size()),
            "INSERT OR IGNORE INTO heads VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'unchecked', ?7, ?8, ?8, 0, 0) RETURNING *",
            &[
                &head.statement().0,
                &head.format().as_str(),
                &int(head.size()),
                &head.root().0,
                &head.timestamp().map(int),
                &head.raw(),
                &provenance.as_str(),
                &now,
            ],
        )? == 1;
        if !new && *provenance == Provenance::Served {
            self.change_head(head, "last_seen = ?4, provenance = 'served'", &[&now])?;
        }
        Ok(new)
    }

    /// Changes one kept head; `set` has its values from `?4` on.
    pub(super) fn change_head(&mut self, head: &Head, set: &str, values: &[&dyn ToSql]) -> Result<()> {
        let (size, root, statement) = (int(head.size()), head.root().0, head.statement().0);
        let place: [&dyn ToSql; 3] = [&size, &root, &statement];
        let is_it = "WHERE size = ?1 AND root = ?2 AND statement = ?3";
        let all: Vec<&dyn ToSql> = place.into_iter().chain(values.iter().copied()).collect();
        let after = format!("UPDATE heads SET {set} {is_it} RETURNING *");
        let before = format!("SELECT * FROM heads {is_it}");
        self.change(Table::Heads, only(head.size()), (&before, &place), (&after, &all)).map(drop)
    }

    /// Changes the heads of one tree for which `condition` holds.
    pub(super) fn change_tree(&mut self, head: &Head, set: &str, condition: &str) -> Result<()> {
        let (size, root) = (int(head.size()), head.root().0);
        let is_it = format!("WHERE size = ?1 AND root = ?2 AND ({condition})");
        let (before, after) =
            (format!("SELECT * FROM heads {is_it}"), format!("UPDATE heads SET {set} {is_it} RETURNING *"));
        let place: [&dyn ToSql; 2] = [&size, &root];
        self.change(Table::Heads, only(head.size()), (&before, &place), (&after, &place)).map(drop)
    }

    /// Changes all heads for which `condition` holds.
    pub(super) fn change_all(&mut self, set: &str, condition: &str) -> Result<()> {
        let before = format!("SELECT * FROM heads WHERE {condition}");
        let after = format!("UPDATE heads SET {set} WHERE {condition} RETURNING *");
        self.change(Table::Heads, 0..=MAX_KEY, (&before, &[]), (&after, &[])).map(drop)
    }

    /// Keeps this text of a head that is kept already. What the log signed is the same; witnesses have
    /// cosigned it since, and receipts from the mirror are to have that.
    pub fn keep_cosigned(&mut self, head: &Head) -> Result<()> {
        self.change_head(head, "raw = ?4", &[&head.raw()])
    }

    /// Records whether a head is borne out; so is then every head of the same tree, in whichever
    /// format it was signed.
    pub fn set_head_status(&mut self, head: &Head, status: HeadStatus) -> Result<()> {
        let status = status.as_str();
        self.change_tree(head, &format!("status = '{status}'"), &format!("status <> '{status}'"))
    }

    /// All heads, ascending by size, then time. Each is verified again: a head that was damaged
    /// here must not be held against the log.
    pub fn heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        self.trust(Table::Heads, 0..=MAX_KEY)?;
        self.query_heads(&Query::all(), key)
    }

    /// The earliest STH of each size beyond `size` that is borne out by the mirror, ascending by size.
    pub fn covering_heads(&self, size: u64, key: &LogKey) -> Result<Vec<StoredHead>> {
        // With min(), SQLite takes the other columns from the row that has it.
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, min(time) FROM heads
               WHERE size >= ?1 AND size <= ?2 AND format = 'sth' AND status = 'consistent' GROUP BY size) ORDER BY size"
        );
        let mut found = Vec::new();
        let sizes = key_of(size).saturating_add(1)..=MAX_KEY;
        if sizes.is_empty() {
            return Ok(found);
        }
        self.trusted_ranges(Table::Heads, sizes, false, &has(&[Flag::Consistent]), &mut |sizes| {
            self.read_heads(&sql, &sizes, &[], key, usize::MAX, &mut found).map(|()| false)
        })?;
        Ok(found)
    }

    /// One head of each tree that is not known to be consistent, ascending by size.
    pub fn open_heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Unchecked]),
            condition: "status = 'unchecked' AND NOT EXISTS (SELECT 1 FROM heads h
               WHERE h.status = 'unchecked' AND h.size = heads.size AND h.root = heads.root
                 AND h.statement < heads.statement)",
            ..Query::all()
        };
        self.query_heads(&query, key)
    }

    /// Heads of this size and another root: forks. At most eight, for a log can sign any number.
    pub fn forks_of(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Vec<StoredHead>> {
        // Two ranges rather than `<>`, so that the index leads past any number of heads of one tree.
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
            found.extend(self.query_heads(&query, key)?);
        }
        Ok(found)
    }

    /// The newest head of this tree that has a time, or else one that has none.
    pub fn newest_of_tree(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: only(size),
            condition: "root = ?3",
            values: &[&root.0],
            then: "time DESC",
            limit: 1,
            ..Query::all()
        };
        self.query_head(&query, key)
    }

    /// The largest heads that are borne out by the mirror and no larger than `size`.
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
        self.query_head(&query, key)
    }

    /// The largest checkpoint that is borne out by the mirror, larger than `above` and at most `size`; of
    /// several over one tree, the one seen last.
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
        self.query_head(&query, key)
    }

    /// The largest kept head of this format (`None`: of any format) and one of these provenances.
    pub fn largest_head(
        &self,
        format: Option<HeadFormat>,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let format = format.map(HeadFormat::as_str);
        self.largest_of(provenances, "?4 IS NULL OR format = ?4", &format, key)
    }

    /// The largest kept head of one of these provenances that came here at this time or before, which is written
    /// as the mirror writes it.
    pub fn largest_seen_by(
        &self,
        time: &str,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        self.largest_of(provenances, "first_seen <= ?4", &time, key)
    }

    /// The largest head that the log served in this format and that came here at this time or before, which is written
    /// as the mirror writes it.
    pub fn largest_served_by(
        &self,
        time: &str,
        format: HeadFormat,
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let condition = format!("first_seen <= ?4 AND format = '{}'", format.as_str());
        self.largest_of(&[Provenance::Served], &condition, &time, key)
    }

    /// The largest STH of one of these provenances that is dated at this time or before, in Unix milliseconds.
    pub fn largest_dated_by(
        &self,
        time: u64,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        self.largest_of(provenances, "format = 'sth' AND time <= ?4", &int(time), key)
    }

    /// The head of this tree that came here first.
    pub fn first_of_tree(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let query = Query {
            sizes: only(size),
            condition: "root = ?3",
            values: &[&root.0],
            then: "first_seen",
            limit: 1,
            ..Query::all()
        };
        self.query_head(&query, key)
    }

    /// The largest head that the log itself showed, us or a peer, before this time, which is written as the mirror
    /// writes it.
    pub fn largest_seen_before(&self, time: &str, key: &LogKey) -> Result<Option<StoredHead>> {
        let shown = [Provenance::Served, Provenance::Listed, Provenance::Peer];
        self.largest_of(&shown, "first_seen < ?4", &time, key)
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
        self.query_head(&query, key)
    }

    /// Heads that were kept, but not yet held against the other heads.
    pub fn uncompared_heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        let query = Query {
            wanted: &has(&[Flag::Uncompared]),
            condition: "compared = 0",
            then: "time",
            ..Query::all()
        };
        self.query_heads(&query, key)
    }

    /// Records that a head was held against all others, and what came of it is kept.
    pub fn set_compared(&mut self, state: &mut State, head: &Head) -> Result<()> {
        if let (Some(time), Some((size, until))) = (head.timestamp(), state.sths_until) {
            state.sths_until = Some((size.max(head.size()), until.max(time)));
        }
        self.change_head(head, "compared = 1", &[])
    }

    /// Has all heads held against each other again.
    pub fn forget_compared(&mut self, state: &mut State) -> Result<()> {
        state.sths_until = Some((0, 0));
        self.change_all("compared = 0", "compared <> 0")
    }

    /// How many heads are consistent with the mirror or linked, contradicted, and neither.
    pub fn head_statuses(&self) -> Result<[u64; 3]> {
        let borne_out = self.flagged_count(Flag::Consistent).saturating_add(self.flagged_count(Flag::Linked));
        Ok([borne_out, self.flagged_count(Flag::Contradicted), self.flagged_count(Flag::Unchecked)])
    }

    /// Whether a head of at least this size is kept.
    pub(super) fn has_head_beyond(&self, size: u64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE size >= ?1 AND size <= ?2)";
        self.trusted_ranges(Table::Heads, key_of(size)..=MAX_KEY, true, &|_| true, &mut |sizes| {
            let result = self.db.query_row(sql, [int(*sizes.start()), int(*sizes.end())], |row| row.get(0));
            self.sql(result)
        })
    }

    /// How many heads are kept.
    pub fn head_count(&self) -> Result<u64> {
        Ok(self.sealed_rows(Table::Heads))
    }
}
