//! Why one attempt at one file brought nothing, kept apart by what is done then.

use super::requests::RequestOutcome;
use super::retry::Expired;
use super::stop::Stop;
use humantime::format_duration;
use std::time::Duration;

/// Why one attempt brought nothing.
pub(super) enum FetchFailure {
    Absent,
    TooLarge,
    /// The question is said to be wrong.
    Rejected(String),
    Refused(String),
    /// No connection, and none the next time either: what was said, and what is to be changed.
    Untrusted(String, &'static str),
    /// This machine has run out of something, and what: nobody was asked.
    ResourceExhausted(String),
    Failed {
        cause: String,
        /// [`RequestOutcome::Busy`]: the server as a whole is, and not one of its answers late.
        outcome: RequestOutcome,
        retry_after: Option<Duration>,
    },
    /// The whole run is over, and why.
    RunEnded(String),
}

impl FetchFailure {
    pub(super) fn failed(cause: impl Into<String>) -> FetchFailure {
        FetchFailure::Failed { cause: cause.into(), outcome: RequestOutcome::Failed, retry_after: None }
    }

    /// How the request came out, if it was made.
    pub(super) fn outcome(&self) -> Option<RequestOutcome> {
        match self {
            FetchFailure::Absent => Some(RequestOutcome::NotThere),
            FetchFailure::TooLarge => Some(RequestOutcome::TooLarge),
            FetchFailure::Rejected(_) | FetchFailure::Refused(_) => Some(RequestOutcome::Refused),
            FetchFailure::Untrusted(..) | FetchFailure::ResourceExhausted(_) => Some(RequestOutcome::Failed),
            FetchFailure::Failed { outcome, .. } => Some(*outcome),
            // Ours to end, and nothing of the server's.
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

/// For people: what is left of a resource's time is no round number.
fn rounded(time: Duration) -> humantime::FormattedDuration {
    let whole = if time.as_secs() < 10 { Duration::from_millis(1) } else { Duration::from_secs(1) };
    let rest = time.as_nanos().checked_rem(whole.as_nanos()).unwrap_or_default();
    format_duration(time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default())))
}
