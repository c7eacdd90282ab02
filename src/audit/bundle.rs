//! A verification bundle (specification section 5) checked against the entry that the auditor holds.
//!
//! A program that acts on one approval gets only this bundle, so the bundle must contain the entry that is in
//! the log, with a proof to a head that the log signed. The anchors, and the email in a reveal, are *not*
//! checked.

use crate::core::api::VerificationBundle;
use crate::core::entry::Entry;
use crate::core::finding::Code;
use crate::core::hash::leaf_hash;
use crate::core::head::{Head, HeadError, HeadFormat, LogKey};
use crate::core::jcs::canonicalize;
use crate::core::limits::MAX_JSON_DEPTH;
use crate::core::proof::verify_inclusion;
use crate::core::reveal::check_reveal;
use crate::core::text;

/// The heads verified last. Bundles that are fetched together contain the same ones.
#[derive(Default)]
pub struct RecentHeads([Option<Head>; 2]);

impl RecentHeads {
    fn verify(&mut self, format: HeadFormat, raw: &[u8], key: &LogKey) -> Result<Head, HeadError> {
        let [checkpoint, sth] = &mut self.0;
        let recent = if format == HeadFormat::Checkpoint { checkpoint } else { sth };
        match recent {
            Some(head) if head.raw().as_bytes() == raw => Ok(head.clone()),
            _ => Ok(recent.insert(Head::verify_as(format, raw, key)?).clone()),
        }
    }
}

/// The result of checking a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckedBundle {
    /// The signed heads in it, to be kept and compared like all others.
    pub heads: Vec<Head>,
    /// What is wrong with it, each with its finding code.
    pub problems: Vec<(Code, String)>,
    /// Whether there was a reveal to check.
    pub revealed: bool,
}

/// Checks the bundle of the entry at `index`, given its leaf and the entry parsed from it.
///
/// # Errors
/// A message for the user if two implementations of a signature algorithm disagree. This is a fault on our
/// side.
pub fn check_bundle(
    bundle: &VerificationBundle,
    index: u64,
    leaf: &[u8],
    entry: &Entry,
    recent: &mut RecentHeads,
    key: &LogKey,
) -> Result<CheckedBundle, String> {
    let mut checked = CheckedBundle::default();
    let mut wrong = |code, why: String| checked.problems.push((code, why));
    if bundle.index != index || bundle.inclusion_index != index {
        let (a, b) = (bundle.index, bundle.inclusion_index);
        wrong(Code::ProofInvalid, format!("it is for entry {a}, but its proof is for entry {b}"));
    }
    // A leaf that is not canonical is a separate finding; the bundle may still contain it byte for byte.
    let same = || canonicalize(&bundle.entry, MAX_JSON_DEPTH).is_ok_and(|canonical| canonical == leaf);
    if bundle.entry != leaf && !same() {
        wrong(Code::ProofInvalid, "the entry in it is not the one in the log".to_owned());
    }
    let mut heads = Vec::new();
    for (format, raw) in [(HeadFormat::Sth, &bundle.sth), (HeadFormat::Checkpoint, &bundle.checkpoint)] {
        match recent.verify(format, raw, key) {
            Ok(head) => heads.push(head),
            Err(HeadError::Disagreement(what)) => return Err(what),
            Err(HeadError::Malformed(why)) => {
                wrong(Code::HeadMalformed, format!("its {}: {}", format.as_str(), text::reason(&why)));
            }
            Err(HeadError::NotSigned(why)) => {
                wrong(Code::HeadSignatureInvalid, format!("its {}: {}", format.as_str(), text::reason(&why)));
            }
        }
    }
    // The proof is for the tree of one of the two heads, which can have different sizes if the log is
    // growing.
    let leads_to = |head: &&Head| {
        head.size() == bundle.tree_size
            && verify_inclusion(leaf_hash(leaf), index, head.size(), &bundle.proof, head.root()).is_ok()
    };
    if !heads.is_empty() && !heads.iter().any(|head| leads_to(&head)) {
        wrong(Code::ProofInvalid, "its inclusion proof does not lead to a head in it".to_owned());
    }
    if let Some(reveal) = &bundle.reveal
        && let Err((code, why)) = check_reveal(reveal, entry)
    {
        wrong(code, why);
    }
    checked.revealed = bundle.reveal.is_some();
    checked.heads = heads;
    Ok(checked)
}
