//! The result of one check of an audit.

use crate::audit::verdict::CheckResult;
use crate::core::check::Check;

/// One line of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportLine {
    /// The check.
    pub check: Check,
    /// What a pass establishes.
    pub what: &'static str,
    /// The result.
    pub result: CheckResult,
    /// How often it was applied.
    pub count: u64,
    /// Whether the verdict depends on it.
    pub required: bool,
    /// What was missing, if the check was not made although the verdict depends on it.
    pub missing: Option<&'static str>,
    /// How to have the check made, if it was not made and not asked for.
    pub hint: Option<&'static str>,
}
