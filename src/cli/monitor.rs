//! `countersign monitor`: the audits of a config again and again, or each once.

use super::alerts;
use super::args::{Common, Format};
use super::audit;
use super::config::Settings;
use super::monitor_args::MonitorOptions;
use super::output;
use super::watched::{self, LogConfig, Watched};
use crate::alerts::{Audited, Beside, Desk, Log, Trouble};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use crate::mirror::{HeadReader, Mirror, MirrorError, holder_of};
use crate::monitor::{self, Plan, Subject};
use crate::report::{MirrorUse, Report};
use crate::run::{Progress, Silent};
use crate::source::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Watches, or audits everything once.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(common: &Common, options: &MonitorOptions) -> Result<u8, String> {
    let watched = watched::resolve(common, options)?;
    if options.once {
        return once(watched);
    }
    let read = || watched::resolve(common, options).and_then(plan);
    monitor::run(plan(watched)?, &read, audit::unix_ms)?;
    Ok(0)
}

/// One log with its settings, as the monitor knows it.
struct Watch {
    name: String,
    settings: Settings,
    /// Who is told, where the config says so.
    desk: Option<Desk>,
    /// What was told of a mirror that cannot be used.
    beside: Beside,
    /// The mirror was there once. From then on a missing one is a fault also where the config says
    /// `init = true`: nobody who lets a monitor run for months means that.
    opened: AtomicBool,
}

impl Watch {
    /// Reads the secrets of the channels.
    fn new(name: String, settings: Settings) -> Result<Watch, String> {
        let desk = match settings.alerting.channels.is_empty() {
            true => None,
            false => Some(alerts::desk(&settings)?),
        };
        let beside = Beside::of(settings.require_db()?);
        Ok(Watch { name, settings, desk, beside, opened: AtomicBool::new(false) })
    }

    /// The one place where a watched log is audited. Whatever is to be done with the report of every audit
    /// begins here, where the settings are at hand, too.
    fn audit(&self, stop: &Stop, progress: &dyn Progress) -> Result<Report, String> {
        let init = self.settings.init && !self.opened.load(Ordering::Relaxed);
        let settings = Settings { init, ..self.settings.clone() };
        let result = audit::audit(&settings, stop, progress);
        if result.as_ref().is_ok_and(|report| report.input().mirror == MirrorUse::Opened) {
            self.opened.store(true, Ordering::Relaxed);
        }
        if let Some(desk) = &self.desk {
            self.tell(desk, result.as_ref(), stop)?;
        }
        result
    }

    /// Tells what came of an audit: through the outbox of the mirror, or without it where it cannot be used.
    fn tell(&self, desk: &Desk, result: Result<&Report, &String>, stop: &Stop) -> Result<(), String> {
        let db = self.settings.require_db()?;
        let told = match result {
            Ok(report) => match report.input().mirror {
                MirrorUse::Opened => self.tell_with(desk, report, stop)?,
                MirrorUse::InUse => Err(MirrorError::InUse(db.to_owned())),
                MirrorUse::Unopened => {
                    let fault = report.input().faults.first().map_or("", String::as_str);
                    self.tell_without(desk, Trouble::Fault(fault));
                    Ok(())
                }
            },
            Err(why) => {
                self.tell_without(desk, Trouble::Fault(why));
                Ok(())
            }
        };
        match told {
            Ok(()) => {}
            Err(MirrorError::InUse(_)) => self.tell_without(desk, Trouble::InUse(&holder_of(db))),
            Err(error) => self.tell_without(desk, Trouble::Fault(&error.to_string())),
        }
        Ok(())
    }

    /// Writes what is new into the outbox, and sends what is due.
    fn tell_with(
        &self,
        desk: &Desk,
        report: &Report,
        stop: &Stop,
    ) -> Result<Result<(), MirrorError>, String> {
        let cut_short = stop.is_stopped() && !report.undecided().is_empty();
        let audited = Audited { cut_short, ..Audited::of(report) };
        let key = self.settings.one_log_key()?.ok_or_else(|| audit::NO_LOG_KEY.to_owned())?;
        let db = self.settings.require_db()?;
        let tell = || {
            let mut mirror = Mirror::open(db, key)?;
            let now = audit::unix_ms();
            desk.with_mirror(&self.beside, &mut mirror, &self.name, now)?;
            desk.note(&mut mirror, &self.name, &audited, now)?;
            desk.deliver_until(&mut mirror, now, &|| stop.is_stopped()).map(drop)
        };
        Ok(tell())
    }

    fn tell_without(&self, desk: &Desk, trouble: Trouble<'_>) {
        let origin = self.settings.log_key.as_ref().map_or_else(String::new, |key| key.origin().to_owned());
        let log = Log { name: self.name.clone(), origin };
        desk.without_mirror(&self.beside, &log, trouble, audit::unix_ms());
    }
}

impl Subject for Watch {
    fn audit(&self, stop: &Stop) -> Result<Report, String> {
        Watch::audit(self, stop, &Silent)
    }

    fn heads(&self) -> Result<HeadReader, String> {
        let key = self.settings.one_log_key()?.ok_or_else(|| audit::NO_LOG_KEY.to_owned())?;
        HeadReader::open(self.settings.require_db()?, key).map_err(|error| error.to_string())
    }
}

fn plan(watched: Watched) -> Result<Plan, String> {
    let watch = |log: LogConfig| {
        // Nothing could be judged, for as long as it runs.
        log.settings.one_log_key()?.ok_or_else(|| audit::NO_LOG_KEY.to_owned())?;
        Ok(monitor::Watched {
            name: log.name.clone(),
            interval: log.interval,
            deadline: log.settings.net.deadline(),
            subject: Arc::new(Watch::new(log.name, log.settings)?),
        })
    };
    let logs = watched.logs.into_iter().map(watch).collect::<Result<Vec<_>, String>>()?;
    Ok(Plan { logs, listen: watched.listen, json: watched.json })
}

/// Every log once, one after the other. The worst exit code of the contract; 2 where a log could not be
/// audited for its config, and no other says 5, 4 or 1.
fn once(watched: Watched) -> Result<u8, String> {
    let stop = Stop::default();
    monitor::stop_on_signal(stop.clone(), i32::from(Conclusion::Incomplete.exit_code()))?;
    let several = watched.logs.len() > 1;
    let (mut worst, mut usage) = (Conclusion::Clean, false);
    for LogConfig { name, settings, .. } in watched.logs {
        if stop.is_stopped() {
            output::note(&format!("{name}: not audited, somebody asked to stop"));
            worst = worst.max(Conclusion::Incomplete);
            continue;
        }
        let bar = audit::bar(&settings);
        match Watch::new(name.clone(), settings.clone()).and_then(|watch| watch.audit(&stop, &bar)) {
            Ok(report) => {
                let shown = !settings.quiet || report.must_be_read();
                if several && shown && settings.format == Format::Text {
                    output::print(&format!("== {}\n", escape(&name)));
                }
                audit::print(&settings, &report);
                worst = worst.max(report.verdict());
            }
            Err(why) => {
                output::error(&format!("{name}: {why}"));
                usage = true;
            }
        }
    }
    Ok(match usage && worst <= Conclusion::Incomplete {
        true => super::USAGE,
        false => worst.exit_code(),
    })
}
