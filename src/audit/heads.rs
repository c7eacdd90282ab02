//! Heads against heads: what two signatures alone prove (specification sections 3 and 10).
//!
//! Two heads of different size need the tree as well: `crate::run::heads` brings the root that
//! the mirror has at the smaller size. Here is what needs no tree.

use crate::core::evidence::Kind;
use crate::core::head::{Head, HeadFormat};

/// The contradictions between two heads that show without the tree.
pub fn contradictions(a: &Head, b: &Head) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if a.size() == b.size() && a.root() != b.root() {
        kinds.push(Kind::SameSizeFork);
    }
    let both_sths = a.format() == HeadFormat::Sth && b.format() == HeadFormat::Sth;
    let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
    if both_sths && smaller.size() < larger.size() && smaller.timestamp() > larger.timestamp() {
        kinds.push(Kind::SthTimeContradiction);
    }
    kinds
}
