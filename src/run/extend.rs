//! Bringing the mirror up to a signed head.
//!
//! With the log's tiles vouching, every bundle is proved against the signed root the moment it
//! arrives. Where they do not (missing, wrong, or a log that has none), the leaves are stored
//! unproved, the whole tree is folded, and only if it has the signed root are they kept; otherwise
//! they are forgotten, so that a log that lied once can be read again tomorrow.

use super::answer::Answer;
use super::answer::Question;
use super::commit::{Committed, Committer, Stop};
use super::confirm::Rehashed;
use super::context::Context;
use super::contradiction::evidence_nodes;
use super::fault::Fault;
use super::last_entries::End;
use super::pipeline::in_order;
use super::served_proofs::ServedProofs;
use super::served_tree::{ServedTree, TreeError};
use super::statements::Statements;
use super::statements::too_many;
use super::target::Target;
use super::verifier::{Verifier, WIDTH, fetch_leaves};
use super::writer::{Mode, Writer};
use super::{answer_record, confirm, contradiction, findings, gaps, kept, last_entries, revalidate};
use crate::audit::finding::Finding;
use crate::audit::subject::{SignedTree, Subject};
use crate::core::check::Check;
use crate::core::evidence::EvidenceKind;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::tree::CompactRange;
use crate::core::webauthn::KeyCache;
use crate::mirror::HeadStatus;
use crate::mirror::Mirror;
use crate::source::{LogApi, LogSource};
use std::ops::ControlFlow;
use std::sync::Mutex;

/// How a pass over the new bundles ended.
enum Pass {
    /// All taken.
    Whole,
    /// Some were missing or wrong; said in findings.
    Holes,
    /// Some are not there yet; said in `incomplete`.
    Lagging,
    /// Could not go on; the cause is in `incomplete`.
    Stopped,
    /// The tiles stopped vouching; go on without them.
    TreeLost(TreeError),
}

/// Brings the mirror up to `head`, as far as the log serves what it signed. `false` where the
/// log could not be reached.
pub(super) fn extend_to(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    rehashed: &mut Rehashed,
    target: &mut Target,
    head: &Head,
) -> Result<bool, Fault> {
    let Some(source) = cx.source() else { return Ok(true) };
    let verified = mirror.state().verified;
    target.set(head);
    revalidate::forget_unproved(mirror)?;
    if head.size() <= verified {
        // Nothing to fetch; the head is compared with the tree in `history`.
        let verified = confirm::root_for(cx, mirror, said, rehashed, head)? == head.root();
        target.set_verified(verified);
        said.record(Check::Root, verified);
        return Ok(true);
    }
    if last_entries::has_many(cx, head) {
        match last_entries::ask(cx, mirror, said, source, head)? {
            End::There => {}
            // What cannot be reached now is no reason to go on as if it were there.
            End::Unknown if head.size() > cx.options().max_entries => {}
            End::Lacking | End::Unknown => return Ok(true),
        }
    }
    if head.size() > cx.options().max_entries {
        let cause = format!(
            "the log's head commits to {} entries, more than --max-entries {}; nothing was fetched",
            head.size(),
            cx.options().max_entries
        );
        said.incomplete(cause);
        return Ok(true);
    }
    cx.progress().begin("checking new entries", head.size().saturating_sub(verified));
    let result = extend(cx, mirror, said, rehashed, target, source, head);
    cx.progress().end();
    result
}

fn extend(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    rehashed: &mut Rehashed,
    target: &mut Target,
    source: &dyn LogSource,
    head: &Head,
) -> Result<bool, Fault> {
    if let Some(api) = source.api() {
        return extend_by_proofs(cx, mirror, said, rehashed, target, source, api, head);
    }
    match ServedTree::open(source, head.size(), &head.root()) {
        Ok(mut tree) => {
            match compare_with_kept(cx, mirror, said, rehashed, &mut tree, head)? {
                Compared::Contradicted => return Ok(true),
                Compared::Unreachable => return Ok(false),
                Compared::TreeLost(error) => {
                    return extend_unproved(cx, mirror, said, rehashed, target, source, head, &error);
                }
                Compared::Consistent => {}
            }
            match extend_proved(cx, mirror, said, target, source, head, Vouching::Tiles(tree))? {
                Proved::Done(reachable) => Ok(reachable),
                Proved::Lost(error) => {
                    extend_unproved(cx, mirror, said, rehashed, target, source, head, &error)
                }
            }
        }
        Err(TreeError::Fetch(cause)) => {
            said.incomplete(cause);
            Ok(false)
        }
        Err(error) => extend_unproved(cx, mirror, said, rehashed, target, source, head, &error),
    }
}

/// The served tree vouches for itself up to the signed root. Is it a continuation of what was
/// signed and mirrored before? If not, its own nodes are the proof.
fn compare_with_kept(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    rehashed: &mut Rehashed,
    tree: &mut ServedTree<'_>,
    head: &Head,
) -> Result<Compared, Fault> {
    let key = cx.key().clone();
    let mut kept: Vec<Head> = mirror.heads().unchecked(&key)?.into_iter().map(|stored| stored.head).collect();
    kept.extend(mirror.heads().largest_consistent(head.size(), &key)?.map(|stored| stored.head));
    let mut contradicted = false;
    for other in kept.iter().filter(|other| (1..head.size()).contains(&other.size())) {
        let root = match tree.range(0..other.size()) {
            Ok(root) => root,
            Err(TreeError::Fetch(cause)) => {
                said.incomplete(cause);
                return Ok(Compared::Unreachable);
            }
            Err(error) => return Ok(Compared::TreeLost(error)),
        };
        if root == other.root() {
            continue;
        }
        let nodes = evidence_nodes(other.size(), head.size(), |range| tree.range(range));
        let nodes = match nodes {
            Ok(nodes) => nodes,
            Err(error) => return Ok(Compared::TreeLost(error)),
        };
        contradiction::report(cx, mirror, said, EvidenceKind::InconsistentHeads, other, head, Some(&nodes))?;
        contradicted = true;
    }
    let verified = mirror.state().verified;
    let ours = mirror.state().frontier().map(|frontier| frontier.root());
    let continues = match tree.range(0..verified) {
        Ok(root) => verified == 0 || Some(root) == ours,
        Err(TreeError::Fetch(cause)) => {
            said.incomplete(cause);
            return Ok(Compared::Unreachable);
        }
        Err(error) => return Ok(Compared::TreeLost(error)),
    };
    if continues {
        return Ok(Compared::Consistent);
    }
    if !contradicted {
        confirm::confirm_mirror(cx, mirror, said, rehashed)?;
        let message = format!(
            "the head of size {} does not continue the {verified} entries mirrored so far, which an earlier \
             head commits to",
            head.size()
        );
        findings::record_of_log(
            cx,
            mirror,
            Code::RootMismatch,
            Subject::Tree(SignedTree::of(head)),
            message,
        )?;
    }
    kept::mark(mirror, head, HeadStatus::Contradicted)?;
    Ok(Compared::Contradicted)
}

/// Behind the JSON API: consistency proofs vouch, batch by batch. The first says whether the head
/// continues what was mirrored; where it does not, the entries will.
fn extend_by_proofs(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    rehashed: &mut Rehashed,
    target: &mut Target,
    source: &dyn LogSource,
    api: &dyn LogApi,
    head: &Head,
) -> Result<bool, Fault> {
    let proofs = ServedProofs { api, size: head.size(), root: head.root() };
    let Some(frontier) = mirror.state().frontier() else { return Ok(true) };
    match proofs.vouch(&frontier) {
        Answer::Good => {
            said.count(Check::ServedProofs, u64::from(proofs.is_asked(&frontier)), 0, 0);
        }
        Answer::Unknown(cause) => {
            said.incomplete(cause);
            return Ok(false);
        }
        answer => {
            let first = frontier.end();
            return extend_unproved(
                cx,
                mirror,
                said,
                rehashed,
                target,
                source,
                head,
                &TreeError::Proof { first, answer },
            );
        }
    }
    for last in [false, true] {
        match extend_proved(cx, mirror, said, target, source, head, Vouching::Proofs(proofs))? {
            Proved::Done(reachable) => return Ok(reachable),
            Proved::Lost(error) if last => {
                return extend_unproved(cx, mirror, said, rehashed, target, source, head, &error);
            }
            // A page can be changed on its way; what was proved before it is kept, and the rest is
            // asked for once more before proofs are given up.
            Proved::Lost(_) => {}
        }
    }
    Ok(true)
}

fn extend_proved(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    target: &mut Target,
    source: &dyn LogSource,
    head: &Head,
    vouching: Vouching<'_>,
) -> Result<Proved, Fault> {
    match pass(cx, mirror, said, source, head, vouching)? {
        (Pass::Whole, taken, frontier) => {
            if frontier.root() != head.root() {
                let what = "every bundle was proved, yet the tree has another root".to_owned();
                return Err(Fault::Disagreement(what));
            }
            match contradicted(mirror, source, head, taken.contradicted)? {
                Ok(contradicted) => {
                    contradicted.map_or(Ok(()), |finding| findings::record(cx, mirror, &finding))?
                }
                Err(cause) => said.incomplete(cause),
            }
            verified(cx, mirror, said, target, head)?;
            Ok(Proved::Done(true))
        }
        (Pass::Holes | Pass::Lagging, ..) => Ok(Proved::Done(true)),
        (Pass::Stopped, ..) => Ok(Proved::Done(false)),
        (Pass::TreeLost(TreeError::Fetch(cause)), ..) => {
            said.incomplete(cause);
            Ok(Proved::Done(false))
        }
        (Pass::TreeLost(error), ..) => Ok(Proved::Lost(error)),
    }
}

/// Where nothing vouches: all leaves first, then the root.
fn extend_unproved(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    rehashed: &mut Rehashed,
    target: &mut Target,
    source: &dyn LogSource,
    head: &Head,
    why: &TreeError,
) -> Result<bool, Fault> {
    let (pass, taken, frontier) = pass(cx, mirror, said, source, head, Vouching::Nothing)?;
    match pass {
        Pass::Whole if frontier.root() == head.root() => {
            let contradicted = match contradicted(mirror, source, head, taken.contradicted)? {
                Ok(contradicted) => contradicted,
                Err(cause) => {
                    // Once the tree is there, nobody would look again.
                    said.incomplete(cause);
                    revalidate::forget_unproved(mirror)?;
                    return Ok(false);
                }
            };
            let now = cx.now_text();
            mirror.transact(|mirror, state| {
                state.set_frontier(&frontier);
                // With the proof of the leaves, what was doubtful about their tiles is certain.
                let mut tally = state.tally();
                tally.merge(&taken.tiles);
                state.set_tally(&tally);
                taken.doubts.iter().try_for_each(|doubt| mirror.findings_mut().put(&doubt.finding(), now))
            })?;
            if let TreeError::Proof { first, .. } = why {
                ask_again(cx, mirror, said, source, head, *first)?;
            }
            contradicted.map_or(Ok(()), |finding| findings::record(cx, mirror, &finding))?;
            verified(cx, mirror, said, target, head)?;
            Ok(true)
        }
        Pass::Whole => {
            revalidate::forget_unproved(mirror)?;
            gaps::explain_mismatch(cx, mirror, said, rehashed, source, head, &frontier.root(), why)
        }
        Pass::Holes | Pass::TreeLost(_) => {
            revalidate::forget_unproved(mirror)?;
            Ok(true)
        }
        Pass::Lagging => {
            revalidate::forget_unproved(mirror)?;
            if let TreeError::Proof { first, answer: answer @ Answer::Wrong(_) } = why {
                // That the last entries are not there yet explains no wrong proof of the first ones.
                answer_record::record(cx, mirror, said, Question::Consistency(*first, head.size()), answer)?;
            }
            Ok(true)
        }
        Pass::Stopped => {
            revalidate::forget_unproved(mirror)?;
            Ok(false)
        }
    }
}

/// A proof did not bear out the first `first` entries, and yet they are right. Was it the proof that
/// was wrong, or the entries at that moment? Now that the tree is there, the proof tells.
fn ask_again(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
    first: u64,
) -> Result<(), Fault> {
    let Some(api) = source.api().filter(|_| (1..head.size()).contains(&first)) else { return Ok(()) };
    let answer = answer_record::ask_consistency(mirror, api, first, head.size(), head.root())?;
    if let Answer::Unknown(cause) = answer {
        said.incomplete(cause);
        return Ok(());
    }
    answer_record::record(cx, mirror, said, Question::Consistency(first, head.size()), &answer)
}

/// The head continues what is mirrored, and yet the log now serves something else in its place: also
/// when asked again. Where that could not be told: the cause.
fn contradicted(
    mirror: &Mirror,
    source: &dyn LogSource,
    head: &Head,
    bundle: Option<u64>,
) -> Result<Result<Option<Finding>, String>, Fault> {
    let Some(n) = bundle else { return Ok(Ok(None)) };
    let first = n.saturating_mul(WIDTH);
    let end = first.saturating_add(WIDTH).min(head.size());
    let width = u16::try_from(end.saturating_sub(first)).unwrap_or(0);
    if let Err(error) = source.settle() {
        return Ok(Err(error.to_string()));
    }
    if fetch_leaves(source, n, width).ok() == Some(mirror.leaves().range(first, end)?) {
        return Ok(Ok(None));
    }
    if let Err(error) = source.confirm() {
        return Ok(Err(error.to_string()));
    }
    let message = format!(
        "among entries {first} to {} the log serves others than it did before, which its head commits to",
        end.saturating_sub(1)
    );
    Ok(Ok(Some(Finding::of_log(Code::RootMismatch, Subject::Entries { from: first, to: end }, message))))
}

fn verified(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    target: &mut Target,
    head: &Head,
) -> Result<(), Fault> {
    target.set_verified(true);
    said.record(Check::Root, true);
    let key = cx.key();
    Ok(mirror.transact(|mirror, state| mirror.heads_mut().bear_out(state, head, key))?)
}

/// One pass over the bundles from the verified cursor to the head.
fn pass(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
    vouching: Vouching<'_>,
) -> Result<(Pass, Committed, CompactRange), Fault> {
    let (mode, tree, proofs) = match vouching {
        Vouching::Tiles(tree) => (Mode::Proved, Some(tree), None),
        Vouching::Proofs(proofs) => (Mode::Proved, None, Some(proofs)),
        Vouching::Nothing => (Mode::Unproved, None, None),
    };
    let verified = mirror.state().verified;
    let check_from = if mode == Mode::Unproved { u64::MAX } else { verified };
    if tree.is_none() && !verified.is_multiple_of(WIDTH) {
        // The first bundle is compared with what is mirrored of it.
        confirm::confirm_bundle(cx, mirror, said, verified / WIDTH, verified)?;
    }
    let verifier =
        Verifier { policy: cx.policy(), tree: tree.map(Mutex::new), size: head.size(), check_from };
    let mut writer = Writer::new(mirror, mode, cx.now_text())?;
    let mut committer = Committer::new(mode, verifier.tree.is_some(), proofs, cx.options());
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
    if let ControlFlow::Break(Stop::Fault(fault)) = flow {
        return Err(fault);
    }
    // What was taken before a stop stays, if it is proved or can still be.
    let flow = match flow {
        ControlFlow::Break(Stop::Unknown(_) | Stop::TreeLost(_)) if committer.proofs.is_some() => flow,
        flow => match committer.flush(&mut writer) {
            ControlFlow::Continue(()) => flow,
            stopped => stopped,
        },
    };
    if let ControlFlow::Break(Stop::Fault(fault)) = flow {
        return Err(fault);
    }
    let frontier = writer.frontier().clone();
    let committer = committer.taken;
    said.count(Check::ServedProofs, committer.vouched, 0, 0);
    let pass = match flow {
        ControlFlow::Break(Stop::TreeLost(error)) => Pass::TreeLost(error),
        ControlFlow::Break(Stop::Unknown(cause)) => {
            said.incomplete(cause);
            Pass::Stopped
        }
        ControlFlow::Break(Stop::TooMany(findings)) => {
            said.incomplete(too_many(findings));
            Pass::Stopped
        }
        _ if committer.bad.is_empty() => Pass::Whole,
        _ => Pass::Holes,
    };
    let held_against = gaps::report_gaps(cx, mirror, said, head, &committer.bad)?;
    let pass = match pass {
        Pass::Holes if !held_against => Pass::Lagging,
        pass => pass,
    };
    Ok((pass, committer, frontier))
}

/// How a pass that something vouched for ended.
enum Proved {
    /// As far as it goes; `false` where the log could not be reached.
    Done(bool),
    /// What vouched does so no longer.
    Lost(TreeError),
}

/// What shows that bundles are those of the signed tree, before the last one is there.
enum Vouching<'a> {
    /// Served Merkle tiles, for each bundle.
    Tiles(ServedTree<'a>),
    /// Served consistency proofs, for each batch.
    Proofs(ServedProofs<'a>),
    /// Nothing but the root of them all.
    Nothing,
}

/// What [`Run::compare_with_kept`] found.
enum Compared {
    Consistent,
    Contradicted,
    Unreachable,
    TreeLost(TreeError),
}
