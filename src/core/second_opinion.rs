//! Subtree roots computed a second time, by code that shares nothing with ours.
//!
//! The crate `rs_merkle` builds the tree, over one call of SHA-256 a node. An error in our fold would
//! have to occur in both to go unseen. It is used for nothing else, and above all never to verify a
//! proof: `rs_merkle` accepts proofs with hashes left over, and takes an inner node for a leaf.

use crate::core::hash::{Hash, LeafHash};
use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest, Sha256};

/// Most leaves that a second opinion is given on: those of one tile.
pub const MAX_LEAVES: usize = 256;

/// RFC 6962 hashing for `rs_merkle`.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into()
    }

    /// A node without a sibling moves up unchanged; it is not paired with itself.
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
