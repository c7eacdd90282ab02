//! No entry was decided after the first STH that covers it was signed (specification section 10, `decided-after-head`).
//!
//! The first STH is the earliest by its time, among those of larger sizes whose root the mirrored tree has. It is known
//! only once all STHs are known: one may come later than the entries that it covers, from the log's list, a peer or an
//! import. So entries are judged after heads are, and again from where a new head may be earlier than those known before.
//! The findings do not depend on how often the log was visited, or on the order in which its heads came.

use super::context::Context;
use super::fault::Fault;
use super::statements::{Statements, too_many};
use crate::audit::finding::Finding;
use crate::core::check::Check;
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::limits;
use crate::core::time::UnixMillis;
use crate::mirror::state::State;
use crate::mirror::{Decided, Mirror, MirrorError};
use std::ops::Range;

/// Entries that are judged in one transaction.
const BATCH: u64 = 65_536;

/// Entries that the same head covers first.
struct Span {
    /// The entries.
    entries: Range<u64>,
    /// Size of the head.
    size: u64,
    /// Its time.
    time: UnixMillis,
}

/// Judges the entries that were not judged yet, or only against later heads than are known now. Returns `false` if it
/// stopped before the last of them. That is said as incomplete.
///
/// # Errors
/// The mirror cannot be read or written, or what it keeps of an entry is not what the leaf says.
pub(super) fn compare(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<bool, Fault> {
    let state = mirror.state();
    let (judged, checked) = (state.judged, state.checked);
    if judged >= checked {
        return Ok(true);
    }
    let spans = spans(cx, mirror, judged)?;
    let end = spans.last().map_or(judged, |span| span.entries.end).min(checked);
    while mirror.state().judged < end {
        if cx.is_stopped() {
            statements.stopped();
            return Ok(false);
        }
        let findings = mirror.findings().count()?;
        if findings > cx.options().max_findings {
            statements.incomplete_once(too_many(findings));
            return Ok(false);
        }
        let room = cx.options().max_findings.saturating_sub(findings).saturating_add(1);
        let now = cx.now();
        mirror.transact(|mirror, state| judge(mirror, state, &spans, end, room, now))?;
    }
    Ok(true)
}

/// Which head is the first to cover which entries, from entry `from` on, ascending.
fn spans(cx: &Context<'_>, mirror: &Mirror, from: u64) -> Result<Vec<Span>, Fault> {
    let heads = mirror.heads().covering(from, cx.key())?;
    let mut spans: Vec<Span> = Vec::with_capacity(heads.len());
    let mut earliest: Option<(u64, UnixMillis)> = None;
    let mut sizes = heads.iter().rev().map(|stored| stored.head.size()).skip(1).chain([from]);
    for stored in heads.iter().rev() {
        let (size, time) = (stored.head.size(), stored.head.timestamp().unwrap_or_default());
        // If two have the same time, the smaller one says more exactly when the entry was there.
        let (size_of, time_of) = match earliest {
            Some((size, before)) if before < time => (size, before),
            _ => (size, time),
        };
        earliest = Some((size_of, time_of));
        let entries = sizes.next().unwrap_or(from)..size;
        spans.push(Span { entries, size: size_of, time: time_of });
    }
    spans.reverse();
    Ok(spans)
}

/// Judges the next entries before `end`, until there is no more room for findings.
fn judge(
    mirror: &mut Mirror,
    state: &mut State,
    spans: &[Span],
    end: u64,
    room: u64,
    now: UnixMillis,
) -> Result<(), MirrorError> {
    let from = state.judged;
    let mut to = end.min(from.saturating_add(BATCH));
    let mut late: Vec<(Decided, &Span)> = Vec::new();
    for span in spans.iter().skip(spans.partition_point(|span| span.entries.end <= from)) {
        let entries = span.entries.start.max(from)..span.entries.end.min(to);
        let left = room.saturating_sub(late.len() as u64);
        if entries.start >= entries.end || left == 0 {
            break;
        }
        let bound = span.time.saturating_add(limits::DECIDED_AFTER_HEAD);
        late.extend(
            mirror.entries().decided_after(&entries, bound, left)?.into_iter().map(|decided| (decided, span)),
        );
    }
    if late.len() as u64 >= room {
        to = late.last().map_or(to, |(decided, _)| decided.index.saturating_add(1));
    }
    let mut tally = state.tally();
    let mut failed: u64 = 0;
    for (decided, span) in &late {
        confirm(mirror, decided, &state.origin)?;
        let finding = finding(decided, span);
        if decided.index >= state.covered {
            failed = failed.saturating_add(1);
        } else if !mirror.findings().stands(&finding)? {
            tally.fail_instead(Check::DecidedBeforeHead);
        }
        mirror.findings_mut().put(&finding, now)?;
    }
    let new: Range<u64> = state.covered.clamp(from, to)..to;
    let judged = mirror.entries().with_times(&new)?;
    tally.settle(Check::DecidedBeforeHead, judged.saturating_sub(failed), failed);
    state.set_tally(&tally);
    state.covered = state.covered.max(to);
    state.judged = to;
    Ok(())
}

/// What the mirror keeps of an entry is compared with the leaf itself before the log is accused.
fn confirm(mirror: &Mirror, decided: &Decided, origin: &str) -> Result<(), MirrorError> {
    let leaves = mirror.leaves().range(decided.index, decided.index.saturating_add(1))?;
    let entry = leaves.first().and_then(|leaf| read_leaf(leaf, origin).entry);
    match entry {
        Some(entry) if entry.decided_at == decided.decided_at => Ok(()),
        _ => Err(MirrorError::wrong_memory(mirror.path(), decided.index)),
    }
}

fn finding(decided: &Decided, span: &Span) -> Finding {
    let message = format!(
        "decided at {}, but covered by the head of size {} that is dated {}",
        decided.decided_at, span.size, span.time
    );
    Finding::of_entry(Code::DecidedAfterHead, decided.index, decided.id.as_deref(), message)
}
