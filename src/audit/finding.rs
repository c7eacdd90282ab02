//! One finding, as it is kept in the mirror and printed in every later report.

use super::subject::Subject;
use crate::core::finding::{Code, Severity};
use crate::core::text;

/// Something that the log did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The stable code.
    pub code: Code,
    /// Usually [`Code::severity`].
    pub severity: Severity,
    /// The entry it is about, or `None` for the log as a whole.
    pub index: Option<u64>,
    /// That entry's id, where it has a readable one.
    pub id: Option<String>,
    /// What was seen, escaped, in one sentence.
    pub message: String,
    /// Where the misbehaviour file is, for a violation.
    pub evidence: Option<String>,
    /// Tells findings of one code and index apart: two forks are two findings. One subject found
    /// twice is one finding.
    pub subject: Subject,
}

impl Finding {
    /// A finding about one entry.
    pub fn of_entry(code: Code, index: u64, id: Option<&str>, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: code.severity(),
            index: Some(index),
            id: id.map(text::escape),
            message: message.into(),
            evidence: None,
            subject: Subject::Whole,
        }
    }

    /// A finding about the log as a whole.
    pub fn of_log(code: Code, subject: Subject, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: code.severity(),
            index: None,
            id: None,
            message: message.into(),
            evidence: None,
            subject,
        }
    }

    /// One key for one finding, however often it is found.
    pub fn key(&self) -> String {
        match self.index {
            Some(index) => format!("{}/{index}/{}", self.code, self.subject),
            None => format!("{}//{}", self.code, self.subject),
        }
    }
}
