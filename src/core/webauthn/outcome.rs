//! The outcome of a check of an assertion.

/// The outcome of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CheckOutcome {
    /// It passed.
    Passed,
    /// It failed; a finding says why.
    Failed,
    /// It was not made: the policy pins no value to compare with, or the input did not parse.
    NotChecked,
}

impl CheckOutcome {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckOutcome::Passed => "passed",
            CheckOutcome::Failed => "failed",
            CheckOutcome::NotChecked => "not checked",
        }
    }
}
