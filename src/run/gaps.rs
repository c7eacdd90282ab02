//! Bundles that the log does not serve as it signed them.

use super::commit::{BadBundle, Flaw};
use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use super::verifier::WIDTH;
use super::{findings, lag};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::mirror::Mirror;

/// Bundles named in one message.
const NAMED: usize = 4;

/// Records one finding for the bundles that are missing, and one for those that are wrong. Returns `false` if the log is
/// not accused, because a replica may be behind. That is said as incomplete.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn report(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
    bad: &[BadBundle],
) -> Result<bool, Fault> {
    if let [bad] = bad
        && lag::is_lagging(cx, mirror, statements, head, bad)?
    {
        return Ok(false);
    }
    for (missing, code) in [(true, Code::Gap), (false, Code::RootMismatch)] {
        let of_kind: Vec<&BadBundle> = bad.iter().filter(|b| (b.flaw != Flaw::Wrong) == missing).collect();
        let Some(first) = of_kind.first() else { continue };
        let from = first.n.saturating_mul(WIDTH);
        let to = from.saturating_add(WIDTH).min(head.size());
        let whys: Vec<&str> = of_kind.iter().take(NAMED).map(|b| b.why.as_str()).collect();
        let more = match of_kind.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let what = if missing { "are not all served" } else { "are not what it commits to" };
        let message = format!(
            "entries {from} to {}, which the head of size {} commits to, {what}: {}{more}",
            to.saturating_sub(1),
            head.size(),
            whys.join("; ")
        );
        statements.record(Check::Root, false);
        findings::record_of_log(cx, mirror, code, bundle_subject(head, first.n), message)?;
    }
    if !bad.is_empty() {
        let checked = mirror.state().checked;
        statements.note(format!(
            "entries from {checked} on were not fully checked: the log does not serve all of them"
        ));
    }
    Ok(true)
}

/// The subject of a finding about bundle `n` of the tree of `head`.
pub(super) fn bundle_subject(head: &Head, n: u64) -> Subject {
    let from = n.saturating_mul(WIDTH);
    Subject::Entries { from, to: from.saturating_add(WIDTH).min(head.size()) }
}
