//! What is said of the alert channels of a watched log.
//!
//! A channel that fails is no illness of the monitor, which goes on watching and tells over the others; so it
//! is not in `/healthz`, which would have the monitor restarted for it, in vain.

use super::event::Event;
use crate::service::ChannelChange;

/// The event of a change.
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
