//! What an audit is asked to do, besides the policy.

use crate::source::Stop;
use std::path::PathBuf;

/// What a run is asked to do, besides the policy.
#[derive(Clone, Debug)]
pub struct Options {
    /// Check all entries again, from the mirror, after checking the mirror itself.
    pub full: bool,
    /// Follow the signed heads alone: no entry is fetched or checked. Not with `full`.
    pub heads_only: bool,
    /// Threads that fetch and check.
    pub workers: usize,
    /// Where misbehaviour files go.
    pub evidence_dir: PathBuf,
    /// Refuse to mirror more entries than this in all: a hostile log can sign any size.
    pub max_entries: u64,
    /// Stop checking when this many findings stand: they would fill disk and memory.
    pub max_findings: u64,
    /// The time of the run: Unix milliseconds, and the same as RFC 3339.
    pub now: (u64, String),
    /// Ends the run early: what was proved until then is kept, and the rest is not checked. Looked at before each
    /// batch and request, and while the mirror's own bytes are checked again (`full`, or before an accusation): then
    /// nobody is accused of what they were to bear out.
    pub stop: Stop,
}
