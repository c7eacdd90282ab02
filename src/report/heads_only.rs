//! What a report of `--heads-only` says of each check: those of entries were not made.

use super::checks::CheckLine;
use crate::audit::verdict::CheckResult;

/// Checks of signed heads: all that are made. The proofs are those between heads.
const OF_HEADS: [&str; 11] = [
    "head-signature",
    "head-against-heads",
    "head-against-tree",
    "head-rollback",
    "head-time",
    "head-age",
    "served-proofs",
    "head-list",
    "anchors",
    "peers",
    "witnesses",
];

/// Why the others are not made.
pub(super) const WHY: &str = "entries were not fetched (--heads-only)";

/// Why `head-against-tree` is not made, and nothing is amiss.
pub(super) const ONE_TREE: &str =
    "the log serves one tree so far, and there is none that it could be proved against";

/// Whether a check is of entries.
pub(super) fn leaves_out(name: &str) -> bool {
    !OF_HEADS.contains(&name)
}

/// What holds where a check passed, `what` being that of an audit. No tree is rebuilt here.
pub(super) fn says(name: &str, what: &'static str) -> &'static str {
    match name {
        "head-against-tree" => {
            "every signed head up to the newest one served is its beginning, as the log's tiles or proofs show"
        }
        "served-proofs" => "the proofs between heads that the log serves verify",
        _ => what,
    }
}

/// The line of a check of entries: not made, unless a finding of earlier runs stands.
pub(super) fn line(name: &'static str, what: &'static str, failed: bool) -> CheckLine {
    let (result, hint) = match failed {
        true => (CheckResult::Failed, None),
        false => (CheckResult::NotChecked, Some(WHY)),
    };
    CheckLine { name, what, result, count: 0, required: false, missing: None, hint }
}
