//! How the alert channels of a watched log are: for `/metrics`, and said when it changes.
//!
//! A channel that fails is no illness of the monitor, which goes on watching and tells over the others; so it
//! is not in `/healthz`, which would have the monitor restarted for it, in vain.

use crate::core::text::{quoted, time};
use crate::mirror::Queue;
use crate::monitor::event::Event;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The channels of one log, as they were last seen.
#[derive(Default)]
pub struct Channels(Mutex<BTreeMap<String, Queue>>);

impl Channels {
    /// Takes over how they are now, and says which of them began or ceased to fail.
    pub fn are(&self, log: &str, now: BTreeMap<String, Queue>) {
        let mut known = self.known();
        for (name, queue) in &now {
            let failed = known.get(name).is_some_and(|before| before.failing.is_some());
            match (failed, says_failing(name, queue)) {
                (false, Some(said)) => say_failing(log, name, &said, queue.pending),
                (true, None) => {
                    let said = format!("the alert channel {} delivers again", quoted(name));
                    Event::of(log, "channel-delivers", said).with("channel", name.as_str()).say();
                }
                _ => {}
            }
        }
        *known = now;
    }

    /// As they were last seen.
    pub fn all(&self) -> BTreeMap<String, Queue> {
        self.known().clone()
    }

    /// A sentence for each that fails.
    pub fn failing(&self) -> Vec<String> {
        self.known().iter().filter_map(|(name, queue)| says_failing(name, queue)).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn says_failing(name: &str, queue: &Queue) -> Option<String> {
    let failing = queue.failing.as_ref()?;
    let since = time(failing.since);
    Some(format!("the alert channel {} has been failing since {since}: {}", quoted(name), failing.error))
}

/// Says that a channel fails.
pub fn say_failing(log: &str, channel: &str, said: &str, pending: u64) {
    Event::of(log, "channel-failing", said).with("channel", channel).with("pending", pending).say();
}
