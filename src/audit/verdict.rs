//! The verdict on one receipt: every check by name, including those that were not made.

use crate::audit::conclusion::Conclusion;
use crate::core::check::Check;
use crate::core::finding::Code;
use std::borrow::Cow;

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckResult {
    /// The check was made and passed.
    Passed,
    /// The check was made and failed.
    Failed,
    /// The check passed, but something about it needs attention.
    Warning,
    /// The check was not made.
    NotChecked,
}

impl CheckResult {
    /// The word in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckResult::Passed => "passed",
            CheckResult::Failed => "failed",
            CheckResult::Warning => "warning",
            CheckResult::NotChecked => "not-checked",
        }
    }
}

/// One check of a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckLine {
    /// One of [`Check::OF_RECEIPT`].
    pub check: Check,
    /// The result.
    pub result: CheckResult,
    /// The finding code, if the specification has one for it.
    pub code: Option<Code>,
    /// What was seen, or why the check was not made: one sentence, escaped.
    pub message: Cow<'static, str>,
    /// Whether the verdict depends on it: if so, `not-checked` makes the verdict incomplete.
    pub required: bool,
}

/// The result of checking a receipt. Act on it only if [`Verdict::is_clean`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a receipt that was checked and not looked at was not checked"]
pub struct Verdict {
    /// The entry's id, as the receipt says; escaped.
    pub id: Option<String>,
    /// The entry's place in the log, as the receipt says.
    pub index: Option<u64>,
    /// The decision, as the receipt says.
    pub decision: Option<&'static str>,
    /// The approver, as the receipt says; escaped.
    pub approver: Option<String>,
    /// The nonce of the approval, base64url. Only the nonce identifies the approval, because the passkey signs it:
    /// id, approver and times rest on the log's word, and the log may show one assertion under two ids. To act only
    /// once, remember the nonce.
    pub nonce: Option<String>,
    /// All of [`Check::OF_RECEIPT`], in this order.
    pub checks: Vec<CheckLine>,
    /// What even a clean verdict does not prove, each in one sentence.
    pub not_proven: Vec<Cow<'static, str>>,
    /// A mistake in what the caller provided (such as a payload that is not JSON). The checks that needed it were not
    /// made.
    pub usage: Option<String>,
    /// Faults on our side: two implementations of an algorithm that disagree. Nobody is accused.
    pub faults: Vec<String>,
    /// A verified misbehaviour file (specification section 11), if the two heads in the receipt contradict each
    /// other.
    pub evidence: Option<Vec<u8>>,
    /// The index of the check that was set last.
    last: usize,
}

impl Verdict {
    /// Nothing checked yet.
    pub(super) fn blank() -> Verdict {
        let line = |check| CheckLine {
            check,
            result: CheckResult::NotChecked,
            code: None,
            message: Cow::Borrowed("the receipt did not get that far"),
            required: false,
        };
        Verdict {
            id: None,
            index: None,
            decision: None,
            approver: None,
            nonce: None,
            checks: Check::OF_RECEIPT.into_iter().map(line).collect(),
            not_proven: Vec::new(),
            usage: None,
            faults: Vec::new(),
            evidence: None,
            last: 0,
        }
    }

    /// Whether everything that was asked for was checked and passed.
    pub fn is_clean(&self) -> bool {
        self.conclusion() == Conclusion::Clean
    }

    /// The answer in one word; the worst wins.
    pub fn conclusion(&self) -> Conclusion {
        let any = |result| self.checks.iter().any(|line| line.result == result);
        let missing = self.checks.iter().any(|line| line.required && line.result == CheckResult::NotChecked);
        if !self.faults.is_empty() {
            Conclusion::LocalFault
        } else if self.evidence.is_some() {
            Conclusion::Violation
        } else if any(CheckResult::Failed) {
            Conclusion::Invalid
        } else if missing || self.usage.is_some() {
            Conclusion::Incomplete
        } else {
            Conclusion::Clean
        }
    }

    /// The result of one check.
    pub fn check(&self, check: Check) -> Option<&CheckLine> {
        self.checks.iter().find(|line| line.check == check)
    }

    /// Whether a check was made and passed.
    pub(super) fn holds(&self, check: Check) -> bool {
        self.check(check)
            .is_some_and(|line| matches!(line.result, CheckResult::Passed | CheckResult::Warning))
    }

    /// Finds a check. The search starts at the check that was set last, because most checks are made in list order.
    fn line(&mut self, check: Check) -> Option<&mut CheckLine> {
        let is_it = |line: &CheckLine| line.check == check;
        let near =
            // There are a few dozen checks.
            (self.last..self.last.saturating_add(3)).find(|at| self.checks.get(*at).is_some_and(is_it));
        self.last = near.or_else(|| self.checks.iter().position(is_it))?;
        self.checks.get_mut(self.last)
    }

    fn set(&mut self, check: Check, result: CheckResult, code: Option<Code>, message: Cow<'static, str>) {
        if let Some(line) = self.line(check) {
            line.result = result;
            line.code = code;
            line.message = message;
            line.required = false;
        }
    }

    pub(super) fn pass(&mut self, check: Check, message: impl Into<Cow<'static, str>>) {
        self.set(check, CheckResult::Passed, None, message.into());
    }

    pub(super) fn fail(
        &mut self,
        check: Check,
        code: impl Into<Option<Code>>,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.set(check, CheckResult::Failed, code.into(), message.into());
    }

    pub(super) fn warn(&mut self, check: Check, code: Code, message: impl Into<Cow<'static, str>>) {
        self.set(check, CheckResult::Warning, Some(code), message.into());
    }

    /// Records that a check was not made because nobody asked for it.
    pub(super) fn leave(&mut self, check: Check, message: impl Into<Cow<'static, str>>) {
        self.set(check, CheckResult::NotChecked, None, message.into());
    }

    /// Records that a check was not made although the verdict depends on it.
    pub(super) fn miss(&mut self, check: Check, message: impl Into<Cow<'static, str>>) {
        self.leave(check, message);
        if let Some(line) = self.line(check) {
            line.required = true;
        }
    }
}
