//! `countersign audit`: settings become a run, a run becomes a report.

use super::args::Format;
use super::config::Settings;
use super::failure::Failure;
use super::file_name;
use super::output::{self, Answer};
use super::peer_tables;
use super::progress::Bar;
use super::style;
use crate::audit::conclusion::Conclusion;
use crate::audit::watch_list::Rule;
use crate::core::check::Check;
use crate::core::head::LogKey;
use crate::core::text;
use crate::core::tlog_policy::TlogPolicy;
use crate::mirror::{Begun, Mirror, MirrorError, StoredFinding};
use crate::monitor;
use crate::report::{self, Asked, EntryCounts, Input, LogPart, MirrorUse, Report, ReportedFinding};
use crate::run::{Options, Progress, Run, Summary};
use crate::source::{self, HttpOptions, LogSource, Stop, runtime, user_file};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What is said where there is no log key.
pub const NO_LOG_KEY: &str = "the log's public key was not given, and without it no head means anything: get it from \
                              the log's operator (not from the log) and give it with --log-key, or in a policy with --policy";

/// Descriptors that are in use while a log is read, besides two for each thread that reads: the mirror with its lock,
/// its write-ahead log and its temporary files, and the files beside it. Where they cannot be had, half an audit would
/// look like a log that cannot be read.
const OF_AN_AUDIT: usize = 12;

/// Runs the audit and prints its report.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(settings: &Settings, answer: &mut Answer) -> Result<u8, Failure> {
    let stop = Stop::default();
    // Who is asked to stop still says what came of it.
    stop_on_signal(&stop)?;
    let report = audit(settings, &stop, &bar(settings))?;
    print(settings, &report, answer);
    if answer.is_whole() {
        note_told(settings, &report);
    }
    Ok(report.verdict().exit_code())
}

/// Ends the run in order when the system asks for it.
///
/// # Errors
/// Signals cannot be caught.
pub fn stop_on_signal(stop: &Stop) -> Result<(), Failure> {
    monitor::stop_on_signal(stop.clone(), i32::from(Conclusion::Incomplete.exit_code()))
        .map_err(|error| Failure::Local(format!("signals cannot be caught: {error}")))
}

/// Progress as the settings ask for it.
pub fn bar(settings: &Settings) -> Bar {
    Bar::new(!settings.quiet && output::stderr_is_terminal(), settings.verbose)
}

/// Runs the audit, until it is done or `stop` ends it.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn audit(settings: &Settings, stop: &Stop, progress: &dyn Progress) -> Result<Report, Failure> {
    let location = settings.require_log()?;
    let db = settings.require_db()?;
    let log_key = settings.one_log_key()?;
    let (source, note) = open_log_until(settings, location, stop)?;
    let started = Started::now();
    let mut input = Input {
        command: "audit",
        log: LogPart { source: source.location(), has_api: source.api().is_some(), ..LogPart::default() },
        asked: asked(settings),
        ..Input::default()
    };
    input.notes.extend(note);
    match log_key {
        None => {
            input.nothing_judged = true;
            input.incomplete.push(NO_LOG_KEY.to_owned());
        }
        Some(key) => {
            input.log.origin = key.origin().to_owned();
            let with = With { settings, source: source.as_ref(), key, started: &started, stop, progress };
            with.mirror(db, &mut input)?;
        }
    }
    Ok(Report::new(started.finish(input)))
}

/// Opens the log, and says where secrets were kept back from it.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn open_log(
    settings: &Settings,
    location: &str,
) -> Result<(Box<dyn LogSource>, Option<String>), Failure> {
    open_log_until(settings, location, &Stop::default())
}

fn open_log_until(
    settings: &Settings,
    location: &str,
    stop: &Stop,
) -> Result<(Box<dyn LogSource>, Option<String>), Failure> {
    if !Path::new(location).is_dir() {
        let said = if settings.log.as_deref() == Some(location) { &settings.log_said } else { "--log" };
        file_name::check_home(said, Path::new(location))?;
    }
    // The secrets of a config that names a log are for that log.
    let owner = settings.config_log.as_deref().unwrap_or(location);
    let (http, left_out) = settings.net.options_for(location, Some(owner))?;
    let http = HttpOptions { stop: stop.clone(), ..http };
    let source = source::open(location, settings.api, &http)
        .map_err(|error| Failure::opening(&error, |error| format!("--log: {error}")))?;
    check_free_descriptors(workers(settings, source.as_ref()))?;
    let note = "the secrets in the config are for the log that it names, and were not sent to this one: give those of \
                this log as options";
    Ok((source, left_out.then(|| note.to_owned())))
}

/// Whether there is room to read something over the network, and to take it into the mirror.
///
/// # Errors
/// This process may not open so many files.
pub fn room_to_read() -> Result<(), Failure> {
    check_free_descriptors(1)
}

fn check_free_descriptors(threads: usize) -> Result<(), Failure> {
    runtime::check_free_descriptors(OF_AN_AUDIT.saturating_add(threads.saturating_mul(2)))
        .map_err(|error| Failure::new(user_file::is_local(&error), format!("cannot start: {error}")))
}

/// What the settings ask for.
pub fn asked(settings: &Settings) -> Asked {
    Asked {
        rp_id: settings.relying_party.rp_id.is_some(),
        origins: settings.relying_party.allowed_origins.is_some(),
        head_age: settings.max_head_age.is_some(),
        quorum: settings.witnesses.as_ref().map(TlogPolicy::has_quorum),
        pinned_keys: !settings.pinned_keys.is_empty(),
        peers: !settings.peers.is_empty(),
        deny_warnings: settings.deny_warnings,
        heads_only: settings.heads_only,
    }
}

/// What one audit is made with.
struct With<'a> {
    settings: &'a Settings,
    source: &'a dyn LogSource,
    key: &'a LogKey,
    started: &'a Started,
    stop: &'a Stop,
    progress: &'a dyn Progress,
}

impl With<'_> {
    fn mirror(&self, db: &Path, input: &mut Input) -> Result<(), Failure> {
        let With { settings, source, key, started, stop, progress } = *self;
        let peers = peer_tables::open(settings, key, stop)?;
        let opened = if settings.init { Mirror::create_or_open(db, key) } else { Mirror::open(db, key) };
        let mut mirror = match opened {
            Ok(mirror) => mirror,
            Err(error) if error.is_usage() => return Err(error.to_string().into()),
            Err(error) => {
                input.nothing_judged = true;
                if matches!(error, MirrorError::InUse(_)) {
                    input.mirror = MirrorUse::InUse;
                }
                input.faults.push(error.to_string());
                return Ok(());
            }
        };
        let begun = match mirror.begun() {
            Begun::Ordinarily => None,
            Begun::Over => {
                Some("--init put a new mirror in the place of one that is gone: its heads are forgotten")
            }
            Begun::Adopted => Some("--init took a mirror without its mark: heads seen since may be lost"),
        };
        input.must_be_read |= begun.is_some();
        input.notes.extend(begun.map(str::to_owned));
        let policy = settings.policy(key.clone());
        let options = Options {
            full: settings.full,
            heads_only: settings.heads_only,
            workers: workers(settings, source),
            evidence_dir: settings.evidence_dir_for(db),
            max_entries: settings.max_entries,
            max_findings: settings.max_findings,
            now: (started.unix_ms, started.text.clone()),
            stop: stop.clone(),
        };
        let rules: Vec<Rule> = settings.watch.iter().map(|watch| watch.rule.clone()).collect();
        let run = Run::new(Some(source), &mut mirror, &policy, &options, progress);
        let summary = run.with_peers(&peers).watching(&rules).audit();
        input.must_be_read |= summary.hits_new > 0;
        let hits = (summary.hits_new > 0).then_some(summary.hits);
        input.unreachable = summary.unreachable;
        let filled =
            fill(input, &mirror, summary, key).and_then(|()| note_unknown_pins(input, &mirror, settings));
        let filled = filled.and_then(|()| acknowledge(input, &mirror, settings, started.unix_ms));
        if let Err(error) = filled {
            input.faults.push(error.to_string());
        } else {
            input.mirror = MirrorUse::Opened;
            input.hits_to_note = hits;
        }
        Ok(())
    }
}

/// For a directory one thread a core; over HTTP as many as the source can use at once.
fn workers(settings: &Settings, source: &dyn LogSource) -> usize {
    match settings.workers {
        Some(workers) => usize::from(workers),
        None => source.parallelism().max(cores()),
    }
}

/// Threads that can run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the run did, and what the mirror holds now.
fn fill(input: &mut Input, mirror: &Mirror, summary: Summary, key: &LogKey) -> Result<(), MirrorError> {
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
fn note_unknown_pins(input: &mut Input, mirror: &Mirror, settings: &Settings) -> Result<(), MirrorError> {
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
fn acknowledge(input: &mut Input, mirror: &Mirror, settings: &Settings, now: u64) -> Result<(), MirrorError> {
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

/// Prints the report as the settings ask for it.
pub fn print(settings: &Settings, report: &Report, answer: &mut Answer) {
    match settings.format {
        Format::Json => answer.print_encoded(report::json::render(report)),
        Format::Text if settings.quiet && !report.must_be_read() => {}
        Format::Text => answer.print(&report::text::render(report, style::of(settings))),
    }
}

/// Notes in the mirror that the hits in this report were told of, once they were: noted before, those of an audit that
/// is killed in between would be told by none. Where it cannot be noted, they are told again.
pub fn note_told(settings: &Settings, report: &Report) {
    let Some(hits) = report.input().hits_to_note else { return };
    let (Ok(db), Ok(Some(key))) = (settings.require_db(), settings.one_log_key()) else { return };
    let noted = Mirror::open(db, key)
        .and_then(|mut mirror| mirror.transact(|mirror, _| mirror.watch_rules_mut().put_hits_told(hits)));
    if let Err(error) = noted {
        output::note(&format!(
            "the next report will tell of the same hits of watch rules as new again: {error}"
        ));
    }
}

/// When a run began.
pub struct Started {
    /// Unix milliseconds.
    pub unix_ms: u64,
    /// The same as RFC 3339.
    pub text: String,
    clock: Instant,
}

impl Started {
    /// Reads the clock.
    pub fn now() -> Started {
        let unix_ms = unix_ms();
        Started { unix_ms, text: text::time(unix_ms), clock: Instant::now() }
    }

    fn finish(&self, mut input: Input) -> Input {
        input.started_at = self.text.clone();
        input.finished_at = text::time(unix_ms());
        input.duration_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        input
    }
}

/// The clock, in Unix milliseconds.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
