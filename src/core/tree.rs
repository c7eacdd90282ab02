//! Folds leaves into Merkle roots (RFC 6962 section 2.1) in memory that grows with the logarithm of their number.
//!
//! A [`CompactRange`] proves nothing alone. Its root is the Merkle Tree Hash of exactly the leaf hashes and subtree hashes
//! that were appended, in that order; the caller must know that a subtree hash is right. A root is the log's only if it
//! equals the root in a signed head.

use crate::core::hash::{Hash, LeafHash, empty_root, node_hash};
use std::fmt;

/// Why an append failed. The range is unchanged then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendError {
    /// The range would end past 2^64 − 1.
    Full {
        /// The end of the range (exclusive).
        end: u64,
    },
    /// The length is not a multiple of 2^`level`, so no subtree of that height starts at `end`.
    Misaligned {
        /// The end of the range (exclusive).
        end: u64,
        /// The height of the subtree.
        level: u32,
    },
    /// The second range does not start where the first ends.
    NotAdjacent {
        /// The end of the first range (exclusive).
        end: u64,
        /// The beginning of the second range (inclusive).
        begin: u64,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Full { end } => write!(f, "no room after leaf {end}: sizes end at 2^64 - 1"),
            AppendError::Misaligned { end, level } => {
                write!(f, "no subtree of 2^{level} leaves starts at leaf {end}")
            }
            AppendError::NotAdjacent { end, begin } => {
                write!(f, "a range that begins at {begin} does not continue one that ends at {end}")
            }
        }
    }
}

impl std::error::Error for AppendError {}

/// The leaves from `begin` (inclusive) to `end` (exclusive) as the roots of perfect subtrees: one for each bit set in the
/// length, largest first, so at most 64 hashes.
///
/// Subtrees are aligned to `begin`, as RFC 6962 defines the hash of any list of leaves. If `begin` is a multiple of the
/// subtree's size, as in tiles and proofs, they are also nodes of the whole tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompactRange {
    begin: u64,
    end: u64,
    hashes: Vec<Hash>,
}

impl CompactRange {
    /// The empty range at `begin`. The whole tree begins at 0.
    pub fn new(begin: u64) -> CompactRange {
        CompactRange { begin, end: begin, hashes: Vec::new() }
    }

    /// A range from stored parts, `end` exclusive. `None` if `end < begin`, or if the number of hashes is not the number of
    /// bits set in the length. The values of the hashes are not checked, which would take the leaves or a signed root.
    pub fn from_parts(begin: u64, end: u64, hashes: Vec<Hash>) -> Option<CompactRange> {
        let subtrees = end.checked_sub(begin)?.count_ones();
        (u32::try_from(hashes.len()) == Ok(subtrees)).then_some(CompactRange { begin, end, hashes })
    }

    /// Appends one leaf.
    ///
    /// # Errors
    /// [`AppendError::Full`].
    pub fn append_leaf(&mut self, leaf: LeafHash) -> Result<(), AppendError> {
        self.append_subtree(0, leaf.0)
    }

    /// Appends a perfect subtree of 2^`level` leaves by its root.
    ///
    /// # Errors
    /// [`AppendError::Misaligned`]: the length is not a multiple of 2^`level`. [`AppendError::Full`]: there is no room.
    #[inline]
    pub fn append_subtree(&mut self, level: u32, root: Hash) -> Result<(), AppendError> {
        let Some(leaves) = 1u64.checked_shl(level) else {
            return Err(AppendError::Full { end: self.end });
        };
        let before = self.len();
        if before.trailing_zeros() < level {
            return Err(AppendError::Misaligned { end: self.end, level });
        }
        self.end = self.end.checked_add(leaves).ok_or(AppendError::Full { end: self.end })?;
        // Adding 2^level carries through one bit for each pair of equal subtrees to join.
        let mut node = root;
        for _ in 0..(before >> level).trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            node = node_hash(&left, &node);
        }
        self.hashes.push(node);
        Ok(())
    }

    /// Appends a range that begins where this one ends.
    ///
    /// # Errors
    /// [`AppendError::NotAdjacent`]: it begins elsewhere. [`AppendError::Misaligned`]: one of its subtrees does not fit
    /// after this range. A separately computed range fits if its `begin`, counted from the `begin` of this range, is a
    /// multiple of a power of two at least as large as its length.
    pub fn append_range(&mut self, next: &CompactRange) -> Result<(), AppendError> {
        if next.begin != self.end {
            return Err(AppendError::NotAdjacent { end: self.end, begin: next.begin });
        }
        let mut joined = self.clone();
        let mut rest = next.len();
        for hash in &next.hashes {
            let Some(level) = rest.checked_ilog2() else { break };
            joined.append_subtree(level, *hash)?;
            rest ^= 1 << level;
        }
        *self = joined;
        Ok(())
    }

    /// The first leaf (inclusive).
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// One past the last leaf (exclusive).
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The number of leaves.
    pub fn len(&self) -> u64 {
        // `begin <= end` always holds; wrapping only saves a check in the hot loop.
        self.end.wrapping_sub(self.begin)
    }

    /// Whether the range has no leaves.
    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// The roots of the perfect subtrees, left to right. Together with `begin` and `end` this is the whole state.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The Merkle Tree Hash of the leaves (RFC 6962 section 2.1); SHA-256 of nothing for an empty range.
    pub fn root(&self) -> Hash {
        let mut right_to_left = self.hashes.iter().rev();
        let Some(last) = right_to_left.next() else { return empty_root() };
        right_to_left.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::leaf_hash;
    use crate::core::second_opinion::rs_merkle_root;

    fn leaves(count: u64) -> Vec<LeafHash> {
        (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
    }

    fn range(begin: u64, leaves: &[LeafHash]) -> CompactRange {
        let mut range = CompactRange::new(begin);
        for leaf in leaves {
            range.append_leaf(*leaf).unwrap();
        }
        range
    }

    /// RFC 6962 section 2.1, word for word.
    fn mth(leaves: &[LeafHash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => leaf.0,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_rfc_and_of_rs_merkle() {
        let all = leaves(300);
        for size in 0..=all.len() {
            let fold = range(0, &all[..size]);
            assert_eq!(fold.root(), mth(&all[..size]), "size {size}");
            assert_eq!(fold.len(), size as u64);
            let expected = (1..=256).contains(&size).then_some(fold.root());
            assert_eq!(rs_merkle_root(&all[..size]), expected, "size {size}");
        }
    }

    #[test]
    fn every_range_of_a_small_tree_has_the_rfc_hash_of_its_leaves() {
        let all = leaves(40);
        for begin in 0..=40usize {
            for end in begin..=40 {
                let fold = range(begin as u64, &all[begin..end]);
                assert_eq!(fold.root(), mth(&all[begin..end]), "{begin}..{end}");
                let parts = CompactRange::from_parts(begin as u64, end as u64, fold.hashes().to_vec());
                assert_eq!(parts, Some(fold));
            }
        }
    }

    #[test]
    fn from_parts_counts_the_hashes() {
        let hash = empty_root();
        assert!(CompactRange::from_parts(0, 5, vec![hash; 1]).is_none());
        assert!(CompactRange::from_parts(0, 5, vec![hash; 2]).is_some());
        assert!(CompactRange::from_parts(0, 5, vec![hash; 3]).is_none());
        assert!(CompactRange::from_parts(5, 4, vec![]).is_none());
        assert!(CompactRange::from_parts(0, u64::MAX, vec![hash; 64]).is_some());
    }

    #[test]
    fn subtrees_append_where_they_are_aligned_and_nowhere_else() {
        let all = leaves(64);
        for start in 0..=48u64 {
            for level in 0..=4 {
                let mut fold = range(0, &all[..start as usize]);
                let before = fold.clone();
                let end = (start + (1 << level)) as usize;
                let outcome = fold.append_subtree(level, mth(&all[start as usize..end]));
                if start % (1 << level) == 0 {
                    assert_eq!(outcome, Ok(()));
                    assert_eq!(fold, range(0, &all[..end]));
                } else {
                    assert_eq!(outcome, Err(AppendError::Misaligned { end: start, level }));
                    assert_eq!(fold, before);
                }
            }
        }
    }

    #[test]
    fn ranges_join_or_leave_the_first_unchanged() {
        let all = leaves(24);
        for middle in 0..=24usize {
            for end in middle..=24 {
                let mut first = range(0, &all[..middle]);
                let before = first.clone();
                match first.append_range(&range(middle as u64, &all[middle..end])) {
                    Ok(()) => assert_eq!(first, range(0, &all[..end])),
                    Err(_) => assert_eq!(first, before),
                }
            }
        }
        let mut first = range(0, &all[..16]);
        assert_eq!(first.append_range(&range(16, &all[16..23])), Ok(()));
        let apart = AppendError::NotAdjacent { end: 23, begin: 22 };
        assert_eq!(first.append_range(&CompactRange::new(22)), Err(apart));
    }

    #[test]
    fn the_largest_size_is_reached_and_not_passed() {
        let hash = empty_root();
        let mut fold = CompactRange::from_parts(0, u64::MAX - 1, vec![hash; 63]).unwrap();
        assert_eq!(fold.append_leaf(LeafHash(hash)), Ok(()));
        assert_eq!(fold.append_leaf(LeafHash(hash)), Err(AppendError::Full { end: u64::MAX }));
        assert_eq!(fold.len(), u64::MAX);
        fold.root();
        let mut empty = CompactRange::new(0);
        assert_eq!(empty.append_subtree(64, hash), Err(AppendError::Full { end: 0 }));
        assert_eq!(empty.append_subtree(u32::MAX, hash), Err(AppendError::Full { end: 0 }));
        assert_eq!(empty.append_subtree(63, hash), Ok(()));
        assert_eq!(empty.append_subtree(63, hash), Err(AppendError::Full { end: 1 << 63 }));
    }
}
