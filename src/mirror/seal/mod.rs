//! Seals: what must be true of each table hangs from the digested state.
//!
//! SQLite has no checksums of its pages. A disk that lost one write leaves a page as it was one audit earlier, which reads
//! as a perfectly good page: heads, findings or memories of earlier entries are then simply not there. So for every table
//! the state holds how many rows it has and the sum of their digests, and for tables that grow with the log, this total is
//! the root of a tree over ranges of their keys (table `seals`). Before rows are read, or their absence is relied on, the
//! ranges that they are in are read whole and held against the tree ([`Sealed::trust`]); a range that was verified once
//! stays so while the mirror is open, for nobody else writes to it.
//!
//! The work does not grow with the log: a look-up reads a path of at most seven levels and the rows of one range of keys
//! (of heads: all those of 256 sizes, however many a log signed of one). Small tables are always read as a whole.
//!
//! Every change of a sealed table goes through [`Sealed::change`], which reads the rows as they were and as they are, so
//! a row cannot be changed past its seal; the seals become durable with the rows, in `Db::commit`.
//!
//! It proves nothing about a disk that brings *all* of the file back to an earlier state: that is for the mark.

mod node;
mod seals;
mod table;
mod tree;

pub use node::Node;
pub use seals::{Seals, seal_all, total};
pub use table::{Flag, MAX_KEY, Table, approver_slot, digest_key};
pub use tree::{Sealed, unsealed};

use crate::core::encoding::{decode_hex, encode_hex};
use std::collections::BTreeMap;

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
