//! The rate limit: at most so many requests a second over all threads, and none while the server has requested
//! a pause.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The rate limit that all requests of one source share.
pub(super) struct Limiter {
    /// The time between two requests; zero without a limit.
    interval: Duration,
    /// When the next request may go out. The holder of the lock is next; the others queue in order.
    next: tokio::sync::Mutex<Instant>,
    /// No request goes out before this time.
    paused: std::sync::Mutex<Instant>,
}

/// The last part of a wait, which the thread sleeps because it is more exact than the timer with its steps of a
/// millisecond. The future runs on the caller's own thread, so this sleep delays no other request.
const PRECISE_SLEEP: Duration = Duration::from_millis(2);

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Limiter {
    /// A limit of `rate` requests a second, if there is one.
    pub(super) fn new(rate: Option<f64>) -> Limiter {
        // An invalid rate must not mean "no limit".
        let interval =
            |rate: f64| Duration::try_from_secs_f64(1.0 / rate).map_or(NEVER, |gap| gap.min(NEVER));
        let interval = rate.map_or(Duration::ZERO, interval);
        let now = Instant::now();
        Limiter { interval, next: tokio::sync::Mutex::new(now), paused: std::sync::Mutex::new(now) }
    }

    /// Waits until a request may go out; the caller must send it at once. The interval counts from the returned
    /// time, not from when the request could have gone out, so a late request allows no burst. Dropping the
    /// future takes no turn from others.
    pub(super) async fn acquire(&self) -> Instant {
        let now = Instant::now();
        if self.interval.is_zero() && self.paused_until() <= now {
            return now;
        }
        let mut next = self.next.lock().await;
        loop {
            // Computed again after each wait: another thread may have been told to pause meanwhile.
            let wait = (*next).max(self.paused_until()).saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            if wait > PRECISE_SLEEP {
                tokio::time::sleep(wait.saturating_sub(PRECISE_SLEEP)).await;
            } else {
                std::thread::sleep(wait);
            }
        }
        let now = Instant::now();
        *next = now.checked_add(self.interval).unwrap_or(now);
        now
    }

    /// Stops all requests for this long.
    pub(super) fn pause(&self, length: Duration) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = Instant::now().checked_add(length) {
            *paused = until.max(*paused);
        }
    }

    fn paused_until(&self) -> Instant {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The times that `count` turns on each of `threads` threads returned: by the limiter's own clock, as a
    /// thread may be held up after it.
    fn turns(limiter: &Limiter, threads: usize, count: usize) -> Vec<Instant> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let times = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..count {
                        let turn = runtime.block_on(limiter.acquire());
                        times.lock().unwrap().push(turn);
                    }
                });
            }
        });
        let mut times = times.into_inner().unwrap();
        times.sort();
        times
    }

    #[test]
    fn turns_are_spaced_over_all_threads() {
        let limiter = Limiter::new(Some(200.0));
        let times = turns(&limiter, 8, 10);
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.len(), 79);
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(5)), "{gaps:?}");
        // A systematic delay would appear in every gap.
        assert!(gaps.iter().any(|gap| *gap < Duration::from_millis(10)), "wakes up too late: {gaps:?}");
    }

    #[test]
    fn a_pause_stops_waiting_requests_too() {
        for rate in [None, Some(20.0)] {
            let limiter = Limiter::new(rate);
            let begun = Instant::now();
            limiter.pause(Duration::from_millis(300));
            limiter.pause(Duration::from_millis(1));
            limiter.pause(Duration::MAX);
            let times = turns(&limiter, 4, 1);
            assert!(times[0] - begun >= Duration::from_millis(300), "{rate:?}");
            // At this rate some still wait when the pause begins, unless this thread was held up for all of it.
            let held_up = || {
                let (times, before, after) = std::thread::scope(|scope| {
                    let waiting = scope.spawn(|| turns(&limiter, 4, 1));
                    std::thread::sleep(Duration::from_millis(20));
                    let before = Instant::now();
                    limiter.pause(Duration::from_millis(300));
                    let after = Instant::now();
                    (waiting.join().unwrap(), before, after)
                });
                let paused = before..before + Duration::from_millis(300);
                // One may have been released at that moment.
                let early = times.iter().filter(|at| **at >= after && paused.contains(at)).count();
                assert!(early <= 1, "{early} of {times:?} in {paused:?}");
                times.iter().filter(|at| **at >= paused.end).count() >= 2
            };
            assert!(rate.is_none() || (0..20).any(|_| held_up()), "nobody was held up");
        }
    }

    #[test]
    fn an_invalid_rate_allows_one_request() {
        for rate in [0.0, -1.0, f64::NAN, f64::MIN_POSITIVE] {
            assert_eq!(Limiter::new(Some(rate)).interval, NEVER, "{rate}");
        }
        assert_eq!(Limiter::new(Some(4.0)).interval, Duration::from_millis(250));
    }

    #[test]
    fn without_a_limit_no_request_waits() {
        use std::future::Future as _;
        use std::task::{Context, Waker};
        let limiter = Limiter::new(None);
        for _ in 0..1000 {
            let turn = std::pin::pin!(limiter.acquire());
            assert!(turn.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    }
}
