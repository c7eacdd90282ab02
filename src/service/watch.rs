//! Watches one log: audits it, once or repeatedly, and sends the alerts.

use super::Error;
use super::audit::{AuditSpec, audit, note_told};
use super::channels::ChannelChange;
use super::clock::Clock;
use super::dispatcher::dispatcher;
use super::log::NO_LOG_KEY;
use super::notifications::{NotificationContext, Notifications};
use crate::config::Settings;
use crate::mirror::{HeadReader, Queue};
use crate::report::{MirrorUse, Report};
use crate::run::Progress;
use crate::source::{RequestCounters, Stop};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// One log with its settings, and the state that is kept between audits.
pub struct LogWatch {
    name: String,
    spec: AuditSpec,
    /// The alerts, if the config has any channel.
    notifications: Option<Notifications>,
    /// Whether the mirror has been opened once. From then on a missing mirror is a fault even with `init = true`: a
    /// mirror that vanishes while a monitor runs must not be replaced unnoticed.
    opened: AtomicBool,
    requests: RequestCounters,
}

/// The result of one audit.
pub struct AuditedLog {
    /// The report, or why there is none.
    pub report: Result<Report, Error>,
    /// Changes of the alert channels that are to be reported.
    pub changes: Vec<ChannelChange>,
}

impl LogWatch {
    /// Prepares the audits, and reads the secrets of the channels. Requests to the log are counted in `requests`.
    ///
    /// # Errors
    /// Returns [`Error`] if the settings name no log or no mirror, or if a channel cannot be used.
    pub fn new(name: String, settings: Settings, requests: RequestCounters) -> Result<LogWatch, Error> {
        let spec = AuditSpec::new(settings)?.counting(requests.clone());
        let notifications = match spec.settings().alerting.channels.is_empty() {
            true => None,
            false => Some(Notifications::new(dispatcher(spec.settings())?, spec.db())),
        };
        Ok(LogWatch { name, spec, notifications, opened: AtomicBool::new(false), requests })
    }

    /// Audits the log and sends the alerts. All audits of a watched log go through this function, so anything that is
    /// to be done with every report belongs here.
    pub fn audit(&self, clock: &dyn Clock, stop: &Stop, progress: &dyn Progress) -> AuditedLog {
        let init = self.spec.settings().init && !self.opened.load(Ordering::Relaxed);
        let spec = self.spec.clone().creating(init);
        let report = audit(&spec, clock, stop, progress);
        if report.as_ref().is_ok_and(|report| report.input().mirror == MirrorUse::Opened) {
            self.opened.store(true, Ordering::Relaxed);
        }
        let context = NotificationContext { name: &self.name, spec: &spec, clock, stop };
        let changes = self.notifications.as_ref().map(|who| who.report(&context, report.as_ref()));
        AuditedLog { report, changes: changes.unwrap_or_default() }
    }

    /// Records that the hits of watch rules in a report were reported.
    ///
    /// # Errors
    /// As [`note_told`].
    pub fn note_told(&self, report: &Report) -> Result<(), Error> {
        note_told(&self.spec, report)
    }

    /// Opens the history of the log's heads. This also works while an audit runs.
    ///
    /// # Errors
    /// Returns [`Error`] if there is no log key, or if the mirror cannot be read.
    pub fn heads(&self) -> Result<HeadReader, Error> {
        let key = self.spec.log_key().ok_or(NO_LOG_KEY)?;
        HeadReader::open(self.spec.db(), key).map_err(|error| error.to_string().into())
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings of the log.
    pub fn settings(&self) -> &Settings {
        self.spec.settings()
    }

    /// The counters of requests to the log.
    pub fn requests(&self) -> &RequestCounters {
        &self.requests
    }

    /// The queue of each alert channel after the last audit.
    pub fn channels(&self) -> BTreeMap<String, Queue> {
        self.notifications.as_ref().map(|who| who.channels.all()).unwrap_or_default()
    }

    /// A message for each alert channel that fails.
    pub fn failing(&self) -> Vec<String> {
        self.notifications.as_ref().map(|who| who.channels.failing()).unwrap_or_default()
    }

    /// The resource of this machine, if any, whose lack kept an alert from being sent.
    pub fn resource_exhaustion(&self) -> Option<String> {
        self.notifications.as_ref().and_then(Notifications::resource_exhaustion)
    }
}
