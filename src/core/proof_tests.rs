//! Compares proofs with a naive transcription of RFC 6962: exhaustively for small trees, at random for larger ones, and up to
//! the largest size for trees of identical leaves.

use super::*;
use crate::core::hash::leaf_hash;
use proptest::prelude::*;
use std::convert::Infallible;

fn leaves(count: u64) -> Vec<LeafHash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// `k` of RFC 6962: the largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// MTH, section 2.1.
fn mth(d: &[LeafHash]) -> Hash {
    match d {
        [] => empty_root(),
        [leaf] => leaf.0,
        _ => node_hash(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
    }
}

/// PATH, section 2.1.1.
fn path(m: usize, d: &[LeafHash]) -> Vec<Hash> {
    if d.len() == 1 {
        return vec![];
    }
    let k = k(d.len());
    let (mut path, last) =
        if m < k { (path(m, &d[..k]), mth(&d[k..])) } else { (path(m - k, &d[k..]), mth(&d[..k])) };
    path.push(last);
    path
}

/// SUBPROOF, section 2.1.2.
fn subproof(m: usize, d: &[LeafHash], b: bool) -> Vec<Hash> {
    if m == d.len() {
        return if b { vec![] } else { vec![mth(d)] };
    }
    let k = k(d.len());
    let (mut proof, last) = if m <= k {
        (subproof(m, &d[..k], b), mth(&d[k..]))
    } else {
        (subproof(m - k, &d[k..], false), mth(&d[..k]))
    };
    proof.push(last);
    proof
}

fn hash_in(d: &[LeafHash]) -> impl Fn(Range<u64>) -> Result<Hash, Infallible> + '_ {
    |range| Ok(mth(&d[range.start as usize..range.end as usize]))
}

/// Every small change of a proof: each bit flipped, each hash left out, each doubled, one more at either end, each two
/// neighbours swapped.
fn damaged(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        for bit in 0..256 {
            let mut flipped = proof.to_vec();
            flipped[at].0[bit / 8] ^= 1 << (bit % 8);
            all.push(flipped);
        }
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
        let mut longer = proof.to_vec();
        longer.insert(at, proof[at]);
        all.push(longer);
        if at > 0 && proof[at] != proof[at - 1] {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at - 1);
            all.push(swapped);
        }
    }
    all.push([proof, &[empty_root()]].concat());
    all.push([&[empty_root()], proof].concat());
    all
}

#[test]
fn inclusion_proofs_of_small_trees_match_the_rfc() {
    let all = leaves(65);
    for size in 1..=all.len() {
        let (d, root) = (&all[..size], mth(&all[..size]));
        for index in 0..size {
            let proof = prove_inclusion(index as u64, size as u64, hash_in(d)).unwrap();
            assert_eq!(proof.0, path(index, d), "{index} of {size}");
            for other in 0..size {
                let outcome = verify_inclusion(d[other], index as u64, size as u64, &proof, root);
                assert_eq!(outcome.is_ok(), other == index, "leaf {other} as {index} of {size}");
                let outcome = verify_inclusion(d[index], other as u64, size as u64, &proof, root);
                assert_eq!(outcome.is_ok(), other == index, "leaf {index} at {other} of {size}");
            }
        }
    }
}

#[test]
fn consistency_proofs_of_small_trees_match_the_rfc() {
    let all = leaves(65);
    let roots: Vec<Hash> = (0..=all.len()).map(|size| mth(&all[..size])).collect();
    for new in 0..=all.len() {
        for old in 0..=new {
            let (m, n, d) = (old as u64, new as u64, &all[..new]);
            let proof = prove_consistency(m, n, hash_in(d)).unwrap();
            let expected = if old == 0 { vec![] } else { subproof(old, d, true) };
            assert_eq!(proof.0, expected, "{old} to {new}");
            assert_eq!(verify_consistency(m, roots[old], n, roots[new], &proof), Ok(()), "{old} to {new}");
            let nodes = consistency_nodes(m, n, hash_in(d)).unwrap();
            let rebuilt = rebuild_consistency(m, n, &nodes);
            if old == 0 {
                assert_eq!(rebuilt, Err(ProofError::OldTreeEmpty));
            } else {
                assert_eq!(rebuilt, Ok((roots[old], roots[new])), "{old} to {new}");
            }
        }
    }
}

#[test]
fn no_damaged_inclusion_proof_verifies() {
    let all = leaves(17);
    for size in 1..=all.len() {
        let (d, root) = (&all[..size], mth(&all[..size]));
        for index in 0..size {
            for proof in damaged(&path(index, d)) {
                let proof = InclusionProof(proof);
                let outcome = verify_inclusion(d[index], index as u64, size as u64, &proof, root);
                assert!(outcome.is_err(), "{index} of {size}: {proof:?}");
            }
        }
    }
}

#[test]
fn no_damaged_consistency_proof_verifies() {
    let all = leaves(17);
    for new in 1..=all.len() {
        for old in 1..=new {
            let (old_root, new_root) = (mth(&all[..old]), mth(&all[..new]));
            let (m, n, good) = (old as u64, new as u64, subproof(old, &all[..new], true));
            for proof in damaged(&good).into_iter().map(ConsistencyProof) {
                let outcome = verify_consistency(m, old_root, n, new_root, &proof);
                assert!(outcome.is_err(), "{old} to {new}: {proof:?}");
            }
            let good = ConsistencyProof(good);
            let wrong = leaf_hash(b"another root").0;
            assert!(verify_consistency(m, wrong, n, new_root, &good).is_err());
            assert!(verify_consistency(m, old_root, n, wrong, &good).is_err());
            assert_eq!(verify_consistency(m, new_root, n, old_root, &good).is_ok(), old == new);
        }
    }
}

#[test]
fn a_rewritten_prefix_has_another_old_root() {
    let (honest, mut forked) = (leaves(33), leaves(33));
    forked[0] = leaf_hash(b"rewritten");
    for new in 1..=33usize {
        for old in 1..=new {
            let nodes = consistency_nodes(old as u64, new as u64, hash_in(&forked)).unwrap();
            let (old_root, new_root) = rebuild_consistency(old as u64, new as u64, &nodes).unwrap();
            assert_eq!(new_root, mth(&forked[..new]));
            assert_ne!(old_root, mth(&honest[..old]));
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let d = leaves(6);
    let (root, zero) = (mth(&d), LeafHash(empty_root()));
    let none = InclusionProof(vec![]);
    let beyond = |index, size| Err(ProofError::IndexBeyondSize { index, size });
    assert_eq!(verify_inclusion(zero, 0, 0, &none, root), beyond(0, 0));
    assert_eq!(verify_inclusion(zero, 6, 6, &none, root), beyond(6, 6));
    assert_eq!(verify_inclusion(zero, u64::MAX, 6, &none, root), beyond(u64::MAX, 6));
    let short = Err(ProofError::WrongLength { expected: 3, found: 0 });
    assert_eq!(verify_inclusion(d[0], 0, 6, &none, root), short);
    let mismatch = Err(ProofError::RootMismatch { computed: d[0].0, expected: root });
    assert_eq!(verify_inclusion(d[0], 0, 1, &none, root), mismatch);

    let (none, one) = (ConsistencyProof(vec![]), ConsistencyProof(vec![root]));
    let empty = empty_root();
    let reversed = Err(ProofError::SizesReversed { old: 6, new: 5 });
    assert_eq!(verify_consistency(6, root, 5, root, &none), reversed);
    assert_eq!(verify_consistency(0, empty, 6, root, &none), Ok(()));
    assert_eq!(verify_consistency(0, empty, 0, empty, &none), Ok(()));
    let long = Err(ProofError::WrongLength { expected: 0, found: 1 });
    assert_eq!(verify_consistency(0, empty, 6, root, &one), long);
    assert_eq!(verify_consistency(6, root, 6, root, &one), long);
    let mismatch = Err(ProofError::OldRootMismatch { computed: empty, expected: root });
    assert_eq!(verify_consistency(0, root, 6, root, &none), mismatch);
    let mismatch = Err(ProofError::RootMismatch { computed: empty, expected: root });
    assert_eq!(verify_consistency(0, empty, 0, root, &none), mismatch);
    let mismatch = Err(ProofError::RootMismatch { computed: root, expected: empty });
    assert_eq!(verify_consistency(6, root, 6, empty, &none), mismatch);
    let failed = prove_inclusion(0, 2, |_| Err("no tile"));
    assert_eq!(failed, Err(ProveError::Source("no tile")));
}

/// A tree of identical leaves, in which the hash of a range depends only on its length.
fn uniform_hash(range: Range<u64>) -> Result<Hash, Infallible> {
    let (mut perfect, mut hash) = (leaf_hash(b"").0, None);
    let mut rest = range.end - range.start;
    while rest > 0 {
        if rest & 1 == 1 {
            hash = Some(hash.map_or(perfect, |right| node_hash(&perfect, &right)));
        }
        perfect = node_hash(&perfect, &perfect);
        rest >>= 1;
    }
    Ok(hash.unwrap_or_else(empty_root))
}

fn check_uniform(old: u64, new: u64) {
    let hash = |size| uniform_hash(0..size).unwrap();
    let proof = prove_consistency(old, new, uniform_hash).unwrap();
    assert_eq!(verify_consistency(old, hash(old), new, hash(new), &proof), Ok(()), "{old} to {new}");
    if old < new {
        let proof = prove_inclusion(old, new, uniform_hash).unwrap();
        assert_eq!(verify_inclusion(leaf_hash(b""), old, new, &proof, hash(new)), Ok(()), "{old} of {new}");
    }
}

#[test]
fn proofs_work_up_to_the_largest_size() {
    let sizes = [1, 2, 255, 256, 257, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, (1 << 63) - 1, 1 << 63];
    let sizes = sizes.into_iter().chain([(1 << 63) + 1, u64::MAX - 1, u64::MAX]);
    for new in sizes.clone() {
        for old in sizes.clone().filter(|old| *old <= new) {
            check_uniform(old, new);
        }
    }
}

proptest! {
    #[test]
    fn larger_trees_agree_with_the_rfc(new in 1usize..3000, pick: proptest::sample::Index) {
        let d = leaves(new as u64);
        let (root, index) = (mth(&d), pick.index(new));
        let proof = prove_inclusion(index as u64, new as u64, hash_in(&d)).unwrap();
        prop_assert_eq!(&proof.0, &path(index, &d));
        prop_assert_eq!(verify_inclusion(d[index], index as u64, new as u64, &proof, root), Ok(()));
        let old = index + 1;
        let proof = prove_consistency(old as u64, new as u64, hash_in(&d)).unwrap();
        prop_assert_eq!(&proof.0, &subproof(old, &d, true));
        let outcome = verify_consistency(old as u64, mth(&d[..old]), new as u64, root, &proof);
        prop_assert_eq!(outcome, Ok(()));
    }

    #[test]
    fn any_two_sizes_work(a: u64, b: u64) {
        check_uniform(a.min(b), a.max(b));
    }

    #[test]
    fn the_ranges_of_a_proof_cover_the_tree_once(index: u64, size: u64) {
        prop_assume!(index > 0 && index < size);
        let mut inclusion = inclusion_ranges(index, size).unwrap();
        prop_assert!(inclusion.len() <= 64);
        inclusion.push(index..index + 1);
        let consistency = consistency_ranges(index, size).unwrap();
        prop_assert!(consistency.len() <= 65);
        for mut ranges in [inclusion, consistency] {
            ranges.sort_by_key(|range| range.start);
            let mut end = 0;
            for range in ranges {
                prop_assert_eq!(range.start, end);
                prop_assert!(range.start < range.end);
                end = range.end;
            }
            prop_assert_eq!(end, size);
        }
    }

    #[test]
    fn hostile_proofs_do_not_panic(old: u64, new: u64, length in 0usize..70) {
        let hashes = vec![empty_root(); length];
        let _ = verify_inclusion(leaf_hash(b""), old, new, &InclusionProof(hashes.clone()), empty_root());
        let _ = rebuild_consistency(old, new, &hashes);
        let _ = verify_consistency(old, empty_root(), new, empty_root(), &ConsistencyProof(hashes));
    }
}
