//! `countersign monitor`: audits the logs of a config repeatedly, or each once.

use super::alerts;
use super::args::Common;
use super::audit::{self, note_untold};
use super::failure::{LOCAL_FAULT, USAGE, exit_code};
use super::monitor_args::{MonitorCommand, MonitorOptions};
use super::output::{self, Answer};
use super::settings::given;
use super::signals::stop_on_signal;
use crate::audit::conclusion::Conclusion;
use crate::config::{Format, GivenMonitor};
use crate::core::text::escape;
use crate::mirror::{HeadReader, Queue};
use crate::monitor::event::Event;
use crate::monitor::{self, Auditable, Plan, of_channel};
use crate::report::Report;
use crate::run::Silent;
use crate::service::{
    self, AuditedLog, Error, LogConfig, LogWatch, NO_LOG_KEY, SystemClock, WatchSpec, WatchedLogs, init_left,
};
use crate::source::{RequestCounters, Stop};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The event for a config that would create a lost mirror again.
const INIT_LEFT: &str = "init-left";

/// Watches all logs, or audits each once.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault.
pub fn run(
    common: &Common,
    options: &MonitorOptions,
    answer: &mut Answer,
    release_memory: Option<fn()>,
) -> Result<u8, Error> {
    if let Some(MonitorCommand::TestAlert) = options.command {
        return alerts::test(common, options, answer);
    }
    let watched = watched(common, options)?;
    if options.once {
        return once(watched, answer);
    }
    let (counted, common, options) = (Counted::default(), common.clone(), options.clone());
    let mut first = plan(watched, &counted, release_memory)?;
    first.notes.extend(memory_kept(release_memory));
    let read: monitor::Read = Arc::new(move || {
        self::watched(&common, &options).and_then(|watched| plan(watched, &counted, release_memory))
    });
    monitor::run(first, &read, service::now).map_err(|error| Error::new(error.is_local, error.why))?;
    Ok(0)
}

fn watched(common: &Common, options: &MonitorOptions) -> Result<WatchedLogs, Error> {
    service::watched(&WatchSpec {
        config: common.config.as_deref(),
        name: common.name.as_deref(),
        given: given(common.clone(), options.audit.clone()),
        monitor: GivenMonitor {
            listen: options.listen.clone(),
            interval: options.interval.clone(),
            log_format: options.log_format,
        },
    })
}

/// An event at the start of a build that cannot return free memory: only the GNU C library has a call for it.
fn memory_kept(release_memory: Option<fn()>) -> Option<Event> {
    let message = "this build cannot return free memory to the system: the monitor may keep the memory that its first \
                audit needed";
    release_memory.is_none().then(|| Event::new("memory-kept", message))
}

/// A log that the monitor audits.
struct Log {
    watch: LogWatch,
    /// Returns free memory to the system after an audit.
    release_memory: Option<fn()>,
}

impl Auditable for Log {
    fn audit(&self, stop: &Stop) -> Result<Report, Error> {
        let AuditedLog { report, changes } = self.watch.audit(&SystemClock::default(), stop, &Silent);
        changes.iter().for_each(|change| of_channel(self.watch.name(), change).say());
        let report = report?;
        // The monitor prints no report. Hits are reported by alerts, which are recorded separately.
        note_untold(self.watch.note_told(&report));
        if let Some(release) = self.release_memory {
            release();
        }
        Ok(report)
    }

    fn heads(&self) -> Result<HeadReader, Error> {
        self.watch.heads()
    }

    fn requests(&self) -> RequestCounters {
        self.watch.requests().clone()
    }

    fn channels(&self) -> BTreeMap<String, Queue> {
        self.watch.channels()
    }
}

/// Counters of requests by the name of the log. They are kept across a reload.
#[derive(Default)]
struct Counted(Mutex<BTreeMap<String, RequestCounters>>);

impl Counted {
    fn of(&self, log: &str) -> RequestCounters {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(log.to_owned()).or_default().clone()
    }
}

fn plan(watched: WatchedLogs, counted: &Counted, release_memory: Option<fn()>) -> Result<Plan, Error> {
    let watch = |log: LogConfig| {
        // Without a log key, no audit of the monitor could judge anything.
        log.settings.one_log_key()?.ok_or(NO_LOG_KEY)?;
        Ok(monitor::WatchedLog {
            name: log.name.clone(),
            interval: log.interval,
            deadline: service::deadline(&log.settings),
            subject: Arc::new(Log {
                watch: LogWatch::new(log.name.clone(), log.settings, counted.of(&log.name))?,
                release_memory,
            }),
        })
    };
    let left = |log: &LogConfig| Some(Event::of(&log.name, INIT_LEFT, init_left(&log.settings)?));
    let notes = watched.logs.iter().filter_map(left).collect();
    let logs = watched.logs.into_iter().map(watch).collect::<Result<Vec<_>, Error>>()?;
    Ok(Plan { logs, listen: watched.listen, json: watched.json, notes })
}

/// Audits every log once, one after the other. Returns the worst exit code of the contract. The code is 2 if a log
/// could not be audited because of its config, and no other log has code 5, 4 or 1.
fn once(watched: WatchedLogs, answer: &mut Answer) -> Result<u8, Error> {
    let stop = Stop::default();
    stop_on_signal(&stop)?;
    let several = watched.logs.len() > 1;
    let (mut worst, mut usage) = (Conclusion::Clean, false);
    for log in watched.logs {
        let init_left = init_left(&log.settings);
        let LogConfig { name, settings, .. } = log;
        if stop.is_stopped() {
            output::note(&format!("{name}: not audited, because the run was stopped"));
            worst = worst.max(Conclusion::Incomplete);
            continue;
        }
        if let Some(message) = init_left {
            output::note(&format!("{name}: {message}"));
        }
        let bar = audit::bar(&settings);
        let audited = LogWatch::new(name.clone(), settings, RequestCounters::default()).and_then(|watch| {
            let report = watch.audit(&SystemClock::default(), &stop, &bar).report?;
            Ok((watch, report))
        });
        match audited {
            Ok((watch, report)) => {
                if let Some(what) = watch.resource_exhaustion() {
                    output::error(&format!("{name}: an alert could not be sent: {what}"));
                    worst = Conclusion::LocalFault;
                }
                watch.failing().iter().for_each(|why| output::note(&format!("{name}: {why}")));
                let settings = watch.settings();
                let shown = !settings.quiet || report.must_be_read();
                if several && shown && settings.format == Format::Text {
                    answer.print(&format!("== {}\n", escape(&name)));
                }
                audit::print(settings, &report, answer);
                if answer.is_whole() {
                    note_untold(watch.note_told(&report));
                }
                worst = worst.max(report.verdict());
            }
            Err(error) => {
                output::error(&format!("{name}: {error}"));
                match exit_code(&error) {
                    LOCAL_FAULT => worst = Conclusion::LocalFault,
                    _ => usage = true,
                }
            }
        }
    }
    Ok(match usage && worst <= Conclusion::Incomplete {
        true => USAGE,
        false => worst.exit_code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_keeps_memory_warns_once() {
        let event = memory_kept(None).unwrap();
        assert_eq!((event.event, event.level()), ("memory-kept", tracing::Level::WARN));
        assert!(memory_kept(Some(|| {})).is_none());
    }
}
