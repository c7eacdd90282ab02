//! The trees over the sealed tables: what is known of them, and how it is verified, changed and kept.

use super::node::{Node, RowMark};
use super::table::{MAX_KEY, Table};
use crate::mirror::{Mirror, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;

/// Children of a node.
const WIDTH_BITS: u32 = 8;

/// Nodes that are remembered between transactions. More are read, and verified, again: memory stays bounded.
const MAX_KNOWN: usize = 50_000;

/// A node's place: its table, its level (0: over rows) and its number in that level.
type Place = (Table, u8, u64);

/// What is known of the trees. Nodes are known only once they were verified, or as they were changed here.
#[derive(Default)]
pub(in crate::mirror) struct Seals {
    roots: BTreeMap<Table, Node>,
    nodes: BTreeMap<Place, Node>,
    /// Nodes whose children are all known, those without rows by not being there.
    whole: HashSet<Place>,
    /// Ranges whose rows were verified, by table and number in level 0.
    verified: HashSet<(Table, u64)>,
    /// Changed since the last commit.
    changed: BTreeSet<Place>,
}

fn level_of(level: usize) -> u8 {
    u8::try_from(level).unwrap_or(u8::MAX)
}

fn shift_of(table: Table, level: u8) -> u32 {
    table.shifts().get(usize::from(level)).copied().unwrap_or(u64::BITS)
}

/// The part of `table` that one range of level 0 has.
fn leaf_keys(table: Table, number: u64) -> RangeInclusive<u64> {
    let shift = shift_of(table, 0);
    let first = number.checked_shl(shift).unwrap_or(0);
    let more = 1u64.checked_shl(shift).unwrap_or(0).wrapping_sub(1);
    first..=(first | more).min(MAX_KEY)
}

/// Numbers of the children of a node; of the root (one level above the highest) all there can be.
fn children_of(table: Table, level: u8, number: u64) -> RangeInclusive<u64> {
    if usize::from(level) >= table.shifts().len() {
        return 0..=(MAX_KEY >> shift_of(table, level.saturating_sub(1)));
    }
    let first = number << WIDTH_BITS;
    first..=(first | ((1 << WIDTH_BITS) - 1))
}

impl Seals {
    pub(in crate::mirror) fn new(roots: BTreeMap<Table, Node>) -> Seals {
        Seals { roots, ..Seals::default() }
    }

    pub(in crate::mirror) fn roots(&self) -> &BTreeMap<Table, Node> {
        &self.roots
    }

    pub(in crate::mirror) fn root(&self, table: Table) -> Node {
        self.roots.get(&table).copied().unwrap_or_default()
    }

    /// Counts a row in, or out, on all levels. The path to it must be known: [`Mirror::trust`].
    fn count(&mut self, table: Table, row: &RowMark, more: bool) {
        let apply = |node: &mut Node| if more { node.add(row) } else { node.remove(row) };
        let root = self.roots.entry(table).or_default();
        let top = level_of(table.shifts().len());
        if root.is_empty() {
            self.whole.insert((table, top, 0));
        }
        apply(root);
        for (level, shift) in table.shifts().iter().enumerate().rev() {
            let place = (table, level_of(level), row.key >> shift);
            if !self.nodes.contains_key(&place) {
                // A new node has no children but those that it gets now.
                self.whole.insert(place);
            }
            apply(self.nodes.entry(place).or_default());
            self.changed.insert(place);
        }
    }

    /// Writes what was changed, in the open transaction.
    pub(in crate::mirror) fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut put = db.prepare_cached("INSERT OR REPLACE INTO seals VALUES (?1, ?2, ?3, ?4)")?;
        let mut delete =
            db.prepare_cached("DELETE FROM seals WHERE tab = ?1 AND level = ?2 AND number = ?3")?;
        for place @ (table, level, number) in std::mem::take(&mut self.changed) {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            match self.nodes.get(&place).filter(|node| !node.is_empty()) {
                Some(node) => put.execute(params![table.number(), level, number, node.encode()])?,
                None => delete.execute(params![table.number(), level, number])?,
            };
        }
        if self.nodes.len() > MAX_KNOWN {
            *self = Seals::new(std::mem::take(&mut self.roots));
        }
        Ok(())
    }

    /// Forgets a table of which every row was deleted.
    pub(in crate::mirror) fn clear(&mut self, table: Table, db: &Connection) -> rusqlite::Result<()> {
        db.execute("DELETE FROM seals WHERE tab = ?1", [table.number()])?;
        self.roots.remove(&table);
        self.nodes.retain(|(of, ..), _| *of != table);
        self.whole.retain(|(of, ..)| *of != table);
        self.verified.retain(|(of, _)| *of != table);
        self.changed.retain(|(of, ..)| *of != table);
        Ok(())
    }
}

/// Goes through the rows that a statement gives, each with its key and digest; gives how many there were.
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

/// What a table has, from its rows alone.
pub(in crate::mirror) fn total(db: &Connection, table: Table) -> rusqlite::Result<Node> {
    let mut select = db.prepare(&format!("SELECT * FROM {}", table.name()))?;
    let mut rows = select.query([])?;
    let mut node = Node::default();
    while let Some(row) = rows.next()? {
        node.add(&table.mark(row)?);
    }
    Ok(node)
}

/// Seals every row that a table has, as it is: for a mirror of a format that had no seals.
pub(in crate::mirror) fn seal_all(db: &Connection, table: Table, seals: &mut Seals) -> rusqlite::Result<()> {
    seals.clear(table, db)?;
    let mut select = db.prepare(&format!("SELECT * FROM {}", table.name()))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        seals.count(table, &table.mark(row)?, true);
    }
    Ok(())
}

impl Mirror {
    /// Makes sure that the rows with keys in `keys` are those that were written, no more and no fewer.
    ///
    /// # Errors
    /// They are not, or the mirror cannot be read.
    pub(in crate::mirror) fn trust(&self, table: Table, keys: RangeInclusive<u64>) -> Result<()> {
        if table.shifts().is_empty() {
            return self.trust_whole(table);
        }
        let shift = shift_of(table, 0);
        let (first, last) = (keys.start() >> shift, keys.end() >> shift);
        if first == last && self.seals.borrow().verified.contains(&(table, first)) {
            return Ok(());
        }
        let mut rows: u64 = 0;
        self.walk(table, keys, false, &|_| true, &mut |number, node| {
            rows = rows.saturating_add(node.rows);
            self.trust_leaf(table, number, node).map(|()| false)
        })?;
        // What is beside the ranges of the tree must not be there.
        let around = *leaf_keys(table, first).start()..=*leaf_keys(table, last).end();
        if self.count_rows(table, &around)? != rows {
            return Err(self.unsealed(table));
        }
        if first == last {
            self.seals.borrow_mut().verified.insert((table, first));
        }
        Ok(())
    }

    fn trust_whole(&self, table: Table) -> Result<()> {
        if self.seals.borrow().verified.contains(&(table, 0)) {
            return Ok(());
        }
        let found = self.sql(total(&self.db, table))?;
        if found != self.seals.borrow().root(table) || !self.sql(self.is_indexed(table))? {
            return Err(self.unsealed(table));
        }
        self.seals.borrow_mut().verified.insert((table, 0));
        Ok(())
    }

    /// Whether the one index that a sealed table has beside its rows leads to each of them.
    fn is_indexed(&self, table: Table) -> rusqlite::Result<bool> {
        if table != Table::Alerts {
            return Ok(true);
        }
        let sql = "SELECT count(*) FROM alerts a WHERE a.id <>
                     ifnull((SELECT b.id FROM alerts b INDEXED BY sqlite_autoindex_alerts_1 WHERE b.key = a.key), -1)";
        let missing: u64 = self.db.query_row(sql, [], |row| row.get(0))?;
        let sql = "SELECT count(*) FROM alerts INDEXED BY sqlite_autoindex_alerts_1 WHERE key >= ''";
        let indexed: u64 = self.db.query_row(sql, [], |row| row.get(0))?;
        Ok(missing == 0 && indexed == self.sealed_rows(table))
    }

    fn trust_leaf(&self, table: Table, number: u64, node: &Node) -> Result<()> {
        if self.seals.borrow().verified.contains(&(table, number)) {
            return Ok(());
        }
        let Some((column, _)) = table.key_column() else { return Ok(()) };
        let sql = format!("SELECT * FROM {} WHERE {column} >= ?1 AND {column} <= ?2", table.name());
        let keys = leaf_keys(table, number);
        let [from, to] = bounds(table, &keys);
        let (mut whole, mut is_beside) = (Node::default(), false);
        let read = each_row(&self.db, table, &sql, &[&from, &to], |row| {
            whole.add(row);
            is_beside |= !keys.contains(&row.key);
        });
        self.sql(read)?;
        if whole != *node || is_beside {
            return Err(self.unsealed(table));
        }
        self.seals.borrow_mut().verified.insert((table, number));
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

    /// Goes through the ranges of level 0 that have rows with keys in `keys`, in ascending or descending order, where
    /// `wanted` holds for the range and all that it is part of; until `visit` says `true`.
    pub(in crate::mirror) fn walk(
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

    /// The children of a verified node, ascending: verified against it.
    fn children(&self, place: Place, node: &Node) -> Result<Vec<(u64, Node)>> {
        let (table, level, number) = place;
        let below = level.saturating_sub(1);
        let numbers = children_of(table, level, number);
        if !self.seals.borrow().whole.contains(&place) {
            let read = self.sql(self.read_nodes(table, below, &numbers))?;
            let mut whole = Node::default();
            for (_, bytes) in &read {
                whole.merge(&Node::decode(bytes).ok_or_else(|| self.unsealed(table))?);
            }
            if whole != *node {
                return Err(self.unsealed(table));
            }
            let mut seals = self.seals.borrow_mut();
            for (number, bytes) in read {
                if let Some(child) = Node::decode(&bytes) {
                    seals.nodes.insert((table, below, number), child);
                }
            }
            seals.whole.insert(place);
        }
        let seals = self.seals.borrow();
        let known = seals.nodes.range((table, below, *numbers.start())..=(table, below, *numbers.end()));
        Ok(known.filter(|(_, node)| !node.is_empty()).map(|((.., number), node)| (*number, *node)).collect())
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

    /// Replaces rows: `before` selects them (`SELECT *`), `after` changes or adds them (`RETURNING *`). All have keys in
    /// `keys`. Gives how many there are now.
    pub(in crate::mirror) fn change(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        before: (&str, &[&dyn ToSql]),
        after: (&str, &[&dyn ToSql]),
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, before, false)?;
        self.count_rows_of(table, after, true)
    }

    /// Adds rows, with a statement that ends in `RETURNING *`; gives how many.
    pub(in crate::mirror) fn add(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, (sql, values), true)
    }

    /// Deletes rows, with a statement that ends in `RETURNING *`; gives how many.
    pub(in crate::mirror) fn remove(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.trust(table, keys)?;
        self.count_rows_of(table, (sql, values), false)
    }

    /// Counts the rows that a statement gives in, or out. Where it fails half way, the transaction is given up.
    fn count_rows_of(&self, table: Table, (sql, values): (&str, &[&dyn ToSql]), more: bool) -> Result<usize> {
        let mut seals = self.seals.borrow_mut();
        self.sql(each_row(&self.db, table, sql, values, |row| seals.count(table, row, more)))
    }

    /// The verified ranges of keys that [`Mirror::walk`] visits.
    pub(in crate::mirror) fn trusted_ranges(
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
