//! What earlier versions said of the times of STHs, judged again.
//!
//! They took any STH that is later than one of a larger size for a contradiction. Two signers whose clocks differ sign
//! that honestly, so up to [`limits::MAX_SIGNER_SKEW`] it is `sth-time-disorder` (specification section 10), and what
//! was a contradiction by less ends. They also compared neighbours alone, which finds that something is out of order,
//! but not by how much: so wherever they found something, all heads are held against each other again.

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use super::{contradiction, findings, kept};
use crate::audit::finding::Finding;
use crate::audit::heads::disorder;
use crate::audit::subject::{SignedTree, Subject};
use crate::core::evidence::{self, EvidenceKind};
use crate::core::finding::Code;
use crate::core::limits;
use crate::mirror::Mirror;
use std::fs;
use std::path::Path;

/// Ends what is not a contradiction any more, and compares again what was compared under another bound.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn judge(cx: &Context<'_>, mirror: &mut Mirror, statements: &mut Statements) -> Result<(), Fault> {
    let standing: Vec<Finding> = mirror.findings().standing()?.into_iter().map(|s| s.finding).collect();
    let standing: Vec<Finding> =
        standing.into_iter().filter(|finding| finding.code == Code::SthTimeContradiction).collect();
    if mirror.state().sths_until.is_none() {
        mirror.transact(|mirror, state| match standing.as_slice() {
            [] => mirror.heads_mut().adopt_compared(state),
            _ => mirror.heads_mut().forget_compared(state),
        })?;
    }
    if standing.is_empty() {
        return Ok(());
    }
    for finding in &standing {
        judge_contradiction(cx, mirror, statements, finding)?;
    }
    // After those that ended: only so many proofs are written down.
    kept::compare_new(cx, mirror, statements)
}

/// Judges one contradiction by the STHs of its trees that are furthest apart.
fn judge_contradiction(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    finding: &Finding,
) -> Result<(), Fault> {
    let Subject::Trees(mut trees) = finding.subject else { return Ok(()) };
    trees.sort_by_key(|tree| tree.size);
    let [SignedTree { size, root }, SignedTree { size: than, root: than_root }] = trees;
    let key = cx.key();
    let widest = mirror.heads().widest_apart((size, &root), (than, &than_root), key)?;
    // Without the heads there is nothing to judge: what was found stands.
    let Some((smaller, larger)) = widest.map(|(smaller, larger)| (smaller.head, larger.head)) else {
        return Ok(());
    };
    match disorder(&smaller, &larger) {
        // One of its heads is no longer kept, as in a mirror that was made again: what was proved stands.
        by if by.is_zero() => Ok(()),
        by if by <= limits::MAX_SIGNER_SKEW => {
            kept::report_disorder(cx, mirror, &smaller, &larger)?;
            findings::end(cx, mirror, finding)
        }
        _ if is_disproved(cx, finding) => contradiction::report(
            cx,
            mirror,
            statements,
            EvidenceKind::SthTimeContradiction,
            &smaller,
            &larger,
            None,
        ),
        _ => Ok(()),
    }
}

/// Whether the file of a finding is there and proves nothing: its two heads are not far enough apart.
fn is_disproved(cx: &Context<'_>, finding: &Finding) -> bool {
    let file = finding.evidence.as_deref().and_then(|path| fs::read(Path::new(path)).ok());
    file.is_some_and(|bytes| evidence::verify(&bytes, cx.key()).is_err())
}
