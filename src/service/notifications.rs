//! Sends alerts about the audits of one log: through the outbox of its mirror, or without it if the mirror cannot be
//! used.

use super::Error;
use super::audit::AuditSpec;
use super::channels::{ChannelChange, Channels};
use super::clock::Clock;
use crate::alerts::{AuditOutcome, Dispatcher, FallbackStore, LogName, MirrorUnavailable};
use crate::core::text::quoted;
use crate::mirror::{Mirror, MirrorError, holder_of};
use crate::report::{MirrorUse, Report};
use crate::source::Stop;
use std::path::Path;

/// The alerts of one log.
pub(super) struct Notifications {
    dispatcher: Dispatcher,
    /// Remembers the alerts that were sent about a mirror that cannot be used.
    fallback: FallbackStore,
    /// The state of the channels.
    pub(super) channels: Channels,
}

/// What is reported after one audit.
pub(super) struct NotificationContext<'a> {
    /// The name of the log.
    pub(super) name: &'a str,
    /// What was audited.
    pub(super) spec: &'a AuditSpec,
    /// The source of time.
    pub(super) clock: &'a dyn Clock,
    /// Ends the delivery.
    pub(super) stop: &'a Stop,
}

impl Notifications {
    /// Sends alerts over this dispatcher, about the log with the mirror at `db`.
    pub(super) fn new(dispatcher: Dispatcher, db: &Path) -> Notifications {
        Notifications { dispatcher, fallback: FallbackStore::of(db), channels: Channels::default() }
    }

    /// Sends the alerts about an audit, and returns which channels began or ceased to fail.
    pub(super) fn report(
        &self,
        context: &NotificationContext<'_>,
        result: Result<&Report, &Error>,
    ) -> Vec<ChannelChange> {
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                return self.notify_without_mirror(context, MirrorUnavailable::Fault(&error.to_string()));
            }
        };
        let result = match report.input().mirror {
            MirrorUse::Opened => self.notify(context, report),
            MirrorUse::InUse => Err(MirrorError::InUse(context.spec.db().to_owned())),
            MirrorUse::Unopened => {
                let fault = report.input().faults.first().map_or("", String::as_str);
                return self.notify_without_mirror(context, MirrorUnavailable::Fault(fault));
            }
        };
        match result {
            Ok(changes) => changes,
            Err(MirrorError::InUse(_)) => {
                self.notify_without_mirror(context, MirrorUnavailable::InUse(&holder_of(context.spec.db())))
            }
            Err(error) => self.notify_without_mirror(context, MirrorUnavailable::Fault(&error.to_string())),
        }
    }

    /// The resource of this machine, if any, whose lack kept an alert from being sent.
    pub(super) fn resource_exhaustion(&self) -> Option<String> {
        self.dispatcher.resource_exhaustion()
    }

    /// Writes new alerts into the outbox, and sends those that are due.
    fn notify(
        &self,
        context: &NotificationContext<'_>,
        report: &Report,
    ) -> Result<Vec<ChannelChange>, MirrorError> {
        let NotificationContext { name, spec, clock, stop } = *context;
        // Without a key no mirror was opened.
        let Some(key) = spec.log_key() else { return Ok(Vec::new()) };
        let cut_short = stop.is_stopped() && !report.undecided().is_empty();
        let audited = AuditOutcome { cut_short, ..AuditOutcome::of(report) };
        let mut mirror = Mirror::open(spec.db(), key)?;
        let now = clock.now();
        self.dispatcher.mirror_opened(&self.fallback, &mut mirror, name, now)?;
        self.dispatcher.note(&mut mirror, name, &audited, now)?;
        self.dispatcher.deliver_until(&mut mirror, now, &|| stop.is_stopped())?;
        let mut queues = self.dispatcher.queue(&mirror)?;
        // Alerts for a channel that is no longer in the config are not sent.
        let channels = &spec.settings().alerting.channels;
        queues.retain(|name, _| channels.iter().any(|channel| channel.name == *name));
        Ok(self.channels.are(queues))
    }

    fn notify_without_mirror(
        &self,
        context: &NotificationContext<'_>,
        trouble: MirrorUnavailable<'_>,
    ) -> Vec<ChannelChange> {
        let NotificationContext { name, spec, clock, stop } = *context;
        let origin = spec.settings().log_key.as_ref().map_or_else(String::new, |key| key.origin().to_owned());
        let log = LogName { name: name.to_owned(), origin };
        let stopped = || stop.is_stopped();
        let untold =
            self.dispatcher.notify_without_mirror(&self.fallback, &log, trouble, clock.now(), &stopped);
        let failing = |(channel, why): (String, String)| {
            let message =
                format!("a fault could not be reported over the alert channel {}: {why}", quoted(&channel));
            ChannelChange::Failing { channel, said: message, pending: 0 }
        };
        untold.into_iter().map(failing).collect()
    }
}
