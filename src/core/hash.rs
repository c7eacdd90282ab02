//! RFC 6962 hashing (section 2.1): SHA-256 with a prefix that distinguishes leaves from inner nodes.
//!
//! Without the prefix an inner node could be presented as a leaf (second preimage). The types keep the same distinction:
//! [`leaf_hash`] or an explicit constructor makes a [`LeafHash`], and a root is a plain [`struct@Hash`] from a signed head
//! or from a fold over leaves.

use crate::core::encoding;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use std::fmt;

/// Length of a SHA-256 digest in bytes.
pub const HASH_LEN: usize = 32;

/// SHA-256 works on blocks of 64 bytes.
const BLOCK: usize = 64;

/// An inner node's hash covers 65 bytes.
const NODE_BITS: u16 = (1 + 2 * 32) * 8;

/// FIPS 180-4 section 5.3.3.
const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A SHA-256 digest: a node or root of the tree, or a plain hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_LEN]);

/// The hash of one leaf: `SHA-256(0x00 ‖ leaf)`. Not interchangeable with an inner node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeafHash(pub Hash);

impl Hash {
    /// Reads 64 lowercase hexadecimal digits; anything else is `None`.
    pub fn from_hex(text: &str) -> Option<Hash> {
        encoding::decode_hex_exact::<HASH_LEN>(text).map(Hash)
    }

    /// Reads exactly 32 bytes; any other length is `None`.
    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        <[u8; HASH_LEN]>::try_from(bytes).ok().map(Hash)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::encode_hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// `SHA-256(bytes)`, no prefix.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// `SHA-256(a ‖ b)`, no prefix, without joining the two.
pub fn sha256_pair(a: &[u8], b: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update(a).chain_update(b).finalize().into())
}

/// RFC 6962 section 2.1: `SHA-256(0x00 ‖ leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> LeafHash {
    LeafHash(sha256_pair(&[0x00], leaf))
}

/// RFC 6962 section 2.1: `SHA-256(0x01 ‖ left ‖ right)`.
///
/// Folding leaves spends nearly all its time here, so the two blocks of the 65-byte message are laid out and compressed
/// directly. A test compares the result with [`sha256`].
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0u8; BLOCK]; 2];
    let [first, second] = &mut blocks;
    first[0] = 0x01;
    first[1..=HASH_LEN].copy_from_slice(&left.0);
    first[1 + HASH_LEN..].copy_from_slice(&right.0[..HASH_LEN - 1]);
    second[0] = right.0[HASH_LEN - 1];
    // FIPS 180-4 section 5.1.1: a 1 bit, zeros, and the message's length in bits (520).
    second[1] = 0x80;
    second[BLOCK - 2..].copy_from_slice(&NODE_BITS.to_be_bytes());
    let mut state = INITIAL_STATE;
    compress256(&mut state, &blocks);
    let mut out = [0; HASH_LEN];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Hash(out)
}

/// The root of the empty tree: SHA-256 of nothing (RFC 6962 section 2.1).
pub fn empty_root() -> Hash {
    sha256(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_hash_is_the_sha256_of_its_65_bytes() {
        for seed in 0..=255u8 {
            let (left, right) = (sha256(&[seed]), sha256(&[seed, 1]));
            let message = [&[0x01][..], left.as_bytes(), right.as_bytes()].concat();
            assert_eq!(node_hash(&left, &right), sha256(&message));
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &message);
            assert_eq!(node_hash(&left, &right).as_bytes().as_slice(), digest.as_ref());
        }
    }
}
