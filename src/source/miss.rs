//! Why one attempt at one file brought nothing, kept apart by what is done then.

use super::requests::Outcome;
use super::retry::Expired;
use super::stop::Stop;
use humantime::format_duration;
use std::time::Duration;

/// Why one attempt brought nothing.
pub(super) enum Miss {
    Absent,
    TooLarge,
    /// The question is said to be wrong.
    Rejected(String),
    Refused(String),
    /// No connection, and none the next time either: what was said, and what is to be changed.
    Untrusted(String, &'static str),
    /// This machine has run out of something, and what: nobody was asked.
    Lacking(String),
    Failed {
        cause: String,
        /// [`Outcome::Busy`]: the server as a whole is, and not one of its answers late.
        outcome: Outcome,
        retry_after: Option<Duration>,
    },
    /// The whole run is over, and why.
    Over(String),
}

impl Miss {
    pub(super) fn failed(cause: impl Into<String>) -> Miss {
        Miss::Failed { cause: cause.into(), outcome: Outcome::Failed, retry_after: None }
    }

    /// How the request came out, if it was made.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Miss::Absent => Some(Outcome::NotThere),
            Miss::TooLarge => Some(Outcome::TooLarge),
            Miss::Rejected(_) | Miss::Refused(_) => Some(Outcome::Refused),
            Miss::Untrusted(..) | Miss::Lacking(_) => Some(Outcome::Failed),
            Miss::Failed { outcome, .. } => Some(*outcome),
            // Ours to end, and nothing of the server's.
            Miss::Over(_) => None,
        }
    }
}

impl From<Expired> for Miss {
    fn from(expired: Expired) -> Miss {
        match expired {
            Expired::Attempt(limit) => Miss::Failed {
                cause: format!("no full answer within {}", rounded(limit)),
                outcome: Outcome::Late,
                retry_after: None,
            },
            Expired::Run(limit) => Miss::Over(format!(
                "the run's --deadline of {} has passed; what was fetched is kept, run again to go on",
                format_duration(limit)
            )),
            Expired::Stopped => Miss::Over(Stop::SAID.to_owned()),
        }
    }
}

/// For people: what is left of a resource's time is no round number.
fn rounded(time: Duration) -> humantime::FormattedDuration {
    let whole = if time.as_secs() < 10 { Duration::from_millis(1) } else { Duration::from_secs(1) };
    let rest = time.as_nanos().checked_rem(whole.as_nanos()).unwrap_or_default();
    format_duration(time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default())))
}
