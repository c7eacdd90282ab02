//! What every phase of a run reads and none changes.

use super::options::Options;
use super::progress::Progress;
use crate::audit::journal::ReadJournal;
use crate::audit::policy::Policy;
use crate::audit::watch_list::Rule;
use crate::core::head::LogKey;
use crate::core::limits;
use crate::core::time::UnixMillis;
use crate::source::{LogSource, Peer, Stop};

/// The log, the policy and the options of one run.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    source: Option<&'a dyn LogSource>,
    policy: &'a Policy,
    options: &'a Options,
    progress: &'a dyn Progress,
    peers: &'a [Peer],
    rules: &'a [Rule],
    journal: Option<&'a dyn ReadJournal>,
}

impl<'a> Context<'a> {
    /// A run without peers, watch rules and journal.
    pub(super) fn new(
        source: Option<&'a dyn LogSource>,
        policy: &'a Policy,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Context<'a> {
        Context { source, policy, options, progress, peers: &[], rules: &[], journal: None }
    }

    /// The same run, with these peers.
    pub(super) fn with_peers(self, peers: &'a [Peer]) -> Context<'a> {
        Context { peers, ..self }
    }

    /// The same run, with these watch rules.
    pub(super) fn with_rules(self, rules: &'a [Rule]) -> Context<'a> {
        Context { rules, ..self }
    }

    /// The same run, with the journal of a gate.
    pub(super) fn with_journal(self, journal: &'a dyn ReadJournal) -> Context<'a> {
        Context { journal: Some(journal), ..self }
    }

    /// The log. Without one, only what the mirror holds can be checked.
    pub(super) fn source(&self) -> Option<&'a dyn LogSource> {
        self.source
    }

    /// What the user trusts.
    pub(super) fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The log's pinned key.
    pub(super) fn key(&self) -> &'a LogKey {
        &self.policy.log_key
    }

    /// What the run is asked to do.
    pub(super) fn options(&self) -> &'a Options {
        self.options
    }

    /// Where progress is shown.
    pub(super) fn progress(&self) -> &'a dyn Progress {
        self.progress
    }

    /// Others whose heads are compared with the log's.
    pub(super) fn peers(&self) -> &'a [Peer] {
        self.peers
    }

    /// Watch rules.
    pub(super) fn rules(&self) -> &'a [Rule] {
        self.rules
    }

    /// The journal of a gate, if the log is to be held against one.
    pub(super) fn journal(&self) -> Option<&'a dyn ReadJournal> {
        self.journal
    }

    /// The time of the run.
    pub(super) fn now(&self) -> UnixMillis {
        self.options.now
    }

    /// The latest time that is not in the future: the clock of this machine may be a little slow.
    pub(super) fn latest_time(&self) -> UnixMillis {
        self.now().saturating_add(limits::CLOCK_SKEW)
    }

    /// The switch that ends the run early.
    pub(super) fn stop(&self) -> &'a Stop {
        &self.options.stop
    }

    /// Whether the run is to end early.
    pub(super) fn is_stopped(&self) -> bool {
        self.options.stop.is_stopped()
    }
}
