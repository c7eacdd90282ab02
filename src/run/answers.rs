//! Consistency proofs that the JSON API answers, compared with the mirror (specification section 5). What it answers
//! about single entries is in [`super::entry_answers`].
//!
//! Every right answer is known already: it is recomputed from the mirrored entries and a signed root. So a wrong answer
//! does not mislead this auditor. It is the finding `proof-invalid` because it would mislead those who have no mirror. It
//! is never a violation by itself, because it may have been changed on its way.

use super::answer::{Answer, MAX_WRONG, Question};
use super::answer_record;
use super::context::Context;
use super::draw::Draw;
use super::fault::Fault;
use super::mirrored::mirrored_range;
use super::pipeline::in_order;
use super::served_proofs::ServedProofs;
use super::statements::Statements;
use super::target::Target;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::limits::MAX_PROOF_ANSWER;
use crate::mirror::Mirror;
use crate::source::LogApi;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

/// Trees from which the consistency proof to the next larger one is asked for in an ordinary run.
const SAMPLE_HEADS: usize = 4;

/// The same with `--full`. A log that signed more trees than this is sampled.
const FULL_HEADS: usize = 10_000;

/// Trees from which the consistency proof to the newest one is asked for in addition.
const SAMPLE_SKIPPING: usize = 2;

/// Asks for consistency proofs, if the mirror has the tree of the target: then every right answer is known.
///
/// # Errors
/// The mirror cannot be read or written, or the operating system gives no random numbers.
pub(super) fn check(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    target: &Target,
) -> Result<(), Fault> {
    let Some(api) = cx.source().and_then(|source| source.api()) else { return Ok(()) };
    let Some(target) = target.verified_head().filter(|target| target.size() > 0) else { return Ok(()) };
    check_consistency_answers(cx, mirror, statements, api, target)
}

/// Asks for the proofs from trees that the log signed to the next larger ones, and from some to the newest.
fn check_consistency_answers(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    api: &dyn LogApi,
    target: &Head,
) -> Result<(), Fault> {
    let mut sizes = mirror.heads().consistent_sizes(target.size())?;
    sizes.push(target.size());
    let mut draw = Draw::new()?;
    let mut pairs = pairs(&sizes, cx.options().full, &mut draw);
    if pairs.is_empty() {
        // The log signed one tree so far. It must answer for trees of all sizes, and the mirror has them all.
        pairs = from_any(target.size(), &mut draw);
    }
    let mut roots: BTreeMap<u64, Hash> = BTreeMap::from([(target.size(), target.root())]);
    for (first, second) in &pairs {
        for size in [first, second] {
            if let Entry::Vacant(place) = roots.entry(*size) {
                place.insert(mirrored_range(mirror, 0..*size)?);
            }
        }
    }
    let questions: Vec<(Question, u64, Hash, ServedProofs<'_>)> = pairs
        .iter()
        .filter_map(|(first, size)| {
            let (old, root) = (*roots.get(first)?, *roots.get(size)?);
            let asked = Question::Consistency(*first, *size);
            Some((asked, *first, old, ServedProofs::to_tree(api, *size, root)))
        })
        .collect();
    let workers = cx.options().workers.max(1);
    let progress = cx.progress();
    progress.begin("asking the log for consistency proofs", questions.len() as u64);
    let mut wrong: usize = 0;
    let flow = in_order(
        0..questions.len() as u64,
        workers,
        || (),
        |task, ()| {
            let question = usize::try_from(task).ok().and_then(|task| questions.get(task));
            let asked = question.map(|(asked, first, old, proofs)| (*asked, proofs.check(*first, *old)));
            (asked, MAX_PROOF_ANSWER)
        },
        |_, asked| {
            progress.advance(1);
            let Some((asked, answer)) = asked else { return ControlFlow::Continue(()) };
            if let Answer::Unknown(cause) = answer {
                statements.incomplete(cause);
                return ControlFlow::Break(Ok(()));
            }
            wrong = wrong.saturating_add(usize::from(answer != Answer::Good));
            match answer_record::record(cx, mirror, statements, asked, &answer) {
                Err(fault) => ControlFlow::Break(Err(fault)),
                Ok(()) if wrong >= MAX_WRONG => ControlFlow::Break(Ok(())),
                Ok(()) => ControlFlow::Continue(()),
            }
        },
    );
    progress.end();
    flow.break_value().unwrap_or(Ok(()))
}

/// The pairs of sizes whose consistency is asked for, out of the `sizes` of all trees that the log signed, ascending: each
/// size with the next one, and some with the newest. With `full` these are all of the former, and otherwise a sample that
/// no log can foresee. The newest and the one before it are always among them.
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

/// Pairs of some sizes, which no log can foresee, with the newest one. A tree of one entry has no smaller one.
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
    fn smaller_trees_are_compared_with_the_only_signed_one() {
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
    fn every_adjacent_pair_or_a_sample_is_requested() {
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
    fn the_number_of_requests_is_bounded() {
        let sizes: Vec<u64> = (1..=3 * FULL_HEADS as u64).collect();
        let pairs = |sizes: &[u64], full| pairs(sizes, full, &mut Draw::new().unwrap());
        assert_eq!(pairs(&sizes, true).len(), FULL_HEADS + SAMPLE_SKIPPING);
        assert_eq!(pairs(&sizes, false).len(), SAMPLE_HEADS + SAMPLE_SKIPPING);
    }
}
