//! The checks of an audit: what makes each one apply, and its result.

pub use super::check_line::ReportLine;
use super::{Asked, Input, heads_only};
use crate::audit::verdict::CheckResult;
use crate::core::check::Check;
use crate::core::finding::Severity;

/// What makes a check apply.
#[derive(Clone, Copy)]
enum When {
    /// Always.
    Always,
    /// With `--rp-id`; without it the verdict is at best incomplete.
    RpId,
    /// With `--allow-origin`; likewise.
    Origin,
    /// Only if it was asked for, or if there is something to apply it to; the text says how to ask for it.
    Asked(&'static str),
}

/// What makes a check apply.
fn when(check: Check) -> When {
    match check {
        Check::RpId => When::RpId,
        Check::Origin => When::Origin,
        Check::HeadTime | Check::DecidedBeforeHead => {
            When::Asked("the log serves no STH, and a checkpoint has no time")
        }
        Check::HeadAge => When::Asked("ask for it with --max-head-age"),
        Check::Tiles => When::Asked("the log serves no Merkle tiles"),
        Check::ServedProofs => When::Asked("a tiled log serves no proofs"),
        Check::HeadList => When::Asked("a tiled log does not list the heads that it signed"),
        Check::VerificationBundles => When::Asked("a tiled log serves no verification bundles"),
        Check::PinnedKeys => When::Asked("pin keys under [approvers] in the config"),
        Check::Reveals => When::Asked("no verification bundle that was asked for had one"),
        Check::Anchors => When::Asked("not part of this version"),
        Check::Witnesses => When::Asked(NEED_POLICY),
        Check::Peers => When::Asked(NEED_PEERS),
        Check::Journal => When::Asked("the journal of the gate has nothing that can be judged yet"),
        _ => When::Always,
    }
}

/// Checks of answers that only a JSON API gives.
const ONLY_API: [Check; 3] = [Check::ServedProofs, Check::HeadList, Check::VerificationBundles];

const NO_QUORUM: &str = "the policy asks for no cosignatures (quorum none)";

const NEED_RP_ID: &str = "give the relying party id with --rp-id";
const NEED_POLICY: &str = "give a witness policy with --policy";
const NEED_PEERS: &str = "name others who watch this log with [[peer]] in the config";
const NEED_ORIGIN: &str = "give the allowed web origins with --allow-origin";

/// All checks, in the order of the specification. That of a gate's journal is among them only for those who have a gate.
pub(super) fn lines(input: &Input) -> Vec<ReportLine> {
    let is_found = |of: Check| input.findings.iter().any(|found| found.finding.code.checks().contains(&of));
    let is_there =
        |check: &Check| *check != Check::Journal || input.asked.journal || is_found(Check::Journal);
    Check::of_audit().filter(is_there).map(|check| line(check, input)).collect()
}

/// What is known about a check before an audit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreseen {
    /// It will be made.
    Made,
    /// It will be made if the log has something to apply it to.
    IfThere,
    /// It will not be made; the text says what is missing.
    NotMade(&'static str),
}

/// What each check establishes, and whether an audit would make it. `api`: the source is a JSON API.
pub fn foreseen(asked: Asked, api: bool) -> Vec<(&'static str, Foreseen)> {
    let needs = |given: bool, how| if given { Foreseen::Made } else { Foreseen::NotMade(how) };
    let one = |check: Check| match when(check) {
        _ if asked.heads_only && heads_only::leaves_out(check) => Foreseen::NotMade(heads_only::WHY),
        When::Always => Foreseen::Made,
        When::RpId => needs(asked.rp_id, NEED_RP_ID),
        When::Origin => needs(asked.origins, NEED_ORIGIN),
        When::Asked(how) => match check {
            Check::PinnedKeys => needs(asked.pinned_keys, how),
            Check::Witnesses if asked.quorum == Some(false) => Foreseen::NotMade(NO_QUORUM),
            Check::Witnesses => needs(asked.quorum.is_some(), NEED_POLICY),
            Check::Peers => needs(asked.peers, how),
            Check::HeadAge if !asked.head_age => Foreseen::NotMade(how),
            Check::Anchors => Foreseen::NotMade(how),
            Check::Tiles if api => Foreseen::NotMade(how),
            _ if ONLY_API.contains(&check) && !api => Foreseen::NotMade(how),
            _ => Foreseen::IfThere,
        },
    };
    let is_there = |check: &Check| *check != Check::Journal || asked.journal;
    Check::of_audit().filter(is_there).map(|check| (claim(check, asked), one(check))).collect()
}

fn claim(check: Check, asked: Asked) -> &'static str {
    if asked.heads_only { heads_only::claim(check) } else { check.claim() }
}

fn line(check: Check, input: &Input) -> ReportLine {
    let when = when(check);
    let count = input.tally.get(check);
    // Only whether it is zero matters for the result, and no log has so many entries.
    let applied = count.passed.saturating_add(count.failed);
    let failed = input.findings.iter().any(|f| {
        let belongs = match f.finding.subject.check() {
            Some(of) => of == check,
            None => f.finding.code.checks().contains(&check),
        };
        belongs && f.finding.severity > Severity::Info
    });
    // A head that contradicts the tree does so for ever, whichever finding reported it.
    let failed = failed || (check == Check::HeadAgainstTree && count.failed > 0);
    if input.asked.heads_only && heads_only::leaves_out(check) {
        return heads_only::line(check, failed);
    }
    let missing = match when {
        When::RpId if !input.asked.rp_id => Some(NEED_RP_ID),
        When::Origin if !input.asked.origins => Some(NEED_ORIGIN),
        _ => None,
    };
    // The check was never applied. That is a pass only if there was nothing to apply it to, because all entries of
    // the head were checked and none is of this kind (an empty log has no entries).
    let entries = &input.entries;
    let vacuous =
        count.not_checked == 0 && input.log.tree_size == Some(entries.total) && entries.approved == 0;
    let api = input.log.has_api;
    let only_api = ONLY_API.contains(&check);
    // Three checks cannot pass in part. The head list is either read to its end, or it is unknown what it lacks. If
    // one head is not proved, the heads are not known to be of one history. Comparing with one of two peers is not a
    // pass.
    let linking = input.asked.heads_only && check == Check::HeadAgainstTree;
    let undecided = ([Check::HeadList, Check::Peers].contains(&check) || linking) && count.not_checked > 0;
    let made = match when {
        _ if undecided => false,
        When::Always | When::RpId | When::Origin => missing.is_none() && (applied > 0 || vacuous),
        When::Asked(_) => applied > 0,
    };
    let result = match (failed, made && !input.nothing_judged) {
        (true, _) => CheckResult::Failed,
        (false, true) => CheckResult::Passed,
        (false, false) => CheckResult::NotChecked,
    };
    // The first head of a log cannot be compared with another. If one could be compared and was not, the run says so.
    let alone = linking && applied == 0 && count.not_checked == 0;
    // A check that was asked for and could not be made must not read as if nobody had asked for it.
    let hint = match when {
        _ if alone => Some(heads_only::ONE_TREE),
        _ if linking && result == CheckResult::NotChecked => Some("not all signed heads could be proved"),
        When::Asked(_)
            if check == Check::HeadAge && input.asked.head_age && result == CheckResult::NotChecked =>
        {
            Some("the log serves no STH, and a checkpoint has no time")
        }
        When::Asked(_) if check == Check::Witnesses && result == CheckResult::NotChecked => {
            Some(match input.asked.quorum {
                None => NEED_POLICY,
                Some(false) => NO_QUORUM,
                Some(true) => "no checkpoint could be held against the policy",
            })
        }
        When::Asked(_) if check == Check::PinnedKeys && input.asked.pinned_keys && applied == 0 => {
            Some("none of the approvers with pinned keys has approved anything")
        }
        When::Asked(_) if check == Check::Peers && input.asked.peers && result == CheckResult::NotChecked => {
            Some("not every peer could be compared with")
        }
        // The source could have answered, but the audit did not get as far as asking.
        When::Asked(_) if api && input.asked.heads_only && check == Check::ServedProofs => {
            Some("no head was left to be proved")
        }
        When::Asked(_) if api && only_api => None,
        When::Asked(_) if check == Check::DecidedBeforeHead && entries.total == 0 => None,
        When::Asked(how) if result == CheckResult::NotChecked => Some(how),
        _ => None,
    };
    let asked = match check {
        Check::Witnesses => input.asked.quorum == Some(true),
        Check::Peers => input.asked.peers,
        _ => false,
    };
    let required = asked || !(alone || matches!(when, When::Asked(_)));
    ReportLine { check, what: claim(check, input.asked), result, count: applied, required, missing, hint }
}
