//! How one check of an audit came out.

use crate::audit::verdict::CheckResult;
use crate::core::check::Check;

/// One line of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckLine {
    /// Which one.
    pub check: Check,
    /// What holds where it passed.
    pub what: &'static str,
    /// How it came out.
    pub result: CheckResult,
    /// How often it was applied.
    pub count: u64,
    /// Whether the verdict needs it.
    pub required: bool,
    /// Where it was not made although the verdict needs it: what was missing.
    pub missing: Option<&'static str>,
    /// Where it was not made and nobody asked: how to have it made.
    pub hint: Option<&'static str>,
}
