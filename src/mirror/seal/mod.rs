//! Seals: digests over each sealed table, which are part of the digested state.
//!
//! SQLite has no checksums of its pages. If a disk loses a write, the page is as it was one audit earlier, and reads
//! as an intact page: heads, findings or the memory of earlier entries are then missing without a trace. For every
//! table, the state therefore holds the number of its rows and the sum of their digests. For tables that grow with
//! the log, this total is the root of a tree over ranges of their keys (table `seals`). Before rows are read, or
//! their absence is relied on, the ranges that contain them are read whole and verified against the tree
//! ([`Sealed::trust`]). A range that was verified once stays so while the mirror is open, because no other process
//! writes to it.
//!
//! The work does not grow with the log: a look-up reads a path of at most seven levels and the rows of one range of
//! keys (for heads: all those of 256 sizes, however many a log signed for one size). Small tables are always read
//! whole.
//!
//! Every change of a sealed table goes through [`Sealed::change`], which reads the rows before and after, so a row
//! cannot be changed without its seal. The seals become durable together with the rows, in `Db::commit`.
//!
//! Seals cannot detect a disk that reverts the *whole* file to an earlier state; the mark does that.

mod digest;
mod node;
mod seals;
mod table;
mod tree;

pub(crate) use digest::{ColumnDigest, DigestSum};
pub use node::Node;
pub use seals::{Seals, seal_all, total};
pub use table::{Flag, MAX_KEY, Table, approver_slot, digest_key};
pub use tree::{Sealed, unsealed};

use crate::core::encoding::{decode_hex, encode_hex};
use std::collections::BTreeMap;

/// Parses the roots in the state. `None` if one of them is not what was written.
pub(super) fn read_roots(stored: &BTreeMap<String, String>) -> Option<BTreeMap<Table, Node>> {
    let root = |(name, hex): (&String, &String)| {
        let table = Table::ALL.into_iter().find(|table| table.name() == name)?;
        Some((table, Node::decode(&decode_hex(hex)?)?))
    };
    stored.iter().map(root).collect()
}

/// The roots for the state, without tables that have no rows.
pub(super) fn write_roots(roots: &BTreeMap<Table, Node>) -> BTreeMap<String, String> {
    let filled = roots.iter().filter(|(_, node)| !node.is_empty());
    filled.map(|(table, node)| (table.name().to_owned(), encode_hex(&node.encode()))).collect()
}
