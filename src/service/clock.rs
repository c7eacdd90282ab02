//! Two clocks. The wall clock is shown and compared with times of a log, and may be set while an audit runs. The steady
//! clock measures durations.

use crate::core::time::{UnixMillis, whole_millis};
use crate::report::Input;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time of a service.
pub trait Clock: Send + Sync {
    /// The time, as the wall clock shows it.
    fn now(&self) -> UnixMillis;

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
    fn now(&self) -> UnixMillis {
        now()
    }

    fn steady(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What the wall clock of this machine shows.
pub fn now() -> UnixMillis {
    // A clock that shows a time before 1970 is taken to show 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(whole_millis(since))
}

/// The time at which a run began.
pub(super) struct Started {
    /// The time, as the wall clock showed it.
    pub(super) at: UnixMillis,
    steady: Duration,
}

impl Started {
    pub(super) fn now(clock: &dyn Clock) -> Started {
        Started { at: clock.now(), steady: clock.steady() }
    }

    /// Sets the start, the end and the duration of the run in `input`.
    pub(super) fn finish(&self, mut input: Input, clock: &dyn Clock) -> Input {
        input.started_at = self.at;
        input.finished_at = clock.now();
        // The steady clock never decreases. Should one do so, the run took no time.
        input.took = clock.steady().saturating_sub(self.steady);
        input
    }
}
