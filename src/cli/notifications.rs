//! Tells people what came of the audits of one log: through the outbox of its mirror, or without it where the mirror
//! cannot be used.

use super::audit;
use super::channels::{self, Channels};
use super::config::Settings;
use crate::alerts::{Audited, Dispatcher, FallbackStore, Log, Trouble};
use crate::core::text::quoted;
use crate::mirror::{Mirror, MirrorError, holder_of};
use crate::report::{MirrorUse, Report};
use crate::source::Stop;
use std::path::Path;

/// Who is told of one log.
pub struct Notifications {
    dispatcher: Dispatcher,
    /// What was told of a mirror that cannot be used.
    fallback: FallbackStore,
    /// How the channels are.
    pub channels: Channels,
}

impl Notifications {
    /// Over this dispatcher, of the mirror at `db`.
    pub fn new(dispatcher: Dispatcher, db: &Path) -> Notifications {
        Notifications { dispatcher, fallback: FallbackStore::of(db), channels: Channels::default() }
    }

    /// Tells what came of an audit.
    ///
    /// # Errors
    /// Wrong usage: a sentence for the person.
    pub fn tell(
        &self,
        name: &str,
        settings: &Settings,
        result: Result<&Report, &String>,
        stop: &Stop,
    ) -> Result<(), String> {
        let db = settings.require_db()?;
        let told = match result {
            Ok(report) => match report.input().mirror {
                MirrorUse::Opened => self.tell_with(name, settings, report, stop)?,
                MirrorUse::InUse => Err(MirrorError::InUse(db.to_owned())),
                MirrorUse::Unopened => {
                    let fault = report.input().faults.first().map_or("", String::as_str);
                    self.tell_without(name, settings, stop, Trouble::Fault(fault));
                    Ok(())
                }
            },
            Err(why) => {
                self.tell_without(name, settings, stop, Trouble::Fault(why));
                Ok(())
            }
        };
        match told {
            Ok(()) => {}
            Err(MirrorError::InUse(_)) => {
                self.tell_without(name, settings, stop, Trouble::InUse(&holder_of(db)))
            }
            Err(error) => self.tell_without(name, settings, stop, Trouble::Fault(&error.to_string())),
        }
        Ok(())
    }

    /// What this machine had run out of when somebody could not be told for it.
    pub fn lacked(&self) -> Option<String> {
        self.dispatcher.lacked()
    }

    /// Writes what is new into the outbox, and sends what is due.
    fn tell_with(
        &self,
        name: &str,
        settings: &Settings,
        report: &Report,
        stop: &Stop,
    ) -> Result<Result<(), MirrorError>, String> {
        let cut_short = stop.is_stopped() && !report.undecided().is_empty();
        let audited = Audited { cut_short, ..Audited::of(report) };
        let key = settings.one_log_key()?.ok_or_else(|| audit::NO_LOG_KEY.to_owned())?;
        let db = settings.require_db()?;
        let tell = || {
            let mut mirror = Mirror::open(db, key)?;
            let now = audit::unix_ms();
            self.dispatcher.with_mirror(&self.fallback, &mut mirror, name, now)?;
            self.dispatcher.note(&mut mirror, name, &audited, now)?;
            self.dispatcher.deliver_until(&mut mirror, now, &|| stop.is_stopped())?;
            let mut queues = self.dispatcher.queue(&mirror)?;
            // What was left to a channel that is gone from the config is on its way to nobody.
            queues.retain(|name, _| settings.alerting.channels.iter().any(|channel| channel.name == *name));
            self.channels.are(name, queues);
            Ok(())
        };
        Ok(tell())
    }

    fn tell_without(&self, name: &str, settings: &Settings, stop: &Stop, trouble: Trouble<'_>) {
        let origin = settings.log_key.as_ref().map_or_else(String::new, |key| key.origin().to_owned());
        let log = Log { name: name.to_owned(), origin };
        let (now, stopped) = (audit::unix_ms(), || stop.is_stopped());
        for (channel, why) in self.dispatcher.without_mirror(&self.fallback, &log, trouble, now, &stopped) {
            let said =
                format!("a fault could not be told over the alert channel {}: {why}", quoted(&channel));
            channels::say_failing(name, &channel, &said, 0);
        }
    }
}
