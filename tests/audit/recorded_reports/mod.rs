//! What the program said before it was rebuilt inside, held byte for byte against what it says now: verdicts, exit
//! codes, checks with their counts, findings and their order, of every log that there is in the fixtures and of some made
//! here. `fixtures/reports/README.md` says which program was recorded.

mod commands;
mod known;
mod lies;
mod made;
mod mirrors;
mod options;

use support::recorded::{Record, Session, assert_as_recorded, in_order};

/// The options of every audit.
const AUDIT: [&str; 7] = ["audit", "--log", "{log}", "--db", "{db}", "--format", "json"];

/// The relying party of the test logs.
const PARTY: [&str; 4] = ["--rp-id", "approvals.example", "--allow-origin", "https://approvals.example"];

/// Audits `{log}` with these options.
#[track_caller]
fn audit(session: &mut Session, step: &str, options: &[&str]) {
    session.run(step, &[&AUDIT[..], options].concat());
}

#[test]
fn known_logs_are_judged_as_recorded() {
    let logs = known::logs();
    let records = in_order(logs.len(), |number| known::of(&logs[number]));
    assert_as_recorded("logs", &records);
}

#[test]
fn options_are_applied_as_recorded() {
    let sessions = options::SESSIONS;
    assert_as_recorded("options", &in_order(sessions.len(), |number| sessions[number]()));
}

#[test]
fn generated_logs_are_judged_as_recorded() {
    let sessions = made::SESSIONS;
    assert_as_recorded("made", &in_order(sessions.len(), |number| sessions[number]()));
}

#[test]
fn changing_logs_are_judged_as_recorded() {
    assert_as_recorded("changes", &in_order(made::changes_count(), made::changed));
}

#[test]
fn receipts_are_judged_as_recorded() {
    let cases = commands::receipt_cases();
    let records = in_order(cases.len(), |number| commands::verify(&cases[number]));
    assert_as_recorded("receipts", &records);
}

#[test]
fn other_commands_print_what_was_recorded() {
    let jobs = commands::jobs();
    assert_as_recorded("commands", &in_order(jobs.len(), |number| jobs[number]()));
}

#[test]
fn lies_are_answered_as_recorded() {
    let rows = lies::rows();
    let records: Vec<Record> = in_order(rows.len(), |number| lies::records(&rows[number]));
    assert_as_recorded("lies", &records);
}

#[test]
fn mirrors_of_every_format_are_migrated_as_recorded() {
    let formats = mirrors::FORMATS;
    let records = in_order(formats.len(), |number| mirrors::of(formats[number]));
    mirrors::agree(&records);
    assert_as_recorded("mirrors", &records);
}
