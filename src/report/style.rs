//! How a text report is shown: in colour or not, and with every check or only those that need a look.

use crate::audit::conclusion::Conclusion;
use crate::audit::verdict::CheckResult;
use crate::core::finding::Severity;
use std::borrow::Cow;

/// How a text report is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Whether there may be colours (ECMA-48 SGR sequences).
    pub colour: bool,
    /// Whether the checks that hold are listed.
    pub verbose: bool,
}

/// What a colour stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// A heading.
    Heading,
    /// It holds.
    Good,
    /// Not checked, or a warning.
    Doubt,
    /// It does not hold.
    Bad,
    /// This side is at fault.
    Fault,
}

impl Tone {
    /// Parameters of SGR (ECMA-48 section 8.3.117). Of the eight colours, those that can be read on light and dark
    /// ground alike.
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
    /// The text in the colour of `tone`, where there may be colours.
    pub(super) fn paint<'a>(self, tone: impl Into<Tone>, text: &'a str) -> Cow<'a, str> {
        match self.colour {
            true => Cow::Owned(format!("\u{1b}[{}m{text}\u{1b}[0m", tone.into().parameters())),
            false => Cow::Borrowed(text),
        }
    }
}
