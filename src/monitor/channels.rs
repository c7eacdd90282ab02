//! Events about the alert channels of a log.
//!
//! A failing channel does not make the monitor unhealthy: it continues to audit and to send over the other channels.
//! The failure is therefore not in `/healthz`, which would cause pointless restarts of the monitor.

use super::event::Event;
use crate::service::ChannelChange;

/// The event for a change of a channel's state.
pub fn of_channel(log: &str, change: &ChannelChange) -> Event {
    match change {
        ChannelChange::Failing { channel, said, pending } => Event::of(log, "channel-failing", said)
            .with("channel", channel.as_str())
            .with("pending", *pending),
        ChannelChange::Delivers { channel, said } => {
            Event::of(log, "channel-delivers", said).with("channel", channel.as_str())
        }
    }
}
