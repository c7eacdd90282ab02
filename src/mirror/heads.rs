//! Every signed head ever seen.

use super::state::State;
use super::write::int;
use super::{Mirror, MirrorError, Result};
use crate::core::hash::Hash;
use crate::core::head::{Head, HeadFormat, LogKey};
use rusqlite::{Row, params};
use std::path::Path;

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

    fn from_text(text: &str) -> Option<HeadStatus> {
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

pub(super) struct Raw {
    format: String,
    size: i64,
    time: Option<i64>,
    root: Vec<u8>,
    raw: String,
    status: String,
    provenance: String,
    first_seen: String,
    last_seen: String,
}

pub(super) fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        format: row.get(0)?,
        size: row.get(1)?,
        time: row.get(2)?,
        root: row.get(3)?,
        raw: row.get(4)?,
        status: row.get(5)?,
        provenance: row.get(6)?,
        first_seen: row.get(7)?,
        last_seen: row.get(8)?,
    })
}

macro_rules! columns {
    () => {
        "format, size, time, root, raw, status, provenance, first_seen, last_seen"
    };
}

const COLUMNS: &str = columns!();

pub(super) const SELECT: &str = concat!("SELECT ", columns!(), " FROM heads");

impl Mirror {
    /// Keeps a head; `true` where it is new. A head that the log serves itself counts as served,
    /// even if it was imported before.
    pub fn put_head(&mut self, head: &Head, provenance: &Provenance, now: &str) -> Result<bool> {
        let result = self.db.execute(
            "INSERT OR IGNORE INTO heads VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'unchecked', ?7, ?8, ?8, 0, 0)",
            params![
                head.statement().0,
                head.format().as_str(),
                int(head.size()),
                head.root().0,
                head.timestamp().map(int),
                head.raw(),
                provenance.as_str(),
                now,
            ],
        );
        let new = self.sql(result)? == 1;
        if !new && *provenance == Provenance::Served {
            let result = self.db.execute(
                "UPDATE heads SET last_seen = ?2, provenance = 'served' WHERE statement = ?1",
                params![head.statement().0, now],
            );
            self.sql(result)?;
        }
        Ok(new)
    }

    /// Keeps this text of a head that is kept already. What the log signed is the same; witnesses have
    /// cosigned it since, and receipts from the mirror are to have that.
    pub fn keep_cosigned(&mut self, head: &Head) -> Result<()> {
        let result = self.db.execute(
            "UPDATE heads SET raw = ?2 WHERE statement = ?1",
            params![head.statement().0, head.raw()],
        );
        self.sql(result).map(drop)
    }

    /// Records whether a head is borne out; so is then every head of the same tree, in whichever
    /// format it was signed.
    pub fn set_head_status(&mut self, head: &Head, status: HeadStatus) -> Result<()> {
        let result = self.db.execute(
            "UPDATE heads SET status = ?3 WHERE size = ?1 AND root = ?2 AND status <> ?3",
            params![int(head.size()), head.root().0, status.as_str()],
        );
        self.sql(result).map(drop)
    }

    /// All heads, ascending by size, then time. Each is verified again: a head that was damaged
    /// here must not be held against the log.
    pub fn heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        self.select_heads(&format!("{SELECT} ORDER BY size, time, statement"), params![], key)
    }

    /// The earliest STH of each size beyond `size` that is borne out by the mirror, ascending by size.
    pub fn covering_heads(&self, size: u64, key: &LogKey) -> Result<Vec<StoredHead>> {
        // With min(), SQLite takes the other columns from the row that has it.
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, min(time) FROM heads
               WHERE size > ?1 AND format = 'sth' AND status = 'consistent' GROUP BY size) ORDER BY size"
        );
        self.select_heads(&sql, params![int(size)], key)
    }

    /// One head of each tree that is not known to be consistent, ascending by size.
    pub fn open_heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        let sql = format!(
            "{SELECT} WHERE rowid IN (SELECT min(rowid) FROM heads WHERE status = 'unchecked' GROUP BY size, root)
             ORDER BY size, time, statement"
        );
        self.select_heads(&sql, params![], key)
    }

    /// Heads of this size and another root: forks. At most eight, for a log can sign any number.
    pub fn forks_of(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Vec<StoredHead>> {
        // Two ranges rather than `<>`, so that the index leads past any number of heads of one tree.
        let mut found = Vec::new();
        for other in ["<", ">"] {
            let sql = format!("{SELECT} WHERE size = ?1 AND root {other} ?2 ORDER BY root LIMIT 4");
            found.extend(self.select_heads(&sql, params![int(size), root.0], key)?);
        }
        Ok(found)
    }

    /// The newest head of this tree that has a time, or else one that has none.
    pub fn newest_of_tree(&self, size: u64, root: &Hash, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql = format!("{SELECT} WHERE size = ?1 AND root = ?2 ORDER BY time DESC LIMIT 1");
        Ok(self.select_heads(&sql, params![int(size), root.0], key)?.into_iter().next())
    }

    /// The largest heads that are borne out by the mirror and no larger than `size`.
    pub fn largest_consistent(&self, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql =
            format!("{SELECT} WHERE status = 'consistent' AND size <= ?1 ORDER BY size DESC, format LIMIT 1");
        Ok(self.select_heads(&sql, params![int(size)], key)?.into_iter().next())
    }

    /// The largest checkpoint that is borne out by the mirror, larger than `above` and at most `size`; of
    /// several over one tree, the one seen last.
    pub fn newest_checkpoint(&self, above: u64, size: u64, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql = format!(
            "{SELECT} WHERE format = 'checkpoint' AND status = 'consistent' AND size > ?1 AND size <= ?2
             ORDER BY size DESC, last_seen DESC, statement LIMIT 1"
        );
        Ok(self.select_heads(&sql, params![int(above), int(size)], key)?.into_iter().next())
    }

    /// The largest kept head of this format (`None`: of any format) and one of these provenances.
    pub fn largest_head(
        &self,
        format: Option<HeadFormat>,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let sql = format!(
            "{SELECT} WHERE (?1 IS NULL OR format = ?1) AND instr(?2, provenance) > 0 ORDER BY size DESC LIMIT 1"
        );
        let names: Vec<&str> = provenances.iter().map(Provenance::as_str).collect();
        let values = params![format.map(HeadFormat::as_str), names.join(" ")];
        Ok(self.select_heads(&sql, values, key)?.into_iter().next())
    }

    /// The largest kept head of one of these provenances that came here at this time or before, which is written
    /// as the mirror writes it.
    pub fn largest_seen_by(
        &self,
        time: &str,
        provenances: &[Provenance],
        key: &LogKey,
    ) -> Result<Option<StoredHead>> {
        let sql = format!(
            "{SELECT} WHERE first_seen <= ?1 AND instr(?2, provenance) > 0 ORDER BY size DESC LIMIT 1"
        );
        let names: Vec<&str> = provenances.iter().map(Provenance::as_str).collect();
        Ok(self.select_heads(&sql, params![time, names.join(" ")], key)?.into_iter().next())
    }

    /// The largest head that the log itself showed, us or a peer, before this time, which is written as the mirror
    /// writes it.
    pub fn largest_seen_before(&self, time: &str, key: &LogKey) -> Result<Option<StoredHead>> {
        let sql =
            format!("{SELECT} WHERE provenance <> 'imported' AND first_seen < ?1 ORDER BY size DESC LIMIT 1");
        Ok(self.select_heads(&sql, params![time], key)?.into_iter().next())
    }

    /// Heads that were kept, but not yet held against the other heads.
    pub fn uncompared_heads(&self, key: &LogKey) -> Result<Vec<StoredHead>> {
        self.select_heads(&format!("{SELECT} WHERE compared = 0 ORDER BY size, time"), params![], key)
    }

    /// Records that a head was held against all others, and what came of it is kept.
    pub fn set_compared(&mut self, state: &mut State, head: &Head) -> Result<()> {
        let result =
            self.db.execute("UPDATE heads SET compared = 1 WHERE statement = ?1", [head.statement().0]);
        if let (Some(time), Some((size, until))) = (head.timestamp(), state.sths_until) {
            state.sths_until = Some((size.max(head.size()), until.max(time)));
        }
        self.sql(result).map(drop)
    }

    /// Has all heads held against each other again.
    pub fn forget_compared(&mut self, state: &mut State) -> Result<()> {
        state.sths_until = Some((0, 0));
        let result = self.db.execute("UPDATE heads SET compared = 0 WHERE compared <> 0", []);
        self.sql(result).map(drop)
    }

    /// How many heads are consistent with the mirror or linked, contradicted, and neither.
    pub fn head_statuses(&self) -> Result<[u64; 3]> {
        let result = self.db.query_row(
            "SELECT count(*) FILTER (WHERE status IN ('consistent', 'linked')), count(*) FILTER (WHERE status = 'contradicted'),
               count(*) FILTER (WHERE status = 'unchecked') FROM heads",
            [],
            |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]),
        );
        self.sql(result)
    }

    /// How many heads are kept.
    pub fn head_count(&self) -> Result<u64> {
        let result = self.db.query_row("SELECT count(*) FROM heads", [], |row| row.get(0));
        self.sql(result)
    }

    pub(super) fn select_heads(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        key: &LogKey,
    ) -> Result<Vec<StoredHead>> {
        let result = self
            .db
            .prepare_cached(sql)
            .and_then(|mut select| select.query_map(values, raw)?.collect::<rusqlite::Result<Vec<Raw>>>());
        self.sql(result)?.into_iter().map(|raw| stored_head(&self.path, raw, key)).collect()
    }
}

/// Nothing read is believed before it verifies again.
pub(super) fn stored_head(path: &Path, raw: Raw, key: &LogKey) -> Result<StoredHead> {
    let damaged = |why: String| MirrorError::Damaged(path.to_owned(), why);
    let format = HeadFormat::from_text(&raw.format);
    let format = format.ok_or_else(|| damaged("a kept head has no known format".to_owned()))?;
    let head = Head::verify_as(format, raw.raw.as_bytes(), key)
        .map_err(|error| damaged(format!("a kept head does not verify any more: {error}")))?;
    // The columns are for queries; what is held against a log is what it signed.
    let columns = (raw.size, raw.time, raw.root.as_slice());
    if columns != (int(head.size()), head.timestamp().map(int), head.root().0.as_slice()) {
        return Err(damaged("a kept head is not what its columns say".to_owned()));
    }
    let status = HeadStatus::from_text(&raw.status)
        .ok_or_else(|| damaged("a kept head has no known status".to_owned()))?;
    Ok(StoredHead {
        head,
        status,
        provenance: raw.provenance,
        first_seen: raw.first_seen,
        last_seen: raw.last_seen,
    })
}
