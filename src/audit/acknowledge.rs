//! Findings that somebody looked at and answered for.
//!
//! A rule names what it is about, says why, and ends on a day. What it matches raises no alert until
//! then, and stays in every report, with the rule's words. It changes no verdict: an acknowledgement
//! says that a person knows, and never that the log is right.

use super::finding::Finding;
use super::watch_list::rule_of;
use crate::core::finding::Code;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// The code that it is about.
    pub code: Code,
    /// Only of this entry.
    pub index: Option<u64>,
    /// Only of the entry with this id.
    pub id: Option<String>,
    /// Only of entries that name this approver.
    pub approver: Option<String>,
    /// Only hits of the watch rule with this name.
    pub rule: Option<String>,
    /// It ends here, in Unix milliseconds, exclusively.
    pub until: u64,
    /// The same as it was written.
    pub until_text: String,
    /// Why.
    pub comment: String,
}

impl Acknowledgement {
    /// Whether it is about this finding, whose entry names this approver, at this time.
    pub fn covers(&self, finding: &Finding, approver: Option<&str>, now: u64) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        now < self.until
            && self.code == finding.code
            && self.index.is_none_or(|index| finding.index == Some(index))
            && same(&self.id, finding.id.as_deref())
            && same(&self.approver, approver)
            && same(&self.rule, rule_of(finding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::subject::Subject;

    #[test]
    fn a_rule_covers_what_it_names_until_its_day_and_nothing_else() {
        let finding = Finding::of_entry(Code::UserNotVerified, 7, Some("id-7"), "m");
        let of_log = Finding::of_log(Code::UserNotVerified, Subject::Whole, "m");
        let options = |value: &str| [None, Some(value.to_owned()), Some("other".to_owned())];
        for code in [Code::UserNotVerified, Code::UserNotPresent] {
            for index in [None, Some(7), Some(8)] {
                for id in options("id-7") {
                    for approver in options("alex") {
                        for now in [99, 100] {
                            let (id, approver) = (id.clone(), approver.clone());
                            let right = code == Code::UserNotVerified
                                && index != Some(8)
                                && id.as_deref() != Some("other")
                                && approver.as_deref() != Some("other")
                                && now == 99;
                            let wide = index.is_none() && id.is_none() && approver.is_none();
                            let rule = Acknowledgement {
                                code,
                                index,
                                id,
                                approver,
                                rule: None,
                                until: 100,
                                until_text: String::new(),
                                comment: String::new(),
                            };
                            assert_eq!(rule.covers(&finding, Some("alex"), now), right, "{rule:?}");
                            // What is of no entry is covered only by a rule that names none.
                            assert_eq!(rule.covers(&of_log, None, now), right && wide, "{rule:?}");
                        }
                    }
                }
            }
        }
    }
}
