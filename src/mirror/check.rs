//! `countersign mirror check`: is everything in the mirror what was written?
//!
//! An audit verifies what it looks at, and some of the rest in turns. This verifies all of it, part by part, and goes on
//! after a part that is wrong, so that the whole damage is known.

use super::seal::{MAX_KEY, Table};
use super::{Mirror, MirrorError, Result};
use crate::core::hash::{Hash, leaf_hash};
use crate::core::head::LogKey;
use crate::core::tree::CompactRange;

/// Leaves that are hashed at once: those of a bundle.
const AT_ONCE: u64 = 256;

/// One part of a mirror.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// A table; or `file`, the structure of all.
    pub name: &'static str,
    /// How many rows the state says that it has.
    pub rows: u64,
    /// Why it is not what was written, where it is not.
    pub wrong: Option<String>,
}

/// What a check of a mirror came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Every part.
    pub parts: Vec<Part>,
    /// Entries that the next audit checks again: what follows from them is not there yet.
    pub unchecked: u64,
}

impl Checked {
    /// Whether every part is what was written.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.wrong.is_none())
    }
}

impl Part {
    fn new(name: &'static str, rows: u64, checked: Result<()>) -> Result<Part> {
        let wrong = match checked {
            Ok(()) => None,
            Err(
                MirrorError::Damaged(_, why) | MirrorError::WrongMemory(_, why) | MirrorError::Io(_, why),
            ) => Some(why),
            Err(error) => return Err(error),
        };
        Ok(Part { name, rows, wrong })
    }
}

impl Mirror {
    /// Checks every part. `None` where `stopped` ended it.
    ///
    /// # Errors
    /// The mirror cannot be read at all. A part that is not what was written is no error.
    pub fn check_parts(&self, key: &LogKey, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Option<Checked>> {
        let mut whole = true;
        let file = self.check_integrity(stopped).map(|done| whole = done);
        let mut parts = vec![Part::new("file", 0, file)?];
        if !whole {
            return Ok(None);
        }
        let mut leaves = self.check_leaves(stopped).map(|done| whole = done);
        if whole && leaves.is_ok() && self.trust(Table::Heads, 0..=MAX_KEY).is_ok() {
            leaves = self.check_head_of_tree();
        }
        parts.push(Part::new("leaves", self.state.verified, leaves)?);
        for table in Table::ALL {
            if !whole || stopped() {
                return Ok(None);
            }
            let mut checked = self.trust(table, 0..=MAX_KEY);
            if checked.is_ok() {
                checked = match table {
                    Table::Heads => self.heads(key).map(drop),
                    Table::Findings => self.findings(false).and_then(|_| self.findings(true)).map(drop),
                    _ => Ok(()),
                };
            }
            parts.push(Part::new(table.name(), self.sealed_rows(table), checked)?);
        }
        let seen = self.check_seen(stopped).map(|done| whole = done);
        parts.push(Part::new("seen", self.state.seen_records(), seen)?);
        let unchecked = self.state.verified.saturating_sub(self.state.checked);
        Ok(whole.then_some(Checked { parts, unchecked }))
    }

    /// Hashes all leaves and holds them against the nodes, and those against the frontier. `false`: stopped.
    fn check_leaves(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        let verified = self.state.verified;
        let wrong = |what: String| MirrorError::Damaged(self.path.clone(), what);
        let frontier = self.state.frontier().ok_or_else(|| wrong("its frontier is wrong".to_owned()))?;
        let mut tree = Folded::default();
        while tree.leaves.end() < verified {
            if stopped() {
                return Ok(false);
            }
            let begin = tree.leaves.end();
            let end = begin.saturating_add(AT_ONCE).min(verified);
            let leaves = self.leaves(begin, end)?;
            if leaves.len() as u64 != end.saturating_sub(begin) {
                return Err(wrong(format!("of the entries {begin} to {end}, some are missing")));
            }
            for leaf in &leaves {
                for (level, n, hash) in tree.append(leaf) {
                    if self.node(level, n)? != Some(hash) {
                        return Err(wrong(format!(
                            "node {n} of level {level} is not what its entries hash to"
                        )));
                    }
                }
            }
        }
        match verified == 0 || tree.leaves.root() == frontier.root() {
            true => Ok(true),
            false => Err(wrong(format!("the {verified} entries do not have the root that was proved"))),
        }
    }
}

/// A tree that leaves are appended to, with the roots of its perfect subtrees of 256^k leaves.
pub(super) struct Folded {
    /// All leaves.
    pub leaves: CompactRange,
    /// For each level from 1 on, the number of the subtree that is being filled, and what of it there is.
    open: Vec<(u64, CompactRange)>,
}

impl Default for Folded {
    fn default() -> Folded {
        Folded { leaves: CompactRange::new(0), open: (1..8).map(|_| (0, CompactRange::new(0))).collect() }
    }
}

impl Folded {
    /// Appends a leaf; gives the subtrees that it completes: level, number, root.
    pub(super) fn append(&mut self, leaf: &[u8]) -> Vec<(u8, u64, Hash)> {
        let hash = leaf_hash(leaf);
        // Below 2^53 leaves neither can fail.
        let _ = self.leaves.append_leaf(hash);
        let mut completed = Vec::new();
        let mut child = hash.0;
        for (level, (number, filled)) in (1u8..).zip(&mut self.open) {
            let _ = filled.append_subtree(0, child);
            if filled.end() < AT_ONCE {
                break;
            }
            child = filled.root();
            completed.push((level, *number, child));
            (*number, *filled) = (number.saturating_add(1), CompactRange::new(0));
        }
        completed
    }
}
