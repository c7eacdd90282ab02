//! A channel: who is notified, of what, and how.

use super::message::Alert;
use crate::core::encoding::encode_base64;
use crate::core::finding::Severity;
use crate::core::limits::MAX_EVIDENCE;
use crate::core::text::escape;
use crate::core::time::UnixMillis;
use crate::mirror::read_beside;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// The result of sending one alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The receiver accepted it.
    Delivered,
    /// The receiver refused this alert, and why. The next alert may be accepted.
    Refused(String),
    /// The receiver cannot be reached or cannot accept alerts, and why. The next alert would fail as well.
    Retryable(String),
    /// This machine has run out of a resource, and which. The receiver was not contacted.
    ResourceExhausted(String),
}

/// One alert to send.
pub struct Message<'a> {
    /// The alert, including the content of its misbehaviour file.
    pub alert: &'a Alert,
    /// The same as one line of JSON.
    pub json: &'a str,
    /// When it is sent.
    pub now: UnixMillis,
}

/// How alerts are sent.
pub trait Transport: Send + Sync {
    /// Sends it, in bounded time.
    fn send(&self, message: &Message<'_>) -> Delivery;
}

/// Who is notified, of what, and how.
pub struct Channel {
    /// Its name, by which the outbox identifies it: a renamed channel begins with an empty queue.
    pub name: String,
    /// The least severity of an alert for it.
    pub least: Severity,
    /// How long an alert is tried.
    pub retry_for: Duration,
    /// The transport.
    pub transport: Box<dyn Transport>,
}

impl Channel {
    /// Sends one alert, with the content of its misbehaviour file.
    pub(super) fn send(&self, alert: &Alert, now: UnixMillis) -> Delivery {
        let mut alert = alert.clone();
        attach(&mut alert);
        let json = match alert.to_json() {
            Ok(json) => json,
            Err(error) => return Delivery::Refused(escape(&error.to_string())),
        };
        match self.transport.send(&Message { alert: &alert, json: &json, now }) {
            Delivery::Delivered => Delivery::Delivered,
            Delivery::Refused(why) => Delivery::Refused(escape(&why)),
            Delivery::Retryable(why) => Delivery::Retryable(escape(&why)),
            Delivery::ResourceExhausted(what) => Delivery::ResourceExhausted(escape(&what)),
        }
    }
}

/// Adds the misbehaviour file. A file longer than the format allows is not ours. A symbolic link is refused,
/// because it may lead to a secret.
fn attach(alert: &mut Alert) {
    let Some(path) = alert.evidence.as_deref() else { return };
    match read_beside(Path::new(path), MAX_EVIDENCE) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            alert.evidence_missing = Some(format!("the file is longer than {MAX_EVIDENCE} bytes"));
        }
        Err(error) => alert.evidence_missing = Some(escape(&format!("the file cannot be read: {error}"))),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => alert.evidence_content = Some(text),
            Err(error) => alert.evidence_base64 = Some(encode_base64(error.as_bytes())),
        },
    }
}
