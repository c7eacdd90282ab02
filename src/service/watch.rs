//! One log that is watched: an audit, and whoever is told of it, once or again and again.

use super::Error;
use super::audit::{AuditSpec, audit, note_told};
use super::channels::ChannelChange;
use super::clock::Clock;
use super::dispatcher::dispatcher;
use super::log::NO_LOG_KEY;
use super::notifications::{Notifications, Telling};
use crate::config::Settings;
use crate::mirror::{HeadReader, Queue};
use crate::report::{MirrorUse, Report};
use crate::run::Progress;
use crate::source::{RequestCounters, Stop};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// One log with its settings, and what is remembered from audit to audit.
pub struct LogWatch {
    name: String,
    spec: AuditSpec,
    /// Who is told, where the config says so.
    notifications: Option<Notifications>,
    /// The mirror was there once. From then on a missing one is a fault also where the config says
    /// `init = true`: nobody who lets a monitor run for months means that.
    opened: AtomicBool,
    requests: RequestCounters,
}

/// What one audit came to.
pub struct Told {
    /// Its report, or why there is none.
    pub report: Result<Report, Error>,
    /// What somebody should hear of the channels.
    pub changes: Vec<ChannelChange>,
}

impl LogWatch {
    /// Reads the secrets of the channels. RequestCounters to the log are counted in `requests`.
    ///
    /// # Errors
    /// [`Error`]: the settings name no log or mirror, or what they name of channels cannot be used.
    pub fn new(name: String, settings: Settings, requests: RequestCounters) -> Result<LogWatch, Error> {
        let spec = AuditSpec::new(settings)?.counting(requests.clone());
        let notifications = match spec.settings().alerting.channels.is_empty() {
            true => None,
            false => Some(Notifications::new(dispatcher(spec.settings())?, spec.db())),
        };
        Ok(LogWatch { name, spec, notifications, opened: AtomicBool::new(false), requests })
    }

    /// The one place where a watched log is audited. Whatever is to be done with the report of every audit
    /// begins here, where the settings are at hand, too.
    pub fn audit(&self, clock: &dyn Clock, stop: &Stop, progress: &dyn Progress) -> Told {
        let init = self.spec.settings().init && !self.opened.load(Ordering::Relaxed);
        let spec = self.spec.clone().creating(init);
        let report = audit(&spec, clock, stop, progress);
        if report.as_ref().is_ok_and(|report| report.input().mirror == MirrorUse::Opened) {
            self.opened.store(true, Ordering::Relaxed);
        }
        let telling = Telling { name: &self.name, spec: &spec, clock, stop };
        let changes = self.notifications.as_ref().map(|who| who.tell(&telling, report.as_ref()));
        Told { report, changes: changes.unwrap_or_default() }
    }

    /// Notes that the hits in a report were told of.
    ///
    /// # Errors
    /// As [`note_told`].
    pub fn note_told(&self, report: &Report) -> Result<(), Error> {
        note_told(&self.spec, report)
    }

    /// The history of its heads, also while an audit is under way.
    ///
    /// # Errors
    /// [`Error`]: there is no key, or the mirror cannot be read.
    pub fn heads(&self) -> Result<HeadReader, Error> {
        let key = self.spec.log_key().ok_or(NO_LOG_KEY)?;
        HeadReader::open(self.spec.db(), key).map_err(|error| error.to_string().into())
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        self.spec.settings()
    }

    /// How the requests to it came out.
    pub fn requests(&self) -> &RequestCounters {
        &self.requests
    }

    /// The queue of each alert channel, as it was after the last audit.
    pub fn channels(&self) -> BTreeMap<String, Queue> {
        self.notifications.as_ref().map(|who| who.channels.all()).unwrap_or_default()
    }

    /// A sentence for each alert channel that fails.
    pub fn failing(&self) -> Vec<String> {
        self.notifications.as_ref().map(|who| who.channels.failing()).unwrap_or_default()
    }

    /// What this machine had run out of when somebody could not be told for it.
    pub fn resource_exhaustion(&self) -> Option<String> {
        self.notifications.as_ref().and_then(Notifications::resource_exhaustion)
    }
}
