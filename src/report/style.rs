//! How a text report is displayed: with or without colour, and with all checks or only those that need attention.

use crate::audit::conclusion::Conclusion;
use crate::audit::verdict::CheckResult;
use crate::core::finding::Severity;
use std::borrow::Cow;

/// How a text report is displayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Whether colours may be used (ECMA-48 SGR sequences).
    pub colour: bool,
    /// Whether passed checks are listed.
    pub verbose: bool,
}

/// The meaning of a colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// A heading.
    Heading,
    /// A pass.
    Good,
    /// Not checked, or a warning.
    Doubt,
    /// A failure.
    Bad,
    /// A fault on our side.
    Fault,
}

impl Tone {
    /// Parameters of SGR (ECMA-48 section 8.3.117): those of the eight colours that are readable on light and dark
    /// backgrounds.
    fn parameters(self) -> &'static str {
        match self {
            Tone::Heading => "1",
            Tone::Good => "1;32",
            Tone::Doubt => "1;33",
            Tone::Bad => "1;31",
            Tone::Fault => "1;35",
        }
    }
}

impl From<Conclusion> for Tone {
    fn from(conclusion: Conclusion) -> Tone {
        match conclusion {
            Conclusion::Clean => Tone::Good,
            Conclusion::Incomplete => Tone::Doubt,
            Conclusion::Invalid | Conclusion::Violation => Tone::Bad,
            Conclusion::LocalFault => Tone::Fault,
        }
    }
}

impl From<Severity> for Tone {
    fn from(severity: Severity) -> Tone {
        match severity {
            Severity::Info => Tone::Heading,
            Severity::Warning => Tone::Doubt,
            Severity::Invalid | Severity::Violation => Tone::Bad,
        }
    }
}

impl From<CheckResult> for Tone {
    fn from(result: CheckResult) -> Tone {
        match result {
            CheckResult::Passed => Tone::Good,
            CheckResult::Warning | CheckResult::NotChecked => Tone::Doubt,
            CheckResult::Failed => Tone::Bad,
        }
    }
}

impl Style {
    /// The text in the colour of `tone`, if colours may be used.
    pub(super) fn paint<'a>(self, tone: impl Into<Tone>, text: &'a str) -> Cow<'a, str> {
        match self.colour {
            true => Cow::Owned(format!("\u{1b}[{}m{text}\u{1b}[0m", tone.into().parameters())),
            false => Cow::Borrowed(text),
        }
    }
}
