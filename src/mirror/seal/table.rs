//! The sealed tables, and the layout of each in its tree.

use super::node::{COUNTS, RowMark, row_digest};
use crate::core::hash::sha256;
use crate::core::time::UnixMillis;
use rusqlite::Row;
use rusqlite::types::Value;

/// A table whose rows are sealed. `leaves` and `nodes` are not among them, because the signed root and the frontier
/// in the state authenticate those. Nor are `seen`, which authenticates itself, and `seals`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// Signed heads.
    Heads,
    /// Findings.
    Findings,
    /// What is known of each passkey.
    Keys,
    /// Which approver used which passkeys.
    ApproverKeys,
    /// The fields of checked entries.
    Columns,
    /// How far the head histories of peers were read.
    PeerStore,
    /// How far watch rules have looked.
    WatchRules,
    /// What was reported about each subject.
    Subjects,
    /// Alerts.
    Alerts,
    /// The state of each alert on each channel.
    Deliveries,
    /// Channels that fail.
    Channels,
}

/// A property of a head: what still has to be done with it, or its provenance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flag {
    /// Not compared with the mirrored leaves.
    Unchecked,
    /// Verified against the mirrored leaves.
    Consistent,
    /// Linked by proof.
    Linked,
    /// Contradicted.
    Contradicted,
    /// Not compared with the other heads.
    Uncompared,
    /// An STH that was not seen in the log's head list.
    Unlisted,
    /// A checkpoint.
    Checkpoint,
    /// Served by the log as its newest.
    Served,
    /// From the log's head list, or from a bundle.
    Listed,
    /// Imported by a user.
    Imported,
    /// From a peer.
    Peer,
}

/// The statuses of heads, in the order of their flags.
const STATUSES: [&str; 4] = ["unchecked", "consistent", "linked", "contradicted"];

/// The provenances of heads, in the order of their flags.
const PROVENANCES: [&str; 4] = ["served", "listed", "imported", "peer"];

impl Flag {
    /// The index in a node's counts.
    pub fn place(self) -> usize {
        match self {
            Flag::Unchecked => 0,
            Flag::Consistent => 1,
            Flag::Linked => 2,
            Flag::Contradicted => 3,
            Flag::Uncompared => 4,
            Flag::Unlisted => 5,
            Flag::Checkpoint => 6,
            Flag::Served => 7,
            Flag::Listed => 8,
            Flag::Imported => 9,
            Flag::Peer => 10,
        }
    }
}

/// For keys that are numbers: keys that differ only in this many low bits share a leaf of the tree, and each level
/// above ignores eight more bits. Keys are SQLite integers, of 63 bits.
const BY_NUMBER: &[u32] = &[8, 16, 24, 32, 40, 48, 56];

/// For keys that are digests: at most 65,536 leaves, however few rows there are.
const BY_DIGEST: &[u32] = &[47, 55];

impl Table {
    /// All sealed tables.
    pub const ALL: [Table; 11] = [
        Table::Heads,
        Table::Findings,
        Table::Keys,
        Table::ApproverKeys,
        Table::Columns,
        Table::PeerStore,
        Table::WatchRules,
        Table::Subjects,
        Table::Alerts,
        Table::Deliveries,
        Table::Channels,
    ];

    /// Its name in SQL, and in the state.
    pub fn name(self) -> &'static str {
        match self {
            Table::Heads => "heads",
            Table::Findings => "findings",
            Table::Keys => "keys",
            Table::ApproverKeys => "approver_keys",
            Table::Columns => "entry_columns",
            Table::PeerStore => "peers",
            Table::WatchRules => "watch_rules",
            Table::Subjects => "alert_subjects",
            Table::Alerts => "alerts",
            Table::Deliveries => "alert_deliveries",
            Table::Channels => "alert_channels",
        }
    }

    /// Its number in the tree and in digests.
    pub(super) fn number(self) -> u8 {
        match self {
            Table::Heads => 1,
            Table::Findings => 2,
            Table::Keys => 3,
            Table::ApproverKeys => 4,
            Table::Columns => 5,
            Table::PeerStore => 6,
            Table::WatchRules => 7,
            Table::Subjects => 8,
            Table::Alerts => 9,
            Table::Deliveries => 10,
            Table::Channels => 11,
        }
    }

    /// Whether it can be derived again from the mirrored leaves.
    pub fn follows_from_leaves(self) -> bool {
        matches!(self, Table::Keys | Table::ApproverKeys | Table::Columns)
    }

    /// Whether it has a tree, because it grows with the log; the others are always read whole.
    pub fn grows(self) -> bool {
        !self.shifts().is_empty()
    }

    /// How many low bits of a key each level of its tree ignores, the lowest level first. Empty for a table that is
    /// always read whole.
    pub(super) fn shifts(self) -> &'static [u32] {
        match self {
            Table::Heads | Table::Columns => BY_NUMBER,
            Table::Keys | Table::ApproverKeys => BY_DIGEST,
            _ => &[],
        }
    }

    /// The column with the keys of its tree, and the index of that column.
    pub(super) fn key_column(self) -> Option<(&'static str, usize)> {
        match self {
            Table::Heads => Some(("size", 2)),
            Table::Columns => Some(("idx", 0)),
            Table::Keys => Some(("key", 0)),
            Table::ApproverKeys => Some(("slot", 0)),
            _ => None,
        }
    }

    /// The value that SQL compares the key column with to select rows with keys of at least `key`, or (`upper`) of at
    /// most `key`.
    pub(super) fn bound(self, key: u64, upper: bool) -> Value {
        if self != Table::Keys {
            return Value::Integer(i64::try_from(key).unwrap_or(i64::MAX));
        }
        // A key is the digest's first 63 bits.
        let first = if upper { key << 1 | 1 } else { key << 1 };
        let rest = if upper { [0xff; 24] } else { [0; 24] };
        Value::Blob([first.to_be_bytes().as_slice(), &rest].concat())
    }

    /// Summarises a row that was read with `SELECT *` or `RETURNING *`.
    pub(super) fn mark(self, row: &Row<'_>) -> rusqlite::Result<RowMark> {
        let key = match (self, self.key_column()) {
            (_, None) => 0,
            (Table::Keys, Some((_, at))) => digest_key(row.get_ref(at)?.as_bytes()?),
            (_, Some((_, at))) => row.get(at)?,
        };
        let (counts, time) = if self == Table::Heads { head_counts(row)? } else { ([0; COUNTS], None) };
        Ok(RowMark { key, digest: row_digest(self.number(), row)?, counts, time })
    }
}

/// The first 63 bits of a digest.
pub fn digest_key(digest: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = *from;
    }
    u64::from_be_bytes(first) >> 1
}

/// The key of the rows of an approver.
pub fn approver_slot(approver: &str) -> u64 {
    digest_key(&sha256(approver.as_bytes()).0)
}

/// The largest key.
pub const MAX_KEY: u64 = i64::MAX as u64;

fn head_counts(row: &Row<'_>) -> rusqlite::Result<([u64; COUNTS], Option<UnixMillis>)> {
    let is_sth = row.get_ref(1)?.as_str()? == "sth";
    let (status, provenance) = (row.get_ref(6)?.as_str()?, row.get_ref(7)?.as_str()?);
    let to_do = [row.get::<_, i64>(10)? == 0, is_sth && row.get::<_, i64>(11)? == 0, !is_sth];
    let flags = STATUSES.into_iter().map(|name| name == status);
    let flags = flags.chain(to_do).chain(PROVENANCES.into_iter().map(|name| name == provenance));
    let mut counts = [0; COUNTS];
    for (count, flag) in counts.iter_mut().zip(flags) {
        *count = u64::from(flag);
    }
    let time: Option<i64> = row.get(4)?;
    Ok((counts, time.filter(|_| is_sth).and_then(|time| u64::try_from(time).ok()).map(UnixMillis::new)))
}
