//! An event as one line, for people or as JSON. Both are made from one value.
//!
//! An event is emitted through `tracing`, so a program with its own subscriber receives it there; the monitor's
//! subscriber is in the module `log`.

use crate::core::text;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::Level;

/// The target of our events. Events of libraries have other targets and are not written.
pub(super) const TARGET: &str = "countersign";

/// An event.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// The kind of event, a stable word.
    pub event: &'static str,
    /// The log that it is about.
    pub log: Option<String>,
    /// A sentence for people.
    pub message: String,
    /// The values in the sentence, for programs.
    #[serde(flatten)]
    pub parts: Map<String, Value>,
}

impl Event {
    /// An event about the monitor as a whole.
    pub fn new(event: &'static str, message: impl AsRef<str>) -> Event {
        Event { event, log: None, message: text::escape(message.as_ref()), parts: Map::new() }
    }

    /// An event about one log.
    pub fn of(log: &str, event: &'static str, message: impl AsRef<str>) -> Event {
        Event { log: Some(text::escape(log)), ..Event::new(event, message) }
    }

    /// Adds a value for programs. Strings are escaped, because they may come from a log.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Event {
        let value = match value.into() {
            Value::String(text) => Value::String(text::escape(&text)),
            other => other,
        };
        self.parts.insert(name.to_owned(), value);
        self
    }

    /// The level. For an event about a log, it follows the severity; a fault on our side is an error.
    pub fn level(&self) -> Level {
        let severity = self.parts.get("severity").and_then(Value::as_str);
        match (self.event, severity) {
            ("finding-new" | "finding-stands", Some("invalid" | "violation")) | ("fault", _) => Level::ERROR,
            ("finding-new" | "finding-stands" | "findings-more" | "unreachable" | "in-use", _)
            | (
                "channel-failing" | "peer-failing" | "reload-refused" | "restart-needed" | "init-left"
                | "events-lost" | "held-up" | "memory-kept",
                _,
            ) => Level::WARN,
            _ => Level::INFO,
        }
    }

    /// Emits the event to the subscriber of this process.
    pub fn say(&self) {
        let parts = Value::Object(self.parts.clone()).to_string();
        let (event, log, message) = (self.event, self.log.as_deref(), self.message.as_str());
        match self.level() {
            Level::ERROR => tracing::error!(target: TARGET, event, log, parts, message),
            Level::WARN => tracing::warn!(target: TARGET, event, log, parts, message),
            _ => tracing::info!(target: TARGET, event, log, parts, message),
        }
    }

    /// The line, including its newline.
    pub(super) fn line(&self, time: &str, json: bool) -> String {
        line(time, self.level(), self, self.log.as_deref(), &self.message, json)
    }
}

/// The line for any `event` that can be written as JSON.
pub(super) fn line(
    time: &str,
    level: Level,
    event: &impl Serialize,
    log: Option<&str>,
    message: &str,
    json: bool,
) -> String {
    #[derive(Serialize)]
    struct Line<'a, E> {
        time: &'a str,
        level: String,
        #[serde(flatten)]
        event: &'a E,
    }
    if json {
        let level = level.as_str().to_ascii_lowercase();
        let line = serde_json::to_string(&Line { time, level, event });
        return line.unwrap_or_else(|error| not_encoded(time, &error)) + "\n";
    }
    match log {
        Some(log) => format!("{time} {log}: {message}\n"),
        None => format!("{time} {message}\n"),
    }
}

/// What is written in place of an event that cannot be encoded.
fn not_encoded(time: &str, error: &serde_json::Error) -> String {
    let message = format!("an event cannot be written as JSON: {error}");
    json!({ "time": time, "level": "error", "event": "events-lost", "log": null, "message": message })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_event_that_cannot_be_encoded_is_reported_as_lost() {
        let event = BTreeMap::from([(vec![1], "keys of JSON are strings")]);
        let line = line("now", Level::INFO, &event, None, "said", true);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["event"], &line["level"]), (&json!("events-lost"), &json!("error")));
        assert!(line["message"].as_str().unwrap().starts_with("an event cannot be written as JSON"));
    }
}
