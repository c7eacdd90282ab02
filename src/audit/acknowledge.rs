//! Findings that a user has acknowledged.
//!
//! A rule states which findings it covers, gives a reason, and expires on a date. Until then, the findings
//! that it covers raise no alert; they stay in every report, together with the rule's reason. A rule never
//! changes a verdict: an acknowledgement says that a user knows about a finding, not that the log is right.

use super::finding::Finding;
use super::watch_list::rule_of;
use crate::core::finding::Code;
use crate::core::time::UnixMillis;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// The finding code that the rule covers.
    pub code: Code,
    /// If set, only findings about this entry.
    pub index: Option<u64>,
    /// If set, only findings about the entry with this id.
    pub id: Option<String>,
    /// If set, only findings about entries that name this approver.
    pub approver: Option<String>,
    /// If set, only hits of the watch rule with this name.
    pub rule: Option<String>,
    /// When the rule expires, exclusive.
    pub until: UnixMillis,
    /// `until` as it was written in the config.
    pub until_text: String,
    /// The reason.
    pub comment: String,
}

impl Acknowledgement {
    /// Whether the rule covers this finding, whose entry names this approver, at this time.
    pub fn covers(&self, finding: &Finding, approver: Option<&str>, now: UnixMillis) -> bool {
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
    fn a_rule_covers_only_its_findings_until_its_day() {
        let finding = Finding::of_entry(Code::UserNotVerified, 7, Some("id-7"), "m");
        let of_log = Finding::of_log(Code::UserNotVerified, Subject::Whole, "m");
        let options = |value: &str| [None, Some(value.to_owned()), Some("other".to_owned())];
        for code in [Code::UserNotVerified, Code::UserNotPresent] {
            for index in [None, Some(7), Some(8)] {
                for id in options("id-7") {
                    for approver in options("alex") {
                        for now in [99, 100].map(UnixMillis::new) {
                            let (id, approver) = (id.clone(), approver.clone());
                            let right = code == Code::UserNotVerified
                                && index != Some(8)
                                && id.as_deref() != Some("other")
                                && approver.as_deref() != Some("other")
                                && now == UnixMillis::new(99);
                            let wide = index.is_none() && id.is_none() && approver.is_none();
                            let rule = Acknowledgement {
                                code,
                                index,
                                id,
                                approver,
                                rule: None,
                                until: UnixMillis::new(100),
                                until_text: String::new(),
                                comment: String::new(),
                            };
                            assert_eq!(rule.covers(&finding, Some("alex"), now), right, "{rule:?}");
                            // A finding that is not about an entry is covered only by a rule that names none.
                            assert_eq!(rule.covers(&of_log, None, now), right && wide, "{rule:?}");
                        }
                    }
                }
            }
        }
    }
}
