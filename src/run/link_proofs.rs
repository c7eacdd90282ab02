//! Heads behind the JSON API proved to be of one history by its consistency proofs.
//!
//! A proof that does not lead to the newest signed root is a finding about how the log serves, and the head stays open
//! until it is proved.

use super::answer::{Answer, Question};
use super::context::Context;
use super::fault::Fault;
use super::linked::Link;
use super::served_proofs::ServedProofs;
use super::statements::Statements;
use super::{answer_record, contradiction, findings, linked};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::proof::{inclusion_ranges, rebuild_consistency, start_is_old_tree};
use crate::mirror::{Mirror, StoredHead};
use crate::source::LogApi;
use std::collections::BTreeSet;

/// Proofs that failed in earlier runs and are asked for again in one run.
const MAX_REPEATS: usize = 16;

/// Proves each head of `before` against `head`.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn link(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    api: &dyn LogApi,
    head: &Head,
    before: &[StoredHead],
) -> Result<(), Fault> {
    let mut proved = BTreeSet::new();
    linked::link_each(cx, mirror, statements, head, before, |mirror, statements, other| {
        let link = hold_against_proof(cx, mirror, statements, api, other, head)?;
        if matches!(link, Link::Proved) {
            proved.insert(other.size());
        }
        Ok(link)
    })?;
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        let is_proved =
            matches!(&finding.subject, Subject::Consistency { first, .. } if proved.contains(first));
        if is_proved && stored.last_seen != cx.now() {
            findings::end(cx, mirror, &finding)?;
        }
    }
    ask_proofs_again(cx, mirror, api, head)
}

/// Asks again for proofs that were wrong or missing once, of heads that are linked by now. Nothing else asks for them.
fn ask_proofs_again(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    api: &dyn LogApi,
    head: &Head,
) -> Result<(), Fault> {
    let proofs = ServedProofs::to(api, head);
    let standing = mirror.findings().standing()?.into_iter().filter(|stored| {
        let doubted = matches!(stored.finding.code, Code::Gap | Code::ProofInvalid);
        doubted && stored.last_seen != cx.now()
    });
    let asked: Vec<_> = standing.take(MAX_REPEATS).map(|stored| stored.finding).collect();
    for finding in asked {
        let Subject::Consistency { first: size, .. } = finding.subject else { continue };
        let Some(other) = mirror.heads().linked_of_size(size, cx.key())? else {
            continue;
        };
        if size < head.size() && proofs.check(size, other.head.root()) == Answer::Good {
            findings::end(cx, mirror, &finding)?;
        }
    }
    Ok(())
}

/// Asks for the consistency proof from one head to `head`, and verifies it.
fn hold_against_proof(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    api: &dyn LogApi,
    other: &Head,
    head: &Head,
) -> Result<Link, Fault> {
    let proofs = ServedProofs::to(api, head);
    let answer = proofs.check(other.size(), other.root());
    let against = match &answer {
        Answer::Good => {
            statements.record(Check::ServedProofs, true);
            return Ok(Link::Proved);
        }
        Answer::Unknown(cause) => return Ok(Link::Unknown(cause.clone())),
        Answer::Wrong(_) => nodes_against(api, other, head),
        Answer::Missing(_) => None,
    };
    if let Some(nodes) = against {
        contradiction::report_inconsistent(cx, mirror, statements, other, head, &nodes)?;
        return Ok(Link::Contradicted);
    }
    answer_record::record(cx, mirror, statements, Question::Consistency(other.size(), head.size()), &answer)?;
    Ok(Link::Unproved)
}

/// The nodes of a misbehaviour file (specification section 11), from the log's own answers: these prove a
/// contradiction if they lead to the signed root of `head` from another root than the one signed in `other`.
fn nodes_against(api: &dyn LogApi, other: &Head, head: &Head) -> Option<Vec<Hash>> {
    let (old, new) = (other.size(), head.size());
    let mut nodes = Vec::new();
    if start_is_old_tree(old, new) {
        // The proof leaves out the node over all of the old tree; the path of the next leaf has it.
        let place = inclusion_ranges(old, new)?.iter().position(|range| *range == (0..old))?;
        nodes.push(*api.inclusion(old, new).ok()?.0.get(place)?);
    }
    nodes.extend(api.consistency(old, new).ok()?.0);
    let (old_root, new_root) = rebuild_consistency(old, new, &nodes).ok()?;
    (new_root == head.root() && old_root != other.root()).then_some(nodes)
}
