//! One finding, as it is kept in the mirror and printed in every later report.

use super::subject::Subject;
use crate::core::finding::{Code, Severity};
use crate::core::text;
use std::fmt;

/// Misbehaviour or a notable event of the log.
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
    /// Tells findings with the same code and index apart: two forks are two findings. A subject that is found
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

    /// The identity of the finding, which is the same each time it is found.
    pub fn identity(&self) -> FindingKey {
        FindingKey { code: self.code, index: self.index, subject: self.subject.clone() }
    }

    /// [`Finding::identity`] as text.
    pub fn key(&self) -> String {
        self.identity().to_string()
    }
}

/// The identity of a finding. The mirror keeps it as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FindingKey {
    /// The code.
    pub code: Code,
    /// The entry.
    pub index: Option<u64>,
    /// What else it is about.
    pub subject: Subject,
}

impl FindingKey {
    /// Parses exactly what [`fmt::Display`] writes.
    pub fn decode(text: &str) -> Option<FindingKey> {
        let (code, rest) = text.split_once('/')?;
        let (index, subject) = rest.split_once('/')?;
        let index = if index.is_empty() { None } else { Some(index.parse().ok()?) };
        let key = FindingKey { code: Code::from_text(code)?, index, subject: Subject::decode(subject) };
        (key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for FindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}/{index}/{}", self.code, self.subject),
            None => write!(f, "{}//{}", self.code, self.subject),
        }
    }
}
