//! Heads compared with heads: what two signatures alone prove (specification sections 3 and 10).
//!
//! Heads of different sizes also need the tree: `crate::run` compares them with the root that the mirror has
//! at the smaller size. This module has the comparisons that need no tree.

use crate::core::evidence::EvidenceKind;
use crate::core::head::{Head, HeadFormat};
use crate::core::limits;
use std::time::Duration;

/// The contradictions between two heads that can be proved without the tree.
pub fn contradictions(a: &Head, b: &Head) -> Vec<EvidenceKind> {
    let mut kinds = Vec::new();
    if a.size() == b.size() && a.root() != b.root() {
        kinds.push(EvidenceKind::SameSizeFork);
    }
    if disorder(a, b) > limits::MAX_SIGNER_SKEW {
        kinds.push(EvidenceKind::SthTimeContradiction);
    }
    kinds
}

/// By how much the smaller of two STHs is later than the larger one. Zero if they are in order or
/// do not both have a time.
pub fn disorder(a: &Head, b: &Head) -> Duration {
    let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
    let both_sths = a.format() == HeadFormat::Sth && b.format() == HeadFormat::Sth;
    match (smaller.timestamp(), larger.timestamp()) {
        (Some(time), Some(before)) if both_sths && smaller.size() < larger.size() => {
            time.since(before).unwrap_or_default()
        }
        _ => Duration::ZERO,
    }
}
