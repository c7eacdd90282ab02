//! Merkle folding on one core: hashes of leaves in, a root out.

use countersign::core::hash::{Hash, LeafHash, leaf_hash, node_hash};
use countersign::core::tree::CompactRange;
use rs_merkle::{Hasher, MerkleTree};
use std::hint::black_box;
use std::time::Instant;

const LEAVES: u64 = 1 << 20;

/// Rounds; the median counts.
const ROUNDS: usize = 5;

fn leaves() -> Vec<LeafHash> {
    (0..LEAVES).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// Leaves a second, the median of the rounds.
fn measure(fold: impl Fn() -> Hash) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(fold());
            LEAVES as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

fn fold(leaves: &[LeafHash]) -> Hash {
    let mut range = CompactRange::new(0);
    for leaf in leaves {
        range.append_leaf(*leaf).expect("there is room");
    }
    range.root()
}

/// Ours.
pub fn compact_range() -> f64 {
    let leaves = leaves();
    measure(|| fold(black_box(&leaves)))
}

/// RFC 6962 nodes for `rs_merkle`, hashed by the same function: what is compared is the folding.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        leaf_hash(leaf).0.0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| node_hash(&Hash(*left), &Hash(*right)).0)
    }
}

/// The crate `rs_merkle`, which builds the whole tree.
pub fn rs_merkle() -> f64 {
    let leaves = leaves();
    let plain: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0.0).collect();
    let root = || MerkleTree::<Rfc6962>::from_leaves(black_box(&plain)).root().map(Hash).expect("a root");
    assert_eq!(root(), fold(&leaves));
    measure(root)
}
