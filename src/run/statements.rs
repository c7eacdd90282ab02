//! What the phases of a run say, besides the findings that they keep in the mirror.

use super::summary::Summary;
use crate::audit::tally::{Count, Tally};
use crate::core::check::Check;
use crate::source::Stop;

/// Counts and sentences of one run. A phase only adds to them, so a phase that ends in a fault has still said what it said.
#[derive(Default)]
pub(super) struct Statements {
    tally: Tally,
    heads_new: u64,
    incomplete: Vec<String>,
    follows: Vec<String>,
    notes: Vec<String>,
    faults: Vec<String>,
    /// Whether it was said that a replica may lag behind.
    said_behind: bool,
}

impl Statements {
    /// Counts one check.
    pub(super) fn record(&mut self, check: Check, held: bool) {
        self.tally.record(check, held);
    }

    /// Counts checks that passed, that failed and that were not made.
    pub(super) fn count(&mut self, check: Check, passed: u64, failed: u64, not_checked: u64) {
        self.tally.add(check, passed, failed, not_checked);
    }

    /// How many checks of this kind were counted so far.
    pub(super) fn counted(&self, check: Check) -> Count {
        self.tally.get(check)
    }

    /// Counts heads that were not known before. It saturates: so many heads fit on no disk.
    pub(super) fn count_new_heads(&mut self, new: u64) {
        self.heads_new = self.heads_new.saturating_add(new);
    }

    /// Something could not be decided: the cause.
    pub(super) fn incomplete(&mut self, cause: impl Into<String>) {
        self.incomplete.push(cause.into());
    }

    /// The same, unless it was said before.
    pub(super) fn incomplete_once(&mut self, cause: impl Into<String>) {
        push_once(&mut self.incomplete, cause.into());
    }

    /// Whether anything could not be decided.
    pub(super) fn is_incomplete(&self) -> bool {
        !self.incomplete.is_empty()
    }

    /// The run was told to stop; said once.
    pub(super) fn stopped(&mut self) {
        self.incomplete_once(Stop::MESSAGE);
    }

    /// A replica of the log may lag behind: the first cause is said.
    pub(super) fn behind(&mut self, cause: String) {
        if !self.said_behind {
            self.said_behind = true;
            self.incomplete(cause);
        }
    }

    /// Something could not be decided because of something that is said anyway.
    pub(super) fn follows(&mut self, what: impl Into<String>) {
        self.follows.push(what.into());
    }

    /// What the reader should know besides.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The same, unless it was said before.
    pub(super) fn note_once(&mut self, note: impl Into<String>) {
        push_once(&mut self.notes, note.into());
    }

    /// A fault on our side that does not end the run, or the one that did.
    pub(super) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// The same, unless it was said before.
    pub(super) fn fault_once(&mut self, fault: impl Into<String>) {
        push_once(&mut self.faults, fault.into());
    }

    /// Puts everything that was said into the summary.
    pub(super) fn into_summary(self, rest: Summary) -> Summary {
        let Statements { tally, heads_new, incomplete, follows, notes, faults, .. } = self;
        Summary { tally, heads_new, incomplete, follows, notes, faults, ..rest }
    }
}

/// Adds a sentence that is not there yet.
fn push_once(to: &mut Vec<String>, what: String) {
    if !to.contains(&what) {
        to.push(what);
    }
}

/// The cause of a stop at `--max-findings`.
pub(super) fn too_many(findings: u64) -> String {
    format!("{findings} findings stand; the run stopped there, see --max-findings")
}
