//! One pass over the bundles from the mirror's verified entries to a signed head.

use super::commit::{Committed, Committer, Stop};
use super::context::Context;
use super::fault::Fault;
use super::pipeline::in_order;
use super::served_proofs::ServedProofs;
use super::served_tree::{ServedTree, TreeError};
use super::statements::{Statements, too_many};
use super::verifier::{Verifier, WIDTH};
use super::writer::{Mode, Writer};
use super::{confirm, gaps};
use crate::core::check::Check;
use crate::core::head::Head;
use crate::core::tree::CompactRange;
use crate::core::webauthn::KeyCache;
use crate::mirror::Mirror;
use crate::source::LogSource;
use std::ops::ControlFlow;

/// What proves that bundles are those of the signed tree, before the last one is there.
pub(super) enum Vouching<'a> {
    /// Served Merkle tiles, for each bundle.
    Tiles(ServedTree<'a>),
    /// Served consistency proofs, for each batch.
    Proofs(ServedProofs<'a>),
    /// Only the root of all of them.
    Nothing,
}

/// How a pass over the new bundles ended.
pub(super) enum Ended {
    /// All were taken.
    Whole,
    /// Some were missing or wrong. Findings say it.
    Gaps,
    /// Some are not there yet. It is said as incomplete.
    Lagging,
    /// It could not go on. The cause is said as incomplete.
    Stopped,
    /// Tiles or proofs stopped vouching.
    TreeLost(TreeError),
}

/// What one pass came to.
pub(super) struct Pass {
    /// How it ended.
    pub(super) ended: Ended,
    /// What was taken besides entries.
    pub(super) taken: Committed,
    /// The tree of all leaves that were taken.
    pub(super) frontier: CompactRange,
}

/// Fetches, proves, checks and stores the bundles from the mirror's verified entries to `head`.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or two implementations disagree.
pub(super) fn pass(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
    vouching: Vouching<'_>,
) -> Result<Pass, Fault> {
    let (mode, tree, proofs) = match vouching {
        Vouching::Tiles(tree) => (Mode::Proved, Some(tree), None),
        Vouching::Proofs(proofs) => (Mode::Proved, None, Some(proofs)),
        Vouching::Nothing => (Mode::Unproved, None, None),
    };
    let verified = mirror.state().verified;
    if tree.is_none() && !verified.is_multiple_of(WIDTH) {
        // The first bundle is compared with what is mirrored of it.
        confirm::bundle(cx, mirror, statements, verified / WIDTH, verified)?;
    }
    let mut committer = Committer::new(mode, tree.is_some(), proofs, cx.options());
    // Entries that are not proved when they arrive are not checked when they arrive.
    let check_from = if mode == Mode::Unproved { u64::MAX } else { verified };
    let verifier = Verifier::new(cx.policy(), head.size(), check_from).with_tree(tree);
    let mut writer = Writer::new(mirror, mode, cx.now())?;
    let progress = cx.progress();
    let flow = in_order(
        verified / WIDTH..head.size().div_ceil(WIDTH),
        cx.options().workers,
        KeyCache::default,
        |n, keys| {
            let outcome = verifier.fetched(source, n, keys);
            let weight = outcome.weight();
            (outcome, weight)
        },
        |n, outcome| {
            progress.advance(WIDTH);
            committer.take(n, outcome, &mut writer)
        },
    );
    let flow = committer.finish(flow, &mut writer);
    let frontier = writer.frontier().clone();
    let taken = committer.into_taken();
    if let ControlFlow::Break(Stop::Fault(fault)) = flow {
        return Err(fault);
    }
    statements.count(Check::ServedProofs, taken.vouched, 0, 0);
    let ended = match flow {
        ControlFlow::Break(Stop::TreeLost(error)) => Ended::TreeLost(error),
        ControlFlow::Break(Stop::Unknown(cause)) => {
            statements.incomplete(cause);
            Ended::Stopped
        }
        ControlFlow::Break(Stop::TooMany(findings)) => {
            statements.incomplete(too_many(findings));
            Ended::Stopped
        }
        _ if taken.bad.is_empty() => Ended::Whole,
        _ => Ended::Gaps,
    };
    let held_against = gaps::report(cx, mirror, statements, head, &taken.bad)?;
    let ended = match ended {
        Ended::Gaps if !held_against => Ended::Lagging,
        ended => ended,
    };
    Ok(Pass { ended, taken, frontier })
}
