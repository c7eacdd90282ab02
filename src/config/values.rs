//! Settings of few values.

use super::error::Error;
use crate::core::entry::Decision;
use serde::Deserialize;

/// When a text report is in colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one line of JSON, stable fields.
    Json,
}

/// What can be asked for as a format: that of a report, or that of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GivenFormat {
    /// For people.
    Text,
    /// For programs: one line of JSON, stable fields.
    Json,
    /// Of a receipt alone: a C2SP tlog-proof, for standard tools.
    TlogProof,
}

impl GivenFormat {
    /// The format of a report.
    ///
    /// # Errors
    /// It is one of receipts.
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

/// How a monitor writes what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A line of JSON.
    Json,
}

/// What must have been decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionOption {
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Nothing, in time.
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
