//! How requests to a log came out, counted for whoever watches the watching.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How one request came out, its redirects followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// With an answer.
    Ok,
    /// 404 or 410, or 403 for a file that a log need not have: not there, which for some files is as it should be.
    NotThere,
    /// No connection, or one that broke off: DNS, TLS, the network.
    Failed,
    /// No full answer in time.
    Late,
    /// 429 or 503: asked too much, or under maintenance.
    Busy,
    /// Another error of the server: 5xx, 408, 425.
    ServerError,
    /// An answer that is none: 401, 403 and other statuses, a redirect elsewhere, an HTML page.
    Refused,
    /// Longer than it may be.
    TooLarge,
}

impl RequestOutcome {
    /// Every one.
    pub const ALL: [RequestOutcome; 8] = [
        RequestOutcome::Ok,
        RequestOutcome::NotThere,
        RequestOutcome::Failed,
        RequestOutcome::Late,
        RequestOutcome::Busy,
        RequestOutcome::ServerError,
        RequestOutcome::Refused,
        RequestOutcome::TooLarge,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestOutcome::Ok => "ok",
            RequestOutcome::NotThere => "not-there",
            RequestOutcome::Failed => "failed",
            RequestOutcome::Late => "late",
            RequestOutcome::Busy => "busy",
            RequestOutcome::ServerError => "server-error",
            RequestOutcome::Refused => "refused",
            RequestOutcome::TooLarge => "too-large",
        }
    }
}

/// Counts requests by how they came out. Clones count together.
#[derive(Clone, Default, Debug)]
pub struct RequestCounters(Arc<[AtomicU64; RequestOutcome::ALL.len()]>);

impl RequestCounters {
    fn counter(&self, outcome: RequestOutcome) -> Option<&AtomicU64> {
        let place = RequestOutcome::ALL.iter().position(|one| *one == outcome)?;
        self.0.get(place)
    }

    pub(super) fn count(&self, outcome: RequestOutcome) {
        self.counter(outcome).map(|counter| counter.fetch_add(1, Relaxed));
    }

    /// How many so far.
    pub fn so_far(&self, outcome: RequestOutcome) -> u64 {
        self.counter(outcome).map_or(0, |counter| counter.load(Relaxed))
    }
}
