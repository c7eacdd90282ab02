//! Everything that a report is made from.

use crate::audit::finding::Finding;
use crate::audit::peer::PeerResult;
use crate::audit::tally::Tally;
use crate::core::finding::{Code, Severity};
use crate::core::time::UnixMillis;
use std::time::Duration;

/// A finding with its history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedFinding {
    /// The finding.
    pub finding: Finding,
    /// When it was first found.
    pub first_seen: UnixMillis,
    /// When it ended, for a finding that no longer holds.
    pub ended: Option<UnixMillis>,
    /// Until when it is acknowledged and why, escaped. It still counts for the verdict.
    pub acknowledged: Option<String>,
}

impl ReportedFinding {
    /// Whether its severity is above `info`.
    pub fn is_above_info(&self) -> bool {
        self.finding.severity > Severity::Info
    }

    /// Whether its severity is above `info` and it is about the log. A hit of a watch rule is reported once, and
    /// changes no verdict.
    pub fn is_against_log(&self) -> bool {
        self.is_above_info() && self.finding.code != Code::WatchList
    }
}

/// What this run knows about the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogPart {
    /// Origin.
    pub origin: String,
    /// The source that it was read from.
    pub source: String,
    /// Whether the source is a JSON API, which answers more requests than a tiled log.
    pub has_api: bool,
    /// Size of the head that was audited; `None` if no head verified.
    pub tree_size: Option<u64>,
    /// Root of that head, hex.
    pub root_hash: Option<String>,
    /// Time of that head, if an STH of it is known.
    pub head_time: Option<UnixMillis>,
}

/// Counts of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EntryCounts {
    /// Entries checked, in this run and before.
    pub total: u64,
    /// Entries checked for the first time in this run.
    pub new: u64,
    /// Approved entries.
    pub approved: u64,
    /// Rejected entries.
    pub rejected: u64,
    /// Expired entries.
    pub expired: u64,
    /// Entries with at least one finding of severity `invalid`.
    pub invalid: u64,
}

/// Whether the run could use its mirror.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MirrorUse {
    /// It was not opened: the report lacks the findings of earlier runs.
    #[default]
    Unopened,
    /// Another process holds it.
    InUse,
    /// It was opened: the report has everything in it.
    Opened,
}

/// The options that decide whether a check was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// `--rp-id` was given.
    pub rp_id: bool,
    /// `--allow-origin` was given.
    pub origins: bool,
    /// `--max-head-age` was given.
    pub head_age: bool,
    /// Whether the witness policy requires cosignatures; `None` if no policy was given.
    pub quorum: Option<bool>,
    /// `[approvers]` has pinned keys.
    pub pinned_keys: bool,
    /// The config has peers to compare heads with.
    pub peers: bool,
    /// Warnings make the verdict `invalid`.
    pub deny_warnings: bool,
    /// Only heads were to be checked (`--heads-only`).
    pub heads_only: bool,
    /// The log was to be held against the journal of a gate (`--journal`).
    pub journal: bool,
}

/// Everything that a report is made from.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Always `audit` today.
    pub command: &'static str,
    /// See [`LogPart`].
    pub log: LogPart,
    /// See [`EntryCounts`].
    pub entries: EntryCounts,
    /// The number of signed heads that are kept, and of new ones.
    pub heads: (u64, u64),
    /// The counts of each check.
    pub tally: Tally,
    /// Findings that stand: first those about the log as a whole, then by index and code.
    pub findings: Vec<ReportedFinding>,
    /// Findings about how the log serves that no longer hold.
    pub ended: Vec<ReportedFinding>,
    /// The result for each peer; empty if no peer was asked.
    pub peers: Vec<PeerResult>,
    /// What could not be decided, with the cause. Failures of peers are in `peers` instead.
    pub incomplete: Vec<String>,
    /// What could not be decided because of something that is already reported, as a finding or in `incomplete`.
    pub follows: Vec<String>,
    /// Faults on our side.
    pub faults: Vec<String>,
    /// Other notes for the reader.
    pub notes: Vec<String>,
    /// Only the heads were judged.
    pub nothing_judged: bool,
    /// There is something new that must not be missed, even if the verdict is clean.
    pub must_be_read: bool,
    /// The number of watch rule hits that count as reported once this report is printed, if some of them are new.
    pub hits_to_note: Option<u64>,
    /// No head of the log could be read: this run learned nothing about the log, and nothing counts against it.
    pub unreachable: bool,
    /// Whether the run could use its mirror.
    pub mirror: MirrorUse,
    /// The options.
    pub asked: Asked,
    /// When the run started.
    pub started_at: UnixMillis,
    /// When the run finished.
    pub finished_at: UnixMillis,
    /// The duration of the run.
    pub took: Duration,
}
