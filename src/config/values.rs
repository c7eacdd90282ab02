//! Settings that have a few fixed values.

use super::error::Error;
use crate::core::entry::Decision;
use serde::Deserialize;

/// When a text report is in colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// On a terminal, unless an environment variable turns it off.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Never.
    Never,
}

/// The format of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one line of JSON, stable fields.
    Json,
}

/// The format that was asked for: of a report or of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GivenFormat {
    /// For people.
    Text,
    /// For programs: one line of JSON, stable fields.
    Json,
    /// For receipts only: a C2SP tlog-proof, for standard tools.
    TlogProof,
}

impl GivenFormat {
    /// Converts to the format of a report.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if the format is only for receipts.
    pub fn of_report(self) -> Result<Format, Error> {
        match self {
            GivenFormat::Text => Ok(Format::Text),
            GivenFormat::Json => Ok(Format::Json),
            GivenFormat::TlogProof => {
                Err("--format tlog-proof is for `countersign receipt`: reports are text or json".into())
            }
        }
    }
}

impl From<Format> for GivenFormat {
    fn from(format: Format) -> GivenFormat {
        match format {
            Format::Text => GivenFormat::Text,
            Format::Json => GivenFormat::Json,
        }
    }
}

/// How a monitor writes events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// As a line for people.
    #[default]
    Text,
    /// As a line of JSON.
    Json,
}

/// The decision that a receipt must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionOption {
    /// The approver approved.
    Approved,
    /// The approver rejected.
    Rejected,
    /// No decision was made in time.
    Expired,
}

impl From<DecisionOption> for Decision {
    fn from(option: DecisionOption) -> Decision {
        match option {
            DecisionOption::Approved => Decision::Approved,
            DecisionOption::Rejected => Decision::Rejected,
            DecisionOption::Expired => Decision::Expired,
        }
    }
}
