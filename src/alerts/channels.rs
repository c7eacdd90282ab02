//! A channel: who is told, of what, and how.

use super::message::Alert;
use crate::core::encoding::encode_base64;
use crate::core::finding::Severity;
use crate::core::limits::MAX_EVIDENCE;
use crate::core::text::escape;
use crate::mirror::read_beside;
use std::io::ErrorKind;
use std::path::Path;

/// What came of sending one alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The other side took it.
    Delivered,
    /// The other side is there and did not take this one, and why: the next may fare better.
    Refused(String),
    /// The other side is not there, or not able to, and why: the next would fare no better.
    Retryable(String),
    /// This machine has run out of something, and what: the other side was not asked.
    Lacking(String),
}

/// One alert on its way.
pub struct Message<'a> {
    /// The alert, what is in its misbehaviour file included.
    pub alert: &'a Alert,
    /// The same as one line of JSON.
    pub json: &'a str,
    /// Unix milliseconds.
    pub now: u64,
}

/// How an alert is carried.
pub trait Transport: Send + Sync {
    /// Carries it, in a bounded time.
    fn send(&self, message: &Message<'_>) -> Delivery;
}

/// Who is told, of what, and how.
pub struct Channel {
    /// Its name: the outbox goes by it, so one that is renamed begins with an empty queue.
    pub name: String,
    /// Of nothing less severe.
    pub least: Severity,
    /// So long an alert is tried, in milliseconds.
    pub retry_for: u64,
    /// How.
    pub transport: Box<dyn Transport>,
}

impl Channel {
    /// Sends one alert, with what is in its misbehaviour file.
    pub(super) fn send(&self, alert: &Alert, now: u64) -> Delivery {
        let mut alert = alert.clone();
        attach(&mut alert);
        let json = alert.to_json();
        match self.transport.send(&Message { alert: &alert, json: &json, now }) {
            Delivery::Delivered => Delivery::Delivered,
            Delivery::Refused(why) => Delivery::Refused(escape(&why)),
            Delivery::Retryable(why) => Delivery::Retryable(escape(&why)),
            Delivery::Lacking(what) => Delivery::Lacking(escape(&what)),
        }
    }
}

/// The file is small: a misbehaviour file longer than the format allows is none of ours. Nor is a link in its place, which
/// may lead to a secret.
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
