//! The kinds of alerts.

use serde::{Deserialize, Serialize};

/// The kind of an alert.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// A new finding.
    New,
    /// The finding still holds.
    Reminder,
    /// The finding no longer holds.
    Ended,
    /// The log cannot be read, or a peer cannot be compared with.
    Unreachable,
    /// The auditor itself has a fault.
    Local,
    /// What was unreachable or had a fault works again.
    Recovered,
    /// A test of the channels.
    Test,
}

impl AlertKind {
    /// Its name in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::New => "new",
            AlertKind::Reminder => "reminder",
            AlertKind::Ended => "ended",
            AlertKind::Unreachable => "unreachable",
            AlertKind::Local => "local",
            AlertKind::Recovered => "recovered",
            AlertKind::Test => "test",
        }
    }
}
