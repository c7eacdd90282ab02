//! Whether a text report is in colour, and how much of it is shown.

use super::output;
use crate::config::{Colour, Settings};
use crate::report::Style;
use std::env;

/// The style of text reports. By default they are in colour on a terminal, unless `NO_COLOR` is set and not empty
/// (no-color.org), or `TERM` is `dumb`.
pub fn of(settings: &Settings) -> Style {
    let colour = match settings.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            output::stdout_is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var_os("TERM").is_none_or(|value| value != "dumb")
        }
    };
    Style { colour, verbose: settings.verbose }
}
