//! Every kept head against the rebuilt tree.
//!
//! A head whose root the tree does not have contradicts a larger head that has it; `contradiction` makes the proof.

use super::confirm::Rehashed;
use super::context::Context;
use super::contradiction::evidence_nodes;
use super::fault::Fault;
use super::mirrored::mirrored_range;
use super::statements::Statements;
use super::{confirm, contradiction, findings, kept};
use crate::audit::subject::{SignedTree, Subject};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::mirror::{HeadStatus, Mirror, Provenance, StoredHead};

/// Holds every head that is not known to be consistent against the rebuilt tree.
///
/// # Errors
/// The mirror or the evidence directory cannot be used, or the run is stopped.
pub(super) fn check(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
) -> Result<(), Fault> {
    let larger = check_mirrored(cx, mirror, statements, rehashed)?;
    let verified = mirror.state().verified;
    let than = format!("the {verified} entries that could be rebuilt, and were not compared with the tree");
    say_larger(cx, statements, &larger, &than);
    Ok(())
}

/// Holds the heads of up to as many entries as are mirrored against those, and returns the larger ones.
///
/// # Errors
/// The mirror or the evidence directory cannot be used, or the run is stopped.
pub(super) fn check_mirrored(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
) -> Result<Vec<StoredHead>, Fault> {
    let verified = mirror.state().verified;
    let open = mirror.heads().unchecked(cx.key())?;
    let (within, larger): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|stored| stored.head.size() <= verified);
    let mut consistent = Vec::new();
    for StoredHead { head, .. } in within {
        if cx.is_stopped() {
            statements.stopped();
            break;
        }
        if confirm::root_for(cx, mirror, statements, rehashed, &head)? == head.root() {
            consistent.push(head);
        } else {
            report_against_tree(cx, mirror, statements, rehashed, &head)?;
        }
    }
    if !consistent.is_empty() {
        let key = cx.key();
        mirror.transact(|mirror, state| {
            consistent.iter().try_for_each(|head| mirror.heads_mut().mark_verified(state, head, key))
        })?;
    }
    Ok(larger)
}

/// Says that heads are larger than what they could be compared with.
pub(super) fn say_larger(cx: &Context<'_>, statements: &mut Statements, larger: &[StoredHead], than: &str) {
    // What the log shows elsewhere may be ahead of the head that it serves.
    let elsewhere = [Provenance::Listed.as_str(), Provenance::Peer.as_str()];
    let is_late =
        |stored: &&StoredHead| elsewhere.contains(&stored.provenance.as_str()) && kept::is_recent(cx, stored);
    let late = larger.iter().filter(is_late).count();
    let beyond = larger.len().saturating_sub(late);
    if late > 0 {
        let note = format!(
            "{late} tree(s) that the log shows elsewhere are newer than the head that it serves: they are compared at a \
             later audit"
        );
        statements.note(note);
    }
    if beyond > 0 {
        statements.follows(format!("{beyond} signed head(s) are larger than {than}"));
    }
}

/// Reports a head whose root the tree does not have.
fn report_against_tree(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
    head: &Head,
) -> Result<(), Fault> {
    let root = confirm::root_for(cx, mirror, statements, rehashed, head)?;
    let key = cx.key();
    let larger = mirror.heads().largest_consistent(u64::MAX, key)?.filter(|l| l.head.size() > head.size());
    match larger {
        Some(StoredHead { head: larger, .. }) if head.size() > 0 => {
            let nodes = evidence_nodes(head.size(), larger.size(), |range| mirrored_range(mirror, range))?;
            contradiction::report_inconsistent(cx, mirror, statements, head, &larger, &nodes)?;
        }
        // Two signed trees of one size were reported as what they are.
        _ if is_forked(cx, mirror, head, &root)? => {}
        _ => {
            let subject = Subject::Tree(SignedTree::of(head));
            let message = format!(
                "the {} of size {} has root {}, but the entries have root {root}",
                head.format().as_str(),
                head.size(),
                head.root()
            );
            findings::record_of_log(cx, mirror, Code::RootMismatch, subject, message)?;
        }
    }
    kept::mark(mirror, head, HeadStatus::Contradicted)
}

/// Whether another signed head of this size has the root of the tree.
fn is_forked(cx: &Context<'_>, mirror: &Mirror, head: &Head, root: &Hash) -> Result<bool, Fault> {
    Ok(mirror.heads().newest_of_tree(head.size(), root, cx.key())?.is_some())
}
