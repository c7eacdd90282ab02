//! What is known about the peers of one log.

use super::event::Event;
use crate::core::text::quoted;
use crate::core::time::UnixMillis;
use crate::report::Input;
use std::collections::BTreeMap;

/// The peers of one log, by name.
#[derive(Default)]
pub struct PeerStates(BTreeMap<String, PeerState>);

/// The state of one peer.
#[derive(Clone, Copy, Debug)]
pub struct PeerState {
    /// Whether the last audit could compare all of the peer's heads.
    pub compared: bool,
    /// When an audit last could.
    pub success: Option<UnixMillis>,
}

impl PeerStates {
    /// Records the results of an audit, and returns the events to report: each change once, and after a start the
    /// peers that fail.
    pub fn update(&mut self, name: &str, input: &Input, now: UnixMillis) -> Vec<Event> {
        if input.asked.peers && input.peers.is_empty() {
            // The audit ended before it compared with peers.
            return Vec::new();
        }
        let mut before = std::mem::take(&mut self.0);
        let mut events = Vec::new();
        for result in &input.peers {
            let known = before.remove(&result.name);
            let compared = result.error.is_none();
            let success = if compared { Some(now) } else { known.and_then(|known| known.success) };
            self.0.insert(result.name.clone(), PeerState { compared, success });
            let who = quoted(&result.name);
            let (event, message) = match (&result.error, known.is_none_or(|known| known.compared)) {
                (Some(why), true) => ("peer-failing", format!("peer {who} cannot be compared with: {why}")),
                (None, false) => ("peer-recovered", format!("peer {who} is compared with again")),
                _ => continue,
            };
            events.push(Event::of(name, event, message).with("peer", result.name.as_str()));
        }
        events
    }

    /// All peers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PeerState)> {
        self.0.iter().map(|(name, peer)| (name.as_str(), peer))
    }
}
