//! The retry budget: how long to wait for a log, and when to retry. Every wait ends, whatever a server sends or
//! requests: each attempt, each resource and, with a deadline, the whole run.
//!
//! Counters and durations saturate: a saturated counter ends the retries, and a saturated duration is cut to
//! its cap.

use super::options::HttpOptions;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

/// A time limit that has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    started: Instant,
    limit: Duration,
}

impl Timer {
    pub(super) fn new(limit: Duration) -> Timer {
        Timer { started: Instant::now(), limit }
    }

    /// The remaining time; zero once the limit has passed.
    fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    fn extend(&mut self, by: Duration) {
        self.started = self.started.checked_add(by).unwrap_or(self.started);
    }
}

/// Which time limit passed, with its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expired {
    Attempt(Duration),
    Run(Duration),
    /// The run was told to stop.
    Stopped,
}

/// Whether to retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RetryDecision {
    Retry,
    /// The number of retries is used up.
    GiveUp,
    /// A retry would be due, but the wait before it exceeds the budget.
    NoTimeLeft,
}

/// The remaining budget for one resource.
pub(super) struct RetryBudget<'a> {
    options: &'a HttpOptions,
    /// The deadline of the whole run, if it has one.
    run: Option<Timer>,
    total: Timer,
    attempt: Timer,
    /// The number of retries after a failure.
    retries: u32,
    failures: u32,
    absences: u32,
}

impl<'a> RetryBudget<'a> {
    pub(super) fn new(options: &'a HttpOptions, run: Option<Timer>) -> RetryBudget<'a> {
        let total = Timer::new(options.resource_timeout);
        RetryBudget {
            options,
            run,
            total,
            attempt: total,
            retries: options.retries,
            failures: 0,
            absences: 0,
        }
    }

    /// The same for a server that has served something before.
    pub(super) fn with_known_server(self) -> RetryBudget<'a> {
        RetryBudget { retries: self.options.later_retries.max(self.retries), ..self }
    }

    /// Starts the time limit of the next attempt.
    pub(super) fn begin_attempt(&mut self) -> Result<(), Expired> {
        self.attempt = Timer::new(self.options.attempt_timeout.min(self.total.remaining()));
        match self.run {
            _ if self.options.stop.is_stopped() => Err(Expired::Stopped),
            Some(run) if run.remaining().is_zero() => Err(Expired::Run(run.limit)),
            _ => Ok(()),
        }
    }

    /// Waits for the server until the attempt or the run ends.
    pub(super) async fn within_attempt<T>(&self, answer: impl Future<Output = T>) -> Result<T, Expired> {
        let time = self.attempt.remaining();
        match self.run {
            Some(run) if run.remaining() <= time => self.in_run(answer).await,
            _ => {
                let expired = Expired::Attempt(self.attempt.limit);
                self.or_stopped(tokio::time::timeout(time, answer)).await?.map_err(|_| expired)
            }
        }
    }

    /// Waits for something local (a turn, a slot). That time does not count against the server: only the
    /// deadline of the run ends it, and the other limits are extended by it.
    pub(super) async fn off_the_clock<T>(&mut self, turn: impl Future<Output = T>) -> Result<T, Expired> {
        let begun = Instant::now();
        let done = self.in_run(turn).await?;
        let waited = begun.elapsed();
        self.attempt.extend(waited);
        self.total.extend(waited);
        Ok(done)
    }

    /// Waits until the run ends or is told to stop.
    async fn in_run<T>(&self, work: impl Future<Output = T>) -> Result<T, Expired> {
        let Some(run) = self.run else { return self.or_stopped(work).await };
        let timed = tokio::time::timeout(run.remaining(), work);
        self.or_stopped(timed).await?.map_err(|_| Expired::Run(run.limit))
    }

    async fn or_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Expired> {
        tokio::select! {
            biased;
            () = self.options.stop.stopped() => Err(Expired::Stopped),
            done = work => Ok(done),
        }
    }

    /// The number of attempts so far, including the first.
    pub(super) fn attempts(&self) -> u32 {
        self.failures.saturating_add(self.absences).saturating_add(1)
    }

    /// After a failure: waits if a retry is due. Uses exponential backoff with full jitter, so that many
    /// auditors do not return together, and waits at least as long as the server requested, up to our cap.
    pub(super) async fn after_failure(&mut self, retry_after: Option<Duration>) -> RetryDecision {
        if self.failures >= self.retries {
            return RetryDecision::GiveUp;
        }
        let most = backoff(self.options, self.failures);
        let next = self.wait(jitter(most).max(self.pause(retry_after))).await;
        self.failures = self.failures.saturating_add(u32::from(next == RetryDecision::Retry));
        next
    }

    /// After "not there": waits briefly if another look is due. A stale cache must not make us accuse the log.
    pub(super) async fn after_absence(&mut self) -> RetryDecision {
        if self.absences >= self.options.missing_retries {
            return RetryDecision::GiveUp;
        }
        let next = self.wait(self.options.missing_delay).await;
        self.absences = self.absences.saturating_add(u32::from(next == RetryDecision::Retry));
        next
    }

    /// Whether a wait would end before the budget is spent.
    pub(super) fn has_time_for(&self, wait: Duration) -> bool {
        wait < self.remaining()
    }

    /// The message for a requested pause that is longer than the remaining time.
    pub(super) fn too_long(&self, asked: Duration) -> String {
        format!(
            "the server asks for a wait of {} seconds (Retry-After), which is longer than --retry-for or \
             --deadline allows: not retried",
            asked.as_secs()
        )
    }

    /// The remaining time for the resource and for the run.
    fn remaining(&self) -> Duration {
        self.total.remaining().min(self.run.map_or(Duration::MAX, |run| run.remaining()))
    }

    /// The requested pause, up to our cap.
    pub(super) fn pause(&self, retry_after: Option<Duration>) -> Duration {
        retry_after.unwrap_or_default().min(self.options.retry_after_cap)
    }

    /// Waits, or returns at once if the wait would exceed the remaining time.
    async fn wait(&self, delay: Duration) -> RetryDecision {
        if !self.has_time_for(delay) {
            return RetryDecision::NoTimeLeft;
        }
        match self.or_stopped(tokio::time::sleep(delay)).await {
            Ok(()) => RetryDecision::Retry,
            Err(_) => RetryDecision::NoTimeLeft,
        }
    }
}

/// The longest wait after this many earlier failures.
fn backoff(options: &HttpOptions, failures: u32) -> Duration {
    options.backoff_base.saturating_mul(2u32.saturating_pow(failures)).min(options.backoff_cap)
}

fn jitter(most: Duration) -> Duration {
    Duration::from_micros(fastrand::u64(..=u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
}

/// Parses `Retry-After` (RFC 9110 section 10.2.3): seconds, or an HTTP-date. A past date means zero; anything
/// else is ignored.
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

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    /// The result of the first poll, if it is ready.
    fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
        let work = std::pin::pin!(work);
        match work.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_wait_beyond_the_budget_is_not_begun() {
        let options = HttpOptions { resource_timeout: Duration::from_secs(60), ..HttpOptions::default() };
        let mut budget = RetryBudget::new(&options, None);
        assert_eq!(at_once(budget.after_failure(Some(Duration::MAX))), Some(RetryDecision::NoTimeLeft));
        assert_eq!(budget.attempts(), 1);
        let mut budget = RetryBudget::new(&options, Some(Timer::new(Duration::from_millis(200))));
        assert_eq!(at_once(budget.after_absence()), Some(RetryDecision::NoTimeLeft));
        assert_eq!(budget.attempts(), 1);
    }

    #[test]
    fn local_waits_do_not_use_the_budget() {
        let ms = Duration::from_millis;
        let options =
            HttpOptions { attempt_timeout: ms(300), resource_timeout: ms(400), ..HttpOptions::default() };
        let mut budget = RetryBudget::new(&options, None);
        budget.begin_attempt().unwrap();
        let before = (budget.attempt.started, budget.total.started);
        block_on(async {
            budget.off_the_clock(tokio::time::sleep(ms(500))).await.unwrap();
            // The limits were extended by the whole wait.
            assert!(budget.attempt.started - before.0 >= ms(500));
            assert!(budget.total.started - before.1 >= ms(500));
            let expired = budget.within_attempt(std::future::pending::<()>()).await;
            assert_eq!(expired, Err(Expired::Attempt(ms(300))));
        });
        budget.begin_attempt().unwrap();
        assert!(budget.attempt.limit < ms(101), "what is left of the resource's time");
    }

    #[test]
    fn the_deadline_ends_every_wait() {
        let ms = Duration::from_millis;
        let options = HttpOptions::default();
        let mut budget = RetryBudget::new(&options, Some(Timer::new(ms(100))));
        budget.begin_attempt().unwrap();
        block_on(async {
            let expired = Err(Expired::Run(ms(100)));
            assert_eq!(budget.within_attempt(std::future::pending::<()>()).await, expired);
            assert_eq!(budget.off_the_clock(std::future::pending::<()>()).await, expired);
        });
        assert_eq!(budget.begin_attempt(), Err(Expired::Run(ms(100))));
    }

    #[test]
    fn a_stop_ends_every_wait() {
        let options = HttpOptions::default();
        let mut budget = RetryBudget::new(&options, None);
        budget.begin_attempt().unwrap();
        let stop = options.stop.clone();
        let teller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            stop.stop();
        });
        block_on(async {
            assert_eq!(budget.within_attempt(std::future::pending::<()>()).await, Err(Expired::Stopped));
            assert_eq!(budget.off_the_clock(std::future::pending::<()>()).await, Err(Expired::Stopped));
            assert_eq!(budget.after_failure(Some(Duration::from_secs(60))).await, RetryDecision::NoTimeLeft);
            assert_eq!(
                budget.after_absence().await,
                RetryDecision::NoTimeLeft,
                "an absence that nobody looked at twice"
            );
        });
        assert_eq!(budget.begin_attempt(), Err(Expired::Stopped));
        teller.join().unwrap();
    }
}
