//! Sending what is due. Nothing is noted as delivered before the other side said yes, and that is noted
//! at once, alert by alert.
//!
//! A channel that is down is left alone until its time comes, ever more rarely, and holds no other up for
//! longer than one attempt. One alert that is refused does not hold up those behind it.

use super::message::{Alert, Kind, Log, key};
use super::plan::Condition;
use super::{CHANNEL_FAILING, Channel, Delivery, Dispatcher, Result, Written};
use crate::core::finding::Severity;
use crate::core::text::{escape, quoted, time};
use crate::mirror::{Attempt, Due, Failing, LONGEST_WAIT, Mirror, MirrorError};
use std::time::Instant;

/// The first wait after a failure, in milliseconds; it doubles each time.
const BACKOFF: u64 = 60 * 1000;

/// So often at least an alert is tried before it is given up: a clock that jumped ahead is no long time.
pub(super) const FEWEST_TRIES: u64 = 6;

/// A channel that fails for so long is told of over the others, in milliseconds.
const FAILING_FOR: u64 = 60 * 60 * 1000;

/// So many alerts at most over one channel in one go, so that the next audit is not kept waiting.
const MAX_AT_ONCE: u32 = 100;

/// For the same reason: nothing more is begun after so long over one channel, in milliseconds. It may be slow.
const LONGEST: u64 = 60 * 1000;

/// What was sent, and what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivered {
    /// Taken by their channels.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// On their way, over the channels that there are.
    pub pending: u64,
    /// When to call again, in Unix milliseconds; `None` where nothing is on its way.
    pub next_try: Option<u64>,
}

/// The time: what the caller says it is, and what passed since; and whether there is any left.
struct Clock<'a> {
    now: u64,
    since: Instant,
    stopped: &'a dyn Fn() -> bool,
}

impl Clock<'_> {
    fn now(&self) -> u64 {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.saturating_add(passed)
    }
}

impl Dispatcher {
    /// Sends what is due at `now`, Unix milliseconds.
    ///
    /// # Errors
    /// Of the mirror. A channel that fails is no error: it is counted, and tried again later.
    pub fn deliver(&self, mirror: &mut Mirror, now: u64) -> Result<Delivered> {
        self.deliver_until(mirror, now, &|| false)
    }

    /// The same, but begins nothing more once `stopped` says so. What is left stays in the outbox.
    ///
    /// # Errors
    /// Of the mirror.
    pub fn deliver_until(
        &self,
        mirror: &mut Mirror,
        now: u64,
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
        let queues = mirror.queues()?;
        for channel in &self.config.channels {
            let pending = queues.get(&channel.name).map_or(0, |queue| queue.pending);
            delivered.pending = delivered.pending.saturating_add(pending);
            let next = mirror.next_try(&channel.name, clock.now())?;
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

    /// Tells over the other channels of one that fails for long, and of one that delivers again.
    fn watch_channels(&self, mirror: &mut Mirror, now: u64) -> Result<u64> {
        let mut holding = Vec::new();
        for channel in &self.config.channels {
            let failing = mirror.failing(&channel.name)?;
            let Some(failing) = failing.filter(|failing| now.saturating_sub(failing.since) >= FAILING_FOR)
            else {
                continue;
            };
            let (name, since) = (quoted(&channel.name), time(failing.since));
            let message =
                format!("the alert channel {name} has not delivered since {since}: {}", failing.error);
            holding.push(Condition { code: CHANNEL_FAILING, about: channel.name.clone(), message });
        }
        let origin = escape(&mirror.state().origin);
        let log = Log { name: origin.clone(), origin };
        let mut written = Written::default();
        let told = mirror.told()?;
        self.of_conditions(mirror, &log, &holding, &[CHANNEL_FAILING], &told, now, &mut written);
        self.write(mirror, written, now)
    }

    /// Sends a test over every channel, without the outbox, and says how each went.
    pub fn test(&self, log: &Log, now: u64) -> Vec<(String, std::result::Result<(), String>)> {
        let key = key("test", Kind::Test, &[(&log.name, now, u64::from(std::process::id()))]);
        let log = Log { name: escape(&log.name), origin: escape(&log.origin) };
        let mut alert = Alert::new(Kind::Test, key, log, Severity::Info, "test", now);
        alert.message =
            "a test of this alert channel; nothing was found, and nothing is to be done".to_owned();
        self.send_to_all(&alert, now)
    }

    fn send_to_all(&self, alert: &Alert, now: u64) -> Vec<(String, std::result::Result<(), String>)> {
        let send = |channel: &Channel| match self.send(channel, alert, now) {
            Delivery::Delivered => (channel.name.clone(), Ok(())),
            Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::Lacking(why) => {
                (channel.name.clone(), Err(why))
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
    if mirror.failing(&channel.name)?.is_some_and(|failing| is_ahead(failing.not_before, begun)) {
        return Ok(());
    }
    for _ in 0..MAX_AT_ONCE {
        if (clock.stopped)() || clock.now().saturating_sub(begun) > LONGEST {
            break;
        }
        // One at a time: each is read when it is sent, so that a long queue is not held in memory.
        let Some(due) = mirror.due(&channel.name, begun, after, 1)?.into_iter().next() else { break };
        after = due.alert;
        let alert: Alert = serde_json::from_str(&due.payload).map_err(|error| {
            MirrorError::Damaged(mirror.path().to_owned(), format!("an alert does not parse: {error}"))
        })?;
        let delivery = dispatcher.send(channel, &alert, clock.now());
        note(channel, mirror, &due, &delivery, clock.now())?;
        match delivery {
            Delivery::Delivered => delivered.sent = delivered.sent.saturating_add(1),
            Delivery::Refused(_) => delivered.failed = delivered.failed.saturating_add(1),
            Delivery::Retryable(_) | Delivery::Lacking(_) => {
                delivered.failed = delivered.failed.saturating_add(1);
                break;
            }
        }
    }
    Ok(())
}

/// What came of it, and how the channel is, in one transaction: the one right after the other side's answer.
fn note(channel: &Channel, mirror: &mut Mirror, due: &Due, delivery: &Delivery, now: u64) -> Result<()> {
    let failing = mirror.failing(&channel.name)?;
    mirror.transact(|mirror, _| {
        let why = match delivery {
            Delivery::Delivered => {
                mirror.attempted(due.alert, &channel.name, &Attempt::Delivered, now)?;
                return mirror.put_failing(&channel.name, None);
            }
            Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::Lacking(why) => why.clone(),
        };
        let tries = due.attempts.saturating_add(1);
        let over = now.saturating_sub(due.created) >= channel.retry_for && tries >= FEWEST_TRIES;
        let attempt = match over {
            true => Attempt::GivenUp(why.clone()),
            false => Attempt::Again(now.saturating_add(backoff(due.attempts)), why.clone()),
        };
        mirror.attempted(due.alert, &channel.name, &attempt, now)?;
        let (since, failures) =
            failing.map_or((now, 0), |failing| (failing.since.min(now), failing.failures));
        let wait = if matches!(delivery, Delivery::Retryable(_) | Delivery::Lacking(_)) {
            backoff(failures)
        } else {
            0
        };
        let failing = Failing {
            since,
            failures: failures.saturating_add(1),
            not_before: now.saturating_add(wait),
            error: why,
        };
        mirror.put_failing(&channel.name, Some(&failing))
    })
}

/// Whether a time to wait for is still to come. One that is too far ahead is of a clock that was wrong.
pub(super) fn is_ahead(time: u64, now: u64) -> bool {
    time > now && time <= now.saturating_add(LONGEST_WAIT)
}

pub(super) fn backoff(failures: u64) -> u64 {
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(16);
    BACKOFF.saturating_mul(2u64.saturating_pow(doublings)).min(LONGEST_WAIT)
}
