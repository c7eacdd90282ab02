//! Everything that a report is made from.

use crate::audit::finding::Finding;
use crate::audit::peer::PeerResult;
use crate::audit::tally::Tally;
use crate::core::finding::{Code, Severity};

/// A finding with its history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedFinding {
    /// The finding.
    pub finding: Finding,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339, for a finding that no longer holds.
    pub ended: Option<String>,
    /// Until when somebody answered for it and why, escaped. It counts for the verdict all the same.
    pub acknowledged: Option<String>,
}

impl ReportedFinding {
    /// Whether it is more than worth knowing.
    pub fn is_above_info(&self) -> bool {
        self.finding.severity > Severity::Info
    }

    /// Whether it is above that and about the log. A hit of a watch rule is news once, and changes no verdict.
    pub fn is_against_log(&self) -> bool {
        self.is_above_info() && self.finding.code != Code::WatchList
    }
}

/// The log, as far as this run got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogPart {
    /// Origin.
    pub origin: String,
    /// Where it was read from.
    pub source: String,
    /// Whether that is a JSON API, which answers more than a tiled log.
    pub has_api: bool,
    /// Size of the head that was audited; `None` where no head verified.
    pub tree_size: Option<u64>,
    /// Root of that head, hex.
    pub root_hash: Option<String>,
    /// Time of that head, where an STH of it is known.
    pub head_time: Option<u64>,
}

/// Counts of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EntryCounts {
    /// Checked, in this run and before.
    pub total: u64,
    /// Checked for the first time in this run.
    pub new: u64,
    /// Approved.
    pub approved: u64,
    /// Rejected.
    pub rejected: u64,
    /// Expired.
    pub expired: u64,
    /// With at least one finding of severity `invalid`.
    pub invalid: u64,
}

/// What became of the mirror that a run was to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MirrorUse {
    /// It was not opened: the report says nothing of what earlier runs found.
    #[default]
    Unopened,
    /// Another process holds it.
    InUse,
    /// The report has all that is in it.
    Opened,
}

/// What decides whether something was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// `--rp-id` was given.
    pub rp_id: bool,
    /// `--allow-origin` was given.
    pub origins: bool,
    /// `--max-head-age` was given.
    pub head_age: bool,
    /// A witness policy was given, and whether it asks for cosignatures.
    pub quorum: Option<bool>,
    /// `[approvers]` has pinned keys.
    pub pinned_keys: bool,
    /// There are peers to compare heads with.
    pub peers: bool,
    /// Warnings make the verdict `invalid`.
    pub deny_warnings: bool,
    /// Only heads were to be looked at (`--heads-only`).
    pub heads_only: bool,
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
    /// Signed heads kept, and new ones.
    pub heads: (u64, u64),
    /// How often each check held.
    pub tally: Tally,
    /// Findings that stand: those of the log as a whole first, then by index and code.
    pub findings: Vec<ReportedFinding>,
    /// Findings about serving that no longer hold.
    pub ended: Vec<ReportedFinding>,
    /// What came of each peer; empty where none was asked.
    pub peers: Vec<PeerResult>,
    /// What could not be decided, with the cause. What peers are at fault for is with them.
    pub incomplete: Vec<String>,
    /// What could not be decided because of something that is said anyway, as a finding or in `incomplete`.
    pub follows: Vec<String>,
    /// Faults on our side.
    pub faults: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
    /// Nothing besides the heads was judged.
    pub nothing_judged: bool,
    /// Something new that must not be missed, even if all is clean.
    pub must_be_read: bool,
    /// Hits of watch rules that have been told of once this report is printed, where some of them are new.
    pub hits_to_note: Option<u64>,
    /// No head of the log could be read: nothing is known of it today, and nothing is held against it.
    pub unreachable: bool,
    /// What became of the mirror.
    pub mirror: MirrorUse,
    /// What was asked for.
    pub asked: Asked,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub finished_at: String,
    /// Milliseconds.
    pub duration_ms: u64,
}
