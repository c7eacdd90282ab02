//! Two clocks. The wall clock is displayed, and can be set forward or back while the monitor runs. The steady clock
//! only moves forward, and decides what is late.

use crate::core::time::UnixMillis;
use std::time::{Duration, Instant};

/// A moment on both clocks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Now {
    /// The wall clock, for display.
    pub shown: UnixMillis,
    /// The steady clock: the time since the start.
    pub steady: Duration,
}

/// The two clocks.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    wall: fn() -> UnixMillis,
    started: Instant,
}

impl Clock {
    pub(super) fn start(wall: fn() -> UnixMillis) -> Clock {
        Clock { wall, started: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        Now { shown: (self.wall)(), steady: self.started.elapsed() }
    }
}
