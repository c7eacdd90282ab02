//! The known nodes of the trees over the sealed tables: how they change with the rows, and how they are stored.

use super::node::{Node, RowMark};
use super::table::Table;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;

/// The number of nodes that are kept between transactions. Others are read and verified again, which bounds memory.
const MAX_KNOWN: usize = 50_000;

/// A node's place: its table, its level (0: over rows) and its number in that level.
pub(super) type Place = (Table, u8, u64);

/// The known nodes of the trees. A node is known only after it was verified, or as it was changed here.
#[derive(Default)]
pub struct Seals {
    roots: BTreeMap<Table, Node>,
    nodes: BTreeMap<Place, Node>,
    /// Nodes whose children are all known. A child without rows is known by its absence.
    whole: HashSet<Place>,
    /// Ranges whose rows were verified, by table and number in level 0.
    verified: HashSet<(Table, u64)>,
    /// Nodes that were changed since the last commit.
    changed: BTreeSet<Place>,
}

/// Converts the number of a level.
pub(super) fn level_of(level: usize) -> u8 {
    u8::try_from(level).unwrap_or(u8::MAX)
}

/// How many low bits of a key a level ignores.
pub(super) fn shift_of(table: Table, level: u8) -> u32 {
    table.shifts().get(usize::from(level)).copied().unwrap_or(u64::BITS)
}

impl Seals {
    /// Starts with these roots. Nothing below them is known.
    pub fn new(roots: BTreeMap<Table, Node>) -> Seals {
        Seals { roots, ..Seals::default() }
    }

    /// The roots, for the state.
    pub fn roots(&self) -> &BTreeMap<Table, Node> {
        &self.roots
    }

    /// The total over a table.
    pub fn root(&self, table: Table) -> Node {
        self.roots.get(&table).copied().unwrap_or_default()
    }

    /// Adds a row to all levels, or removes it from them. The path to it must be known: [`super::Sealed::trust`].
    pub(super) fn count(&mut self, table: Table, row: &RowMark, more: bool) {
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
                // A new node has only the children that it gets now.
                self.whole.insert(place);
            }
            apply(self.nodes.entry(place).or_default());
            self.changed.insert(place);
        }
    }

    /// Whether the rows of this range of level 0 were verified. A table without a tree has range 0 only, which is all
    /// of it.
    pub(super) fn is_verified(&self, table: Table, number: u64) -> bool {
        self.verified.contains(&(table, number))
    }

    /// Records that the rows of this range were verified.
    pub(super) fn set_verified(&mut self, table: Table, number: u64) {
        self.verified.insert((table, number));
    }

    /// Whether the children of a node are all known.
    pub(super) fn is_whole(&self, place: &Place) -> bool {
        self.whole.contains(place)
    }

    /// Adds the children of a node, which were verified against it.
    pub(super) fn learn(&mut self, place: Place, children: impl IntoIterator<Item = (u64, Node)>) {
        let (table, level, _) = place;
        let below = level.saturating_sub(1);
        for (number, child) in children {
            self.nodes.insert((table, below, number), child);
        }
        self.whole.insert(place);
    }

    /// The known nodes of a level that have rows, ascending.
    pub(super) fn filled(&self, table: Table, level: u8, numbers: &RangeInclusive<u64>) -> Vec<(u64, Node)> {
        let known = self.nodes.range((table, level, *numbers.start())..=(table, level, *numbers.end()));
        known.filter(|(_, node)| !node.is_empty()).map(|((.., number), node)| (*number, *node)).collect()
    }

    /// Writes the changed nodes, in the open transaction.
    pub fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
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

    /// Removes the nodes of a table from which every row was deleted.
    pub fn clear(&mut self, table: Table, db: &Connection) -> rusqlite::Result<()> {
        db.execute("DELETE FROM seals WHERE tab = ?1", [table.number()])?;
        self.roots.remove(&table);
        self.nodes.retain(|(of, ..), _| *of != table);
        self.whole.retain(|(of, ..)| *of != table);
        self.verified.retain(|(of, _)| *of != table);
        self.changed.retain(|(of, ..)| *of != table);
        Ok(())
    }
}

/// The total over a table, computed only from its rows.
pub fn total(db: &Connection, table: Table) -> rusqlite::Result<Node> {
    let mut select = db.prepare(&format!("SELECT * FROM {}", table.name()))?;
    let mut rows = select.query([])?;
    let mut node = Node::default();
    while let Some(row) = rows.next()? {
        node.add(&table.mark(row)?);
    }
    Ok(node)
}

/// Seals all rows of a table as they are, for a mirror of a format without seals.
pub fn seal_all(db: &Connection, table: Table, seals: &mut Seals) -> rusqlite::Result<()> {
    seals.clear(table, db)?;
    let mut select = db.prepare(&format!("SELECT * FROM {}", table.name()))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        seals.count(table, &table.mark(row)?, true);
    }
    Ok(())
}
