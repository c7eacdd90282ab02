//! Signed heads proved to be of one history, without their entries (`--heads-only`; specification sections 4, 5 and 10).
//!
//! It proves that every kept head is the beginning of the newest one that the log serves (RFC 6962 section 2.1.2), and where
//! one is not, that the log rewrote its history: the misbehaviour file is as good as that of an audit. It proves nothing
//! about entries, not even that the log still has them. The last entry is asked for only
//! where a head commits to very many (see `last_entries`).
//!
//! A tiled log proves it with its Merkle tiles (`link_tiles`), a log behind the JSON API with consistency proofs
//! (`link_proofs`). Heads that are proved are *linked* (`linked`). An audit of the entries begins by taking all links
//! back, and holds every head against the mirrored leaves instead.

use super::context::Context;
use super::fault::Fault;
use super::gaps::bundle_subject;
use super::last_entries::End;
use super::statements::Statements;
use super::target::Target;
use super::verifier::WIDTH;
use super::{findings, history, last_entries, link_proofs, link_tiles, linked};
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::mirror::{Mirror, StoredHead};

/// Proofs asked for in one run: a log can list any number of heads. The next run goes on.
const MAX_PROOFS: usize = 10_000;

/// Proves the kept heads against the newest head served, and says which are not proved. The last candidate that was
/// tried is the target.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn follow(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    target: &mut Target,
    candidates: &[Head],
) -> Result<(), Fault> {
    for head in candidates {
        target.set(head);
        // No proof is asked for that leads to a head whose last entries are missing.
        if look_at_end(cx, mirror, statements, head)? != End::Lacking
            && link_to(cx, mirror, statements, head)?
        {
            break;
        }
    }
    say_unlinked(cx, mirror, statements, target)
}

/// Asks for the last entries of a head that commits to very many, as an audit does.
fn look_at_end(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
) -> Result<End, Fault> {
    let Some(source) = cx.source().filter(|_| last_entries::has_many(cx, head)) else {
        return Ok(End::There);
    };
    let end = last_entries::ask(cx, mirror, statements, source, head)?;
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

/// Says that watch rules did not look, and that no journal was read: both are about entries, and no entry is fetched.
pub(super) fn leave_rules(cx: &Context<'_>, statements: &mut Statements) {
    if !cx.rules().is_empty() {
        let note =
            format!("{} watch rules were not applied: --heads-only fetches no entries", cx.rules().len());
        statements.note(note);
    }
    if cx.journal().is_some() {
        statements.note("the journal was not held against the log: --heads-only fetches no entries");
    }
}

/// Proves what can be proved against `head`. Returns `false` if the served tiles do not lead to this head: they may
/// lead to another candidate.
fn link_to(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
) -> Result<bool, Fault> {
    let mut before = linked::unlinked_before(cx, mirror, head)?;
    let Some(source) = cx.source().filter(|_| !before.is_empty()) else { return Ok(true) };
    before.truncate(MAX_PROOFS);
    cx.progress().begin("proving signed heads", before.len() as u64);
    let result = match source.api() {
        Some(api) => link_proofs::link(cx, mirror, statements, api, head, &before).map(|()| true),
        None => link_tiles::link(cx, mirror, statements, source, head, &before),
    };
    cx.progress().end();
    result
}

/// Says that a target smaller than the largest linked head is not proved to be its beginning.
fn say_behind(
    cx: &Context<'_>,
    mirror: &Mirror,
    statements: &mut Statements,
    target: &Head,
) -> Result<(), Fault> {
    let newest = mirror.heads().largest_linked(cx.key())?;
    let Some(newest) = newest.filter(|newest| newest.head.size() > target.size()) else { return Ok(()) };
    if !mirror.heads().knows_tree(target, cx.key())? {
        statements.count(Check::HeadAgainstTree, 0, 0, 1);
        statements.follows(format!(
            "the head served, of size {}, is not proved to be the beginning of the one of size {} that the log signed",
            target.size(),
            newest.head.size()
        ));
    }
    Ok(())
}

/// Says that findings about how entries are served stand: with `--heads-only` they are not looked at again.
fn say_entries_stand(cx: &Context<'_>, mirror: &Mirror, statements: &mut Statements) -> Result<(), Fault> {
    let now = cx.now();
    let of_entries = |finding: &Finding| {
        let about = matches!(finding.code, Code::Gap | Code::RootMismatch | Code::ProofInvalid);
        about && !matches!(finding.subject, Subject::Served(_))
    };
    let standing = mirror.findings().standing()?;
    let count =
        standing.iter().filter(|stored| stored.last_seen != now && of_entries(&stored.finding)).count();
    if count > 0 {
        statements.note(format!(
            "{count} findings of earlier audits about what the log serves stand, and were not looked at again: an \
             audit without --heads-only does"
        ));
    }
    Ok(())
}

/// Says which heads are not proved, so that the run does not pass.
fn say_unlinked(
    cx: &Context<'_>,
    mirror: &Mirror,
    statements: &mut Statements,
    target: &Target,
) -> Result<(), Fault> {
    let Some(target) = target.head() else { return Ok(()) };
    let unlinked = linked::unlinked_before(cx, mirror, target)?.len();
    if unlinked > 0 {
        statements.count(Check::HeadAgainstTree, 0, 0, unlinked as u64);
        let cause = format!(
            "{unlinked} signed head(s) are not proved to be the beginning of the newest head served, of size {}",
            target.size()
        );
        statements.incomplete(cause);
    }
    say_behind(cx, mirror, statements, target)?;
    say_entries_stand(cx, mirror, statements)?;
    let key = cx.key();
    let open = mirror.heads().unchecked(key)?;
    let linked = mirror.heads().largest_linked(key)?.is_some_and(|linked| linked.head.size() > 0);
    let same =
        |stored: &StoredHead| stored.head.size() == target.size() && stored.head.root() == target.root();
    if !linked && open.iter().all(same) {
        let note = "the log has shown one tree so far: there is nothing yet that it could be compared with";
        statements.note(note);
    }
    let larger: Vec<StoredHead> =
        open.into_iter().filter(|stored| stored.head.size() > target.size()).collect();
    let than = format!("the newest one served, of size {}, and were not compared with it", target.size());
    history::say_larger(cx, statements, &larger, &than);
    Ok(())
}
