//! The heads that are kept: added durably, held against each other, and marked.

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use super::{contradiction, findings};
use crate::audit::heads::{contradictions, disorder};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::limits;
use crate::core::time::{UnixMillis, whole_millis};
use crate::mirror::{HeadStatus, Mirror, Provenance, StoredHead};
use std::time::Duration;

// Counts of heads saturate: so many fit on no disk. A time before 1970 counts as 1970.

/// Heads that are kept, or whose comparison is made durable, at once: one sync to disk for many.
const COMPARED_AT_ONCE: usize = 1000;

/// Whether a head was first seen so lately that another answer of the log may still be behind it.
pub(super) fn is_recent(cx: &Context<'_>, stored: &StoredHead) -> bool {
    cx.now().saturating_sub(limits::LAG) < stored.first_seen
}

/// Records a head that is dated in the future, wherever the log shows it. A head that is not is counted only if it is
/// served as the newest.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn check_time(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
) -> Result<(), Fault> {
    let ahead = head.timestamp().filter(|time| *time > cx.latest_time());
    let Some(time) = ahead else { return Ok(()) };
    statements.record(Check::HeadTime, false);
    let message = format!("the STH of size {} is dated {time}", head.size());
    findings::record_of_log(cx, mirror, Code::HeadInFuture, Subject::Whole, message)
}

/// Keeps a head, durably, before anything else can fail. Returns whether it is new.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn keep(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
    provenance: &Provenance,
) -> Result<bool, Fault> {
    Ok(keep_all(cx, mirror, statements, std::slice::from_ref(head), provenance)? > 0)
}

/// Keeps heads, durably, and returns how many are new.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn keep_all(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    heads: &[Head],
    provenance: &Provenance,
) -> Result<u64, Fault> {
    let now = cx.now();
    let mut new: u64 = 0;
    for batch in heads.chunks(COMPARED_AT_ONCE) {
        let kept = mirror.transact(|mirror, _| {
            batch.iter().try_fold(0u64, |new, head| {
                Ok(new.saturating_add(u64::from(mirror.heads_mut().put(head, provenance, now)?)))
            })
        })?;
        new = new.saturating_add(kept);
    }
    statements.count_new_heads(new);
    if new > 0 && *provenance == Provenance::Imported && !mirror.state().lost.is_empty() {
        mirror.transact(|_, state| {
            state.lost.clear();
            Ok(())
        })?;
    }
    Ok(new)
}

/// Holds each head that was not yet compared against all the others: what two signatures prove
/// without the tree. A head counts as compared only once what came of it is kept, so neither a
/// crash nor a full disk can make a contradiction be forgotten.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn compare_new(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<(), Fault> {
    let heads = mirror.heads().uncompared(cx.key())?;
    let heads: Vec<Head> = heads.into_iter().map(|stored| stored.head).collect();
    compare(cx, mirror, statements, &heads)
}

/// Holds these kept heads against all kept ones.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn compare(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    heads: &[Head],
) -> Result<(), Fault> {
    let key = cx.key();
    for batch in heads.chunks(COMPARED_AT_ONCE) {
        let sths: Vec<&Head> = batch.iter().filter(|head| head.timestamp().is_some()).collect();
        let times: Vec<(u64, UnixMillis)> =
            sths.iter().filter_map(|head| Some((head.size(), head.timestamp()?))).collect();
        let against = mirror.heads().sths_against(&times, key)?;
        let against = sths.into_iter().zip(against);
        compare_times(
            cx,
            mirror,
            statements,
            against.flat_map(|(head, others)| others.into_iter().map(move |o| (head, o))),
        )?;
        for head in batch {
            for other in mirror.heads().forks_of(head.size(), &head.root(), key)? {
                for kind in contradictions(head, &other.head) {
                    contradiction::report(cx, mirror, statements, kind, head, &other.head, None)?;
                }
            }
        }
        mirror.transact(|mirror, state| {
            batch.iter().try_for_each(|head| mirror.heads_mut().set_compared(state, head))
        })?;
    }
    Ok(())
}

/// Compares the times of STHs. A pair out of order by more than the bound is a contradiction; of the pairs within it,
/// the widest is recorded.
fn compare_times<'h>(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    pairs: impl Iterator<Item = (&'h Head, StoredHead)>,
) -> Result<(), Fault> {
    let mut widest: Option<(Duration, Head, Head)> = None;
    for (head, other) in pairs {
        for kind in contradictions(head, &other.head) {
            contradiction::report(cx, mirror, statements, kind, head, &other.head, None)?;
        }
        let by = disorder(head, &other.head);
        if by <= limits::MAX_SIGNER_SKEW && by > widest.as_ref().map_or(Duration::ZERO, |(by, ..)| *by) {
            widest = Some((by, head.clone(), other.head));
        }
    }
    widest.map_or(Ok(()), |(_, a, b)| report_disorder(cx, mirror, &a, &b))
}

/// Records that the clocks of two signers differ: one finding for the log, not one for each pair of heads.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn report_disorder(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    a: &Head,
    b: &Head,
) -> Result<(), Fault> {
    let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
    let message = format!(
        "the STH of size {} is dated {}, {} ms later than one of the larger size {}: the clocks of the log's signers \
         differ",
        smaller.size(),
        smaller.timestamp().unwrap_or_default(),
        whole_millis(disorder(a, b)),
        larger.size()
    );
    findings::record_of_log(cx, mirror, Code::SthTimeDisorder, Subject::Whole, message)
}

/// Marks a kept head.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn mark(mirror: &mut Mirror, head: &Head, status: HeadStatus) -> Result<(), Fault> {
    Ok(mirror.transact(|mirror, _| mirror.heads_mut().set_status(head, status))?)
}
