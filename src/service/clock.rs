//! Two clocks. The wall clock is shown and compared with times of a log, and may be set while an audit runs. The steady
//! clock measures durations.

use crate::core::text;
use crate::report::Input;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time of a service.
pub trait Clock: Send + Sync {
    /// The time, in Unix milliseconds.
    fn unix_ms(&self) -> u64;

    /// The time since a fixed moment. It never decreases.
    fn steady(&self) -> Duration;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        unix_ms()
    }

    fn steady(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The clock of this machine, in Unix milliseconds.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time at which a run began.
pub(super) struct Started {
    /// The time, in Unix milliseconds.
    pub(super) unix_ms: u64,
    /// The same time in the format of RFC 3339.
    pub(super) text: String,
    steady: Duration,
}

impl Started {
    pub(super) fn now(clock: &dyn Clock) -> Started {
        let unix_ms = clock.unix_ms();
        Started { unix_ms, text: text::time(unix_ms), steady: clock.steady() }
    }

    /// Sets the start, the end and the duration of the run in `input`.
    pub(super) fn finish(&self, mut input: Input, clock: &dyn Clock) -> Input {
        input.started_at = self.text.clone();
        input.finished_at = text::time(clock.unix_ms());
        let took = clock.steady().saturating_sub(self.steady);
        input.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        input
    }
}
