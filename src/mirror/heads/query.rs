//! Queries for kept heads. A query reads only ranges of sizes that were verified (`seal`), and uses a head only after
//! its signature verified again.

use super::stored::{HeadStatus, StoredHead};
use crate::core::head::{Head, HeadFormat, LogKey};
use crate::mirror::db::Db;
use crate::mirror::error::{MirrorError, Result};
use crate::mirror::seal::{Flag, MAX_KEY, Node, Table};
use crate::mirror::values::{TimeText, int};
use rusqlite::{Row, ToSql};
use std::ops::RangeInclusive;
use std::path::Path;

/// A row of [`SELECT`].
pub(in crate::mirror) struct Raw {
    format: String,
    size: i64,
    time: Option<i64>,
    root: Vec<u8>,
    raw: String,
    status: String,
    provenance: String,
    first_seen: TimeText,
    last_seen: TimeText,
}

/// Reads a row of [`SELECT`].
pub(in crate::mirror) fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
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

/// The columns of [`raw`].
pub(super) const COLUMNS: &str = columns!();

/// Selects all columns of heads.
pub(in crate::mirror) const SELECT: &str = concat!("SELECT ", columns!(), " FROM heads");

/// A query for kept heads: `size BETWEEN ?1 AND ?2` and this condition, whose own values begin at `?3`.
pub(super) struct Query<'q> {
    /// The sizes, both ends included.
    pub sizes: RangeInclusive<u64>,
    /// Whether the largest sizes come first.
    pub descending: bool,
    /// Whether a range of sizes can contain such heads.
    pub wanted: &'q dyn Fn(&Node) -> bool,
    /// The condition in SQL.
    pub condition: &'q str,
    /// The values for the condition.
    pub values: &'q [&'q dyn ToSql],
    /// The order among heads of one size.
    pub then: &'q str,
    /// The maximum number of heads.
    pub limit: usize,
}

impl Query<'_> {
    /// All heads, ascending by size, then time.
    pub(super) fn all() -> Query<'static> {
        Query {
            sizes: 0..=MAX_KEY,
            descending: false,
            wanted: &|_| true,
            condition: "1",
            values: &[],
            then: "time, statement",
            limit: usize::MAX,
        }
    }
}

/// A size as a key of the table.
pub(super) fn key_of(size: u64) -> u64 {
    size.min(MAX_KEY)
}

pub(super) fn only(size: u64) -> RangeInclusive<u64> {
    key_of(size)..=key_of(size)
}

pub(super) fn has(flags: &'static [Flag]) -> impl Fn(&Node) -> bool {
    move |node| flags.iter().any(|flag| node.counts.get(flag.place()).is_some_and(|count| *count > 0))
}

/// The first head that the query matches.
pub(super) fn query_head(db: &Db, query: &Query<'_>, key: &LogKey) -> Result<Option<StoredHead>> {
    Ok(query_heads(db, query, key)?.into_iter().next())
}

/// The heads that the query matches. Each range of sizes is verified before it is read, so that no head is missing.
pub(super) fn query_heads(db: &Db, query: &Query<'_>, key: &LogKey) -> Result<Vec<StoredHead>> {
    let order = if query.descending { "DESC" } else { "ASC" };
    let sql = format!(
        "{SELECT} WHERE size >= ?1 AND size <= ?2 AND ({}) ORDER BY size {order}, {}",
        query.condition, query.then
    );
    let mut found = Vec::new();
    if query.sizes.is_empty() {
        return Ok(found);
    }
    let (sizes, descending) = (query.sizes.clone(), query.descending);
    db.trusted_ranges(Table::Heads, sizes, descending, query.wanted, &mut |sizes| {
        read_heads(db, &sql, &sizes, query.values, key, query.limit, &mut found)?;
        Ok(found.len() >= query.limit)
    })?;
    Ok(found)
}

/// Reads the heads that a statement selects from these sizes (`?1` and `?2`), up to `limit`.
pub(super) fn read_heads(
    db: &Db,
    sql: &str,
    sizes: &RangeInclusive<u64>,
    values: &[&dyn ToSql],
    key: &LogKey,
    limit: usize,
    found: &mut Vec<StoredHead>,
) -> Result<()> {
    let ends = [int(*sizes.start()), int(*sizes.end())];
    let ends = ends.iter().map(|end| end as &dyn ToSql);
    let values: Vec<&dyn ToSql> = ends.chain(values.iter().copied()).collect();
    let result = db.connection().prepare_cached(sql).and_then(|mut select| {
        let rows = select.query_map(values.as_slice(), raw)?;
        rows.take(limit.saturating_sub(found.len())).collect::<rusqlite::Result<Vec<Raw>>>()
    });
    for raw in db.sql(result)? {
        found.push(stored_head(db.path(), raw, key)?);
    }
    Ok(())
}

/// Parses a row and verifies the head again before it is used.
pub(in crate::mirror) fn stored_head(path: &Path, raw: Raw, key: &LogKey) -> Result<StoredHead> {
    let damaged = |why: String| MirrorError::Damaged(path.to_owned(), why);
    let format = HeadFormat::from_text(&raw.format);
    let format = format.ok_or_else(|| damaged("a kept head has no known format".to_owned()))?;
    let head = Head::verify_as(format, raw.raw.as_bytes(), key)
        .map_err(|error| damaged(format!("a kept head does not verify any more: {error}")))?;
    // The columns are for queries only; the signed bytes are what counts against a log.
    let columns = (raw.size, raw.time, raw.root.as_slice());
    if columns != (int(head.size()), head.timestamp().map(|time| int(time.get())), head.root().0.as_slice()) {
        return Err(damaged("a kept head is not what its columns say".to_owned()));
    }
    let status = HeadStatus::from_text(&raw.status)
        .ok_or_else(|| damaged("a kept head has no known status".to_owned()))?;
    Ok(StoredHead {
        head,
        status,
        provenance: raw.provenance,
        first_seen: raw.first_seen.0,
        last_seen: raw.last_seen.0,
    })
}
