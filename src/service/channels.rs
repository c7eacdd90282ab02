//! The state of the alert channels of a watched log, and changes of that state.

use crate::core::text::quoted;
use crate::mirror::{Failing, Queue};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The last known state of the channels of one log, by name.
#[derive(Default)]
pub(super) struct Channels(Mutex<BTreeMap<String, Queue>>);

/// A change of a channel that is to be reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelChange {
    /// The channel began to fail, or a fault could not be sent over it.
    Failing {
        /// The name of the channel.
        channel: String,
        /// A message for the user.
        said: String,
        /// The number of alerts that wait for it.
        pending: u64,
    },
    /// The channel delivers again.
    Delivers {
        /// The name of the channel.
        channel: String,
        /// A message for the user.
        said: String,
    },
}

impl Channels {
    /// Replaces the known state by `now`, and returns which channels began or ceased to fail.
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

    /// The last known state of each channel.
    pub(super) fn all(&self) -> BTreeMap<String, Queue> {
        self.known().clone()
    }

    /// A message for each channel that fails.
    pub(super) fn failing(&self) -> Vec<String> {
        self.known().iter().filter_map(|(name, queue)| says_failing(name, queue)).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn says_failing(name: &str, queue: &Queue) -> Option<String> {
    let failing = queue.failing.as_ref()?;
    let Failing { since, error, .. } = failing;
    Some(format!("the alert channel {} has been failing since {since}: {error}", quoted(name)))
}
