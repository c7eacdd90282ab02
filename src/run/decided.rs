//! No entry was decided after the first STH that covers it was signed (specification section 10, `decided-after-head`).
//!
//! The first is the earliest by its time, of all STHs of larger sizes that the mirror bears out. Which that is, is known
//! only once all STHs are: one may come later than the entries that it covers, from the log's list, a peer or an import.
//! So entries are judged after heads are, and again from where a new head may be earlier than those known before: how
//! often the log was visited, and in which order its heads came, makes no difference to what is found.

use super::commit::too_many;
use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::{limits, text};
use crate::mirror::state::State;
use crate::mirror::{Decided, Mirror, MirrorError, Span};
use std::ops::Range;

/// The check's name in reports.
pub(super) const DECIDED_CHECK: &str = "decided-before-head";

/// Entries that are judged in one transaction.
const BATCH: u64 = 65_536;

impl Run<'_> {
    /// Judges the entries that were not, or against later heads than are known now. `false` where it was told to stop.
    pub(super) fn judge_decided(&mut self) -> Result<bool, Fault> {
        let state = self.mirror.state();
        let (judged, checked) = (state.judged, state.checked);
        if judged >= checked {
            return Ok(true);
        }
        let spans = self.spans(judged)?;
        let end = spans.last().map_or(judged, |span| span.entries.end).min(checked);
        while self.mirror.state().judged < end {
            if self.options.stop.is_stopped() {
                self.say_stopped();
                return Ok(false);
            }
            let findings = self.mirror.finding_count()?;
            if findings > self.options.max_findings {
                self.say_too_many(findings);
                return Ok(false);
            }
            let room = self.options.max_findings.saturating_sub(findings).saturating_add(1);
            let now = &self.options.now.1;
            self.mirror.transact(|mirror, state| judge(mirror, state, &spans, end, room, now))?;
        }
        Ok(true)
    }

    fn say_too_many(&mut self, findings: u64) {
        let cause = too_many(findings);
        if !self.summary.incomplete.contains(&cause) {
            self.summary.incomplete.push(cause);
        }
    }

    /// Which head covers which entries from `from` on first, ascending.
    fn spans(&self, from: u64) -> Result<Vec<Span>, Fault> {
        let heads = self.mirror.covering_heads(from, &self.policy.log_key)?;
        let mut spans: Vec<Span> = Vec::with_capacity(heads.len());
        let mut earliest: Option<(u64, u64)> = None;
        let mut sizes = heads.iter().rev().map(|stored| stored.head.size()).skip(1).chain([from]);
        for stored in heads.iter().rev() {
            let (size, time) = (stored.head.size(), stored.head.timestamp().unwrap_or(0));
            // Where two are of one time, the smaller one names more exactly when the entry was there.
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
}

/// Judges the next entries before `end`, until there is no more room for findings.
fn judge(
    mirror: &mut Mirror,
    state: &mut State,
    spans: &[Span],
    end: u64,
    room: u64,
    now: &str,
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
        let bound = span.time.saturating_add(limits::DECIDED_AFTER_HEAD_MS);
        late.extend(mirror.decided_after(&entries, bound, left)?.into_iter().map(|decided| (decided, span)));
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
        } else if !mirror.stands(&finding)? {
            tally.fail_instead(DECIDED_CHECK);
        }
        mirror.put_finding(&finding, now)?;
    }
    let new: Range<u64> = state.covered.clamp(from, to)..to;
    let judged = mirror.with_times(&new)?;
    tally.settle(DECIDED_CHECK, judged.saturating_sub(failed), failed);
    state.set_tally(&tally);
    state.covered = state.covered.max(to);
    state.judged = to;
    Ok(())
}

/// What is kept of an entry is not held against the log before the leaf itself was asked.
fn confirm(mirror: &Mirror, decided: &Decided, origin: &str) -> Result<(), MirrorError> {
    let leaves = mirror.leaves(decided.index, decided.index.saturating_add(1))?;
    let entry = leaves.first().and_then(|leaf| read_leaf(leaf, origin).entry);
    match entry {
        Some(entry) if entry.decided_at == decided.decided_at => Ok(()),
        _ => Err(mirror.wrong_memory(decided.index)),
    }
}

fn finding(decided: &Decided, span: &Span) -> Finding {
    let message = format!(
        "decided at {}, but covered by the head of size {} that is dated {}",
        text::time(decided.decided_at),
        span.size,
        text::time(span.time)
    );
    Finding::of_entry(Code::DecidedAfterHead, decided.index, decided.id.as_deref(), message)
}
