//! Roots, inclusion and consistency (RFC 6962 section 2.1).

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use countersign::core::hash::{LeafHash, leaf_hash};
use countersign::core::proof::{
    ConsistencyProof, InclusionProof, rebuild_consistency, start_is_old_tree, verify_consistency,
    verify_inclusion,
};
use countersign::core::second_opinion::rs_merkle_root;
use countersign::core::tree::CompactRange;

pub fn root(case: &Case<'_>) -> Verdict {
    let leaves: Vec<LeafHash> = case.hexes("leaves")?.iter().map(|leaf| leaf_hash(leaf)).collect();
    let mut fold = CompactRange::new(0);
    for leaf in &leaves {
        fold.append_leaf(*leaf).map_err(refused)?;
    }
    if rs_merkle_root(&leaves).is_some_and(|second| second != fold.root()) {
        return Err(Failure::Wrong("rs_merkle computes another root".to_owned()));
    }
    claim(case.hash("root")? == fold.root(), "another root")
}

pub fn inclusion(case: &Case<'_>) -> Verdict {
    let given = if case.get("leaf").is_some() { Some(leaf_hash(&case.hex("leaf")?)) } else { None };
    let leaf = match given {
        Some(leaf) if case.get("leaf_hash").is_none() => leaf,
        _ => LeafHash(case.hash("leaf_hash")?),
    };
    claim(given.is_none_or(|given| given == leaf), "the leaf hash is not that of the leaf")?;
    let proof = InclusionProof(case.hashes("proof")?);
    let (index, size) = (case.number("leaf_index")?, case.number("tree_size")?);
    verify_inclusion(leaf, index, size, &proof, case.hash("root")?).map_err(refused)
}

pub fn consistency(case: &Case<'_>) -> Verdict {
    let (old, new) = (case.number("size1")?, case.number("size2")?);
    let (old_root, new_root) = (case.hash("root1")?, case.hash("root2")?);
    let proof = ConsistencyProof(case.hashes("proof")?);
    verify_consistency(old, old_root, new, new_root, &proof).map_err(refused)?;
    if old == 0 {
        return Ok(());
    }
    // The same proof as a misbehaviour file would carry it.
    let mut nodes = proof.0;
    if start_is_old_tree(old, new) {
        nodes.insert(0, old_root);
    }
    match rebuild_consistency(old, new, &nodes) {
        Ok(roots) if roots == (old_root, new_root) => Ok(()),
        other => Err(Failure::Wrong(format!("rebuilt: {other:?}"))),
    }
}
