//! Computes subtree roots a second time with independent code.
//!
//! The crate `rs_merkle` builds the tree with one call of SHA-256 for each node. An error in [`crate::core::tree`] would
//! have to occur in both to go unnoticed. It has no other use, and must never verify a proof: `rs_merkle` accepts proofs
//! with unused hashes, and accepts an inner node as a leaf.

use crate::core::hash::{Hash, LeafHash};
use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest, Sha256};

/// Leaves for one second opinion: those of one tile.
pub const MAX_LEAVES: usize = 256;

/// RFC 6962 hashing for `rs_merkle`.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into()
    }

    /// A node without a sibling moves up unchanged. It is not paired with itself.
    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => {
                Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
            }
            None => *left,
        }
    }
}

/// The RFC 6962 Merkle Tree Hash of 1 to 256 leaves (both included), computed by `rs_merkle`; `None`
/// for any other count.
pub fn rs_merkle_root(leaf_hashes: &[LeafHash]) -> Option<Hash> {
    if leaf_hashes.len() > MAX_LEAVES {
        return None;
    }
    let leaves: Vec<[u8; 32]> = leaf_hashes.iter().map(|leaf| leaf.0.0).collect();
    MerkleTree::<Rfc6962>::from_leaves(&leaves).root().map(Hash)
}
