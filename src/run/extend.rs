//! Bringing the mirror up to a signed head.
//!
//! With the log's tiles vouching, every bundle is proved against the signed root the moment it
//! arrives. Where they do not (missing, wrong, or a log that has none), the leaves are stored
//! unproved, the whole tree is folded, and only if it has the signed root are they kept; otherwise
//! they are forgotten, so that a log that lied once can be read again tomorrow.

use super::answers::{Answer, Question};
use super::commit::{BadBundle, Committed, Committer, Flaw, Stop, too_many};
use super::history::{evidence_nodes, tree_subject};
use super::pipeline::in_order;
use super::served_proofs::ServedProofs;
use super::served_tree::{ServedTree, TreeError};
use super::verifier::{Outcome, Verifier, WIDTH, fetch_end, fetch_leaves};
use super::writer::{Mode, Writer};
use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::core::evidence::Kind;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::tree::CompactRange;
use crate::core::webauthn::KeyCache;
use crate::mirror::HeadStatus;
use crate::source::{LogApi, LogSource};
use std::ops::ControlFlow;
use std::sync::Mutex;

/// Entries beyond which the last of them are asked for first, whatever `--max-entries` allows: as many as it allows where
/// it is not given. Of fewer, what there is can be fetched and checked before anything is missing.
const MANY: u64 = 100_000_000;

/// What came of asking for the last entries that a head commits to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// They are there.
    There,
    /// They are not, or are wrong: said.
    Lacking,
    /// Could not tell; the cause is in `incomplete`.
    Unknown,
}

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

impl Run<'_> {
    /// Brings the mirror up to `head`, as far as the log serves what it signed. `false` where the
    /// log could not be reached.
    pub(crate) fn extend_to(&mut self, head: &Head) -> Result<bool, Fault> {
        let Some(source) = self.source else { return Ok(true) };
        let verified = self.mirror.state().verified;
        self.summary.target = Some(head.clone());
        self.forget_unproved()?;
        if head.size() <= verified {
            // Nothing to fetch; the head is compared with the tree in `history`.
            self.summary.target_verified = self.root_for(head)? == head.root();
            self.summary.tally.record("root", self.summary.target_verified);
            return Ok(true);
        }
        if self.has_many(head) {
            match self.end_of(source, head)? {
                End::There => {}
                // What cannot be reached now is no reason to go on as if it were there.
                End::Unknown if head.size() > self.options.max_entries => {}
                End::Lacking | End::Unknown => return Ok(true),
            }
        }
        if head.size() > self.options.max_entries {
            let cause = format!(
                "the log's head commits to {} entries, more than --max-entries {}; nothing was fetched",
                head.size(),
                self.options.max_entries
            );
            self.summary.incomplete.push(cause);
            return Ok(true);
        }
        self.progress.begin("checking new entries", head.size().saturating_sub(verified));
        let result = self.extend(source, head);
        self.progress.end();
        result
    }

    /// Whether the last entries of a head are to be asked for first: there are so many of them.
    pub(super) fn has_many(&self, head: &Head) -> bool {
        head.size() > self.options.max_entries.min(MANY)
    }

    /// A head can be signed over any number of entries. Before many are fetched, or refused for being too many, its last
    /// ones are asked for: where they are not there, that is said, and nothing else is fetched for this head.
    pub(super) fn end_of(&mut self, source: &dyn LogSource, head: &Head) -> Result<End, Fault> {
        let n = head.size().saturating_sub(1) / WIDTH;
        let flaw = match fetch_end(source, head.size()) {
            Err(Outcome::NotThere(why)) => Some((Flaw::NotThere, why)),
            Err(Outcome::Missing(why)) => Some((Flaw::Missing, why)),
            Err(Outcome::Wrong(why)) => Some((Flaw::Wrong, why)),
            // What cannot be reached now is no reason to accuse anybody.
            Err(Outcome::Unknown(cause)) => {
                self.summary.incomplete.push(cause);
                return Ok(End::Unknown);
            }
            Ok(()) | Err(_) => None,
        };
        let Some((flaw, why)) = flaw else { return Ok(End::There) };
        self.report_gaps(head, &[BadBundle { n, flaw, why }])?;
        Ok(End::Lacking)
    }

    fn extend(&mut self, source: &dyn LogSource, head: &Head) -> Result<bool, Fault> {
        if let Some(api) = source.api() {
            return self.extend_by_proofs(source, api, head);
        }
        match ServedTree::open(source, head.size(), &head.root()) {
            Ok(mut tree) => {
                match self.compare_with_kept(&mut tree, head)? {
                    Compared::Contradicted => return Ok(true),
                    Compared::Unreachable => return Ok(false),
                    Compared::TreeLost(error) => return self.extend_unproved(source, head, &error),
                    Compared::Consistent => {}
                }
                match self.extend_proved(source, head, Vouching::Tiles(tree))? {
                    Proved::Done(reachable) => Ok(reachable),
                    Proved::Lost(error) => self.extend_unproved(source, head, &error),
                }
            }
            Err(TreeError::Fetch(cause)) => {
                self.summary.incomplete.push(cause);
                Ok(false)
            }
            Err(error) => self.extend_unproved(source, head, &error),
        }
    }

    /// The served tree vouches for itself up to the signed root. Is it a continuation of what was
    /// signed and mirrored before? If not, its own nodes are the proof.
    fn compare_with_kept(&mut self, tree: &mut ServedTree<'_>, head: &Head) -> Result<Compared, Fault> {
        let key = self.policy.log_key.clone();
        let mut kept: Vec<Head> =
            self.mirror.open_heads(&key)?.into_iter().map(|stored| stored.head).collect();
        kept.extend(self.mirror.largest_consistent(head.size(), &key)?.map(|stored| stored.head));
        let mut contradicted = false;
        for other in kept.iter().filter(|other| (1..head.size()).contains(&other.size())) {
            let root = match tree.range(0..other.size()) {
                Ok(root) => root,
                Err(TreeError::Fetch(cause)) => {
                    self.summary.incomplete.push(cause);
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
            self.report_contradiction(Kind::InconsistentHeads, other, head, Some(&nodes))?;
            contradicted = true;
        }
        let verified = self.mirror.state().verified;
        let ours = self.mirror.state().frontier().map(|frontier| frontier.root());
        let continues = match tree.range(0..verified) {
            Ok(root) => verified == 0 || Some(root) == ours,
            Err(TreeError::Fetch(cause)) => {
                self.summary.incomplete.push(cause);
                return Ok(Compared::Unreachable);
            }
            Err(error) => return Ok(Compared::TreeLost(error)),
        };
        if continues {
            return Ok(Compared::Consistent);
        }
        if !contradicted {
            self.confirm_mirror()?;
            let message = format!(
                "the head of size {} does not continue the {verified} entries mirrored so far, which an earlier \
                 head commits to",
                head.size()
            );
            self.find_of_log(Code::RootMismatch, tree_subject(head), message)?;
        }
        self.mark_head(head, HeadStatus::Contradicted)?;
        Ok(Compared::Contradicted)
    }

    /// Behind the JSON API: consistency proofs vouch, batch by batch. The first says whether the head
    /// continues what was mirrored; where it does not, the entries will.
    fn extend_by_proofs(
        &mut self,
        source: &dyn LogSource,
        api: &dyn LogApi,
        head: &Head,
    ) -> Result<bool, Fault> {
        let proofs = ServedProofs { api, size: head.size(), root: head.root() };
        let Some(frontier) = self.mirror.state().frontier() else { return Ok(true) };
        match proofs.vouch(&frontier) {
            Answer::Good => {
                self.summary.tally.add("served-proofs", u64::from(proofs.is_asked(&frontier)), 0, 0);
            }
            Answer::Unknown(cause) => {
                self.summary.incomplete.push(cause);
                return Ok(false);
            }
            answer => {
                let first = frontier.end();
                return self.extend_unproved(source, head, &TreeError::Proof { first, answer });
            }
        }
        for last in [false, true] {
            match self.extend_proved(source, head, Vouching::Proofs(proofs))? {
                Proved::Done(reachable) => return Ok(reachable),
                Proved::Lost(error) if last => return self.extend_unproved(source, head, &error),
                // A page can be changed on its way; what was proved before it is kept, and the rest is
                // asked for once more before proofs are given up.
                Proved::Lost(_) => {}
            }
        }
        Ok(true)
    }

    fn extend_proved(
        &mut self,
        source: &dyn LogSource,
        head: &Head,
        vouching: Vouching<'_>,
    ) -> Result<Proved, Fault> {
        match self.pass(source, head, vouching)? {
            (Pass::Whole, taken, frontier) => {
                if frontier.root() != head.root() {
                    let what = "every bundle was proved, yet the tree has another root".to_owned();
                    return Err(Fault::Disagreement(what));
                }
                match self.contradicted(source, head, taken.contradicted)? {
                    Ok(contradicted) => contradicted.map_or(Ok(()), |finding| self.find(&finding))?,
                    Err(cause) => self.summary.incomplete.push(cause),
                }
                self.verified(head)?;
                Ok(Proved::Done(true))
            }
            (Pass::Holes | Pass::Lagging, ..) => Ok(Proved::Done(true)),
            (Pass::Stopped, ..) => Ok(Proved::Done(false)),
            (Pass::TreeLost(TreeError::Fetch(cause)), ..) => {
                self.summary.incomplete.push(cause);
                Ok(Proved::Done(false))
            }
            (Pass::TreeLost(error), ..) => Ok(Proved::Lost(error)),
        }
    }

    /// Where nothing vouches: all leaves first, then the root.
    fn extend_unproved(
        &mut self,
        source: &dyn LogSource,
        head: &Head,
        why: &TreeError,
    ) -> Result<bool, Fault> {
        let (pass, taken, frontier) = self.pass(source, head, Vouching::Nothing)?;
        match pass {
            Pass::Whole if frontier.root() == head.root() => {
                let contradicted = match self.contradicted(source, head, taken.contradicted)? {
                    Ok(contradicted) => contradicted,
                    Err(cause) => {
                        // Once the tree is there, nobody would look again.
                        self.summary.incomplete.push(cause);
                        self.forget_unproved()?;
                        return Ok(false);
                    }
                };
                let now = &self.options.now.1;
                self.mirror.transact(|mirror, state| {
                    state.set_frontier(&frontier);
                    // With the proof of the leaves, what was doubtful about their tiles is certain.
                    let mut tally = state.tally();
                    tally.merge(&taken.tiles);
                    state.set_tally(&tally);
                    taken.doubts.iter().try_for_each(|doubt| mirror.put_finding(&doubt.finding(), now))
                })?;
                if let TreeError::Proof { first, .. } = why {
                    self.ask_again(source, head, *first)?;
                }
                contradicted.map_or(Ok(()), |finding| self.find(&finding))?;
                self.verified(head)?;
                Ok(true)
            }
            Pass::Whole => {
                self.forget_unproved()?;
                self.explain_mismatch(source, head, &frontier.root(), why)
            }
            Pass::Holes | Pass::TreeLost(_) => {
                self.forget_unproved()?;
                Ok(true)
            }
            Pass::Lagging => {
                self.forget_unproved()?;
                if let TreeError::Proof { first, answer: answer @ Answer::Wrong(_) } = why {
                    // That the last entries are not there yet explains no wrong proof of the first ones.
                    self.record_answer(Question::Consistency(*first, head.size()), answer)?;
                }
                Ok(true)
            }
            Pass::Stopped => {
                self.forget_unproved()?;
                Ok(false)
            }
        }
    }

    /// A proof did not bear out the first `first` entries, and yet they are right. Was it the proof that
    /// was wrong, or the entries at that moment? Now that the tree is there, the proof tells.
    fn ask_again(&mut self, source: &dyn LogSource, head: &Head, first: u64) -> Result<(), Fault> {
        let Some(api) = source.api().filter(|_| (1..head.size()).contains(&first)) else { return Ok(()) };
        let answer = self.consistency_answer(api, first, head.size(), head.root())?;
        if let Answer::Unknown(cause) = answer {
            self.summary.incomplete.push(cause);
            return Ok(());
        }
        self.record_answer(Question::Consistency(first, head.size()), &answer)
    }

    /// The head continues what is mirrored, and yet the log now serves something else in its place: also
    /// when asked again. Where that could not be told: the cause.
    fn contradicted(
        &self,
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
        if fetch_leaves(source, n, width).ok() == Some(self.mirror.leaves(first, end)?) {
            return Ok(Ok(None));
        }
        if let Err(error) = source.confirm() {
            return Ok(Err(error.to_string()));
        }
        let message = format!(
            "among entries {first} to {} the log serves others than it did before, which its head commits to",
            end.saturating_sub(1)
        );
        Ok(Ok(Some(Finding::of_log(Code::RootMismatch, format!("entries {first} {end}"), message))))
    }

    fn verified(&mut self, head: &Head) -> Result<(), Fault> {
        self.summary.target_verified = true;
        self.summary.tally.record("root", true);
        let key = &self.policy.log_key;
        Ok(self.mirror.transact(|mirror, state| mirror.bear_out(state, head, key))?)
    }

    /// One pass over the bundles from the verified cursor to the head.
    fn pass(
        &mut self,
        source: &dyn LogSource,
        head: &Head,
        vouching: Vouching<'_>,
    ) -> Result<(Pass, Committed, CompactRange), Fault> {
        let (mode, tree, proofs) = match vouching {
            Vouching::Tiles(tree) => (Mode::Proved, Some(tree), None),
            Vouching::Proofs(proofs) => (Mode::Proved, None, Some(proofs)),
            Vouching::Nothing => (Mode::Unproved, None, None),
        };
        let verified = self.mirror.state().verified;
        let check_from = if mode == Mode::Unproved { u64::MAX } else { verified };
        if tree.is_none() && !verified.is_multiple_of(WIDTH) {
            // The first bundle is compared with what is mirrored of it.
            self.confirm_bundle(verified / WIDTH, verified)?;
        }
        let verifier =
            Verifier { policy: self.policy, tree: tree.map(Mutex::new), size: head.size(), check_from };
        let mut writer = Writer::new(self.mirror, mode, &self.options.now.1)?;
        let mut committer = Committer::new(mode, verifier.tree.is_some(), proofs, self.options);
        let progress = self.progress;
        let flow = in_order(
            verified / WIDTH..head.size().div_ceil(WIDTH),
            self.options.workers,
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
        self.summary.tally.add("served-proofs", committer.vouched, 0, 0);
        let pass = match flow {
            ControlFlow::Break(Stop::TreeLost(error)) => Pass::TreeLost(error),
            ControlFlow::Break(Stop::Unknown(cause)) => {
                self.summary.incomplete.push(cause);
                Pass::Stopped
            }
            ControlFlow::Break(Stop::TooMany(findings)) => {
                self.summary.incomplete.push(too_many(findings));
                Pass::Stopped
            }
            _ if committer.bad.is_empty() => Pass::Whole,
            _ => Pass::Holes,
        };
        let held_against = self.report_gaps(head, &committer.bad)?;
        let pass = match pass {
            Pass::Holes if !held_against => Pass::Lagging,
            pass => pass,
        };
        Ok((pass, committer, frontier))
    }
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
