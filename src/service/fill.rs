//! Fills the input of a report from the summary of a run and from the mirror.

use crate::config::Settings;
use crate::core::check::Check;
use crate::core::head::LogKey;
use crate::core::text;
use crate::core::time::UnixMillis;
use crate::mirror::{Mirror, MirrorError, StoredFinding};
use crate::report::{EntryCounts, Input, ReportedFinding};
use crate::run::Summary;

/// Adds what the run did and what the mirror holds now.
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
    // A report on heads leaves out the checks of entries that earlier runs made.
    if !input.asked.heads_only {
        input.tally = state.tally();
    }
    input.tally.merge(&summary.tally);
    let [consistent, contradicted, unchecked] = mirror.heads().statuses();
    // In a run over heads only, the run itself says which of the unchecked heads should have been proved.
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

/// Adds a note for each pinned name that has signed nothing: most likely it is mistyped, and pins nobody.
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

/// Marks each finding that an acknowledgement in the config covers.
pub(super) fn acknowledge(
    input: &mut Input,
    mirror: &Mirror,
    settings: &Settings,
    now: UnixMillis,
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
