//! What a log answers behind the JSON API besides heads and entries, held against the mirror
//! (specification section 5): consistency proofs here, what is said of single entries in
//! [`super::entry_answers`].
//!
//! Everything asked for is known already, recomputed from the mirrored entries and a signed root. So a
//! wrong answer misleads nobody here; it is the finding `proof-invalid` because it would mislead those
//! who have no mirror. Alone it is never a violation: whoever carried it may have broken it.

use super::draw::Draw;
use super::history::mirrored_range;
use super::pipeline::in_order;
use super::served_proofs::ServedProofs;
use super::{Fault, Run};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::limits::MAX_PROOF_ANSWER;
use crate::source::{FetchError, LogApi};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

/// Trees from which the consistency proof to the next larger one is asked for in an ordinary run.
const SAMPLE_HEADS: usize = 4;

/// The same with `--full`. A log that signed more trees than this is sampled.
const FULL_HEADS: usize = 10_000;

/// Trees from which the consistency proof to the newest one is asked for besides.
const SAMPLE_SKIPPING: usize = 2;

/// Wrong answers of one kind before a run stops asking: one is a finding, and a log that answers
/// nothing right must not keep us here, nor fill the report.
pub(super) const MAX_WRONG: usize = 4;

/// What one question came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The answer is what the signed root and the mirror say.
    Good,
    /// It is not, also when asked again: why.
    Wrong(String),
    /// The log says that it has no answer, also when asked again.
    Missing(String),
    /// Could not tell: the cause.
    Unknown(String),
}

/// Asks, and asks once more before a wrong answer is held against the log: a transfer can be changed
/// without a sign of it.
pub(super) fn judged<T>(
    ask: impl Fn() -> Result<T, FetchError>,
    check: impl Fn(T) -> Result<(), String>,
) -> Answer {
    let once = || match ask() {
        Ok(answer) => check(answer).map_or_else(Answer::Wrong, |()| Answer::Good),
        Err(error) => Answer::of(&error),
    };
    match once() {
        Answer::Wrong(_) => once(),
        first => first,
    }
}

impl Answer {
    /// What a failed fetch means.
    pub(super) fn of(error: &FetchError) -> Answer {
        match error {
            FetchError::NotFound { .. } | FetchError::Lacking { .. } => Answer::Missing(error.to_string()),
            FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => {
                Answer::Wrong(error.to_string())
            }
            FetchError::Unavailable { .. } | FetchError::Rejected { .. } | FetchError::Refused { .. } => {
                Answer::Unknown(error.to_string())
            }
        }
    }
}

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// The consistency proof between trees of these sizes.
    Consistency(u64, u64),
    /// The inclusion proof of an entry in the tree of a size.
    Inclusion(u64, u64),
    /// The verification bundle of an entry.
    Verification(u64),
}

impl Question {
    /// The subject of a finding about the answer.
    pub(super) fn subject(self) -> String {
        match self {
            Question::Consistency(first, second) => format!("consistency {first} {second}"),
            Question::Inclusion(index, size) => format!("inclusion {index} {size}"),
            Question::Verification(index) => format!("verification {index}"),
        }
    }

    /// The check that it is part of.
    fn check(self) -> &'static str {
        match self {
            Question::Consistency(..) | Question::Inclusion(..) => "served-proofs",
            Question::Verification(_) => "verification-bundles",
        }
    }

    /// The smallest tree that can answer it.
    pub(super) fn tree(self) -> u64 {
        match self {
            Question::Consistency(_, size) | Question::Inclusion(_, size) => size,
            Question::Verification(index) => index.saturating_add(1),
        }
    }
}

impl Run<'_> {
    /// Questions that only the JSON API answers. Only where the mirror has the tree of the head: then
    /// every right answer is known.
    pub(crate) fn check_answers(&mut self) -> Result<(), Fault> {
        let Some(api) = self.source.and_then(|source| source.api()) else { return Ok(()) };
        let target = self.summary.target.clone().filter(|target| target.size() > 0);
        let Some(target) = target.filter(|_| self.summary.target_verified) else { return Ok(()) };
        self.check_consistency_answers(api, &target)?;
        self.check_entry_answers(api, &target)
    }

    /// Asks how trees that the log signed lead to the next larger ones, and some to the newest.
    fn check_consistency_answers(&mut self, api: &dyn LogApi, target: &Head) -> Result<(), Fault> {
        let mut sizes = self.mirror.consistent_sizes(target.size())?;
        sizes.push(target.size());
        let mut draw = Draw::new()?;
        let mut pairs = pairs(&sizes, self.options.full, &mut draw);
        if pairs.is_empty() {
            // The log signed one tree so far. It answers for trees of all sizes, and the mirror has them all.
            pairs = from_any(target.size(), &mut draw);
        }
        let mut roots: BTreeMap<u64, Hash> = BTreeMap::from([(target.size(), target.root())]);
        for (first, second) in &pairs {
            for size in [first, second] {
                if let Entry::Vacant(place) = roots.entry(*size) {
                    place.insert(mirrored_range(self.mirror, 0..*size)?);
                }
            }
        }
        let questions: Vec<(u64, Hash, ServedProofs<'_>)> = pairs
            .iter()
            .filter_map(|(first, size)| {
                let (old, root) = (*roots.get(first)?, *roots.get(size)?);
                Some((*first, old, ServedProofs { api, size: *size, root }))
            })
            .collect();
        let workers = self.options.workers.max(1);
        let progress = self.progress;
        progress.begin("asking the log for consistency proofs", questions.len() as u64);
        let mut wrong: usize = 0;
        let flow = in_order(
            0..questions.len() as u64,
            workers,
            || (),
            |task, ()| {
                let question = usize::try_from(task).ok().and_then(|task| questions.get(task));
                let asked = question.map(|(first, old, proofs)| {
                    (Question::Consistency(*first, proofs.size), proofs.check(*first, *old))
                });
                (asked, MAX_PROOF_ANSWER)
            },
            |_, asked| {
                progress.advance(1);
                let Some((asked, answer)) = asked else { return ControlFlow::Continue(()) };
                if let Answer::Unknown(cause) = answer {
                    self.summary.incomplete.push(cause);
                    return ControlFlow::Break(Ok(()));
                }
                wrong = wrong.saturating_add(usize::from(answer != Answer::Good));
                match self.record_answer(asked, &answer) {
                    Err(fault) => ControlFlow::Break(Err(fault)),
                    Ok(()) if wrong >= MAX_WRONG => ControlFlow::Break(Ok(())),
                    Ok(()) => ControlFlow::Continue(()),
                }
            },
        );
        progress.end();
        flow.break_value().unwrap_or(Ok(()))
    }

    /// Asks for one proof between two trees that the mirror has.
    pub(super) fn consistency_answer(
        &mut self,
        api: &dyn LogApi,
        first: u64,
        second: u64,
        root: Hash,
    ) -> Result<Answer, Fault> {
        let old_root = mirrored_range(self.mirror, 0..first)?;
        Ok(ServedProofs { api, size: second, root }.check(first, old_root))
    }

    /// Counts an answer, and records one that is wrong or missing. Only what was asked is counted.
    pub(super) fn record_answer(&mut self, asked: Question, answer: &Answer) -> Result<(), Fault> {
        let finding = match answer {
            Answer::Unknown(_) => return Ok(()),
            Answer::Good => None,
            Answer::Missing(why) if self.may_be_behind(asked)? => {
                self.summary.tally.add(asked.check(), 0, 0, 1);
                let cause = format!(
                    "the log does not answer all that was asked of its newest trees yet: {why}; run again in some minutes: \
                     a replica of the log may lag behind"
                );
                if !std::mem::replace(&mut self.said_behind, true) {
                    self.summary.incomplete.push(cause);
                }
                return Ok(());
            }
            Answer::Missing(why) => Some((Code::Gap, format!("the log does not answer: {why}"))),
            Answer::Wrong(why) => Some((Code::ProofInvalid, why.clone())),
        };
        self.summary.tally.record(asked.check(), finding.is_none());
        match finding {
            Some((code, why)) => self.find_of_log(code, asked.subject(), why),
            None => Ok(()),
        }
    }
}

/// Pairs of sizes whose consistency is asked for, out of those of all trees that the log signed, ascending: each and the
/// next one, and some with the newest. All of the former with `full`; else some, which no log can foresee. The newest and
/// the one before it always.
fn pairs(sizes: &[u64], full: bool, draw: &mut Draw) -> Vec<(u64, u64)> {
    let next = sizes.iter().copied().zip(sizes.iter().copied().skip(1));
    let mut next: Vec<(u64, u64)> = next.collect();
    let Some(newest) = next.pop() else { return Vec::new() };
    let skipping: Vec<(u64, u64)> = next.iter().map(|(first, _)| (*first, newest.1)).collect();
    let most = if full { FULL_HEADS } else { SAMPLE_HEADS };
    if next.len() >= most {
        next = draw.some(next, most.saturating_sub(1));
    }
    let skipping = draw.some(skipping, SAMPLE_SKIPPING);
    std::iter::once(newest).chain(next).chain(skipping).collect()
}

/// Pairs of some sizes, which no log can foresee, and the newest one. A tree of one entry has no smaller one.
fn from_any(newest: u64, draw: &mut Draw) -> Vec<(u64, u64)> {
    let end = newest.max(2).saturating_sub(1);
    let sizes = std::iter::repeat_with(|| draw.below(end).saturating_add(1));
    let mut sizes: Vec<u64> = sizes.take(SAMPLE_SKIPPING).filter(|size| *size < newest).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter().map(|size| (size, newest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn trees_of_any_size_lead_to_the_only_one_that_was_signed() {
        let from_any = |newest| from_any(newest, &mut Draw::new().unwrap());
        assert!(from_any(0).is_empty() && from_any(1).is_empty());
        assert_eq!(from_any(2), [(1, 2)]);
        for newest in 3..100 {
            let pairs = from_any(newest);
            assert!(!pairs.is_empty() && pairs.len() <= SAMPLE_SKIPPING, "{pairs:?}");
            assert!(pairs.iter().all(|(first, second)| (1..newest).contains(first) && *second == newest));
        }
    }

    #[test]
    fn every_adjacent_pair_is_asked_for_or_a_sample() {
        for count in 0..40_u64 {
            let sizes: Vec<u64> = (1..=count).map(|n| n * n).collect();
            let adjacent: BTreeSet<(u64, u64)> =
                sizes.iter().copied().zip(sizes.iter().copied().skip(1)).collect();
            for full in [false, true] {
                let pairs = pairs(&sizes, full, &mut Draw::new().unwrap());
                let distinct: BTreeSet<(u64, u64)> = pairs.iter().copied().collect();
                assert_eq!(distinct.len(), pairs.len(), "{pairs:?}");
                assert!(pairs.iter().all(|(first, second)| first < second), "{pairs:?}");
                assert_eq!(pairs.first(), adjacent.last(), "the newest is always asked for");
                let asked = distinct.intersection(&adjacent).count();
                let all = adjacent.len();
                assert_eq!(asked, if full { all } else { all.min(SAMPLE_HEADS) }, "{pairs:?}");
                assert!(pairs.len() <= asked + SAMPLE_SKIPPING);
            }
        }
    }

    #[test]
    fn the_number_of_questions_is_bounded() {
        let sizes: Vec<u64> = (1..=3 * FULL_HEADS as u64).collect();
        let pairs = |sizes: &[u64], full| pairs(sizes, full, &mut Draw::new().unwrap());
        assert_eq!(pairs(&sizes, true).len(), FULL_HEADS + SAMPLE_SKIPPING);
        assert_eq!(pairs(&sizes, false).len(), SAMPLE_HEADS + SAMPLE_SKIPPING);
    }
}
