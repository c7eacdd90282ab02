//! What the JSON API says of single entries, held against the mirror: the inclusion proof and the
//! verification bundle, of a sample that no log can foresee, or with `--full` of every entry.

use super::answers::{Answer, MAX_WRONG, Question, judged};
use super::draw::Draw;
use super::pipeline::in_order;
use super::{Fault, Run};
use crate::audit::bundle::{CheckedBundle, RecentHeads, check_bundle};
use crate::audit::finding::Finding;
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::hash::{Hash, leaf_hash};
use crate::core::head::{Head, LogKey};
use crate::core::limits::MAX_BUNDLE_ANSWER;
use crate::core::proof::verify_inclusion;
use crate::mirror::{MirrorError, Provenance, Reader};
use crate::source::{FetchError, LogApi};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// Entries that are asked for in an ordinary run, a quarter of them from the newest.
const SAMPLE_ENTRIES: u64 = 16;

/// What the log said of one entry.
struct Asked {
    index: u64,
    inclusion: Answer,
    bundle: BundleAnswer,
}

/// What asking for a bundle came to.
enum BundleAnswer {
    /// An answer, with what is wrong with it.
    Checked(Box<CheckedBundle>),
    /// No answer to check: never [`Answer::Good`].
    None(Answer),
    /// It was not asked for: the entry has no id that could be.
    NotAsked,
    /// Longer than what is read of one; the specification sets it no bound.
    TooLong(String),
    /// Two implementations disagree.
    Disagreement(String),
}

/// What asking needs, the same for all entries.
struct ProofChecker<'a> {
    api: &'a dyn LogApi,
    size: u64,
    root: Hash,
    key: &'a LogKey,
}

impl ProofChecker<'_> {
    fn ask(&self, index: u64, leaf: &[u8], other: &Reader, recent: &mut RecentHeads) -> Asked {
        let hash = leaf_hash(leaf);
        let inclusion = judged(
            || self.api.inclusion(index, self.size),
            |proof| {
                verify_inclusion(hash, index, self.size, &proof, self.root).map_err(|error| {
                    format!("the inclusion proof of entry {index} in {}: {error}", self.size)
                })
            },
        );
        let bundle = match inclusion {
            // The log cannot be reached: one cause is enough.
            Answer::Unknown(_) => BundleAnswer::NotAsked,
            _ => self.bundle(index, leaf, other, recent),
        };
        Asked { index, inclusion, bundle }
    }

    fn bundle(&self, index: u64, leaf: &[u8], other: &Reader, recent: &mut RecentHeads) -> BundleAnswer {
        let entry = read_leaf(leaf, self.key.origin()).entry;
        let Some((id, entry)) = entry.as_ref().and_then(|entry| Some((entry.valid_id()?, entry))) else {
            return BundleAnswer::NotAsked;
        };
        let mut once = || {
            let bundle = match self.api.verification(id) {
                Ok(Some(bundle)) => bundle,
                Ok(None) => return BundleAnswer::NotAsked,
                Err(error @ FetchError::TooLarge { .. }) => return BundleAnswer::TooLong(error.to_string()),
                Err(error) => return BundleAnswer::None(Answer::of(&error)),
            };
            if bundle.index != index && self.has_id(other, bundle.index, id) {
                // Two entries of one id are a finding of their own; the log may answer with either.
                return BundleAnswer::NotAsked;
            }
            match check_bundle(&bundle, index, leaf, entry, recent, self.key) {
                Ok(checked) => BundleAnswer::Checked(Box::new(checked)),
                Err(what) => BundleAnswer::Disagreement(what),
            }
        };
        match once() {
            BundleAnswer::Checked(checked) if !checked.problems.is_empty() => once(),
            BundleAnswer::None(Answer::Wrong(_)) => once(),
            first => first,
        }
    }

    fn has_id(&self, mirror: &Reader, index: u64, id: &str) -> bool {
        let leaves = mirror.leaves(index, index.saturating_add(1)).unwrap_or_default();
        let entry = leaves.first().and_then(|leaf| read_leaf(leaf, self.key.origin()).entry);
        index < self.size && entry.is_some_and(|entry| entry.valid_id() == Some(id))
    }
}

/// Why asking ends before the last entry.
enum Stop {
    Fault(Fault),
    Unknown(String),
    Enough,
}

impl Run<'_> {
    /// Asks about the sampled entries, or with `--full` about all.
    pub(super) fn check_entry_answers(&mut self, api: &dyn LogApi, target: &Head) -> Result<(), Fault> {
        let sample = sample(target.size(), self.options.full, &mut Draw::new()?);
        let workers = self.options.workers.max(1);
        let readers: Vec<Reader> =
            (0..workers).map(|_| self.mirror.reader()).collect::<Result<_, MirrorError>>()?;
        let readers = Mutex::new(readers);
        let key = self.policy.log_key.clone();
        let checker = ProofChecker { api, size: target.size(), root: target.root(), key: &key };
        let place = |task: u64| match &sample {
            None => task,
            Some(indices) => usize::try_from(task).ok().and_then(|n| indices.get(n).copied()).unwrap_or(0),
        };
        let tasks = sample.as_ref().map_or(target.size(), |indices| indices.len() as u64);
        let progress = self.progress;
        progress.begin("asking the log about entries", tasks);
        let mut tally = Tallied::default();
        let flow = in_order(
            0..tasks,
            workers,
            || (readers.lock().unwrap_or_else(PoisonError::into_inner).pop(), RecentHeads::default()),
            |task, (reader, recent)| {
                (ask_one(&checker, place(task), reader.as_ref(), recent), 2 * MAX_BUNDLE_ANSWER)
            },
            |_, asked| {
                progress.advance(1);
                match asked {
                    Ok(asked) => self.take_asked(asked, target, &mut tally),
                    Err(error) => ControlFlow::Break(Stop::Fault(error.into())),
                }
            },
        );
        progress.end();
        match flow {
            ControlFlow::Break(Stop::Fault(fault)) => return Err(fault),
            ControlFlow::Break(Stop::Unknown(cause)) => self.summary.incomplete.push(cause),
            ControlFlow::Break(Stop::Enough) => self.summary.notes.push(format!(
                "after {MAX_WRONG} wrong answers about entries the log was not asked about the others"
            )),
            ControlFlow::Continue(()) => {}
        }
        self.compare_kept()
    }

    fn take_asked(&mut self, asked: Asked, target: &Head, tally: &mut Tallied) -> ControlFlow<Stop> {
        let index = asked.index;
        match self
            .record_inclusion(&asked, target)
            .and_then(|()| self.record_bundle(index, asked.bundle, tally))
        {
            Err(fault) => return ControlFlow::Break(Stop::Fault(fault)),
            Ok(Some(cause)) => return ControlFlow::Break(Stop::Unknown(cause)),
            Ok(None) => {}
        }
        match asked.inclusion {
            Answer::Unknown(cause) => return ControlFlow::Break(Stop::Unknown(cause)),
            Answer::Wrong(_) | Answer::Missing(_) => tally.wrong = tally.wrong.saturating_add(1),
            Answer::Good => {}
        }
        if tally.wrong >= MAX_WRONG { ControlFlow::Break(Stop::Enough) } else { ControlFlow::Continue(()) }
    }

    fn record_inclusion(&mut self, asked: &Asked, target: &Head) -> Result<(), Fault> {
        self.record_answer(Question::Inclusion(asked.index, target.size()), &asked.inclusion)
    }

    /// Records what came of one bundle; gives the cause where the log could not be asked.
    fn record_bundle(
        &mut self,
        index: u64,
        bundle: BundleAnswer,
        tally: &mut Tallied,
    ) -> Result<Option<String>, Fault> {
        let subject = Question::Verification(index).subject();
        match bundle {
            BundleAnswer::NotAsked => self.summary.tally.add("verification-bundles", 0, 0, 1),
            BundleAnswer::TooLong(cause) => {
                self.summary.tally.add("verification-bundles", 0, 0, 1);
                if !std::mem::replace(&mut tally.too_long, true) {
                    self.summary.incomplete.push(format!("a verification bundle was not checked: {cause}"));
                }
            }
            BundleAnswer::Disagreement(what) => return Err(Fault::Disagreement(what)),
            BundleAnswer::None(Answer::Unknown(cause)) => return Ok(Some(cause)),
            BundleAnswer::None(answer) => {
                tally.wrong = tally.wrong.saturating_add(1);
                self.record_answer(Question::Verification(index), &answer)?;
            }
            BundleAnswer::Checked(checked) => {
                self.summary.tally.record("verification-bundles", checked.problems.is_empty());
                for head in &checked.heads {
                    // Kept before anything is said of it: it may be one that nobody else was shown.
                    if tally.seen.insert(head.statement()) {
                        self.keep(head, &Provenance::Listed)?;
                        self.check_time(head)?;
                    }
                }
                if checked.revealed {
                    let held = !checked.problems.iter().any(|(code, _)| is_of_reveal(*code));
                    self.summary.tally.record("reveals", held);
                }
                if !checked.problems.is_empty() {
                    tally.wrong = tally.wrong.saturating_add(1);
                }
                for (code, why) in checked.problems {
                    self.find(&bundle_finding(code, index, &subject, &why))?;
                }
            }
        }
        Ok(None)
    }

    /// Asks about one entry again, for a finding of an earlier run: whether all is right now.
    pub(super) fn entry_is_answered(&mut self, api: &dyn LogApi, index: u64) -> Result<bool, Fault> {
        let size = self.mirror.state().verified;
        let Some(frontier) = self.mirror.state().frontier().filter(|_| index < size) else {
            return Ok(false);
        };
        let key = self.policy.log_key.clone();
        let checker = ProofChecker { api, size, root: frontier.root(), key: &key };
        let reader = self.mirror.reader()?;
        let asked = ask_one(&checker, index, Some(&reader), &mut RecentHeads::default())?;
        let bundle = match asked.bundle {
            BundleAnswer::Checked(checked) => checked.problems.is_empty(),
            BundleAnswer::NotAsked => true,
            BundleAnswer::None(_) | BundleAnswer::TooLong(_) | BundleAnswer::Disagreement(_) => false,
        };
        Ok(bundle && asked.inclusion == Answer::Good)
    }
}

/// What one sweep over entries came to.
#[derive(Default)]
struct Tallied {
    wrong: usize,
    /// Some bundle was too long; it is said once.
    too_long: bool,
    seen: HashSet<Hash>,
}

fn is_of_reveal(code: Code) -> bool {
    matches!(code, Code::RevealMismatch | Code::PayloadMismatch)
}

/// A wrong reveal is about its entry, everything else about how the log answers.
fn bundle_finding(code: Code, index: u64, subject: &str, why: &str) -> Finding {
    if is_of_reveal(code) {
        return Finding::of_entry(code, index, None, why);
    }
    Finding::of_log(code, subject, format!("the verification bundle of entry {index}: {why}"))
}

fn ask_one(
    checker: &ProofChecker<'_>,
    index: u64,
    reader: Option<&Reader>,
    recent: &mut RecentHeads,
) -> Result<Asked, MirrorError> {
    let nothing = |answer| Asked { index, inclusion: answer, bundle: BundleAnswer::NotAsked };
    let Some(reader) = reader else {
        return Ok(nothing(Answer::Unknown("the mirror could not be read".to_owned())));
    };
    let leaves = reader.leaves(index, index.saturating_add(1))?;
    Ok(match leaves.first() {
        Some(leaf) => checker.ask(index, leaf, reader, recent),
        None => nothing(Answer::Unknown(format!("entry {index} is not in the mirror"))),
    })
}

/// Indices to ask about: all (`None`), or some of the newest and some of all, at random, so that no log
/// knows which answers will be looked at.
fn sample(size: u64, full: bool, draw: &mut Draw) -> Option<Vec<u64>> {
    if full || size <= SAMPLE_ENTRIES {
        return None;
    }
    let newest = SAMPLE_ENTRIES / 4;
    let mut indices: Vec<u64> = (size.saturating_sub(newest)..size).collect();
    while (indices.len() as u64) < SAMPLE_ENTRIES {
        let index = draw.below(size);
        if !indices.contains(&index) {
            indices.push(index);
        }
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_have_the_newest() {
        let sample = |size, full| sample(size, full, &mut Draw::new().unwrap());
        assert_eq!(sample(SAMPLE_ENTRIES, false), None);
        assert_eq!(sample(1_000_000, true), None);
        for size in [17, 18, 300, u64::MAX >> 11] {
            let mut indices = sample(size, false).unwrap();
            assert!(indices.contains(&(size - 1)));
            assert!(indices.iter().all(|index| *index < size));
            indices.sort_unstable();
            indices.dedup();
            assert_eq!(indices.len() as u64, SAMPLE_ENTRIES);
        }
    }
}
