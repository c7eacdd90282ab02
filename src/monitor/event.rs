//! What happened, in one line: for people, or as JSON. Both are made from one value.

use crate::core::text;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write as _;

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// A stable word.
    pub event: &'static str,
    /// The log that it is about.
    pub log: Option<String>,
    /// For people: a sentence.
    pub message: String,
    /// For programs: the parts of the sentence.
    #[serde(flatten)]
    pub parts: Map<String, Value>,
}

impl Event {
    /// About the monitor as a whole.
    pub fn new(event: &'static str, message: impl AsRef<str>) -> Event {
        Event { event, log: None, message: text::escape(message.as_ref()), parts: Map::new() }
    }

    /// About one log.
    pub fn of(log: &str, event: &'static str, message: impl AsRef<str>) -> Event {
        Event { log: Some(text::escape(log)), ..Event::new(event, message) }
    }

    /// With a part for programs. Texts are escaped: they may be a log's.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Event {
        let value = match value.into() {
            Value::String(text) => Value::String(text::escape(&text)),
            other => other,
        };
        self.parts.insert(name.to_owned(), value);
        self
    }

    /// The line, with its end.
    pub fn line(&self, time: &str, json: bool) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            time: &'a str,
            #[serde(flatten)]
            event: &'a Event,
        }
        if json {
            // Texts and numbers alone: this cannot fail.
            return serde_json::to_string(&Line { time, event: self }).unwrap_or_default() + "\n";
        }
        match &self.log {
            Some(log) => format!("{time} {log}: {}\n", self.message),
            None => format!("{time} {}\n", self.message),
        }
    }
}

/// Writes events to stderr, each in one piece.
#[derive(Clone, Copy)]
pub struct Log {
    /// Lines of JSON.
    pub json: bool,
    /// Unix milliseconds.
    pub clock: fn() -> u64,
}

impl Log {
    /// Says what happened.
    pub fn say(&self, event: &Event) {
        let line = event.line(&text::time((self.clock)()), self.json);
        // Nobody may be reading, which is no reason to stop watching.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_says_the_same_both_ways_and_moves_no_cursor() {
        let hostile = "a\u{1b}[2Jb\u{202e}c\nd";
        let event =
            Event::of("main", "finding-new", format!("new: {hostile}")).with("index", 7).with("id", hostile);
        let (plain, json) = (event.line("T", false), event.line("T", true));
        for line in [&plain, &json] {
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(!line.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
        assert!(plain.starts_with("T main: new: a"), "{plain}");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["event"], &json["log"], &json["index"]),
            (&"finding-new".into(), &"main".into(), &7.into())
        );
        assert_eq!(json["message"], event.message);
    }
}
