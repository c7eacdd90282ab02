//! A log's leaves and Merkle nodes in memory. Appending is cheap, and histories share data.
//!
//! Leaves are in shared blocks of 256 with the layout of the entry bundles of C2SP tlog-tiles, so a history that differs from
//! another in one entry costs one block. The roots of all perfect subtrees above the blocks are stored too, so any range of
//! leaves can be hashed from a few nodes.

use crate::error::TestlogError;
use countersign::core::hash::{Hash, LeafHash, leaf_hash, node_hash};
use countersign::core::tree::CompactRange;
use std::ops::Range;
use std::sync::Arc;

/// Leaves in a full block, entries in a full bundle, hashes in a full tile.
pub const WIDTH: u64 = 256;

/// The height of a full block's subtree.
const BLOCK_LEVEL: u32 = 8;

/// Up to 256 leaves.
#[derive(Clone, Default)]
struct Block {
    /// The leaves as an entry bundle.
    bundle: Vec<u8>,
    /// The end of each entry in the bundle.
    ends: Vec<usize>,
    hashes: Vec<LeafHash>,
}

impl Block {
    fn push(&mut self, leaf: &[u8]) -> Result<(), TestlogError> {
        let length = u16::try_from(leaf.len()).map_err(|_| "a leaf is longer than 65,535 bytes")?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(leaf);
        self.ends.push(self.bundle.len());
        self.hashes.push(leaf_hash(leaf));
        Ok(())
    }

    fn leaf(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bundle.get(start + 2..*self.ends.get(at)?)
    }

    /// The first `count` leaves.
    fn prefix(&self, count: usize) -> Block {
        let end = count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        Block {
            bundle: self.bundle[..end].to_vec(),
            ends: self.ends[..count].to_vec(),
            hashes: self.hashes[..count].to_vec(),
        }
    }
}

/// All leaves of one append-only log.
#[derive(Clone, Default)]
pub struct History {
    /// All are full except the last.
    blocks: Vec<Arc<Block>>,
    /// `upper[k][i]` is the root of the leaves from `i << (8 + k)` to `(i + 1) << (8 + k)`, end exclusive.
    upper: Vec<Vec<Hash>>,
    len: u64,
}

/// The block of a leaf, and its position in the block.
fn place(index: u64) -> Option<(usize, usize)> {
    Some((usize::try_from(index / WIDTH).ok()?, usize::try_from(index % WIDTH).ok()?))
}

fn fold(hashes: &[LeafHash]) -> Hash {
    let mut range = CompactRange::new(0);
    for hash in hashes {
        range.append_leaf(*hash).expect("there is room for 256 leaves");
    }
    range.root()
}

impl History {
    /// The number of leaves.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Appends a leaf.
    ///
    /// # Errors
    /// The leaf is longer than 65,535 bytes.
    pub fn push(&mut self, leaf: &[u8]) -> Result<(), TestlogError> {
        if self.len.is_multiple_of(WIDTH) {
            self.blocks.push(Arc::default());
        }
        let block = Arc::make_mut(self.blocks.last_mut().ok_or("no block")?);
        block.push(leaf)?;
        self.len += 1;
        if self.len.is_multiple_of(WIDTH) {
            let root = fold(&block.hashes);
            self.push_upper(root);
        }
        Ok(())
    }

    /// Stores the root of a block that became full, and of every subtree that became perfect with it.
    fn push_upper(&mut self, mut root: Hash) {
        for level in 0.. {
            if self.upper.len() == level {
                self.upper.push(Vec::new());
            }
            let nodes = &mut self.upper[level];
            nodes.push(root);
            match nodes.as_slice() {
                [.., left, right] if nodes.len().is_multiple_of(2) => root = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The leaf at `index`.
    pub fn leaf(&self, index: u64) -> Option<&[u8]> {
        let (block, at) = place(index)?;
        self.blocks.get(block)?.leaf(at)
    }

    /// The hash of the leaf at `index`.
    pub fn leaf_hash(&self, index: u64) -> Option<LeafHash> {
        let (block, at) = place(index)?;
        self.blocks.get(block)?.hashes.get(at).copied()
    }

    /// The root of the perfect subtree of 2^`level` leaves with this index in its level.
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        if let Some(level) = level.checked_sub(BLOCK_LEVEL) {
            let nodes = self.upper.get(usize::try_from(level).ok()?)?;
            return nodes.get(usize::try_from(index).ok()?).copied();
        }
        let (block, at) = place(index.checked_shl(level)?)?;
        Some(fold(self.blocks.get(block)?.hashes.get(at..at + (1 << level))?))
    }

    /// The Merkle Tree Hash (RFC 6962 section 2.1) of a range of a proof, which begins at a multiple of the smallest power of
    /// two that is at least its length. `None` if a leaf does not exist.
    pub fn range_hash(&self, range: Range<u64>) -> Option<Hash> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.len)?;
        let mut hashed = CompactRange::new(range.start);
        for level in (0..u64::BITS).rev().filter(|level| length >> level & 1 == 1) {
            hashed.append_subtree(level, self.node(level, hashed.end() >> level)?).ok()?;
        }
        Some(hashed.root())
    }

    /// The root of the first `size` leaves.
    pub fn root(&self, size: u64) -> Option<Hash> {
        self.range_hash(0..size)
    }

    /// `width` hashes of tile `index` at `level`; `None` if one of them does not exist.
    pub fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<Hash>> {
        let bits = u32::from(level) * BLOCK_LEVEL;
        let first = index.checked_mul(WIDTH)?;
        let end = first.checked_add(u64::from(width))?;
        if end > self.len.checked_shr(bits)? {
            return None;
        }
        if level == 0 {
            return (first..end).map(|at| self.leaf_hash(at).map(|hash| hash.0)).collect();
        }
        (first..end).map(|at| self.node(bits, at)).collect()
    }

    /// The same history with another leaf at `index`.
    ///
    /// # Errors
    /// There is no such entry, or the leaf is longer than 65,535 bytes.
    pub fn replaced(&self, index: u64, leaf: &[u8]) -> Result<History, TestlogError> {
        let there = place(index).filter(|_| index < self.len);
        let (at, inner) = there.ok_or_else(|| format!("there is no entry {index}"))?;
        let mut new = self.clone();
        let old = &self.blocks[at];
        let mut block = old.prefix(inner);
        block.push(leaf)?;
        for next in inner + 1..old.ends.len() {
            block.push(old.leaf(next).ok_or("a block ends early")?)?;
        }
        let mut root = fold(&block.hashes);
        new.blocks[at] = Arc::new(block);
        for (level, nodes) in new.upper.iter_mut().enumerate() {
            let place = at >> level;
            let Some(node) = nodes.get_mut(place) else { break };
            *node = root;
            let Some(pair) = nodes.get(place & !1..(place | 1) + 1) else { break };
            root = node_hash(&pair[0], &pair[1]);
        }
        Ok(new)
    }
}
