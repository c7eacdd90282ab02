//! The answer in one word, and the exit code that scripts rely on (the page `audit` of the guide, "Exit codes").

/// The answer. Ordered: the worst wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Conclusion {
    /// Everything that was asked for was checked and passed.
    Clean,
    /// Could not be decided.
    Incomplete,
    /// A check failed definitively.
    Invalid,
    /// The log key signed contradictory statements.
    Violation,
    /// A fault on our side; the log is not accused.
    LocalFault,
}

impl Conclusion {
    /// The word in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Conclusion::Clean => "clean",
            Conclusion::Incomplete => "incomplete",
            Conclusion::Invalid => "invalid",
            Conclusion::Violation => "violation",
            Conclusion::LocalFault => "local-fault",
        }
    }

    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Conclusion::Clean => 0,
            Conclusion::Invalid => 1,
            Conclusion::Incomplete => 3,
            Conclusion::Violation => 4,
            Conclusion::LocalFault => 5,
        }
    }
}
