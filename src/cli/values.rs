//! The names of values in arguments, and the help for each.

use crate::config::{Colour, DecisionOption, GivenFormat, LogFormat};
use clap::ValueEnum;
use clap::builder::PossibleValue;

impl ValueEnum for Colour {
    fn value_variants<'a>() -> &'a [Colour] {
        &[Colour::Auto, Colour::Always, Colour::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Colour::Auto => ("auto", "On a terminal, unless NO_COLOR or TERM=dumb is set"),
            Colour::Always => ("always", "Always, also in files and pipes"),
            Colour::Never => ("never", "Never"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for GivenFormat {
    fn value_variants<'a>() -> &'a [GivenFormat] {
        &[GivenFormat::Text, GivenFormat::Json, GivenFormat::TlogProof]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            GivenFormat::Text => ("text", "For people"),
            GivenFormat::Json => ("json", "For programs: one line of JSON with stable fields"),
            GivenFormat::TlogProof => {
                ("tlog-proof", "Only for `receipt`: a C2SP tlog-proof, for standard tools")
            }
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [LogFormat] {
        &[LogFormat::Text, LogFormat::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            LogFormat::Text => ("text", "One line of text per event"),
            LogFormat::Json => ("json", "One line of JSON per event"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for DecisionOption {
    fn value_variants<'a>() -> &'a [DecisionOption] {
        &[DecisionOption::Approved, DecisionOption::Rejected, DecisionOption::Expired]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            DecisionOption::Approved => "approved",
            DecisionOption::Rejected => "rejected",
            DecisionOption::Expired => "expired",
        }))
    }
}
