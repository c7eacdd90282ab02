//! Queries of the kept heads: each looks only at ranges of sizes that were verified (`seal`), and believes no head before
//! its signature verified again.

use super::stored::{HeadStatus, StoredHead};
use crate::core::head::{Head, HeadFormat, LogKey};
use crate::mirror::db::Db;
use crate::mirror::error::{MirrorError, Result};
use crate::mirror::seal::{Flag, MAX_KEY, Node, Table};
use crate::mirror::values::int;
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
    first_seen: String,
    last_seen: String,
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

/// All that is kept of heads.
pub(in crate::mirror) const SELECT: &str = concat!("SELECT ", columns!(), " FROM heads");

/// What a query of kept heads looks at: `size BETWEEN ?1 AND ?2` and this condition, whose own values begin at `?3`.
pub(super) struct Query<'q> {
    /// Sizes, ends included.
    pub sizes: RangeInclusive<u64>,
    /// The largest sizes first.
    pub descending: bool,
    /// Which ranges of sizes can have such heads at all.
    pub wanted: &'q dyn Fn(&Node) -> bool,
    /// SQL.
    pub condition: &'q str,
    /// For the condition.
    pub values: &'q [&'q dyn ToSql],
    /// What comes after the size in the order.
    pub then: &'q str,
    /// Heads that are enough.
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

/// A size as the mirror has it.
pub(super) fn key_of(size: u64) -> u64 {
    size.min(MAX_KEY)
}

pub(super) fn only(size: u64) -> RangeInclusive<u64> {
    key_of(size)..=key_of(size)
}

pub(super) fn has(flags: &'static [Flag]) -> impl Fn(&Node) -> bool {
    move |node| flags.iter().any(|flag| node.counts.get(flag.place()).is_some_and(|count| *count > 0))
}

/// The first head that a query is about.
pub(super) fn query_head(db: &Db, query: &Query<'_>, key: &LogKey) -> Result<Option<StoredHead>> {
    Ok(query_heads(db, query, key)?.into_iter().next())
}

/// The heads that a query is about. Each range of sizes that it looks at is verified first, so that none is missing.
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

/// Reads the heads that a statement selects from these sizes (`?1` and `?2`), until there are `limit`.
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

/// Nothing read is believed before it verifies again.
pub(in crate::mirror) fn stored_head(path: &Path, raw: Raw, key: &LogKey) -> Result<StoredHead> {
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
