//! The checks in a report of `--heads-only`: those about entries were not made.

use super::check_line::ReportLine;
use crate::audit::verdict::CheckResult;
use crate::core::check::Check;

/// The checks about signed heads, which are all made. The proofs are those between heads.
const OF_HEADS: [Check; 11] = [
    Check::HeadSignature,
    Check::HeadAgainstHeads,
    Check::HeadAgainstTree,
    Check::HeadRollback,
    Check::HeadTime,
    Check::HeadAge,
    Check::ServedProofs,
    Check::HeadList,
    Check::Anchors,
    Check::Peers,
    Check::Witnesses,
];

/// Why the other checks are not made.
pub(super) const WHY: &str = "entries were not fetched (--heads-only)";

/// Why `head-against-tree` is not made when nothing is wrong.
pub(super) const ONE_TREE: &str =
    "the log has served only one tree so far, so there is no other to compare it with";

/// Whether a check is about entries.
pub(super) fn leaves_out(check: Check) -> bool {
    !OF_HEADS.contains(&check)
}

/// What a passed check establishes. No tree is rebuilt in this mode.
pub(super) fn claim(check: Check) -> &'static str {
    match check {
        Check::HeadAgainstTree => {
            "every signed head up to the newest one served is its beginning, as the log's tiles or proofs show"
        }
        Check::ServedProofs => "the proofs between heads that the log serves verify",
        _ => check.claim(),
    }
}

/// The line of a check about entries: not made, unless a finding of earlier runs still stands.
pub(super) fn line(check: Check, failed: bool) -> ReportLine {
    let (result, hint) = match failed {
        true => (CheckResult::Failed, None),
        false => (CheckResult::NotChecked, Some(WHY)),
    };
    let what = check.claim();
    ReportLine { check, what, result, count: 0, required: false, missing: None, hint }
}
