//! When the entries served do not have the signed root: whether history was rewritten.

use super::confirm::Rehashed;
use super::context::Context;
use super::fault::Fault;
use super::pipeline::in_order;
use super::reach::Reach;
use super::served_tree::TreeError;
use super::statements::Statements;
use super::verifier::{Outcome, WIDTH, fetch_leaves, fold, width_of};
use super::{confirm, contradiction, findings, kept};
use crate::audit::subject::{SignedTree, Subject};
use crate::core::check::Check;
use crate::core::evidence::EvidenceKind;
use crate::core::finding::Code;
use crate::core::hash::{Hash, LeafHash};
use crate::core::head::Head;
use crate::core::proof::consistency_ranges;
use crate::core::tree::CompactRange;
use crate::mirror::{HeadStatus, Mirror};
use crate::source::LogSource;
use std::ops::{ControlFlow, Range};

/// The mirror's entries and the new ones do not have the root that was signed.
pub(super) struct Mismatch<'a> {
    head: &'a Head,
    folded: Hash,
    why: &'a TreeError,
}

/// What folding everything that the log serves came to.
enum Refold {
    /// Roots of the ranges asked for, and of the whole.
    Folded(Vec<Hash>, Hash),
    /// A bundle is missing or malformed.
    Gap,
    /// Could not tell: the cause.
    Unknown(String),
}

impl<'a> Mismatch<'a> {
    /// The root is `folded`, and not that of `head`. `why` says why neither tiles nor proofs vouched.
    pub(super) fn new(head: &'a Head, folded: Hash, why: &'a TreeError) -> Mismatch<'a> {
        Mismatch { head, folded, why }
    }

    /// Either what is served is not what was signed, or the log rewrote what it had signed before. In the latter case
    /// all entries that it serves now have the signed root, and their nodes prove it.
    ///
    /// # Errors
    /// The mirror cannot be read, written or repaired; the evidence cannot be written; or the run is stopped while the
    /// mirror is hashed again.
    pub(super) fn explain(
        &self,
        cx: &Context<'_>,
        mirror: &mut Mirror,
        statements: &mut Statements,
        rehashed: &mut Rehashed,
        source: &dyn LogSource,
    ) -> Result<Reach, Fault> {
        let Mismatch { head, folded, why } = *self;
        let kept = mirror.heads().largest_consistent(head.size(), cx.key())?.map(|stored| stored.head);
        if let Some(kept) = kept.filter(|kept| (1..head.size()).contains(&kept.size())) {
            let ranges = consistency_ranges(kept.size(), head.size()).unwrap_or_default();
            match refold(cx, source, head.size(), ranges) {
                Refold::Folded(nodes, root) if root == head.root() => {
                    let kind = EvidenceKind::InconsistentHeads;
                    contradiction::report(cx, mirror, statements, kind, &kept, head, Some(&nodes))?;
                    kept::mark(mirror, head, HeadStatus::Contradicted)?;
                    return Ok(Reach::Reachable);
                }
                Refold::Unknown(cause) => {
                    statements.incomplete(cause);
                    return Ok(Reach::Unreachable);
                }
                Refold::Folded(..) | Refold::Gap => {}
            }
        }
        // Nothing vouched for a bundle when it was read.
        if let Err(error) = source.confirm() {
            statements.incomplete(error.to_string());
            return Ok(Reach::Unreachable);
        }
        confirm::all(cx, mirror, statements, rehashed)?;
        statements.record(Check::Root, false);
        let message = format!(
            "the {} entries served have root {folded}, but the head of that size commits to {}; its tiles or \
             proofs do not verify them either ({why})",
            head.size(),
            head.root()
        );
        let subject = Subject::Tree(SignedTree::of(head));
        findings::record_of_log(cx, mirror, Code::RootMismatch, subject, message)?;
        Ok(Reach::Reachable)
    }
}

/// Folds all entries that the log serves now, from the first, and each of `ranges` by itself.
fn refold(cx: &Context<'_>, source: &dyn LogSource, size: u64, ranges: Vec<Range<u64>>) -> Refold {
    let mut whole = CompactRange::new(0);
    let mut parts: Vec<(Range<u64>, CompactRange)> =
        ranges.into_iter().map(|range| (range.clone(), CompactRange::new(range.start))).collect();
    let progress = cx.progress();
    progress.begin("reading all entries again", size);
    let flow = in_order(
        0..size.div_ceil(WIDTH),
        cx.options().workers,
        || (),
        |n, ()| {
            let outcome = fetch_leaves(source, n, width_of(n, size)).and_then(|leaves| fold(&leaves));
            (outcome, 256 * 32)
        },
        |_, outcome| {
            progress.advance(WIDTH);
            match outcome {
                Ok((hashes, _)) => append(&mut whole, &mut parts, &hashes),
                Err(Outcome::Unknown(cause)) => ControlFlow::Break(Refold::Unknown(cause)),
                Err(_) => ControlFlow::Break(Refold::Gap),
            }
        },
    );
    progress.end();
    match flow {
        ControlFlow::Break(refold) => refold,
        ControlFlow::Continue(()) => {
            Refold::Folded(parts.iter().map(|(_, part)| part.root()).collect(), whole.root())
        }
    }
}

fn append(
    whole: &mut CompactRange,
    parts: &mut [(Range<u64>, CompactRange)],
    hashes: &[LeafHash],
) -> ControlFlow<Refold> {
    for hash in hashes {
        let index = whole.end();
        for (range, part) in parts.iter_mut().filter(|(range, _)| range.contains(&index)) {
            if part.end() < range.end && part.append_leaf(*hash).is_err() {
                return ControlFlow::Break(Refold::Gap);
            }
        }
        if whole.append_leaf(*hash).is_err() {
            return ControlFlow::Break(Refold::Gap);
        }
    }
    ControlFlow::Continue(())
}
