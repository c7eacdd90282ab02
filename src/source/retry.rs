//! How long to wait for a log, and when to ask again. Everything ends: each attempt and each
//! resource has a deadline, whatever a server sends or asks for.

use super::http::HttpOptions;
use std::time::{Duration, Instant, SystemTime};

/// A stretch of time that runs out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    started: Instant,
    limit: Duration,
}

impl Timer {
    pub(super) fn new(limit: Duration) -> Timer {
        Timer { started: Instant::now(), limit }
    }

    /// Zero once it has run out.
    pub(super) fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    pub(super) fn is_up(&self) -> bool {
        self.remaining().is_zero()
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

/// What is left of our patience with one resource.
pub(super) struct Patience<'a> {
    options: &'a HttpOptions,
    total: Timer,
    failures: u32,
    absences: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(options: &'a HttpOptions) -> Patience<'a> {
        Patience { options, total: Timer::new(options.resource_timeout), failures: 0, absences: 0 }
    }

    /// The time for the next attempt.
    pub(super) fn attempt(&self) -> Timer {
        Timer::new(self.options.attempt_timeout.min(self.total.remaining()))
    }

    /// How often was asked so far, the first time included.
    pub(super) fn attempts(&self) -> u32 {
        self.failures.saturating_add(self.absences).saturating_add(1)
    }

    /// After no answer: waits and returns true where it is worth asking again. Exponential backoff
    /// with full jitter, so that many auditors do not come back together; at least what the server
    /// asked for, up to our cap.
    pub(super) fn after_failure(&mut self, retry_after: Option<Duration>) -> bool {
        if self.failures >= self.options.retries {
            return false;
        }
        let most = backoff(self.options, self.failures);
        let asked = retry_after.unwrap_or_default().min(self.options.retry_after_cap);
        self.wait(jitter(most).max(asked)) && {
            self.failures = self.failures.saturating_add(1);
            true
        }
    }

    /// After "not there": waits shortly and returns true where another look is due. A cache that
    /// has not caught up yet must not make us accuse the log.
    pub(super) fn after_absence(&mut self) -> bool {
        self.absences < self.options.missing_retries && self.wait(self.options.missing_delay) && {
            self.absences = self.absences.saturating_add(1);
            true
        }
    }

    /// False, and at once, where the wait would outlast the deadline.
    fn wait(&self, delay: Duration) -> bool {
        if delay >= self.total.remaining() {
            return false;
        }
        std::thread::sleep(delay);
        true
    }
}

/// The longest wait after `failures` earlier ones.
fn backoff(options: &HttpOptions, failures: u32) -> Duration {
    options.backoff_base.saturating_mul(2u32.saturating_pow(failures)).min(options.backoff_cap)
}

fn jitter(most: Duration) -> Duration {
    Duration::from_micros(fastrand::u64(..=u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or an HTTP-date; a date that is past is zero,
/// and what is neither is ignored.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        let options = HttpOptions::default();
        let waits: Vec<u128> = (0..9).map(|n| backoff(&options, n).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(backoff(&options, u32::MAX), options.backoff_cap);
        assert!((0..100).all(|_| jitter(options.backoff_base) <= options.backoff_base));
    }

    #[test]
    fn a_wait_past_the_deadline_is_not_begun() {
        let options = HttpOptions { resource_timeout: Duration::from_secs(60), ..HttpOptions::default() };
        let mut patience = Patience::new(&options);
        let begun = Instant::now();
        assert!(!patience.after_failure(Some(Duration::MAX)));
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(patience.attempts(), 1);
    }
}
