//! Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2): making and verifying them.
//!
//! A verified inclusion proof shows that the tree with this root has this leaf at this index. A verified consistency proof
//! shows that the leaves of the old root are a prefix of those of the new one. Neither shows that anybody signed a root,
//! nor *that the size is right*: proofs in trees of different sizes can have the same shape (leaf 0 of 5 and leaf 0 of 6),
//! so root and size must come from the same signed head. A failed proof is no evidence against the log: its sender may
//! have corrupted it.
//!
//! One list describes the shape of a proof: the leaf ranges whose hashes it holds. Making, verifying and rebuilding all
//! follow this list. A proof has exactly as many hashes as the list has ranges. Sizes go up to 2^64 − 1, and a list has at
//! most 65 ranges.

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
    /// The old tree is empty, so no root can be rebuilt from it.
    OldTreeEmpty,
    /// The number of hashes is not the one for these sizes.
    WrongLength {
        /// The number of hashes for these sizes.
        expected: usize,
        /// The number of hashes in the proof.
        found: usize,
    },
    /// The proof leads to another root; for consistency, to another root of the new tree.
    RootMismatch {
        /// The root that the proof leads to.
        computed: Hash,
        /// The expected root.
        expected: Hash,
    },
    /// The consistency proof leads to another root of the old tree.
    OldRootMismatch {
        /// The old root that the proof leads to.
        computed: Hash,
        /// The expected old root.
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
                write!(f, "the proof has {found} hashes, but these sizes require {expected}")
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

/// Why a proof cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProveError<E> {
    /// There is no such proof: [`ProofError::IndexBeyondSize`] or [`ProofError::SizesReversed`].
    Impossible(ProofError),
    /// The hash of a range is not available.
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

/// The position at which RFC 6962 section 2.1 splits the leaves of `range`: after the largest power of two smaller than
/// their number. `None` for fewer than two leaves.
fn split(range: &Range<u64>) -> Option<u64> {
    let length = range.end.checked_sub(range.start)?;
    let left = 1u64.checked_shl(length.checked_sub(1)?.checked_ilog2()?)?;
    range.start.checked_add(left)
}

/// The leaf ranges (start inclusive, end exclusive) whose Merkle Tree Hashes form the inclusion proof
/// of leaf `index` in a tree of `size`, in proof order: leaf to root. `None` if `index >= size`.
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

/// The leaf ranges (start inclusive, end exclusive) whose Merkle Tree Hashes form the consistency proof from size `old` to
/// size `new`, in proof order. The first is always the start node, which the RFC leaves out if it is the old tree itself;
/// see [`start_is_old_tree`].
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
    // SUBPROOF of RFC 6962: `old` is always inside `within`. The descent ends when it is the end of `within`.
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

/// Whether the start node of the consistency proof is the old tree itself, so that the RFC leaves it out: if `old` is a
/// power of two, or if `old == new`.
pub fn start_is_old_tree(old: u64, new: u64) -> bool {
    old.is_power_of_two() || old == new
}

fn check_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::WrongLength { expected, found }) }
}

/// Verifies that the tree of `size` leaves with `root` has `leaf` at `index` (counted from 0). The module documentation
/// says what this does not show.
///
/// # Errors
/// The index is not below the size, the proof is too long or too short, or it leads to another root (the error holds
/// both).
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

/// Rebuilds both roots, old then new, from the nodes of [`consistency_ranges`], including the start node (misbehaviour
/// files, specification section 11).
///
/// It shows that one tree has these two roots at these two sizes. The caller must compare them with signed roots.
///
/// # Errors
/// The sizes are reversed, `old` is 0, or the number of nodes is not the number of ranges.
pub fn rebuild_consistency(old: u64, new: u64, nodes: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    let ranges = consistency_ranges(old, new).ok_or(ProofError::SizesReversed { old, new })?;
    check_length(ranges.len(), nodes.len())?;
    let mut steps = ranges.iter().zip(nodes);
    let (_, start) = steps.next().ok_or(ProofError::OldTreeEmpty)?;
    // A node before `old` is a left sibling in both trees; a later one is only in the new tree.
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
/// The proof must be empty if `old` is 0 or equal to `new`. The empty tree is a prefix of every tree, so for `old == 0`
/// only the roots of empty trees are checked.
///
/// # Errors
/// The sizes are reversed, the proof is too long or too short, or it leads to another old or new root (the error holds
/// both).
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
    check_length(ranges.iter().skip(left_out).count(), proof.0.len())?;
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

/// Makes the inclusion proof of leaf `index` in the tree of `size`. `range_hash` returns the Merkle Tree Hash of a range of
/// leaves (start inclusive, end exclusive); the proof is only as correct as these hashes.
///
/// # Errors
/// The index is not below the size, or `range_hash` failed.
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

/// Makes the consistency proof from `old` to `new`, which is empty if `old` is 0 or equal to `new`. For `range_hash` see
/// [`prove_inclusion`].
///
/// # Errors
/// The old size is above the new one, or `range_hash` failed.
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

/// Makes the nodes from which [`rebuild_consistency`] rebuilds both roots: the consistency proof with its start node.
///
/// # Errors
/// As [`prove_consistency`].
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
