//! What became of a check of an assertion.

/// What became of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// Made, and it held.
    Passed,
    /// Made, and it did not hold; a finding says why.
    Failed,
    /// Not made: the policy says nothing to compare with, or what it needs did not parse.
    NotChecked,
}

impl Outcome {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotChecked => "not checked",
        }
    }
}
