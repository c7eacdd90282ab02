//! What a log answers behind the JSON API besides heads and entries, held against the mirror
//! (specification section 5): consistency proofs here, what is said of single entries in
//! [`super::entry_answers`].
//!
//! Everything asked for is known already, recomputed from the mirrored entries and a signed root. So a
//! wrong answer misleads nobody here; it is the finding `proof-invalid` because it would mislead those
//! who have no mirror. Alone it is never a violation: whoever carried it may have broken it.

use super::history::mirrored_range;
use super::served_proofs::ServedProofs;
use super::{Fault, Run};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::source::{FetchError, LogApi};

/// Earlier heads whose consistency proof is asked for in an ordinary run, the newest among them.
const SAMPLE_HEADS: usize = 4;

/// The same with `--full`. A log that signed more trees than this is sampled.
const FULL_HEADS: usize = 10_000;

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
            FetchError::Unavailable { .. } | FetchError::Refused { .. } => Answer::Unknown(error.to_string()),
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
        let Some(target) = target.filter(|_| self.summary.target_rooted) else { return Ok(()) };
        self.check_consistency_answers(api, &target)?;
        self.check_entry_answers(api, &target)
    }

    fn check_consistency_answers(&mut self, api: &dyn LogApi, target: &Head) -> Result<(), Fault> {
        let mut sizes = self.mirror.consistent_sizes(target.size())?;
        let most = if self.options.full { FULL_HEADS } else { SAMPLE_HEADS };
        let newest = sizes.pop();
        fastrand::shuffle(&mut sizes);
        sizes.truncate(most.saturating_sub(1));
        let mut wrong: usize = 0;
        for size in newest.into_iter().chain(sizes) {
            match self.consistency_answer(api, size, target.size(), target.root())? {
                Answer::Unknown(cause) => {
                    self.summary.incomplete.push(cause);
                    return Ok(());
                }
                answer => {
                    self.record_answer(Question::Consistency(size, target.size()), &answer)?;
                    wrong = wrong.saturating_add(usize::from(answer != Answer::Good));
                    if wrong >= MAX_WRONG {
                        break;
                    }
                }
            }
        }
        Ok(())
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
