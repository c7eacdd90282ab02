//! A tree that is built leaf by leaf, with all nodes that the mirror stores.

use crate::core::hash::{Hash, leaf_hash};
use crate::core::tree::CompactRange;

/// Leaves under a node of level 1.
const WIDTH: u64 = 256;

/// A tree that leaves are appended to, with the roots of its perfect subtrees of 256^k leaves.
pub(super) struct Folded {
    /// The range over all leaves.
    leaves: CompactRange,
    /// For each level from 1 on: the number of the subtree that is being filled, and its leaves so far.
    open: Vec<(u64, CompactRange)>,
}

impl Default for Folded {
    fn default() -> Folded {
        Folded { leaves: CompactRange::new(0), open: (1..8).map(|_| (0, CompactRange::new(0))).collect() }
    }
}

impl Folded {
    /// The range over all leaves so far.
    pub(super) fn leaves(&self) -> &CompactRange {
        &self.leaves
    }

    /// Appends a leaf; returns the subtrees that it completes: level, number, root.
    pub(super) fn append(&mut self, leaf: &[u8]) -> Vec<(u8, u64, Hash)> {
        let hash = leaf_hash(leaf);
        // Neither call can fail below 2^53 leaves.
        let _ = self.leaves.append_leaf(hash);
        let mut completed = Vec::new();
        let mut child = hash.0;
        for (level, (number, filled)) in (1u8..).zip(&mut self.open) {
            let _ = filled.append_subtree(0, child);
            if filled.end() < WIDTH {
                break;
            }
            child = filled.root();
            completed.push((level, *number, child));
            (*number, *filled) = (number.saturating_add(1), CompactRange::new(0));
        }
        completed
    }
}
