//! How the alert channels of a watched log are, and what changes with them.

use crate::core::text::{quoted, time};
use crate::mirror::Queue;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The channels of one log, as they were last seen.
#[derive(Default)]
pub(super) struct Channels(Mutex<BTreeMap<String, Queue>>);

/// What somebody should hear of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelChange {
    /// It began to fail, or a fault could not be told over it.
    Failing {
        /// Its name.
        channel: String,
        /// A sentence.
        said: String,
        /// Alerts that wait for it.
        pending: u64,
    },
    /// It ceased to.
    Delivers {
        /// Its name.
        channel: String,
        /// A sentence.
        said: String,
    },
}

impl Channels {
    /// Takes over how they are now, and gives which of them began or ceased to fail.
    pub(super) fn are(&self, now: BTreeMap<String, Queue>) -> Vec<ChannelChange> {
        let mut known = self.known();
        let mut changes = Vec::new();
        for (name, queue) in &now {
            let failed = known.get(name).is_some_and(|before| before.failing.is_some());
            let channel = name.clone();
            match (failed, says_failing(name, queue)) {
                (false, Some(said)) => {
                    changes.push(ChannelChange::Failing { channel, said, pending: queue.pending });
                }
                (true, None) => {
                    let said = format!("the alert channel {} delivers again", quoted(name));
                    changes.push(ChannelChange::Delivers { channel, said });
                }
                _ => {}
            }
        }
        *known = now;
        changes
    }

    /// As they were last seen.
    pub(super) fn all(&self) -> BTreeMap<String, Queue> {
        self.known().clone()
    }

    /// A sentence for each that fails.
    pub(super) fn failing(&self) -> Vec<String> {
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
