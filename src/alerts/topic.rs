//! What an alert is about: a finding, or a condition of the auditing.
//!
//! The outbox identifies what was reported by this text. [`fmt::Display`] and [`Topic::decode`] are the one codec for that.

use crate::audit::finding::{Finding, FindingKey};
use std::fmt;

/// What an alert is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Topic {
    /// Records when alerts were first enabled. It is never reported.
    Began,
    /// A finding.
    Finding(FindingKey),
    /// A condition of the auditing.
    Condition {
        /// See [`Condition::code`](super::plan::Condition::code).
        code: String,
        /// See [`Condition::about`](super::plan::Condition::about).
        about: String,
    },
    /// A topic of another version, verbatim.
    Other(String),
}

const BEGAN: &str = "began";
const FINDING: &str = "finding/";
const CONDITION: &str = "condition/";

impl Topic {
    /// The topic of a finding.
    pub fn of(finding: &Finding) -> Topic {
        Topic::Finding(finding.identity())
    }

    /// The code of the finding or the condition.
    pub fn code(&self) -> &str {
        match self {
            Topic::Finding(key) => key.code.as_str(),
            Topic::Condition { code, .. } => code,
            Topic::Began | Topic::Other(_) => "",
        }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn decode(text: &str) -> Topic {
        let finding = || FindingKey::decode(text.strip_prefix(FINDING)?).map(Topic::Finding);
        let condition = || {
            let (code, about) = text.strip_prefix(CONDITION)?.split_once('/')?;
            Some(Topic::Condition { code: code.to_owned(), about: about.to_owned() })
        };
        match text {
            BEGAN => Topic::Began,
            _ => finding().or_else(condition).unwrap_or_else(|| Topic::Other(text.to_owned())),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Began => f.write_str(BEGAN),
            Topic::Finding(key) => write!(f, "{FINDING}{key}"),
            Topic::Condition { code, about } => write!(f, "{CONDITION}{code}/{about}"),
            Topic::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::subject::Subject;
    use crate::core::finding::Code;

    #[test]
    fn the_text_stored_in_outboxes_is_unchanged() {
        let finding = |code, index, subject| Topic::Finding(FindingKey { code, index, subject });
        let tile = Subject::decode("tile/0/001.p/44");
        let condition =
            |about: &str| Topic::Condition { code: "peer-failing".to_owned(), about: about.to_owned() };
        for (topic, text) in [
            (Topic::Began, "began"),
            (finding(Code::HeadStale, None, Subject::Whole), "finding/head-stale//"),
            (finding(Code::Gap, None, tile), "finding/gap//tile/0/001.p/44"),
            (finding(Code::IdDuplicate, Some(7), Subject::Whole), "finding/id-duplicate/7/"),
            (condition(""), "condition/peer-failing/"),
            (condition("a/b"), "condition/peer-failing/a/b"),
        ] {
            assert_eq!(topic.to_string(), text);
            assert_eq!(Topic::decode(text), topic);
        }
        for text in
            ["", "finding/", "finding/no-such-code//", "finding/gap/07/", "finding/gap/x/", "condition/a"]
        {
            assert_eq!(Topic::decode(text), Topic::Other(text.to_owned()));
        }
    }
}
