//! Two clocks. One is shown, and may be set forward or back while we run; the other only ever goes on, and by it
//! is judged what is late.

use std::time::{Duration, Instant};

/// A moment, by both.
#[derive(Clone, Copy, Default, Debug)]
pub struct Now {
    /// Unix milliseconds, to be shown.
    pub shown: u64,
    /// Milliseconds since the start, whatever is done to the other.
    pub steady: u64,
}

/// Both.
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

/// A span in milliseconds.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
