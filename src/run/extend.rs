//! Bringing the mirror up to a signed head.
//!
//! There are three ways, and the first one that works is taken:
//!
//! 1. The log serves Merkle tiles that lead to the signed root. Each bundle is proved against it when it arrives.
//! 2. The log has a JSON API, and its consistency proofs lead to the signed root. Entries are proved batch by batch.
//! 3. Nothing proves single entries: tiles or proofs are missing or wrong. The leaves are stored unproved and the whole
//!    tree is folded. They are kept only if it has the signed root. Otherwise they are deleted, so that a log that
//!    served wrong entries once can be read again later.

use super::answer::{Answer, Question};
use super::bundles::{Ended, Pass, Vouching};
use super::commit::Committed;
use super::confirm::Rehashed;
use super::context::Context;
use super::continuation::Continuation;
use super::fault::Fault;
use super::last_entries::End;
use super::mismatch::Mismatch;
use super::reach::Reach;
use super::served_proofs::ServedProofs;
use super::served_tree::{ServedTree, TreeError};
use super::statements::Statements;
use super::target::Target;
use super::verifier::{WIDTH, fetch_leaves, width_of};
use super::{answer_record, bundles, confirm, continuation, findings, last_entries, unproved};
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::tree::CompactRange;
use crate::mirror::Mirror;
use crate::source::{LogApi, LogSource};

/// Brings the mirror up to `head`, as far as the log serves what it signed. `target` becomes this head.
///
/// # Errors
/// The mirror cannot be read, written or repaired; the run is stopped while the mirror is hashed again; or two
/// implementations disagree.
pub(super) fn to_head(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
    target: &mut Target,
    head: &Head,
) -> Result<Reach, Fault> {
    let Some(source) = cx.source() else { return Ok(Reach::Reachable) };
    let verified = mirror.state().verified;
    target.set(head);
    unproved::forget(mirror)?;
    if head.size() <= verified {
        // Nothing to fetch. `history` compares the head with the tree.
        let verified = confirm::root_for(cx, mirror, statements, rehashed, head)? == head.root();
        target.set_verified(verified);
        statements.record(Check::Root, verified);
        return Ok(Reach::Reachable);
    }
    if last_entries::has_many(cx, head) {
        match last_entries::ask(cx, mirror, statements, source, head)? {
            End::There => {}
            // The head is refused below, whether or not its last entries could be asked for.
            End::Unknown if head.size() > cx.options().max_entries => {}
            End::Lacking | End::Unknown => return Ok(Reach::Reachable),
        }
    }
    if head.size() > cx.options().max_entries {
        statements.incomplete(format!(
            "the log's head commits to {} entries, more than --max-entries {}; nothing was fetched",
            head.size(),
            cx.options().max_entries
        ));
        return Ok(Reach::Reachable);
    }
    cx.progress().begin("checking new entries", head.size().saturating_sub(verified));
    let extended = Extension { cx, mirror, statements, rehashed, target, source, head }.run();
    cx.progress().end();
    extended
}

/// The mirror, on its way up to one head.
struct Extension<'e, 'c> {
    cx: &'e Context<'c>,
    mirror: &'e mut Mirror,
    statements: &'e mut Statements,
    rehashed: &'e mut Rehashed,
    target: &'e mut Target,
    source: &'c dyn LogSource,
    head: &'e Head,
}

/// How a pass ended in which tiles or proofs vouched.
enum Proved {
    /// As far as the log serves what it signed.
    Done(Reach),
    /// Tiles or proofs do not vouch any further.
    Lost(TreeError),
}

/// Whether the log still serves the entries that were proved and mirrored before.
enum Earlier {
    /// It does.
    Same,
    /// It serves others.
    Changed(Finding),
    /// Could not tell: the cause.
    Unknown(String),
}

impl Extension<'_, '_> {
    fn run(mut self) -> Result<Reach, Fault> {
        if let Some(api) = self.source.api() {
            return self.extend_by_proofs(api);
        }
        let mut tree = match ServedTree::open(self.source, self.head.size(), &self.head.root()) {
            Ok(tree) => tree,
            Err(TreeError::Fetch(cause)) => return Ok(self.unreachable(cause)),
            Err(error) => return self.extend_unproved(&error),
        };
        match continuation::check(self.cx, self.mirror, self.statements, self.rehashed, &mut tree, self.head)?
        {
            Continuation::Consistent => {}
            Continuation::Contradicted => return Ok(Reach::Reachable),
            Continuation::Unreachable => return Ok(Reach::Unreachable),
            Continuation::TreeLost(error) => return self.extend_unproved(&error),
        }
        match self.extend_proved(Vouching::Tiles(tree))? {
            Proved::Done(reach) => Ok(reach),
            Proved::Lost(error) => self.extend_unproved(&error),
        }
    }

    /// Behind the JSON API: consistency proofs vouch, batch by batch. The first one says whether the head
    /// continues what was mirrored. If it does not, the entries will say it.
    fn extend_by_proofs(&mut self, api: &dyn LogApi) -> Result<Reach, Fault> {
        let proofs = ServedProofs::to(api, self.head);
        let Some(frontier) = self.mirror.state().frontier() else { return Ok(Reach::Reachable) };
        match proofs.vouch(&frontier) {
            Answer::Good => {
                self.statements.count(Check::ServedProofs, u64::from(proofs.is_asked(&frontier)), 0, 0);
            }
            Answer::Unknown(cause) => return Ok(self.unreachable(cause)),
            answer => {
                return self.extend_unproved(&TreeError::Proof { first: frontier.end(), answer });
            }
        }
        for last in [false, true] {
            match self.extend_proved(Vouching::Proofs(proofs))? {
                Proved::Done(reach) => return Ok(reach),
                Proved::Lost(error) if last => return self.extend_unproved(&error),
                // A page can be changed on its way. What was proved before it is kept, and the rest is
                // asked for once more before proofs are given up.
                Proved::Lost(_) => {}
            }
        }
        Ok(Reach::Reachable)
    }

    fn extend_proved(&mut self, vouching: Vouching<'_>) -> Result<Proved, Fault> {
        let Pass { ended, taken, frontier } = self.pass(vouching)?;
        match ended {
            Ended::Whole => {
                if frontier.root() != self.head.root() {
                    let what = "every bundle was proved, yet the tree has another root".to_owned();
                    return Err(Fault::Disagreement(what));
                }
                match self.earlier(taken.contradicted)? {
                    Earlier::Same => {}
                    Earlier::Changed(finding) => findings::record(self.cx, self.mirror, &finding)?,
                    Earlier::Unknown(cause) => self.statements.incomplete(cause),
                }
                self.set_verified()?;
                Ok(Proved::Done(Reach::Reachable))
            }
            Ended::Gaps | Ended::Lagging => Ok(Proved::Done(Reach::Reachable)),
            Ended::Stopped => Ok(Proved::Done(Reach::Unreachable)),
            Ended::TreeLost(TreeError::Fetch(cause)) => Ok(Proved::Done(self.unreachable(cause))),
            Ended::TreeLost(error) => Ok(Proved::Lost(error)),
        }
    }

    /// All leaves first, then the root. `why` says why neither tiles nor proofs vouch.
    fn extend_unproved(&mut self, why: &TreeError) -> Result<Reach, Fault> {
        let Pass { ended, taken, frontier } = self.pass(Vouching::Nothing)?;
        match ended {
            Ended::Whole if frontier.root() == self.head.root() => self.keep_unproved(why, &taken, &frontier),
            Ended::Whole => {
                unproved::forget(self.mirror)?;
                Mismatch::new(self.head, frontier.root(), why).explain(
                    self.cx,
                    self.mirror,
                    self.statements,
                    self.rehashed,
                    self.source,
                )
            }
            Ended::Gaps | Ended::TreeLost(_) => {
                unproved::forget(self.mirror)?;
                Ok(Reach::Reachable)
            }
            Ended::Lagging => {
                unproved::forget(self.mirror)?;
                if let TreeError::Proof { first, answer: answer @ Answer::Wrong(_) } = why {
                    // The last entries are not there yet. That does not explain a wrong proof of the first ones.
                    let asked = Question::Consistency(*first, self.head.size());
                    answer_record::record(self.cx, self.mirror, self.statements, asked, answer)?;
                }
                Ok(Reach::Reachable)
            }
            Ended::Stopped => {
                unproved::forget(self.mirror)?;
                Ok(Reach::Unreachable)
            }
        }
    }

    /// The tree of all leaves has the signed root: what was stored unproved is proved now.
    fn keep_unproved(
        &mut self,
        why: &TreeError,
        taken: &Committed,
        frontier: &CompactRange,
    ) -> Result<Reach, Fault> {
        let earlier = self.earlier(taken.contradicted)?;
        if let Earlier::Unknown(cause) = earlier {
            // Once the tree is there, no later run would look again.
            unproved::forget(self.mirror)?;
            return Ok(self.unreachable(cause));
        }
        let now = self.cx.now();
        self.mirror.transact(|mirror, state| {
            state.set_frontier(frontier);
            // The leaves are proved, so tiles that do not fit them are wrong.
            let mut tally = state.tally();
            tally.merge(&taken.tiles);
            state.set_tally(&tally);
            taken.doubts.iter().try_for_each(|doubt| mirror.findings_mut().put(&doubt.finding(), now))
        })?;
        if let TreeError::Proof { first, .. } = why {
            self.ask_again(*first)?;
        }
        if let Earlier::Changed(finding) = earlier {
            findings::record(self.cx, self.mirror, &finding)?;
        }
        self.set_verified()?;
        Ok(Reach::Reachable)
    }

    /// A proof did not vouch for the first `first` entries, and yet they are right. Either the proof was wrong, or
    /// the entries were wrong at that moment. Now that the tree is there, the proof tells.
    fn ask_again(&mut self, first: u64) -> Result<(), Fault> {
        let (size, root) = (self.head.size(), self.head.root());
        let Some(api) = self.source.api().filter(|_| (1..size).contains(&first)) else { return Ok(()) };
        let answer = answer_record::ask_consistency(self.mirror, api, first, size, root)?;
        if let Answer::Unknown(cause) = answer {
            self.statements.incomplete(cause);
            return Ok(());
        }
        let asked = Question::Consistency(first, size);
        answer_record::record(self.cx, self.mirror, self.statements, asked, &answer)
    }

    /// The head continues what is mirrored. If bundle `n` began with other entries than those, the log serves
    /// others now in their place: it is asked once more.
    fn earlier(&self, n: Option<u64>) -> Result<Earlier, Fault> {
        let Some(n) = n else { return Ok(Earlier::Same) };
        let first = n.saturating_mul(WIDTH);
        let end = first.saturating_add(WIDTH).min(self.head.size());
        if let Err(error) = self.source.settle() {
            return Ok(Earlier::Unknown(error.to_string()));
        }
        let served = fetch_leaves(self.source, n, width_of(n, self.head.size())).ok();
        if served == Some(self.mirror.leaves().range(first, end)?) {
            return Ok(Earlier::Same);
        }
        if let Err(error) = self.source.confirm() {
            return Ok(Earlier::Unknown(error.to_string()));
        }
        let message = format!(
            "among entries {first} to {} the log serves others than before, and its head commits to the earlier \
             ones",
            end.saturating_sub(1)
        );
        let subject = Subject::Entries { from: first, to: end };
        Ok(Earlier::Changed(Finding::of_log(Code::RootMismatch, subject, message)))
    }

    /// The rebuilt tree has the root of the head.
    fn set_verified(&mut self) -> Result<(), Fault> {
        self.target.set_verified(true);
        self.statements.record(Check::Root, true);
        let (key, head) = (self.cx.key(), self.head);
        Ok(self.mirror.transact(|mirror, state| mirror.heads_mut().mark_verified(state, head, key))?)
    }

    /// One pass over the new bundles.
    fn pass(&mut self, vouching: Vouching<'_>) -> Result<Pass, Fault> {
        bundles::pass(self.cx, self.mirror, self.statements, self.source, self.head, vouching)
    }

    fn unreachable(&mut self, cause: String) -> Reach {
        self.statements.incomplete(cause);
        Reach::Unreachable
    }
}
