//! Two clocks. The wall clock is displayed, and can be set forward or back while the monitor runs. The steady clock
//! only moves forward, and decides what is late.

use std::time::{Duration, Instant};

/// A moment on both clocks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Now {
    /// The wall clock, in Unix milliseconds, for display.
    pub shown: u64,
    /// The steady clock, in milliseconds since the start.
    pub steady: u64,
}

/// The two clocks.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    unix_ms: fn() -> u64,
    started: Instant,
}

impl Clock {
    pub(super) fn start(unix_ms: fn() -> u64) -> Clock {
        Clock { unix_ms, started: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        Now { shown: (self.unix_ms)(), steady: ms(self.started.elapsed()) }
    }
}

/// A duration in milliseconds.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
