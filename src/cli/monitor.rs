//! `countersign monitor`: the audits of a config again and again, or each once.

use super::alerts;
use super::args::{Common, Format};
use super::audit;
use super::config::Settings;
use super::monitor_args::MonitorOptions;
use super::output;
use super::watched::{self, LogConfig, Watched};
use crate::alerts::{Audited, Cries, Desk, Fault, Log};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use crate::mirror::{HeadReader, Mirror, MirrorError};
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
    /// What was told of a mirror that could not be opened.
    cries: Cries,
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
        let cries = Cries::beside(settings.require_db()?);
        Ok(Watch { name, settings, desk, cries, opened: AtomicBool::new(false) })
    }

    /// The one place where a watched log is audited. Whatever is to be done with the report of every audit
    /// begins here, where the settings are at hand, too.
    fn audit(&self, stop: &Stop, progress: &dyn Progress) -> Result<Report, String> {
        let init = self.settings.init && !self.opened.load(Ordering::Relaxed);
        let settings = Settings { init, ..self.settings.clone() };
        let report = audit::audit(&settings, stop, progress)?;
        if report.input().mirror == MirrorUse::Opened {
            self.opened.store(true, Ordering::Relaxed);
        }
        if let Some(desk) = &self.desk {
            self.tell(desk, &report);
        }
        Ok(report)
    }

    /// Writes what is new into the outbox of the mirror, and sends what is due. Without a mirror there is no
    /// outbox: then the fault is told of without it.
    fn tell(&self, desk: &Desk, report: &Report) {
        let input = report.input();
        let told = match input.mirror {
            MirrorUse::Opened => self.tell_of(desk, report),
            used => Err((input.faults.first().cloned().unwrap_or_default(), used == MirrorUse::InUse)),
        };
        if let Err((message, in_use)) = told {
            desk.cry(&self.cries, &self.log(), Fault { message: &message, in_use }, audit::unix_ms());
        }
    }

    fn tell_of(&self, desk: &Desk, report: &Report) -> Result<(), (String, bool)> {
        let sentence = |why: String| (why, false);
        let key = self
            .settings
            .one_log_key()
            .map_err(sentence)?
            .ok_or_else(|| sentence(audit::NO_LOG_KEY.to_owned()))?;
        let db = self.settings.require_db().map_err(sentence)?;
        let told = || -> Result<(), MirrorError> {
            let mut mirror = Mirror::open(db, key)?;
            let now = audit::unix_ms();
            desk.calm(&self.cries, &mut mirror, &self.log(), now)?;
            desk.note(&mut mirror, &self.name, &Audited::of(report), now)?;
            desk.deliver(&mut mirror, now).map(drop)
        };
        told().map_err(|error| (error.to_string(), matches!(error, MirrorError::InUse(_))))
    }

    fn log(&self) -> Log {
        let origin = self.settings.log_key.as_ref().map_or_else(String::new, |key| key.origin().to_owned());
        Log { name: self.name.clone(), origin }
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
