//! Sends what is due. An alert is recorded as delivered only after the receiver accepted it, and then at once,
//! alert by alert.
//!
//! A failing channel is retried after growing waits, and delays no other channel by more than one attempt. A
//! refused alert does not delay those after it.
//!
//! Counters and times saturate: a saturated time is later than every bound that it is compared with.

use super::error::DeliveryError;
use super::kind::AlertKind;
use super::message::{Alert, LogName, key};
use super::plan::Condition;
use super::{CHANNEL_FAILING, Channel, Delivery, Dispatcher, PendingWrites, Result};
use crate::core::finding::Severity;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::mirror::{Attempt, Due, Failing, LONGEST_WAIT, Mirror, MirrorError};
use std::time::{Duration, Instant};

/// The first wait after a failure; it doubles each time.
const BACKOFF: Duration = Duration::from_secs(60);

/// The fewest attempts before an alert is given up: a clock that jumped ahead is not a long time.
pub(super) const MIN_ATTEMPTS: u64 = 6;

/// How long a channel must fail before the other channels are notified.
const FAILING_FOR: Duration = Duration::from_secs(60 * 60);

/// The most alerts sent over one channel at a time, so that the next audit is not delayed.
const MAX_ALERTS_PER_ROUND: u32 = 100;

/// For the same reason, no further alert is sent over a slow channel after this time.
const MAX_ROUND: Duration = Duration::from_secs(60);

/// What was sent, and what remains.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivered {
    /// Alerts that their channels accepted.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Alerts that still wait for the configured channels.
    pub pending: u64,
    /// When to call again; `None` if no alert waits.
    pub next_try: Option<UnixMillis>,
}

/// The current time: the caller's, plus what has passed since; and whether to stop.
struct Clock<'a> {
    now: UnixMillis,
    since: Instant,
    stopped: &'a dyn Fn() -> bool,
}

impl Clock<'_> {
    fn now(&self) -> UnixMillis {
        self.now.saturating_add(self.since.elapsed())
    }
}

impl Dispatcher {
    /// Sends what is due at `now`.
    ///
    /// # Errors
    /// The mirror cannot be used. A failing channel is not an error: it is counted, and retried later.
    pub fn deliver(&self, mirror: &mut Mirror, now: UnixMillis) -> Result<Delivered> {
        self.deliver_until(mirror, now, &|| false)
    }

    /// The same, but sends no further alert once `stopped` returns true. The rest stays in the outbox.
    ///
    /// # Errors
    /// The mirror cannot be used.
    pub fn deliver_until(
        &self,
        mirror: &mut Mirror,
        now: UnixMillis,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Delivered> {
        let clock = Clock { now, since: Instant::now(), stopped };
        let mut delivered = Delivered::default();
        self.deliver_to_all(mirror, &clock, &mut delivered)?;
        if self.watch_channels(mirror, clock.now())? > 0 {
            self.deliver_to_all(mirror, &clock, &mut delivered)?;
        }
        if delivered.sent > 0 || delivered.failed > 0 {
            mirror.acknowledge()?;
        }
        let queues = mirror.outbox().queues()?;
        for channel in &self.config.channels {
            let pending = queues.get(&channel.name).map_or(0, |queue| queue.pending);
            delivered.pending = delivered.pending.saturating_add(pending);
            let next = mirror.outbox().next_try(&channel.name, clock.now())?;
            delivered.next_try = [delivered.next_try, next].into_iter().flatten().min();
        }
        Ok(delivered)
    }

    fn deliver_to_all(
        &self,
        mirror: &mut Mirror,
        clock: &Clock<'_>,
        delivered: &mut Delivered,
    ) -> Result<()> {
        let mut deliver = |channel| deliver_to(self, channel, mirror, clock, delivered);
        self.config.channels.iter().try_for_each(&mut deliver)
    }

    /// Notifies the other channels of a channel that keeps failing, and of one that delivers again.
    fn watch_channels(&self, mirror: &mut Mirror, now: UnixMillis) -> Result<u64> {
        let mut holding = Vec::new();
        for channel in &self.config.channels {
            let failing = mirror.outbox().failing(&channel.name)?;
            let Some(failing) = failing.filter(|failing| now.since(failing.since) >= Some(FAILING_FOR))
            else {
                continue;
            };
            let (name, since) = (quoted(&channel.name), failing.since);
            let message =
                format!("the alert channel {name} has not delivered since {since}: {}", failing.error);
            holding.push(Condition { code: CHANNEL_FAILING, about: channel.name.clone(), message });
        }
        let origin = escape(&mirror.state().origin);
        let log = LogName { name: origin.clone(), origin };
        let mut written = PendingWrites::default();
        let notified = mirror.outbox().notifications()?;
        self.of_conditions(mirror, &log, &holding, &[CHANNEL_FAILING], &notified, now, &mut written)?;
        self.write(mirror, written, now)
    }

    /// Sends a test over every channel, without the outbox, and returns the result of each.
    pub fn test(
        &self,
        log: &LogName,
        now: UnixMillis,
    ) -> Vec<(String, std::result::Result<(), DeliveryError>)> {
        let key = key("test", AlertKind::Test, &[(&log.name, now.get(), u64::from(std::process::id()))]);
        let log = LogName { name: escape(&log.name), origin: escape(&log.origin) };
        let mut alert = Alert::new(AlertKind::Test, key, log, Severity::Info, "test", now);
        alert.message =
            "this is a test of the alert channel; nothing was found, and there is nothing to do".to_owned();
        self.send_to_all(&alert, now)
    }

    fn send_to_all(
        &self,
        alert: &Alert,
        now: UnixMillis,
    ) -> Vec<(String, std::result::Result<(), DeliveryError>)> {
        let send = |channel: &Channel| match self.send(channel, alert, now) {
            Delivery::Delivered => (channel.name.clone(), Ok(())),
            Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::ResourceExhausted(why) => {
                (channel.name.clone(), Err(DeliveryError(why)))
            }
        };
        self.config.channels.iter().map(send).collect()
    }
}

fn deliver_to(
    dispatcher: &Dispatcher,
    channel: &Channel,
    mirror: &mut Mirror,
    clock: &Clock<'_>,
    delivered: &mut Delivered,
) -> Result<()> {
    let (mut after, begun) = (0, clock.now());
    if mirror.outbox().failing(&channel.name)?.is_some_and(|failing| is_ahead(failing.not_before, begun)) {
        return Ok(());
    }
    for _ in 0..MAX_ALERTS_PER_ROUND {
        if (clock.stopped)() || clock.now().since(begun) > Some(MAX_ROUND) {
            break;
        }
        // Read one at a time, when it is sent, so that a long queue is not held in memory.
        let Some(due) = mirror.outbox().due(&channel.name, begun, after, 1)?.into_iter().next() else {
            break;
        };
        after = due.alert;
        let alert: Alert = serde_json::from_str(&due.payload).map_err(|error| {
            MirrorError::Damaged(mirror.path().to_owned(), format!("an alert does not parse: {error}"))
        })?;
        let delivery = dispatcher.send(channel, &alert, clock.now());
        note(channel, mirror, &due, &delivery, clock.now())?;
        match delivery {
            Delivery::Delivered => delivered.sent = delivered.sent.saturating_add(1),
            Delivery::Refused(_) => delivered.failed = delivered.failed.saturating_add(1),
            Delivery::Retryable(_) | Delivery::ResourceExhausted(_) => {
                delivered.failed = delivered.failed.saturating_add(1);
                break;
            }
        }
    }
    Ok(())
}

/// Records the result and the state of the channel, in one transaction right after the receiver's answer.
fn note(
    channel: &Channel,
    mirror: &mut Mirror,
    due: &Due,
    delivery: &Delivery,
    now: UnixMillis,
) -> Result<()> {
    let failing = mirror.outbox().failing(&channel.name)?;
    mirror.transact(|mirror, _| {
        let why = match delivery {
            Delivery::Delivered => {
                mirror.outbox_mut().attempted(due.alert, &channel.name, &Attempt::Delivered, now)?;
                return mirror.outbox_mut().put_failing(&channel.name, None);
            }
            Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::ResourceExhausted(why) => {
                why.clone()
            }
        };
        let tries = due.attempts.saturating_add(1);
        let over = now.since(due.created).unwrap_or_default() >= channel.retry_for && tries >= MIN_ATTEMPTS;
        let attempt = match over {
            true => Attempt::GivenUp(why.clone()),
            false => Attempt::Again(now.saturating_add(backoff(due.attempts)), why.clone()),
        };
        mirror.outbox_mut().attempted(due.alert, &channel.name, &attempt, now)?;
        let (since, failures) =
            failing.map_or((now, 0), |failing| (failing.since.min(now), failing.failures));
        let wait = if matches!(delivery, Delivery::Retryable(_) | Delivery::ResourceExhausted(_)) {
            backoff(failures)
        } else {
            Duration::ZERO
        };
        let failing = Failing {
            since,
            failures: failures.saturating_add(1),
            not_before: now.saturating_add(wait),
            error: why,
        };
        mirror.outbox_mut().put_failing(&channel.name, Some(&failing))
    })
}

/// Whether a wait is not over yet. A time too far ahead was recorded by a wrong clock.
pub(super) fn is_ahead(time: UnixMillis, now: UnixMillis) -> bool {
    time > now && time <= now.saturating_add(LONGEST_WAIT)
}

pub(super) fn backoff(failures: u64) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(16);
    BACKOFF.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_WAIT)
}
