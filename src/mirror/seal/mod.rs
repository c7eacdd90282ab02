//! Seals: what must be true of each table hangs from the digested state.
//!
//! SQLite has no checksums of its pages. A disk that lost one write leaves a page as it was one audit earlier, which reads
//! as a perfectly good page: heads, findings or memories of earlier entries are then simply not there. So for every table
//! the state holds how many rows it has and the sum of their digests, and for tables that grow with the log, this total is
//! the root of a tree over ranges of their keys (table `seals`). Before rows are read, or their absence is relied on, the
//! ranges that they are in are read whole and held against the tree ([`Mirror::trust`]); a range that was verified once
//! stays so while the mirror is open, for nobody else writes to it.
//!
//! The work does not grow with the log: a look-up reads a path of at most seven levels and the rows of one range of keys
//! (of heads: all those of 256 sizes, however many a log signed of one). Small tables are always read as a whole.
//!
//! Every change of a sealed table goes through [`Mirror::change`], which reads the rows as they were and as they are, so
//! a row cannot be changed past its seal; the seals become durable with the rows, in [`Mirror::commit`].
//!
//! It proves nothing about a disk that brings *all* of the file back to an earlier state: that is for the mark.

mod node;
mod table;
mod tree;

pub use node::Node;
pub use table::{Flag, MAX_KEY, Table, approver_slot, digest_key};
pub(super) use tree::{Seals, seal_all, total};

use super::{Mirror, MirrorError, Result};
use crate::core::encoding::{decode_hex, encode_hex};
use std::collections::BTreeMap;

/// Ranges of each table that grows with the log that [`Mirror::check_some`] verifies: at most 256 entries each.
const RANGES_AT_ONCE: u32 = 16;

/// Blocks of what was seen that [`Mirror::check_some`] verifies: of 335 values each.
const BLOCKS_AT_ONCE: u64 = 16;

/// The roots as the state has them. `None` where one of them is not what was written.
pub(super) fn read_roots(stored: &BTreeMap<String, String>) -> Option<BTreeMap<Table, Node>> {
    let root = |(name, hex): (&String, &String)| {
        let table = Table::ALL.into_iter().find(|table| table.name() == name)?;
        Some((table, Node::decode(&decode_hex(hex)?)?))
    };
    stored.iter().map(root).collect()
}

/// The roots for the state; tables without rows are left out.
pub(super) fn write_roots(roots: &BTreeMap<Table, Node>) -> BTreeMap<String, String> {
    let filled = roots.iter().filter(|(_, node)| !node.is_empty());
    filled.map(|(table, node)| (table.name().to_owned(), encode_hex(&node.encode()))).collect()
}

impl Mirror {
    /// The fault of a table that is not what the state says.
    pub(super) fn unsealed(&self, table: Table) -> MirrorError {
        let why = format!("its table {:?} is not the one that was written", table.name());
        match table {
            Table::WatchRules => self.wrong_watch(),
            table if table.follows_from_leaves() => MirrorError::WrongMemory(self.path.clone(), why),
            _ => MirrorError::Damaged(self.path.clone(), why),
        }
    }

    /// Seals a table as it stands, in the open transaction: after what was wrong in it was taken out.
    pub(super) fn seal_again(&mut self, table: Table) -> Result<()> {
        let sealed = seal_all(&self.db, table, &mut self.seals.borrow_mut());
        self.sql(sealed)
    }

    /// How many rows the state says that a table has.
    pub fn sealed_rows(&self, table: Table) -> u64 {
        self.seals.borrow().root(table).rows
    }

    /// How many heads have this flag, of all.
    pub(super) fn flagged_count(&self, flag: Flag) -> u64 {
        self.seals.borrow().root(Table::Heads).counts.get(flag.place()).copied().unwrap_or(0)
    }

    /// Verifies the small tables, the next few ranges of each table that grows with the log, and the next few blocks of
    /// what was seen: what no look-up touches has its turn.
    ///
    /// # Errors
    /// A table is not what was written.
    pub fn check_some(&mut self) -> Result<()> {
        let mut rotation = self.state.rotation.clone();
        for table in Table::ALL {
            if !table.grows() {
                self.trust(table, 0..=MAX_KEY)?;
                continue;
            }
            let from = rotation.get(table.name()).copied().unwrap_or(0);
            let (mut visited, mut next) = (0, 0);
            self.trusted_ranges(table, from..=MAX_KEY, false, &|_| true, &mut |keys| {
                visited = RANGES_AT_ONCE.min(visited).saturating_add(1);
                next = keys.end().saturating_add(1);
                Ok(visited >= RANGES_AT_ONCE)
            })?;
            rotation.insert(table.name().to_owned(), if visited < RANGES_AT_ONCE { 0 } else { next });
        }
        let scrubbed = self.scrub_seen(self.state.seen_scrubbed, BLOCKS_AT_ONCE)?;
        self.transact(|_, state| {
            (state.rotation, state.seen_scrubbed) = (rotation, scrubbed);
            Ok(())
        })
    }

    /// Verifies every row of every sealed table.
    ///
    /// # Errors
    /// A table is not what was written.
    pub fn check_tables(&self) -> Result<()> {
        Table::ALL.into_iter().try_for_each(|table| self.trust(table, 0..=MAX_KEY))
    }
}
