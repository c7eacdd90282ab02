//! What a report says, out of what a run did and what the mirror holds.

use crate::config::Settings;
use crate::core::check::Check;
use crate::core::head::LogKey;
use crate::core::text;
use crate::mirror::{Mirror, MirrorError, StoredFinding};
use crate::report::{EntryCounts, Input, ReportedFinding};
use crate::run::Summary;

/// What the run did, and what the mirror holds now.
pub(super) fn fill(
    input: &mut Input,
    mirror: &Mirror,
    summary: Summary,
    key: &LogKey,
) -> Result<(), MirrorError> {
    let state = mirror.state();
    if let Some(head) = &summary.target {
        input.log.tree_size = Some(head.size());
        input.log.root_hash = Some(head.root().to_string());
        let newest = mirror.heads().newest_of_tree(head.size(), &head.root(), key)?;
        input.log.head_time = newest.and_then(|newest| newest.head.timestamp());
    }
    input.entries = EntryCounts {
        total: state.checked,
        new: summary.entries_new,
        approved: state.decisions.approved,
        rejected: state.decisions.rejected,
        expired: state.decisions.expired,
        invalid: mirror.findings().invalid_entries()?,
    };
    input.heads = (mirror.heads().count(), summary.heads_new);
    // What earlier runs checked of entries is no part of a report on heads.
    if !input.asked.heads_only {
        input.tally = state.tally();
    }
    input.tally.merge(&summary.tally);
    let [consistent, contradicted, unchecked] = mirror.heads().statuses();
    // Which of them should have been proved, the run says.
    let unchecked = if input.asked.heads_only { 0 } else { unchecked };
    input.tally.add(Check::HeadAgainstTree, consistent, contradicted, unchecked);
    input.findings = mirror.findings().standing()?.into_iter().map(reported).collect();
    input.ended = mirror.findings().ended()?.into_iter().map(reported).collect();
    input.peers = summary.peers;
    input.incomplete.extend(summary.incomplete);
    input.follows.extend(summary.follows);
    input.faults.extend(summary.faults);
    input.notes.extend(summary.notes);
    input.nothing_judged |= summary.no_head;
    Ok(())
}

/// A pin for a name that signs nothing is most likely a mistyped name, and pins nobody.
pub(super) fn note_unknown_pins(
    input: &mut Input,
    mirror: &Mirror,
    settings: &Settings,
) -> Result<(), MirrorError> {
    for approver in settings.pinned_keys.keys().filter(|_| !settings.heads_only) {
        if !mirror.memory().has_signed(approver)? {
            let name = text::quoted(approver);
            input.notes.push(format!(
                "{name} has pinned keys, but has signed nothing in this log: is the name right?"
            ));
        }
    }
    Ok(())
}

fn reported(stored: StoredFinding) -> ReportedFinding {
    let (finding, first_seen, ended) = (stored.finding, stored.first_seen, stored.ended);
    ReportedFinding { finding, first_seen, ended, acknowledged: None }
}

/// Says with each finding that somebody answered for that they did.
pub(super) fn acknowledge(
    input: &mut Input,
    mirror: &Mirror,
    settings: &Settings,
    now: u64,
) -> Result<(), MirrorError> {
    let rules = &settings.alerting.acknowledgements;
    for reported in input.findings.iter_mut().filter(|_| !rules.is_empty()) {
        let finding = &reported.finding;
        let approver = finding.index.map(|index| mirror.entries().approver_of(index)).transpose()?.flatten();
        let rule = rules.iter().find(|rule| rule.covers(finding, approver.as_deref(), now));
        reported.acknowledged = rule
            .map(|rule| format!("until {}: {}", text::escape(&rule.until_text), text::escape(&rule.comment)));
    }
    Ok(())
}
