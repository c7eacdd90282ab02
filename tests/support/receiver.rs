//! Receivers of alerts that answer as a test says, and a mirror to note findings in.

use crate::lab::quick_tempdir;
use crate::log::TestKey;
use countersign::alerts::{
    AuditOutcome, Channel, Delivery, Dispatcher, DispatcherConfig, Message, Transport,
};
use countersign::audit::finding::Finding;
use countersign::core::finding::Severity;
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::mirror::Mirror;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// When a test begins.
pub const NOW: u64 = 1_900_000_000_000;
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// How a receiver answers, and what it got: every time, in order.
#[derive(Default)]
pub struct Receiver {
    pub got: Vec<Value>,
    /// The answers to come, the last first; then it takes everything.
    pub script: Vec<Answer>,
}

/// What it does with one alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Take,
    Refuse,
    Down,
    /// Takes it, and then the monitor is killed.
    TakeAndKill,
    /// The monitor is killed before.
    Kill,
}

/// A channel's other side.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<Receiver>>);

impl Transport for Fake {
    fn send(&self, message: &Message<'_>) -> Delivery {
        let answer = {
            let mut receiver = self.0.lock().unwrap();
            let answer = receiver.script.pop().unwrap_or(Answer::Take);
            if matches!(answer, Answer::Take | Answer::TakeAndKill) {
                let alert: Value = serde_json::from_str(message.json).unwrap();
                assert_eq!(alert["key"], message.alert.key.as_str());
                receiver.got.push(alert);
            }
            answer
        };
        match answer {
            Answer::Take => Delivery::Delivered,
            Answer::Refuse => Delivery::Refused("no\nX: \u{202e}".to_owned()),
            Answer::Down => Delivery::Retryable("away".to_owned()),
            Answer::TakeAndKill | Answer::Kill => std::panic::resume_unwind(Box::new("killed")),
        }
    }
}

impl Fake {
    pub fn channel(&self, name: &str, least: Severity) -> Channel {
        Channel {
            name: name.to_owned(),
            least,
            retry_for: Duration::from_millis(72 * HOUR),
            transport: Box::new(self.clone()),
        }
    }

    pub fn script(&self, mut answers: Vec<Answer>) {
        answers.reverse();
        self.0.lock().unwrap().script = answers;
    }

    /// Everything so far, and forgets it.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap().got)
    }

    /// Kind and code of everything so far, and forgets it.
    pub fn kinds(&self) -> Vec<(String, String)> {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        self.take().iter().map(|alert| (word(&alert["kind"]), word(&alert["code"]))).collect()
    }
}

/// Kind and code.
pub fn pair(kind: &str, code: &str) -> (String, String) {
    (kind.to_owned(), code.to_owned())
}

/// A mirror of its own, in memory where there is some.
pub struct Home {
    folder: TempDir,
    key: LogKey,
}

impl Default for Home {
    fn default() -> Home {
        Home::new()
    }
}

impl Home {
    pub fn new() -> Home {
        Home { folder: quick_tempdir(), key: LogKey::parse(&TestKey::new(1).vkey()).unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mirror.db")
    }

    pub fn open(&self) -> Mirror {
        Mirror::create_or_open(&self.path(), &self.key).unwrap()
    }
}

/// Keeps a finding, as an audit does.
pub fn find(mirror: &mut Mirror, finding: &Finding, now: u64) {
    mirror.transact(|mirror, _| mirror.findings_mut().put(finding, UnixMillis::new(now))).unwrap();
}

/// Ends a finding, as an audit does.
pub fn end(mirror: &mut Mirror, finding: &Finding, now: u64) {
    mirror.transact(|mirror, _| mirror.findings_mut().end(finding, UnixMillis::new(now))).unwrap();
}

/// A dispatcher with these channels.
pub fn dispatcher(channels: Vec<Channel>) -> Dispatcher {
    Dispatcher::new(DispatcherConfig { channels, ..DispatcherConfig::default() }).unwrap()
}

/// An audit that went well.
pub fn well() -> AuditOutcome {
    AuditOutcome::default()
}
