//! Counts the outcomes of requests to a log, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The outcome of one request, after its redirects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// The file was served.
    Ok,
    /// Not there: 404 or 410, or 403 for an optional file. For some files that is normal.
    NotThere,
    /// No connection, or one that broke off: DNS, TLS, the network.
    Failed,
    /// No full answer in time.
    Late,
    /// 429 or 503: too many requests, or maintenance.
    Busy,
    /// Another server error: 5xx, 408, 425.
    ServerError,
    /// An answer without the file: 401, 403 and other statuses, a redirect elsewhere, an HTML page.
    Refused,
    /// The file is longer than its limit.
    TooLarge,
}

impl RequestOutcome {
    /// All outcomes.
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

    /// Its name in metrics.
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

/// Counts requests by outcome. Clones share their counters.
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

    /// The number of requests with this outcome so far.
    pub fn so_far(&self, outcome: RequestOutcome) -> u64 {
        self.counter(outcome).map_or(0, |counter| counter.load(Relaxed))
    }
}
