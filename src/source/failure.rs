//! Why one attempt to fetch one file failed, separated by what to do next.

use super::requests::RequestOutcome;
use super::retry::Expired;
use super::stop::Stop;
use humantime::format_duration;
use std::time::Duration;

/// Why one attempt failed.
pub(super) enum FetchFailure {
    Absent,
    TooLarge,
    /// The server rejects the request as invalid.
    Rejected(String),
    Refused(String),
    /// No trusted connection, now or on a retry: the error, and what to change.
    Untrusted(String, &'static str),
    /// This machine has run out of this resource, and made no request.
    ResourceExhausted(String),
    Failed {
        cause: String,
        /// [`RequestOutcome::Busy`] if the whole server is busy, and not only one answer late.
        outcome: RequestOutcome,
        retry_after: Option<Duration>,
    },
    /// The whole run has ended, and why.
    RunEnded(String),
}

impl FetchFailure {
    pub(super) fn failed(cause: impl Into<String>) -> FetchFailure {
        FetchFailure::Failed { cause: cause.into(), outcome: RequestOutcome::Failed, retry_after: None }
    }

    /// The outcome of the request, if one was made.
    pub(super) fn outcome(&self) -> Option<RequestOutcome> {
        match self {
            FetchFailure::Absent => Some(RequestOutcome::NotThere),
            FetchFailure::TooLarge => Some(RequestOutcome::TooLarge),
            FetchFailure::Rejected(_) | FetchFailure::Refused(_) => Some(RequestOutcome::Refused),
            FetchFailure::Untrusted(..) | FetchFailure::ResourceExhausted(_) => Some(RequestOutcome::Failed),
            FetchFailure::Failed { outcome, .. } => Some(*outcome),
            // We ended the run; the server did nothing.
            FetchFailure::RunEnded(_) => None,
        }
    }
}

impl From<Expired> for FetchFailure {
    fn from(expired: Expired) -> FetchFailure {
        match expired {
            Expired::Attempt(limit) => FetchFailure::Failed {
                cause: format!("no full answer within {}", rounded(limit)),
                outcome: RequestOutcome::Late,
                retry_after: None,
            },
            Expired::Run(limit) => FetchFailure::RunEnded(format!(
                "the run's --deadline of {} has passed; what was fetched is kept, run again to go on",
                format_duration(limit)
            )),
            Expired::Stopped => FetchFailure::RunEnded(Stop::MESSAGE.to_owned()),
        }
    }
}

/// Rounds for display: the rest of a budget is seldom a round number.
fn rounded(time: Duration) -> humantime::FormattedDuration {
    let whole = if time.as_secs() < 10 { Duration::from_millis(1) } else { Duration::from_secs(1) };
    let rest = time.as_nanos().checked_rem(whole.as_nanos()).unwrap_or_default();
    format_duration(time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default())))
}
