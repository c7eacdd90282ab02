//! Runs one audit: an [`AuditSpec`] goes in, a [`Report`] comes out.

use super::clock::{Clock, Started};
use super::journal::JournalFile;
use super::log::{self, NO_LOG_KEY, OpenLog};
use super::{Error, fill, load, peers, places};
use crate::audit::watch_list::Rule;
use crate::config::{Given, Settings};
use crate::core::head::LogKey;
use crate::mirror::{Begun, Mirror, MirrorError};
use crate::report::{Input, LogPart, MirrorUse, Report};
use crate::run::{Options, Progress, Run};
use crate::source::{LogSource, RequestCounters, Stop};
use std::path::{Path, PathBuf};

/// Describes one audit: the log, its mirror, the trusted keys and the options.
#[derive(Clone, Debug)]
pub struct AuditSpec {
    settings: Settings,
    log: String,
    db: PathBuf,
    key: Option<LogKey>,
    requests: RequestCounters,
}

impl AuditSpec {
    /// Describes an audit with these settings.
    ///
    /// # Errors
    /// Returns [`Error`] if the settings name no log, no mirror, or more than one log key.
    pub fn new(settings: Settings) -> Result<AuditSpec, Error> {
        let (log, db) = (settings.require_log()?.to_owned(), settings.require_db()?.to_owned());
        let key = settings.one_log_key()?.cloned();
        Ok(AuditSpec { settings, log, db, key, requests: RequestCounters::default() })
    }

    /// Describes an audit from the given options alone, without a config.
    ///
    /// # Errors
    /// Returns [`Error`] if the options are wrong, or if a policy cannot be read.
    pub fn of(given: Given) -> Result<AuditSpec, Error> {
        AuditSpec::new(load::settings(None, None, given)?)
    }

    /// Counts requests to the log in `requests`.
    #[must_use]
    pub fn counting(self, requests: RequestCounters) -> AuditSpec {
        AuditSpec { requests, ..self }
    }

    /// Sets whether a missing mirror is created.
    pub(super) fn creating(self, init: bool) -> AuditSpec {
        AuditSpec { settings: Settings { init, ..self.settings }, ..self }
    }

    /// The settings of the audit.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The path of the mirror.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The public key of the log, if one was given.
    pub fn log_key(&self) -> Option<&LogKey> {
        self.key.as_ref()
    }
}

/// Runs the audit until it is done or `stop` ends it. It prints nothing and changes no state of the process, so several
/// audits can run at once, each with its own mirror.
///
/// Call [`note_told`] once the report has been delivered. Until then its hits of watch rules count as not reported.
///
/// # Errors
/// Returns [`Error`] if the audit was not begun; nothing is then known of the log. A local fault that occurs later is
/// in the report.
pub fn audit(
    spec: &AuditSpec,
    clock: &dyn Clock,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Report, Error> {
    let OpenLog { source, note } = log::open_log_until(&spec.settings, &spec.log, &spec.requests, stop)?;
    let started = Started::now(clock);
    let mut input = Input {
        command: "audit",
        log: LogPart { source: source.location(), has_api: source.api().is_some(), ..LogPart::default() },
        asked: log::asked(&spec.settings),
        ..Input::default()
    };
    input.notes.extend(note.map(str::to_owned));
    match &spec.key {
        None => {
            input.nothing_judged = true;
            input.incomplete.push(NO_LOG_KEY.to_owned());
        }
        Some(key) => {
            input.log.origin = key.origin().to_owned();
            let with = AuditRun { spec, source: source.as_ref(), key, started: &started, stop, progress };
            with.mirror(&mut input)?;
        }
    }
    Ok(Report::new(started.finish(input, clock)))
}

/// Records in the mirror that the hits of watch rules in this report were reported. Call it after delivery: if the hits
/// were recorded first, an audit that is killed in between would lose them. If recording fails, the next report repeats
/// them.
///
/// # Errors
/// Returns [`Error`] if the mirror could not be written. The caller should show it.
pub fn note_told(spec: &AuditSpec, report: &Report) -> Result<(), Error> {
    let (Some(hits), Some(key)) = (report.input().hits_to_note, &spec.key) else { return Ok(()) };
    let noted = Mirror::open(&spec.db, key)
        .and_then(|mut mirror| mirror.transact(|mirror, _| mirror.watch_rules_mut().put_hits_told(hits)));
    noted.map_err(|error| {
        Error::Local(format!("the next report will show the same watch rule hits as new again: {error}"))
    })
}

/// The inputs of one audit that has a log key.
struct AuditRun<'a> {
    spec: &'a AuditSpec,
    source: &'a dyn LogSource,
    key: &'a LogKey,
    started: &'a Started,
    stop: &'a Stop,
    progress: &'a dyn Progress,
}

impl AuditRun<'_> {
    fn mirror(&self, input: &mut Input) -> Result<(), Error> {
        let AuditRun { spec, source, key, started, stop, progress } = *self;
        let settings = &spec.settings;
        let peers = peers::open(settings, key, stop)?;
        let opened =
            if settings.init { Mirror::create_or_open(&spec.db, key) } else { Mirror::open(&spec.db, key) };
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
            Begun::Over => Some(
                "--init created a new mirror in place of one that is missing: the heads in that one are \
                      forgotten",
            ),
            Begun::Adopted => Some("--init accepted a mirror without its mark: heads seen since may be lost"),
        };
        input.must_be_read |= begun.is_some();
        input.notes.extend(begun.map(str::to_owned));
        let policy = settings.policy(key.clone());
        let options = Options {
            full: settings.full,
            heads_only: settings.heads_only,
            workers: log::workers(settings, source),
            evidence_dir: places::evidence_dir(settings, &spec.db),
            max_entries: settings.max_entries,
            max_findings: settings.max_findings,
            now: started.at,
            stop: stop.clone(),
        };
        let rules: Vec<Rule> = settings.watch.iter().map(|watch| watch.rule.clone()).collect();
        let run = Run::new(Some(source), &mut mirror, &policy, &options, progress);
        let journal = settings.journal.as_ref();
        let journal = journal.map(|settings| JournalFile { settings, origin: key.origin() });
        let run = run.with_peers(&peers).watching(&rules);
        let run = match &journal {
            Some(journal) => run.holding_against(journal),
            None => run,
        };
        let summary = run.audit();
        input.must_be_read |= summary.hits_new > 0;
        let hits = (summary.hits_new > 0).then_some(summary.hits);
        input.unreachable = summary.unreachable;
        let filled = fill::fill(input, &mirror, summary, key)
            .and_then(|()| fill::note_unknown_pins(input, &mirror, settings));
        let filled = filled.and_then(|()| fill::acknowledge(input, &mirror, settings, started.at));
        if let Err(error) = filled {
            input.faults.push(error.to_string());
        } else {
            input.mirror = MirrorUse::Opened;
            input.hits_to_note = hits;
        }
        Ok(())
    }
}
