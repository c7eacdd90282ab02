//! A directory that changes while it is read is not held against the log, for an hour.
//!
//! What is missing or wrong in it may be being copied: the run is incomplete, says so, and never passes; what it could
//! not see whole it does not keep, so that the next run looks again ([`LogSource::confirm`]). From an hour after the
//! first such run on, it is the finding that it would have been at once (`gap`, `tile-mismatch`, …): no log escapes by
//! writing to its files for ever. The hour is kept in the mirror and ends with a run in which all was there. An audit has
//! one and `--heads-only` another, as the latter does not see whether what the former missed has come.

use super::{Fault, Run};
use crate::core::finding::Code;
use crate::core::{limits, text};
use crate::mirror::state::State;
use crate::source::LogSource;

/// What a directory that is being copied could be accused of.
const OF_SERVING: [Code; 5] =
    [Code::Gap, Code::RootMismatch, Code::TileMismatch, Code::HeadMalformed, Code::HeadSignatureInvalid];

impl Run<'_> {
    /// Says to the source whether changes are still forgiven.
    pub(super) fn look_anew(&mut self) {
        let since = self.changing_since();
        let forgiving = since == 0 || self.options.now.0.saturating_sub(since) < limits::LAG_MS;
        if let Some(source) = self.source {
            source.look_anew(forgiving);
        }
    }

    /// Begins the hour where something was not held against the log, and ends it where all was there.
    pub(super) fn note_changes(&mut self) -> Result<(), Fault> {
        let (since, now) = (self.changing_since(), self.options.now.0);
        let heads_only = self.options.heads_only;
        if self.source.is_some_and(LogSource::has_forgiven) {
            if since == 0 {
                self.mirror.transact(|_, state| {
                    *since_of(state, heads_only) = now;
                    Ok(())
                })?;
            }
            let since = if since == 0 { now } else { since };
            self.summary.notes.push(format!(
                "the log's directory is seen changing since {}: from {} on, what is missing or wrong in it is held \
                 against the log, changing or not",
                text::time(since),
                text::time(since.saturating_add(limits::LAG_MS))
            ));
        } else if since > 0 && self.all_was_there()? {
            self.mirror.transact(|_, state| {
                *since_of(state, heads_only) = 0;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A time to come is a slip of a clock, and would put the end of the hour off.
    fn changing_since(&self) -> u64 {
        let since = *since_of(&mut self.mirror.state().clone(), self.options.heads_only);
        if since > self.options.now.0 { 0 } else { since }
    }

    fn all_was_there(&self) -> Result<bool, Fault> {
        let summary = &self.summary;
        let was_read = summary.target_verified || self.options.heads_only && !summary.no_head;
        if !was_read || !summary.incomplete.is_empty() {
            return Ok(false);
        }
        let now = &self.options.now.1;
        let findings = self.mirror.findings(false)?;
        Ok(!findings
            .iter()
            .any(|stored| stored.last_seen == *now && OF_SERVING.contains(&stored.finding.code)))
    }
}

fn since_of(state: &mut State, heads_only: bool) -> &mut u64 {
    match heads_only {
        true => &mut state.changing_since_heads_only,
        false => &mut state.changing_since,
    }
}
