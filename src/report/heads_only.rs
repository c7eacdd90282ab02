//! What a report of `--heads-only` says of each check: those of entries were not made.

use super::check_line::CheckLine;
use crate::audit::verdict::CheckResult;
use crate::core::check::Check;

/// Checks of signed heads: all that are made. The proofs are those between heads.
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

/// Why the others are not made.
pub(super) const WHY: &str = "entries were not fetched (--heads-only)";

/// Why `head-against-tree` is not made, and nothing is amiss.
pub(super) const ONE_TREE: &str =
    "the log serves one tree so far, and there is none that it could be proved against";

/// Whether a check is of entries.
pub(super) fn leaves_out(check: Check) -> bool {
    !OF_HEADS.contains(&check)
}

/// What holds where a check passed. No tree is rebuilt here.
pub(super) fn says(check: Check) -> &'static str {
    match check {
        Check::HeadAgainstTree => {
            "every signed head up to the newest one served is its beginning, as the log's tiles or proofs show"
        }
        Check::ServedProofs => "the proofs between heads that the log serves verify",
        _ => check.claim(),
    }
}

/// The line of a check of entries: not made, unless a finding of earlier runs stands.
pub(super) fn line(check: Check, failed: bool) -> CheckLine {
    let (result, hint) = match failed {
        true => (CheckResult::Failed, None),
        false => (CheckResult::NotChecked, Some(WHY)),
    };
    let what = check.claim();
    CheckLine { check, what, result, count: 0, required: false, missing: None, hint }
}
