//! What kinds of alerts there are.

use serde::{Deserialize, Serialize};

/// What kind of news an alert is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something was found.
    New,
    /// It still stands.
    Reminder,
    /// It no longer does.
    Ended,
    /// The log cannot be read, or a peer not be compared with.
    Unreachable,
    /// The auditor itself is at fault.
    Local,
    /// What was unreachable or at fault is well again.
    Recovered,
    /// Somebody tries the channels.
    Test,
}

impl Kind {
    /// The word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::New => "new",
            Kind::Reminder => "reminder",
            Kind::Ended => "ended",
            Kind::Unreachable => "unreachable",
            Kind::Local => "local",
            Kind::Recovered => "recovered",
            Kind::Test => "test",
        }
    }
}
