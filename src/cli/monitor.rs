//! `countersign monitor`: the audits of a config again and again, or each once.

use super::alerts;
use super::args::{Common, Format};
use super::audit;
use super::config::Settings;
use super::failure::{Failure, LOCAL_FAULT};
use super::monitor_args::{MonitorCommand, MonitorOptions};
use super::notifications::Notifications;
use super::output::{self, Answer};
use super::watched::{self, LogConfig, Watched};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use crate::mirror::{HeadReader, Queue};
use crate::monitor::event::Event;
use crate::monitor::{self, Plan, Subject};
use crate::report::{MirrorUse, Report};
use crate::run::{Progress, Silent};
use crate::source::{Requests, Stop};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The event of a config that would make a mirror anew.
const INIT_LEFT: &str = "init-left";

/// Watches, or audits everything once.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(
    common: &Common,
    options: &MonitorOptions,
    answer: &mut Answer,
    release_memory: Option<fn()>,
) -> Result<u8, Failure> {
    if let Some(MonitorCommand::TestAlert) = options.command {
        return alerts::test(common, options, answer);
    }
    let watched = watched::resolve(common, options)?;
    if options.once {
        return once(watched, answer);
    }
    let (counted, common, options) = (Counted::default(), common.clone(), options.clone());
    let mut first = plan(watched, &counted, release_memory)?;
    first.notes.extend(memory_kept(release_memory));
    let read: monitor::Read = Arc::new(move || {
        let plan =
            watched::resolve(&common, &options).and_then(|watched| plan(watched, &counted, release_memory));
        plan.map_err(|failure| failure.to_string())
    });
    monitor::run(first, &read, audit::unix_ms).map_err(|error| Failure::new(error.is_local, error.why))?;
    Ok(0)
}

/// Said once at the start of a build that cannot give memory back: only the GNU C library has a call for it.
fn memory_kept(release_memory: Option<fn()>) -> Option<Event> {
    let said = "this build cannot return free memory to the system: the monitor may hold for long what its first audit \
                needed";
    release_memory.is_none().then(|| Event::new("memory-kept", said))
}

/// One log with its settings, as the monitor knows it.
struct Watch {
    name: String,
    settings: Settings,
    /// Who is told, where the config says so.
    notifications: Option<Notifications>,
    /// The mirror was there once. From then on a missing one is a fault also where the config says
    /// `init = true`: nobody who lets a monitor run for months means that.
    opened: AtomicBool,
    requests: Requests,
    /// Returns to the system what an audit no longer needs.
    release_memory: Option<fn()>,
}

impl Watch {
    /// Reads the secrets of the channels.
    fn new(name: String, mut settings: Settings, requests: Requests) -> Result<Watch, Failure> {
        settings.net.count_in(requests.clone());
        let notifications = match settings.alerting.channels.is_empty() {
            true => None,
            false => Some(Notifications::new(alerts::dispatcher(&settings)?, settings.require_db()?)),
        };
        Ok(Watch {
            name,
            settings,
            notifications,
            opened: AtomicBool::new(false),
            requests,
            release_memory: None,
        })
    }

    /// The one place where a watched log is audited. Whatever is to be done with the report of every audit
    /// begins here, where the settings are at hand, too.
    fn audit(&self, stop: &Stop, progress: &dyn Progress) -> Result<Report, Failure> {
        let init = self.settings.init && !self.opened.load(Ordering::Relaxed);
        let settings = Settings { init, ..self.settings.clone() };
        let result = audit::audit(&settings, stop, progress);
        if result.as_ref().is_ok_and(|report| report.input().mirror == MirrorUse::Opened) {
            self.opened.store(true, Ordering::Relaxed);
        }
        if let Some(notifications) = &self.notifications {
            let result = result.as_ref().map_err(|failure| failure.to_string());
            notifications.tell(&self.name, &settings, result.as_ref().copied(), stop)?;
        }
        result
    }

    /// A sentence for each alert channel that fails.
    fn failing(&self) -> Vec<String> {
        self.notifications.as_ref().map(|notifications| notifications.channels.failing()).unwrap_or_default()
    }

    /// What this machine had run out of when somebody could not be told for it.
    fn lacked(&self) -> Option<String> {
        self.notifications.as_ref().and_then(Notifications::lacked)
    }
}

impl Subject for Watch {
    fn audit(&self, stop: &Stop) -> Result<Report, String> {
        let report = Watch::audit(self, stop, &Silent).map_err(|failure| failure.to_string())?;
        // It prints no report: hits are told by its alerts, which have a memory of their own.
        audit::note_told(&self.settings, &report);
        if let Some(release) = self.release_memory {
            release();
        }
        Ok(report)
    }

    fn heads(&self) -> Result<HeadReader, String> {
        let key = self.settings.one_log_key()?.ok_or_else(|| audit::NO_LOG_KEY.to_owned())?;
        HeadReader::open(self.settings.require_db()?, key).map_err(|error| error.to_string())
    }

    fn requests(&self) -> Requests {
        self.requests.clone()
    }

    fn channels(&self) -> BTreeMap<String, Queue> {
        self.notifications.as_ref().map(|notifications| notifications.channels.all()).unwrap_or_default()
    }
}

/// Requests by the name of the log: a reload begins no new count.
#[derive(Default)]
struct Counted(Mutex<BTreeMap<String, Requests>>);

impl Counted {
    fn of(&self, log: &str) -> Requests {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(log.to_owned()).or_default().clone()
    }
}

fn plan(watched: Watched, counted: &Counted, release_memory: Option<fn()>) -> Result<Plan, Failure> {
    let watch = |log: LogConfig| {
        // Nothing could be judged, for as long as it runs.
        log.settings.one_log_key()?.ok_or(audit::NO_LOG_KEY)?;
        Ok(monitor::Watched {
            name: log.name.clone(),
            interval: log.interval,
            deadline: log.settings.net.deadline(),
            subject: Arc::new(Watch {
                release_memory,
                ..Watch::new(log.name.clone(), log.settings, counted.of(&log.name))?
            }),
        })
    };
    let left = |log: &LogConfig| Some(Event::of(&log.name, INIT_LEFT, log.init_left()?));
    let notes = watched.logs.iter().filter_map(left).collect();
    let logs = watched.logs.into_iter().map(watch).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Plan { logs, listen: watched.listen, json: watched.json, notes })
}

/// Every log once, one after the other. The worst exit code of the contract; 2 where a log could not be
/// audited for its config, and no other says 5, 4 or 1.
fn once(watched: Watched, answer: &mut Answer) -> Result<u8, Failure> {
    let stop = Stop::default();
    audit::stop_on_signal(&stop)?;
    let several = watched.logs.len() > 1;
    let (mut worst, mut usage) = (Conclusion::Clean, false);
    for log in watched.logs {
        let init_left = log.init_left();
        let LogConfig { name, settings, .. } = log;
        if stop.is_stopped() {
            output::note(&format!("{name}: not audited, somebody asked to stop"));
            worst = worst.max(Conclusion::Incomplete);
            continue;
        }
        if let Some(said) = init_left {
            output::note(&format!("{name}: {said}"));
        }
        let bar = audit::bar(&settings);
        let audited = Watch::new(name.clone(), settings.clone(), Requests::default())
            .and_then(|watch| Ok((watch.audit(&stop, &bar)?, watch.failing(), watch.lacked())));
        match audited {
            Ok((report, failing, lacked)) => {
                if let Some(what) = lacked {
                    output::error(&format!("{name}: an alert could not be sent: {what}"));
                    worst = Conclusion::LocalFault;
                }
                failing.iter().for_each(|why| output::note(&format!("{name}: {why}")));
                let shown = !settings.quiet || report.must_be_read();
                if several && shown && settings.format == Format::Text {
                    answer.print(&format!("== {}\n", escape(&name)));
                }
                audit::print(&settings, &report, answer);
                if answer.is_whole() {
                    audit::note_told(&settings, &report);
                }
                worst = worst.max(report.verdict());
            }
            Err(failure) => {
                output::error(&format!("{name}: {failure}"));
                match failure.exit_code() {
                    LOCAL_FAULT => worst = Conclusion::LocalFault,
                    _ => usage = true,
                }
            }
        }
    }
    Ok(match usage && worst <= Conclusion::Incomplete {
        true => Failure::Usage(String::new()).exit_code(),
        false => worst.exit_code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_keeps_memory_says_so_once() {
        let event = memory_kept(None).unwrap();
        assert_eq!((event.event, event.level()), ("memory-kept", tracing::Level::WARN));
        assert!(memory_kept(Some(|| {})).is_none());
    }
}
