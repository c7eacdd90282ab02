//! How rows are verified against the trees over their tables, and changed together with them.

use super::node::{Node, RowMark};
use super::seals::{Place, Seals, level_of, shift_of, total};
use super::table::{MAX_KEY, Table};
use crate::mirror::error::{MirrorError, Result, sql_error};
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, params, params_from_iter};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;

/// The number of children of a node, as a power of two.
const WIDTH_BITS: u32 = 8;

/// The keys of `table` that belong to one range of level 0.
fn leaf_keys(table: Table, number: u64) -> RangeInclusive<u64> {
    let shift = shift_of(table, 0);
    let first = number.checked_shl(shift).unwrap_or(0);
    let more = 1u64.checked_shl(shift).unwrap_or(0).wrapping_sub(1);
    first..=(first | more).min(MAX_KEY)
}

/// The numbers of the children of a node; for the root (one level above the highest), all possible numbers.
fn children_of(table: Table, level: u8, number: u64) -> RangeInclusive<u64> {
    if usize::from(level) >= table.shifts().len() {
        return 0..=(MAX_KEY >> shift_of(table, level.saturating_sub(1)));
    }
    let first = number << WIDTH_BITS;
    first..=(first | ((1 << WIDTH_BITS) - 1))
}

/// Visits the rows that a statement returns, each with its key and digest; returns their number.
fn each_row(
    db: &Connection,
    table: Table,
    sql: &str,
    values: &[&dyn ToSql],
    mut visit: impl FnMut(&RowMark),
) -> rusqlite::Result<usize> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(values)?;
    let mut count: usize = 0;
    while let Some(row) = rows.next()? {
        visit(&table.mark(row)?);
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// The error for a table that does not match the state.
pub fn unsealed(path: &Path, table: Table) -> MirrorError {
    let why = format!("its table {:?} is not the one that was written", table.name());
    match table {
        Table::WatchRules => MirrorError::wrong_watch(path),
        table if table.follows_from_leaves() => MirrorError::WrongMemory(path.to_owned(), why),
        _ => MirrorError::Damaged(path.to_owned(), why),
    }
}

/// The sealed tables of an open mirror: rows that are read through this are those that were written.
pub struct Sealed<'a> {
    db: &'a Connection,
    path: &'a Path,
    seals: &'a RefCell<Seals>,
}

impl<'a> Sealed<'a> {
    /// The sealed tables of the mirror at this path.
    pub fn new(db: &'a Connection, path: &'a Path, seals: &'a RefCell<Seals>) -> Sealed<'a> {
        Sealed { db, path, seals }
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| sql_error(self.path, error))
    }

    /// Verifies that the rows with keys in `keys` are exactly those that were written.
    ///
    /// # Errors
    /// `MirrorError` if they are not, or if the mirror cannot be read.
    pub fn trust(&self, table: Table, keys: RangeInclusive<u64>) -> Result<()> {
        if table.shifts().is_empty() {
            return self.trust_whole(table);
        }
        let shift = shift_of(table, 0);
        let (first, last) = (keys.start() >> shift, keys.end() >> shift);
        if first == last && self.seals.borrow().is_verified(table, first) {
            return Ok(());
        }
        let mut rows: u64 = 0;
        self.walk(table, keys, false, &|_| true, &mut |number, node| {
            rows = rows.saturating_add(node.rows);
            self.trust_leaf(table, number, node).map(|()| false)
        })?;
        // There must be no rows outside the ranges of the tree.
        let around = *leaf_keys(table, first).start()..=*leaf_keys(table, last).end();
        if self.count_rows(table, &around)? != rows {
            return Err(unsealed(self.path, table));
        }
        if first == last {
            self.seals.borrow_mut().set_verified(table, first);
        }
        Ok(())
    }

    fn trust_whole(&self, table: Table) -> Result<()> {
        if self.seals.borrow().is_verified(table, 0) {
            return Ok(());
        }
        let found = self.sql(total(self.db, table))?;
        if found != self.seals.borrow().root(table) || !self.sql(self.is_indexed(table))? {
            return Err(unsealed(self.path, table));
        }
        self.seals.borrow_mut().set_verified(table, 0);
        Ok(())
    }

    /// Whether the only separate index of a sealed table, which is that of the alerts, leads to each of its rows.
    fn is_indexed(&self, table: Table) -> rusqlite::Result<bool> {
        if table != Table::Alerts {
            return Ok(true);
        }
        let sql = "SELECT count(*) FROM alerts a WHERE a.id <>
                     ifnull((SELECT b.id FROM alerts b INDEXED BY sqlite_autoindex_alerts_1 WHERE b.key = a.key), -1)";
        let missing: u64 = self.db.query_row(sql, [], |row| row.get(0))?;
        let sql = "SELECT count(*) FROM alerts INDEXED BY sqlite_autoindex_alerts_1 WHERE key >= ''";
        let indexed: u64 = self.db.query_row(sql, [], |row| row.get(0))?;
        Ok(missing == 0 && indexed == self.seals.borrow().root(table).rows)
    }

    fn trust_leaf(&self, table: Table, number: u64, node: &Node) -> Result<()> {
        if self.seals.borrow().is_verified(table, number) {
            return Ok(());
        }
        let Some((column, _)) = table.key_column() else { return Ok(()) };
        let sql = format!("SELECT * FROM {} WHERE {column} >= ?1 AND {column} <= ?2", table.name());
        let keys = leaf_keys(table, number);
        let [from, to] = bounds(table, &keys);
        let (mut whole, mut is_beside) = (Node::default(), false);
        let read = each_row(self.db, table, &sql, &[&from, &to], |row| {
            whole.add(row);
            is_beside |= !keys.contains(&row.key);
        });
        self.sql(read)?;
        if whole != *node || is_beside {
            return Err(unsealed(self.path, table));
        }
        self.seals.borrow_mut().set_verified(table, number);
        Ok(())
    }

    fn count_rows(&self, table: Table, keys: &RangeInclusive<u64>) -> Result<u64> {
        let Some((column, _)) = table.key_column() else { return Ok(0) };
        let sql = format!("SELECT count(*) FROM {} WHERE {column} >= ?1 AND {column} <= ?2", table.name());
        let result = self
            .db
            .prepare_cached(&sql)
            .and_then(|mut select| select.query_row(params_from_iter(bounds(table, keys)), |row| row.get(0)));
        self.sql(result)
    }

    /// Visits the ranges of level 0 that have rows with keys in `keys`, in ascending or descending order, if `wanted`
    /// holds for the range and for all its ancestors; stops when `visit` returns `true`.
    fn walk(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        descending: bool,
        wanted: &dyn Fn(&Node) -> bool,
        visit: &mut dyn FnMut(u64, &Node) -> Result<bool>,
    ) -> Result<bool> {
        let top = level_of(table.shifts().len());
        let root = self.seals.borrow().root(table);
        if root.is_empty() || !wanted(&root) {
            return Ok(false);
        }
        self.walk_below((table, top, 0), &root, &keys, descending, wanted, visit)
    }

    fn walk_below(
        &self,
        (table, level, number): Place,
        node: &Node,
        keys: &RangeInclusive<u64>,
        descending: bool,
        wanted: &dyn Fn(&Node) -> bool,
        visit: &mut dyn FnMut(u64, &Node) -> Result<bool>,
    ) -> Result<bool> {
        let Some(below) = level.checked_sub(1) else { return visit(number, node) };
        let shift = shift_of(table, below);
        let mut children = self.children((table, level, number), node)?;
        children.retain(|(number, node)| {
            (keys.start() >> shift..=keys.end() >> shift).contains(number) && wanted(node)
        });
        if descending {
            children.reverse();
        }
        for (number, node) in children {
            if self.walk_below((table, below, number), &node, keys, descending, wanted, visit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The children of a verified node, ascending, verified against it.
    fn children(&self, place: Place, node: &Node) -> Result<Vec<(u64, Node)>> {
        let (table, level, number) = place;
        let below = level.saturating_sub(1);
        let numbers = children_of(table, level, number);
        if !self.seals.borrow().is_whole(&place) {
            let read = self.sql(self.read_nodes(table, below, &numbers))?;
            let mut whole = Node::default();
            let mut found = Vec::with_capacity(read.len());
            for (number, bytes) in read {
                let child = Node::decode(&bytes).ok_or_else(|| unsealed(self.path, table))?;
                whole.merge(&child);
                found.push((number, child));
            }
            if whole != *node {
                return Err(unsealed(self.path, table));
            }
            self.seals.borrow_mut().learn(place, found);
        }
        Ok(self.seals.borrow().filled(table, below, &numbers))
    }

    fn read_nodes(
        &self,
        table: Table,
        level: u8,
        numbers: &RangeInclusive<u64>,
    ) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
        let sql =
            "SELECT number, node FROM seals WHERE tab = ?1 AND level = ?2 AND number >= ?3 AND number <= ?4";
        let numbers =
            [numbers.start(), numbers.end()].map(|number| i64::try_from(*number).unwrap_or(i64::MAX));
        let mut select = self.db.prepare_cached(sql)?;
        let values = params![table.number(), level, numbers[0], numbers[1]];
        select.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Replaces rows: `before` selects them (`SELECT *`), `after` changes or adds them (`RETURNING *`). All have keys
    /// in `keys`. Returns the number of rows afterwards.
    pub fn change(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        before: (&str, &[&dyn ToSql]),
        after: (&str, &[&dyn ToSql]),
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, before, false)?;
        self.count_rows_of(table, after, true)
    }

    /// Adds rows, with a statement that ends in `RETURNING *`; returns their number.
    pub fn add(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, (sql, values), true)
    }

    /// Deletes rows, with a statement that ends in `RETURNING *`; returns their number.
    pub fn remove(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, (sql, values), false)
    }

    /// Adds the rows that a statement returns to the tree, or removes them. If it fails part way, the caller rolls
    /// back.
    fn count_rows_of(&self, table: Table, (sql, values): (&str, &[&dyn ToSql]), more: bool) -> Result<usize> {
        let mut seals = self.seals.borrow_mut();
        self.sql(each_row(self.db, table, sql, values, |row| seals.count(table, row, more)))
    }

    /// Visits ranges like [`Sealed::walk`], after verifying them.
    pub fn trusted_ranges(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        descending: bool,
        wanted: &dyn Fn(&Node) -> bool,
        visit: &mut dyn FnMut(RangeInclusive<u64>) -> Result<bool>,
    ) -> Result<bool> {
        self.walk(table, keys.clone(), descending, wanted, &mut |number, node| {
            self.trust_leaf(table, number, node)?;
            let leaf = leaf_keys(table, number);
            visit(*leaf.start().max(keys.start())..=*leaf.end().min(keys.end()))
        })
    }
}

fn bounds(table: Table, keys: &RangeInclusive<u64>) -> [Value; 2] {
    [table.bound(*keys.start(), false), table.bound(*keys.end(), true)]
}
