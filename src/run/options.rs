//! What an audit is asked to do, besides the policy.

use crate::core::time::UnixMillis;
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
    /// The time of the run.
    pub now: UnixMillis,
    /// Ends the run early: what was proved until then is kept, and the rest is not checked. It is looked at before each
    /// batch and request, and while the mirror's own bytes are checked again (`full`, or before an accusation): an
    /// accusation that rests on bytes that were not checked is not made.
    pub stop: Stop,
}
