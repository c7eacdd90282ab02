//! Signed heads proved to be of one history, without their entries (`--heads-only`; specification sections 4, 5 and 10).
//!
//! It proves that every kept head is the beginning of the newest one that the log serves (RFC 6962 section 2.1.2), and where
//! one is not, that the log rewrote its history: the misbehaviour file is as good as that of an audit. It proves nothing
//! about entries, not even that the log still has them. Only of a head over very many (see `extend`) is the last one asked for.
//!
//! With a tiled log, its Merkle tiles tell, each believed only as far as the newest signed root vouches for it
//! ([`ServedTree`]); behind the JSON API, its consistency proofs. Neither can accuse: what does not lead to the newest
//! signed root is a finding about how the log serves, and the head stays open until it is proved.
//!
//! Heads that were proved are *linked*, and so is the one that they were proved against. From then on the largest linked
//! head stands for all of them: each later newest head is proved to extend that one, and whatever head is still open. So
//! a run in which nothing changed asks for the head alone, and no head is ever forgotten. An audit of the entries begins
//! by taking all links back, and holds every head against the mirrored leaves instead.

use super::answer::Answer;
use super::answer::MAX_WRONG;
use super::answer::Question;
use super::context::Context;
use super::contradiction::evidence_nodes;
use super::fault::Fault;
use super::gaps::bundle_subject;
use super::last_entries::End;
use super::served_proofs::ServedProofs;
use super::served_tree::{ServedTree, TreeError};
use super::statements::Statements;
use super::target::Target;
use super::verifier::WIDTH;
use super::{answer_record, contradiction, findings, history, kept, last_entries};
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::evidence::EvidenceKind;
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::proof::{inclusion_ranges, rebuild_consistency, start_is_old_tree};
use crate::core::tile::TilePath;
use crate::mirror::Mirror;
use crate::mirror::{HeadStatus, StoredHead};
use crate::source::{LogApi, LogSource};
use std::collections::BTreeSet;

/// Proofs asked for in one run: a log can list any number of heads. The next run goes on.
const MAX_PROOFS: usize = 10_000;

/// Proofs that failed in earlier runs and are asked for again in one run.
const MAX_REPEATS: usize = 16;

/// Links that are made durable at once.
const LINKED_AT_ONCE: usize = 1000;

/// What came of holding one head against the newest one.
enum Link {
    /// It is the beginning of it.
    Proved,
    /// It is not, and the file that proves it is kept.
    Contradicted,
    /// What the log serves shows nothing; a finding says so.
    Unproved,
    /// Could not tell: the cause.
    Unknown(String),
}

/// The whole run with `--heads-only`.
pub(super) fn follow_heads(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    target: &mut Target,
    candidates: &[Head],
) -> Result<(), Fault> {
    for head in candidates {
        target.set(head);
        // What leads to a head that nothing is under is asked for by nobody.
        if look_at_end(cx, mirror, said, head)? != End::Lacking && link_to(cx, mirror, said, head)? {
            break;
        }
    }
    say_unlinked(cx, mirror, said, target)?;
    Ok(())
}

/// As before an audit fetches many entries, so here: a head can be signed over any number of them.
fn look_at_end(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    head: &Head,
) -> Result<End, Fault> {
    let Some(source) = cx.source().filter(|_| last_entries::has_many(cx, head)) else {
        return Ok(End::There);
    };
    let end = last_entries::ask(cx, mirror, said, source, head)?;
    if end == End::There {
        findings::end_about(
            cx,
            mirror,
            Code::Gap,
            &bundle_subject(head, head.size().saturating_sub(1) / WIDTH),
        )?;
    }
    Ok(end)
}

/// Watch rules are over entries, and none is fetched.
pub(super) fn leave_rules(cx: &Context<'_>, said: &mut Statements) {
    if !cx.rules().is_empty() {
        let note = format!("{} watch rules did not look: --heads-only fetches no entries", cx.rules().len());
        said.note(note);
    }
}

/// Takes all links back: whoever has the entries need not believe proofs.
pub(super) fn unlink(mirror: &mut Mirror) -> Result<(), Fault> {
    if mirror.heads().has_linked() {
        mirror.transact(|mirror, _| mirror.heads_mut().unlink())?;
    }
    Ok(())
}

/// A head of a tree that is known needs no proof of its own.
pub(super) fn link_known(cx: &Context<'_>, mirror: &mut Mirror) -> Result<(), Fault> {
    let mut known = Vec::new();
    for stored in mirror.heads().unchecked(cx.key())? {
        if mirror.heads().knows_tree(&stored.head, cx.key())? {
            known.push(stored.head);
        }
    }
    link(mirror, &mut known)
}

fn link(mirror: &mut Mirror, heads: &mut Vec<Head>) -> Result<(), Fault> {
    if !heads.is_empty() {
        mirror.transact(|mirror, _| heads.iter().try_for_each(|head| mirror.heads_mut().link(head)))?;
        heads.clear();
    }
    Ok(())
}

/// What must be the beginning of `head`, and is not known to be: the largest linked head, which comes first, and
/// every open one.
fn unlinked_before(cx: &Context<'_>, mirror: &Mirror, head: &Head) -> Result<Vec<StoredHead>, Fault> {
    let key = cx.key();
    let mut before: Vec<StoredHead> = mirror.heads().largest_linked(key)?.into_iter().collect();
    before.extend(mirror.heads().unchecked(key)?);
    // The empty tree is the beginning of every tree.
    before.retain(|stored| (1..head.size()).contains(&stored.head.size()));
    Ok(before)
}

/// Proves what can be proved against `head`. `false` where the log serves nothing that leads to this head: another
/// may do better.
fn link_to(cx: &Context<'_>, mirror: &mut Mirror, said: &mut Statements, head: &Head) -> Result<bool, Fault> {
    let mut before = unlinked_before(cx, mirror, head)?;
    let Some(source) = cx.source().filter(|_| !before.is_empty()) else { return Ok(true) };
    before.truncate(MAX_PROOFS);
    cx.progress().begin("proving signed heads", before.len() as u64);
    let result = match source.api() {
        Some(api) => link_by_proofs(cx, mirror, said, api, head, &before).map(|()| true),
        None => link_by_tiles(cx, mirror, said, source, head, &before),
    };
    cx.progress().end();
    result
}

fn link_each(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    head: &Head,
    before: &[StoredHead],
    mut hold: impl FnMut(&mut Mirror, &mut Statements, &Head) -> Result<Link, Fault>,
) -> Result<(), Fault> {
    // The largest linked head stands for all. Where it could not be held against `head`, because the log went back
    // behind it or does not prove it, nothing larger takes its place.
    let newest = mirror.heads().largest_linked(cx.key())?.map_or(0, |newest| newest.head.size());
    let mut settled = false;
    let mut linked = Vec::new();
    let mut unproved: usize = 0;
    for (place, stored) in before.iter().enumerate() {
        if cx.is_stopped() {
            said.stopped();
            break;
        }
        let other = &stored.head;
        match hold(mirror, said, other)? {
            Link::Proved if place == 0 || settled || other.size() < newest => linked.push(other.clone()),
            Link::Proved => {}
            // What the mirrored leaves bear out stays so, whatever the log signed later.
            Link::Contradicted if stored.status == HeadStatus::Consistent => {}
            Link::Contradicted => kept::mark(mirror, other, HeadStatus::Contradicted)?,
            Link::Unproved => {
                unproved = unproved.saturating_add(1);
                if unproved >= MAX_WRONG {
                    break;
                }
                continue;
            }
            Link::Unknown(cause) => {
                said.incomplete(cause);
                break;
            }
        }
        // A rewritten history is reported once, and followed from there on.
        if place == 0 && newest < head.size() {
            settled = true;
            linked.push(head.clone());
        }
        if linked.len() >= LINKED_AT_ONCE {
            link(mirror, &mut linked)?;
        }
        cx.progress().advance(1);
    }
    link(mirror, &mut linked)
}

fn link_by_tiles(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
    before: &[StoredHead],
) -> Result<bool, Fault> {
    let mut tree = match twice(|| ServedTree::open(source, head.size(), &head.root())) {
        Ok(tree) => tree,
        Err(TreeError::Fetch(cause)) => {
            said.incomplete(cause);
            return Ok(true);
        }
        Err(error) => {
            doubt_tile(cx, mirror, head, &error)?;
            return Ok(false);
        }
    };
    link_each(cx, mirror, said, head, before, |mirror, said, other| {
        hold_against_tiles(cx, mirror, said, &mut tree, other, head)
    })?;
    end_tile_findings(cx, mirror, &mut tree)?;
    Ok(true)
}

/// Every node of `tree` is one of the signed tree of `head`.
fn hold_against_tiles(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    tree: &mut ServedTree<'_>,
    other: &Head,
    head: &Head,
) -> Result<Link, Fault> {
    let mut prove = || -> Result<Option<Vec<Hash>>, TreeError> {
        if tree.range(0..other.size())? == other.root() {
            return Ok(None);
        }
        evidence_nodes(other.size(), head.size(), |range| tree.range(range)).map(Some)
    };
    match twice(&mut prove) {
        Ok(None) => Ok(Link::Proved),
        Ok(Some(nodes)) => {
            contradiction::report(
                cx,
                mirror,
                said,
                EvidenceKind::InconsistentHeads,
                other,
                head,
                Some(&nodes),
            )?;
            Ok(Link::Contradicted)
        }
        Err(TreeError::Fetch(cause)) => Ok(Link::Unknown(cause)),
        Err(error) => doubt_tile(cx, mirror, head, &error).map(|()| Link::Unproved),
    }
}

/// A tile that does not lead to the signed root, also when asked for again.
fn doubt_tile(cx: &Context<'_>, mirror: &mut Mirror, head: &Head, error: &TreeError) -> Result<(), Fault> {
    let (code, path, what) = match error {
        TreeError::Missing(path) => (Code::Gap, path, "is not served"),
        TreeError::Wrong(path) => (Code::TileMismatch, path, "is not what that head commits to"),
        TreeError::Fetch(_) | TreeError::Proof { .. } => return Ok(()),
    };
    let message = format!(
        "the Merkle tile {path}, which the signed head of size {} needs to be compared with others, {what}",
        head.size()
    );
    findings::record_of_log(cx, mirror, code, Subject::Tile(*path), message)
}

/// Tiles that were wrong or missing, and are served as they should be now.
fn end_tile_findings(cx: &Context<'_>, mirror: &mut Mirror, tree: &mut ServedTree<'_>) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        let doubted = matches!(finding.code, Code::Gap | Code::TileMismatch);
        if !doubted || stored.last_seen == cx.now_text() {
            continue;
        }
        if let Subject::Tile(TilePath::Hash { level, index, width }) = finding.subject {
            let last = index.saturating_mul(WIDTH).saturating_add(u64::from(width)).saturating_sub(1);
            if level < 8 && tree.node(level, last).is_ok() {
                findings::end(cx, mirror, &finding)?;
            }
        }
    }
    Ok(())
}

fn link_by_proofs(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    api: &dyn LogApi,
    head: &Head,
    before: &[StoredHead],
) -> Result<(), Fault> {
    let mut proved = BTreeSet::new();
    link_each(cx, mirror, said, head, before, |mirror, said, other| {
        let link = hold_against_proof(cx, mirror, said, api, other, head)?;
        if matches!(link, Link::Proved) {
            proved.insert(other.size());
        }
        Ok(link)
    })?;
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        let is_proved =
            matches!(&finding.subject, Subject::Consistency { first, .. } if proved.contains(first));
        if is_proved && stored.last_seen != cx.now_text() {
            findings::end(cx, mirror, &finding)?;
        }
    }
    ask_proofs_again(cx, mirror, api, head)
}

/// Proofs that were wrong or missing once, of heads that are linked since: nothing else would ask for them again.
fn ask_proofs_again(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    api: &dyn LogApi,
    head: &Head,
) -> Result<(), Fault> {
    let proofs = ServedProofs::to(api, head);
    let standing = mirror.findings().standing()?.into_iter().filter(|stored| {
        let doubted = matches!(stored.finding.code, Code::Gap | Code::ProofInvalid);
        doubted && stored.last_seen != cx.now_text()
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

fn hold_against_proof(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    api: &dyn LogApi,
    other: &Head,
    head: &Head,
) -> Result<Link, Fault> {
    let proofs = ServedProofs::to(api, head);
    let answer = proofs.check(other.size(), other.root());
    let against = match &answer {
        Answer::Good => {
            said.record(Check::ServedProofs, true);
            return Ok(Link::Proved);
        }
        Answer::Unknown(cause) => return Ok(Link::Unknown(cause.clone())),
        Answer::Wrong(_) => nodes_against(api, other, head),
        Answer::Missing(_) => None,
    };
    if let Some(nodes) = against {
        contradiction::report(cx, mirror, said, EvidenceKind::InconsistentHeads, other, head, Some(&nodes))?;
        return Ok(Link::Contradicted);
    }
    answer_record::record(cx, mirror, said, Question::Consistency(other.size(), head.size()), &answer)?;
    Ok(Link::Unproved)
}

/// A tree that is smaller than one known before can be proved against nothing, and is not said to be of its history.
fn say_behind(cx: &Context<'_>, mirror: &Mirror, said: &mut Statements, target: &Head) -> Result<(), Fault> {
    let newest = mirror.heads().largest_linked(cx.key())?;
    let Some(newest) = newest.filter(|newest| newest.head.size() > target.size()) else { return Ok(()) };
    if !mirror.heads().knows_tree(target, cx.key())? {
        said.count(Check::HeadAgainstTree, 0, 0, 1);
        said.follows(format!(
            "the head served, of size {}, is not proved to be the beginning of the one of size {} that the log signed",
            target.size(),
            newest.head.size()
        ));
    }
    Ok(())
}

/// What audits found about how entries are served may be mended by now: nobody looked.
fn say_entries_stand(cx: &Context<'_>, mirror: &Mirror, said: &mut Statements) -> Result<(), Fault> {
    let now = cx.now_text();
    let of_entries = |finding: &Finding| {
        let about = matches!(finding.code, Code::Gap | Code::RootMismatch | Code::ProofInvalid);
        about && !matches!(finding.subject, Subject::Served(_))
    };
    let standing = mirror.findings().standing()?;
    let count =
        standing.iter().filter(|stored| stored.last_seen != *now && of_entries(&stored.finding)).count();
    if count > 0 {
        said.note(format!(
            "{count} findings of earlier audits about what the log serves stand, and were not looked at again: an \
             audit without --heads-only does"
        ));
    }
    Ok(())
}

/// What is still open, and why it is no pass.
fn say_unlinked(
    cx: &Context<'_>,
    mirror: &Mirror,
    said: &mut Statements,
    target: &Target,
) -> Result<(), Fault> {
    let Some(target) = target.head() else { return Ok(()) };
    let unlinked = unlinked_before(cx, mirror, target)?.len();
    if unlinked > 0 {
        said.count(Check::HeadAgainstTree, 0, 0, unlinked as u64);
        let cause = format!(
            "{unlinked} signed head(s) are not proved to be the beginning of the newest head served, of size {}",
            target.size()
        );
        said.incomplete(cause);
    }
    say_behind(cx, mirror, said, target)?;
    say_entries_stand(cx, mirror, said)?;
    let key = cx.key();
    let open = mirror.heads().unchecked(key)?;
    let linked = mirror.heads().largest_linked(key)?.is_some_and(|linked| linked.head.size() > 0);
    let same =
        |stored: &StoredHead| stored.head.size() == target.size() && stored.head.root() == target.root();
    if !linked && open.iter().all(same) {
        let note = "the log has shown one tree so far: there is nothing yet that it could be compared with";
        said.note(note);
    }
    let larger: Vec<StoredHead> =
        open.into_iter().filter(|stored| stored.head.size() > target.size()).collect();
    let than = format!("the newest one served, of size {}, and were not compared with it", target.size());
    history::say_larger(cx, said, &larger, &than);
    Ok(())
}

/// Once more before anything is held against the log: a transfer can be changed without a sign of it.
fn twice<T>(mut ask: impl FnMut() -> Result<T, TreeError>) -> Result<T, TreeError> {
    match ask() {
        Err(TreeError::Wrong(_)) => ask(),
        first => first,
    }
}

/// The log's own answers, where they lead to the signed root of `head` out of another tree than the signed one of
/// `other`: then they are what a misbehaviour file needs (specification section 11).
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
