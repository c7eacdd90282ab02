//! The log's own consistency proofs, believed only as far as the signed root vouches for them.
//!
//! Behind the JSON API there are no tiles that could vouch for a bundle. But the tree of all entries
//! taken so far has a root, and a consistency proof that leads from it to the *signed* root shows
//! that exactly these entries are the first of the signed tree (RFC 6962 section 2.1.2). So entries
//! are proved batch by batch, and an interrupted audit goes on where it stopped. A proof that fails
//! shows nothing. Then all entries are folded first, and judged by their root alone.

use super::answer::{Answer, judged};
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::proof::{ConsistencyProof, verify_consistency};
use crate::core::tree::CompactRange;
use crate::source::LogApi;

/// Consistency proofs to one signed tree.
#[derive(Clone, Copy)]
pub(super) struct ServedProofs<'a> {
    api: &'a dyn LogApi,
    size: u64,
    root: Hash,
}

impl<'a> ServedProofs<'a> {
    /// Proofs to the tree of a signed head.
    pub(super) fn to(api: &'a dyn LogApi, head: &Head) -> ServedProofs<'a> {
        ServedProofs::to_tree(api, head.size(), head.root())
    }

    /// Proofs to the tree of `size` entries, which has `root`.
    pub(super) fn to_tree(api: &'a dyn LogApi, size: u64, root: Hash) -> ServedProofs<'a> {
        ServedProofs { api, size, root }
    }

    /// Whether the leaves of `prefix` are the first of the signed tree.
    pub(super) fn vouch(&self, prefix: &CompactRange) -> Answer {
        let old = prefix.end();
        if old == 0 {
            return Answer::Good;
        }
        if old == self.size {
            // No proof is needed, and a served one could only be wrong.
            let why = format!("the first {old} entries have root {}, which was not signed", prefix.root());
            return if prefix.root() == self.root { Answer::Good } else { Answer::Wrong(why) };
        }
        self.check(old, prefix.root())
    }

    /// Whether the log is asked to vouch for `prefix`. An empty tree and the whole tree need no proof.
    pub(super) fn is_asked(&self, prefix: &CompactRange) -> bool {
        (1..self.size).contains(&prefix.end())
    }

    /// Asks for the proof from a tree of `old` leaves with `old_root`, and verifies it.
    pub(super) fn check(&self, old: u64, old_root: Hash) -> Answer {
        judged(
            || self.api.consistency(old, self.size),
            |proof: ConsistencyProof| {
                verify_consistency(old, old_root, self.size, self.root, &proof)
                    .map_err(|error| format!("the consistency proof from {old} to {}: {error}", self.size))
            },
        )
    }
}
