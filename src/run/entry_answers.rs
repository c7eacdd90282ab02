//! What the JSON API answers about single entries, compared with the mirror: the inclusion proof and the
//! verification bundle, of a sample that no log can foresee, or with `--full` of every entry.

use super::answer::{Answer, MAX_WRONG, Question, judged};
use super::context::Context;
use super::draw::Draw;
use super::fault::Fault;
use super::pipeline::in_order;
use super::statements::Statements;
use super::target::Target;
use super::{answer_record, findings, kept};
use crate::audit::bundle::{CheckedBundle, RecentHeads, check_bundle};
use crate::audit::finding::Finding;
use crate::core::check::Check;
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::hash::{Hash, leaf_hash};
use crate::core::head::{Head, LogKey};
use crate::core::limits::MAX_BUNDLE_ANSWER;
use crate::core::proof::verify_inclusion;
use crate::mirror::{Mirror, MirrorError, Provenance, Reader};
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

/// What came of asking for a bundle.
enum BundleAnswer {
    /// An answer, with what is wrong with it.
    Checked(Box<CheckedBundle>),
    /// There was nothing to check. It is never [`Answer::Good`].
    None(Answer),
    /// It was not asked for, because the entry has no id that can be asked for.
    NotAsked,
    /// It is longer than the limit of this program. The specification sets no limit.
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
            // The log cannot be reached, and one cause is enough.
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
                // Two entries of one id are a finding of their own, and the log may answer with either.
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
        let leaves = mirror.range(index, index.saturating_add(1)).unwrap_or_default();
        let entry = leaves.first().and_then(|leaf| read_leaf(leaf, self.key.origin()).entry);
        index < self.size && entry.is_some_and(|entry| entry.valid_id() == Some(id))
    }
}

/// Why asking ends before the last entry.
enum Stop {
    /// A fault on our side.
    Fault(Fault),
    /// Could not tell: the cause.
    Unknown(String),
    /// Enough answers were wrong.
    Enough,
}

/// Asks about the sampled entries, or with `--full` about all, if the mirror has the tree of the target.
///
/// # Errors
/// The mirror cannot be read or written, two implementations disagree, or the operating system gives no random numbers.
pub(super) fn check(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    target: &Target,
) -> Result<(), Fault> {
    let Some(api) = cx.source().and_then(|source| source.api()) else { return Ok(()) };
    let Some(target) = target.verified_head().filter(|target| target.size() > 0) else { return Ok(()) };
    let sample = sample(target.size(), cx.options().full, &mut Draw::new()?);
    let workers = cx.options().workers.max(1);
    let readers: Vec<Reader> =
        (0..workers).map(|_| mirror.leaves().reader()).collect::<Result<_, MirrorError>>()?;
    let readers = Mutex::new(readers);
    let key = cx.key().clone();
    let checker = ProofChecker { api, size: target.size(), root: target.root(), key: &key };
    let place = |task: u64| match &sample {
        None => task,
        Some(indices) => usize::try_from(task).ok().and_then(|n| indices.get(n).copied()).unwrap_or(0),
    };
    let tasks = sample.as_ref().map_or(target.size(), |indices| indices.len() as u64);
    let progress = cx.progress();
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
                Ok(asked) => take_asked(cx, mirror, statements, asked, target, &mut tally),
                Err(error) => ControlFlow::Break(Stop::Fault(error.into())),
            }
        },
    );
    progress.end();
    match flow {
        ControlFlow::Break(Stop::Fault(fault)) => return Err(fault),
        ControlFlow::Break(Stop::Unknown(cause)) => statements.incomplete(cause),
        ControlFlow::Break(Stop::Enough) => statements.note(format!(
            "after {MAX_WRONG} wrong answers about entries the log was not asked about the others"
        )),
        ControlFlow::Continue(()) => {}
    }
    kept::compare_new(cx, mirror, statements)
}

fn take_asked(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    asked: Asked,
    target: &Head,
    tally: &mut Tallied,
) -> ControlFlow<Stop> {
    let index = asked.index;
    match record_inclusion(cx, mirror, statements, &asked, target)
        .and_then(|()| record_bundle(cx, mirror, statements, index, asked.bundle, tally))
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

fn record_inclusion(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    asked: &Asked,
    target: &Head,
) -> Result<(), Fault> {
    answer_record::record(
        cx,
        mirror,
        statements,
        Question::Inclusion(asked.index, target.size()),
        &asked.inclusion,
    )
}

/// Records what came of one bundle. Returns the cause if the log could not be asked.
fn record_bundle(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    index: u64,
    bundle: BundleAnswer,
    tally: &mut Tallied,
) -> Result<Option<String>, Fault> {
    match bundle {
        BundleAnswer::NotAsked => statements.count(Check::VerificationBundles, 0, 0, 1),
        BundleAnswer::TooLong(cause) => {
            statements.count(Check::VerificationBundles, 0, 0, 1);
            if !std::mem::replace(&mut tally.too_long, true) {
                statements.incomplete(format!("a verification bundle was not checked: {cause}"));
            }
        }
        BundleAnswer::Disagreement(what) => return Err(Fault::Disagreement(what)),
        BundleAnswer::None(Answer::Unknown(cause)) => return Ok(Some(cause)),
        BundleAnswer::None(answer) => {
            tally.wrong = tally.wrong.saturating_add(1);
            answer_record::record(cx, mirror, statements, Question::Verification(index), &answer)?;
        }
        BundleAnswer::Checked(checked) => {
            statements.record(Check::VerificationBundles, checked.problems.is_empty());
            for head in &checked.heads {
                // Kept before it is judged: the log may have shown it to nobody else.
                if tally.seen.insert(head.statement()) {
                    kept::keep(cx, mirror, statements, head, &Provenance::Listed)?;
                    kept::check_time(cx, mirror, statements, head)?;
                }
            }
            if checked.revealed {
                let held = !checked.problems.iter().any(|(code, _)| is_of_reveal(*code));
                statements.record(Check::Reveals, held);
            }
            if !checked.problems.is_empty() {
                tally.wrong = tally.wrong.saturating_add(1);
            }
            for (code, why) in checked.problems {
                findings::record(cx, mirror, &bundle_finding(code, index, &why))?;
            }
        }
    }
    Ok(None)
}

/// Asks about one entry again, for a finding of an earlier run. Returns whether all answers are right now.
///
/// # Errors
/// The mirror cannot be read.
pub(super) fn entry_is_answered(
    cx: &Context<'_>,
    mirror: &Mirror,
    api: &dyn LogApi,
    index: u64,
) -> Result<bool, Fault> {
    let size = mirror.state().verified;
    let Some(frontier) = mirror.state().frontier().filter(|_| index < size) else {
        return Ok(false);
    };
    let key = cx.key().clone();
    let checker = ProofChecker { api, size, root: frontier.root(), key: &key };
    let reader = mirror.leaves().reader()?;
    let asked = ask_one(&checker, index, Some(&reader), &mut RecentHeads::default())?;
    let bundle = match asked.bundle {
        BundleAnswer::Checked(checked) => checked.problems.is_empty(),
        BundleAnswer::NotAsked => true,
        BundleAnswer::None(_) | BundleAnswer::TooLong(_) | BundleAnswer::Disagreement(_) => false,
    };
    Ok(bundle && asked.inclusion == Answer::Good)
}

/// What came of asking about entries so far.
#[derive(Default)]
struct Tallied {
    /// Wrong answers. The count saturates, far beyond [`MAX_WRONG`].
    wrong: usize,
    /// Some bundle was too long. It is said once.
    too_long: bool,
    /// Heads that were kept.
    seen: HashSet<Hash>,
}

fn is_of_reveal(code: Code) -> bool {
    matches!(code, Code::RevealMismatch | Code::PayloadMismatch)
}

/// The finding about a bundle. A wrong reveal is about its entry, and everything else is about how the log answers.
fn bundle_finding(code: Code, index: u64, why: &str) -> Finding {
    if is_of_reveal(code) {
        return Finding::of_entry(code, index, None, why);
    }
    let subject = Question::Verification(index).subject();
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
    let leaves = reader.range(index, index.saturating_add(1))?;
    Ok(match leaves.first() {
        Some(leaf) => checker.ask(index, leaf, reader, recent),
        None => nothing(Answer::Unknown(format!("entry {index} is not in the mirror"))),
    })
}

/// The indices to ask about: all of them (`None`), or the newest ones and some of all, at random, so that no log
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
    fn samples_are_distinct_and_include_the_newest() {
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
