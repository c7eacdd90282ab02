//! A question to the JSON API, and what its answer came to.

use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::source::FetchError;

/// Wrong answers of one kind before a run stops asking. One is a finding, and a log that answers everything wrongly must
/// neither keep the run busy nor fill the report.
pub(super) const MAX_WRONG: usize = 4;

/// What came of one question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The answer is what the signed root and the mirror say.
    Good,
    /// It is not, even when asked again: why.
    Wrong(String),
    /// The log says that it has no answer.
    Missing(String),
    /// Could not tell: the cause.
    Unknown(String),
}

/// Asks, and asks once more before a wrong answer is held against the log: a transfer can be changed
/// unnoticed.
pub(super) fn judged<T>(
    ask: impl Fn() -> Result<T, FetchError>,
    check: impl Fn(T) -> Result<(), String>,
) -> Answer {
    let once = || match ask() {
        Ok(answer) => check(answer).map_or_else(Answer::Wrong, |()| Answer::Good),
        Err(error) => Answer::of(&error),
    };
    match once() {
        Answer::Wrong(_) => once(),
        first => first,
    }
}

impl Answer {
    /// What a failed fetch means.
    pub(super) fn of(error: &FetchError) -> Answer {
        match error {
            FetchError::NotFound { .. } | FetchError::Lacking { .. } => Answer::Missing(error.to_string()),
            FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => {
                Answer::Wrong(error.to_string())
            }
            FetchError::Unavailable { .. } | FetchError::Rejected { .. } | FetchError::Refused { .. } => {
                Answer::Unknown(error.to_string())
            }
        }
    }
}

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// The consistency proof between trees of these sizes.
    Consistency(u64, u64),
    /// The inclusion proof of an entry in the tree of a size.
    Inclusion(u64, u64),
    /// The verification bundle of an entry.
    Verification(u64),
}

impl Question {
    /// The subject of a finding about the answer.
    pub(super) fn subject(self) -> Subject {
        match self {
            Question::Consistency(first, second) => Subject::Consistency { first, second },
            Question::Inclusion(index, size) => Subject::Inclusion { index, size },
            Question::Verification(index) => Subject::Verification { index },
        }
    }

    /// The check that it is part of.
    pub(super) fn check(self) -> Check {
        match self {
            Question::Consistency(..) | Question::Inclusion(..) => Check::ServedProofs,
            Question::Verification(_) => Check::VerificationBundles,
        }
    }

    /// The smallest tree that can answer it.
    pub(super) fn tree(self) -> u64 {
        match self {
            Question::Consistency(_, size) | Question::Inclusion(_, size) => size,
            Question::Verification(index) => index.saturating_add(1),
        }
    }
}
