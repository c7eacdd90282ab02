//! Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2): verifying and making them.
//!
//! A verified inclusion proof shows that the tree with this root has this leaf at this index. A
//! verified consistency proof shows that the leaves of the old root are a prefix of those of the new.
//! Neither shows that anybody signed a root, nor *that the size is true*: proofs of trees of some
//! different sizes have the same shape (leaf 0 of 5 and leaf 0 of 6), so root and size must come
//! together out of one signed head. A proof that fails proves nothing against the log: whoever sent
//! it may have broken it.
//!
//! There is one description of a proof's shape, the list of leaf ranges whose hashes it holds, and
//! making, verifying and rebuilding all follow it. A proof has as many hashes as the list, no more and
//! no fewer. Sizes go up to 2^64 − 1; a list has at most 65 ranges.

use crate::core::hash::{Hash, LeafHash, empty_root, node_hash};
use std::fmt;
use std::ops::Range;

/// The hashes of an inclusion proof, leaf to root (RFC 6962 section 2.1.1). Not yet verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InclusionProof(pub Vec<Hash>);

/// The hashes of a consistency proof in the order of RFC 6962 section 2.1.2. Not yet verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsistencyProof(pub Vec<Hash>);

/// Why a proof does not verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProofError {
    /// There is no such leaf in a tree of this size.
    IndexBeyondSize {
        /// The leaf asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The old tree is larger than the new one.
    SizesReversed {
        /// Size of the old tree.
        old: u64,
        /// Size of the new tree.
        new: u64,
    },
    /// The old tree is empty, and no nodes lead from it to a root.
    OldTreeEmpty,
    /// A proof of another number of hashes than the sizes ask for.
    WrongLength {
        /// Hashes that the sizes ask for.
        expected: usize,
        /// Hashes that the proof has.
        found: usize,
    },
    /// The proof leads to another root (for consistency: another root of the new tree).
    RootMismatch {
        /// What the proof leads to.
        computed: Hash,
        /// What it was to lead to.
        expected: Hash,
    },
    /// The consistency proof leads to another root of the old tree.
    OldRootMismatch {
        /// What the proof leads to.
        computed: Hash,
        /// What it was to lead to.
        expected: Hash,
    },
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProofError::IndexBeyondSize { index, size } => {
                write!(f, "there is no leaf {index} in a tree of {size}")
            }
            ProofError::SizesReversed { old, new } => {
                write!(f, "the old tree of {old} is larger than the new one of {new}")
            }
            ProofError::OldTreeEmpty => f.write_str("nothing can be rebuilt from an empty old tree"),
            ProofError::WrongLength { expected, found } => {
                write!(f, "the proof has {found} hashes, and these sizes ask for {expected}")
            }
            ProofError::RootMismatch { computed, expected } => {
                write!(f, "the proof leads to root {computed}, not to {expected}")
            }
            ProofError::OldRootMismatch { computed, expected } => {
                write!(f, "the proof leads to old root {computed}, not to {expected}")
            }
        }
    }
}

impl std::error::Error for ProofError {}

/// Why a proof could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProveError<E> {
    /// There is no such proof: [`ProofError::IndexBeyondSize`] or [`ProofError::SizesReversed`].
    Impossible(ProofError),
    /// The hash of a range could not be had.
    Source(E),
}

impl<E: fmt::Display> fmt::Display for ProveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProveError::Impossible(why) => why.fmt(f),
            ProveError::Source(why) => why.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ProveError<E> {}

/// Where RFC 6962 section 2.1 splits the leaves of `range`: after the largest power of two smaller
/// than their number. `None` for fewer than two leaves.
fn split(range: &Range<u64>) -> Option<u64> {
    let length = range.end.checked_sub(range.start)?;
    let left = 1u64.checked_shl(length.checked_sub(1)?.checked_ilog2()?)?;
    range.start.checked_add(left)
}

/// The leaf ranges (start inclusive, end exclusive) whose Merkle Tree Hashes form the inclusion proof
/// of leaf `index` in a tree of `size`, in proof order: leaf to root. `None` where `index >= size`.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut within, mut siblings) = (0..size, Vec::new());
    while let Some(middle) = split(&within) {
        let (left, right) = (within.start..middle, middle..within.end);
        let (inside, sibling) = if index < middle { (left, right) } else { (right, left) };
        siblings.push(sibling);
        within = inside;
    }
    siblings.reverse();
    Some(siblings)
}

/// The leaf ranges (start inclusive, end exclusive) whose Merkle Tree Hashes form the consistency proof
/// from size `old` to size `new`, in proof order, *with* the start node, always the first, that the RFC
/// leaves out where it is the old tree itself: see [`start_is_old_tree`].
///
/// `old == new`: only the start node, `0..old`. `old == 0`: no ranges. `old > new`: `None`.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    let mut ranges = Vec::new();
    if old == 0 {
        return Some(ranges);
    }
    // SUBPROOF of RFC 6962: `old` always lies inside `within`, or at its end, which ends the descent.
    let mut within = 0..new;
    while within.end != old {
        let Some(middle) = split(&within) else { break };
        let (left, right) = (within.start..middle, middle..within.end);
        let (inside, sibling) = if old <= middle { (left, right) } else { (right, left) };
        ranges.push(sibling);
        within = inside;
    }
    ranges.push(within);
    ranges.reverse();
    Some(ranges)
}

/// Whether the start node of the consistency proof is the old tree itself, so that the RFC leaves it
/// out: where `old` is a power of two, or where `old == new`.
pub fn start_is_old_tree(old: u64, new: u64) -> bool {
    old.is_power_of_two() || old == new
}

fn check_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::WrongLength { expected, found }) }
}

/// Verifies that the tree of `size` leaves with `root` has `leaf` at `index` (counted from 0).
///
/// Errors: the index is not below the size, the proof is too long or too short, or it leads to another
/// root (the error holds both). What is not shown stands at the top of this module.
pub fn verify_inclusion(
    leaf: LeafHash,
    index: u64,
    size: u64,
    proof: &InclusionProof,
    root: Hash,
) -> Result<(), ProofError> {
    let ranges = inclusion_ranges(index, size).ok_or(ProofError::IndexBeyondSize { index, size })?;
    check_length(ranges.len(), proof.0.len())?;
    let computed = ranges.iter().zip(&proof.0).fold(leaf.0, |node, (range, sibling)| {
        if range.start > index { node_hash(&node, sibling) } else { node_hash(sibling, &node) }
    });
    if computed == root { Ok(()) } else { Err(ProofError::RootMismatch { computed, expected: root }) }
}

/// Rebuilds both roots, old then new, from the nodes of [`consistency_ranges`], start node included
/// (misbehaviour files, specification section 11).
///
/// It shows that one tree has these two roots at these two sizes; comparing them with signed ones is
/// the caller's part. Errors: sizes reversed, `old` 0, or a number of nodes other than of ranges.
pub fn rebuild_consistency(old: u64, new: u64, nodes: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    let ranges = consistency_ranges(old, new).ok_or(ProofError::SizesReversed { old, new })?;
    check_length(ranges.len(), nodes.len())?;
    let mut steps = ranges.iter().zip(nodes);
    let (_, start) = steps.next().ok_or(ProofError::OldTreeEmpty)?;
    // What lies before `old` is a left sibling in both trees; what lies behind is only in the new one.
    Ok(steps.fold((*start, *start), |(old_root, new_root), (range, node)| {
        if range.start < old {
            (node_hash(node, &old_root), node_hash(node, &new_root))
        } else {
            (old_root, node_hash(&new_root, node))
        }
    }))
}

/// Verifies that the tree of `old` leaves with `old_root` is a prefix of that of `new` with `new_root`.
///
/// The proof must be empty where `old` is 0 or equal to `new`. The empty tree is a prefix of every tree,
/// so for `old == 0` only the roots of empty trees are checked. Errors: sizes reversed, the proof is too
/// long or too short, or it leads to another old or new root (the error holds both).
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    new: u64,
    new_root: Hash,
    proof: &ConsistencyProof,
) -> Result<(), ProofError> {
    if old == 0 {
        check_length(0, proof.0.len())?;
        check_old_root(empty_root(), old_root)?;
        return if new == 0 { check_new_root(empty_root(), new_root) } else { Ok(()) };
    }
    let ranges = consistency_ranges(old, new).ok_or(ProofError::SizesReversed { old, new })?;
    let left_out = usize::from(start_is_old_tree(old, new));
    check_length(ranges.len().saturating_sub(left_out), proof.0.len())?;
    let mut nodes = Vec::with_capacity(ranges.len());
    if left_out == 1 {
        nodes.push(old_root);
    }
    nodes.extend_from_slice(&proof.0);
    let (old_computed, new_computed) = rebuild_consistency(old, new, &nodes)?;
    check_old_root(old_computed, old_root)?;
    check_new_root(new_computed, new_root)
}

fn check_old_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::OldRootMismatch { computed, expected }) }
}

fn check_new_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::RootMismatch { computed, expected }) }
}

/// Makes the inclusion proof of leaf `index` in the tree of `size`. `range_hash` gives the Merkle Tree
/// Hash of a range of leaves (start inclusive, end exclusive); the proof is as true as its answers.
///
/// Errors: the index is not below the size, or `range_hash` failed.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    range_hash: impl FnMut(Range<u64>) -> Result<Hash, E>,
) -> Result<InclusionProof, ProveError<E>> {
    let ranges = inclusion_ranges(index, size)
        .ok_or(ProveError::Impossible(ProofError::IndexBeyondSize { index, size }))?;
    ranges
        .into_iter()
        .map(range_hash)
        .collect::<Result<_, E>>()
        .map(InclusionProof)
        .map_err(ProveError::Source)
}

/// Makes the consistency proof from `old` to `new`: empty where `old` is 0 or equal to `new`.
/// `range_hash` as in [`prove_inclusion`].
///
/// Errors: the old size is above the new one, or `range_hash` failed.
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    range_hash: impl FnMut(Range<u64>) -> Result<Hash, E>,
) -> Result<ConsistencyProof, ProveError<E>> {
    let ranges =
        consistency_ranges(old, new).ok_or(ProveError::Impossible(ProofError::SizesReversed { old, new }))?;
    ranges
        .into_iter()
        .skip(usize::from(start_is_old_tree(old, new)))
        .map(range_hash)
        .collect::<Result<_, E>>()
        .map(ConsistencyProof)
        .map_err(ProveError::Source)
}

/// Makes the nodes from which [`rebuild_consistency`] rebuilds both roots: the consistency proof with
/// its start node. Errors as in [`prove_consistency`].
pub fn consistency_nodes<E>(
    old: u64,
    new: u64,
    range_hash: impl FnMut(Range<u64>) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    let ranges =
        consistency_ranges(old, new).ok_or(ProveError::Impossible(ProofError::SizesReversed { old, new }))?;
    ranges.into_iter().map(range_hash).collect::<Result<_, E>>().map_err(ProveError::Source)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
