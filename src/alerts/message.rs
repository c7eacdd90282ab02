//! An alert, as it is kept in the outbox and sent. One value for all channels.
//!
//! Every text in it is escaped for one line; whoever shows it in HTML or Markdown escapes it for that.

use super::plan::{MAX_ALONE, Step};
use crate::audit::watch_list::rule_of;
use crate::core::encoding::encode_hex;
use crate::core::finding::{Code, Severity};
use crate::core::hash::sha256;
use crate::core::text::{escape, quoted, time};
use crate::mirror::StoredFinding;
use serde::{Deserialize, Serialize};

/// What kind of news an alert is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something was found.
    New,
    /// It still stands.
    Reminder,
    /// It no longer does.
    Ended,
    /// The log cannot be read, or a peer not be compared with.
    Unreachable,
    /// The auditor itself is at fault.
    Local,
    /// What was unreachable or at fault is well again.
    Recovered,
    /// Somebody tries the channels.
    Test,
}

impl Kind {
    /// The word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::New => "new",
            Kind::Reminder => "reminder",
            Kind::Ended => "ended",
            Kind::Unreachable => "unreachable",
            Kind::Local => "local",
            Kind::Recovered => "recovered",
            Kind::Test => "test",
        }
    }
}

/// Which log an alert is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// As the config calls it.
    pub name: String,
    /// Its origin.
    pub origin: String,
}

/// One of several findings in one alert.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The entry.
    pub index: Option<u64>,
    /// Its id.
    pub id: Option<String>,
    /// What was seen.
    pub message: String,
    /// RFC 3339.
    pub first_seen: String,
    /// Where the misbehaviour file is.
    pub evidence: Option<String>,
}

/// Whoever is told does not know where the monitor was started.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

impl Item {
    pub(super) fn of(stored: &StoredFinding) -> Item {
        Item {
            index: stored.finding.index,
            id: stored.finding.id.as_deref().map(escape),
            message: escape(&stored.finding.message),
            first_seen: escape(&stored.first_seen),
            evidence: stored.finding.evidence.as_deref().map(absolute),
        }
    }
}

/// An alert. The names of its members in JSON are stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// `countersign`.
    pub tool: String,
    /// Of this program.
    pub version: String,
    /// What kind of news it is.
    pub kind: Kind,
    /// Tells it from every other alert: one that comes twice is one alert.
    pub key: String,
    /// Which log.
    pub log: Log,
    /// The severity of the finding.
    pub severity: String,
    /// The finding's code, or `unreachable`, `local-fault`, `peer-failing`, `channel-failing`, `test`.
    pub code: String,
    /// The entry, where it is about one.
    pub index: Option<u64>,
    /// Its id.
    pub id: Option<String>,
    /// The watch rule that found it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// What was seen, in one line.
    pub message: String,
    /// How many findings it is about.
    pub count: u64,
    /// The first of them, where they are several.
    pub first: Vec<Item>,
    /// RFC 3339: when it was found first.
    pub first_seen: String,
    /// RFC 3339: since when it no longer holds.
    pub ended: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Where the misbehaviour file is, on the machine of the auditor.
    pub evidence: Option<String>,
    /// What is in that file. Added when the alert is sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_content: Option<String>,
    /// The same in base64, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_base64: Option<String>,
    /// Why the file is not included, where it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_missing: Option<String>,
}

impl Alert {
    pub(super) fn new(kind: Kind, key: String, log: Log, severity: Severity, code: &str, now: u64) -> Alert {
        Alert {
            tool: "countersign".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind,
            key,
            log,
            severity: severity.as_str().to_owned(),
            code: code.to_owned(),
            index: None,
            id: None,
            rule: None,
            message: String::new(),
            count: 1,
            first: Vec::new(),
            first_seen: time(now),
            ended: None,
            created_at: time(now),
            evidence: None,
            evidence_content: None,
            evidence_base64: None,
            evidence_missing: None,
        }
    }

    /// One line of JSON without its end.
    pub fn to_json(&self) -> String {
        // Strings and numbers alone: there is nothing in it that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The key of an alert: a hash, so that nothing of a log gets into a header through it. The mirror's
/// random name keeps two auditors of one log apart.
pub(super) fn key(mirror: &str, kind: Kind, subjects: &[(&str, u64, u64)]) -> String {
    let mut text = format!("countersign alert v1\0{mirror}\0{}", kind.as_str());
    for (subject, episode, number) in subjects {
        text.push_str(&format!("\0{}\0{subject}\0{episode}\0{number}", subject.len()));
    }
    encode_hex(sha256(text.as_bytes()).as_bytes())
}

/// Codes that are judged only where an option asks for it.
fn is_by_request(code: &str) -> bool {
    matches!(Code::from_text(code), Some(Code::HeadStale | Code::WitnessQuorum))
}

/// The alert of these steps, which are of one kind and code, and at least one.
pub(super) fn of_findings(steps: &[Step<'_>], key: String, log: Log, severity: Severity, now: u64) -> Alert {
    let kind = steps.first().map_or(Kind::New, |step| step.kind);
    let code = steps.first().map_or("", Step::code);
    let mut alert = Alert::new(kind, key, log, severity, code, now);
    let known: Vec<&StoredFinding> = steps.iter().filter_map(|step| step.finding).collect();
    let items: Vec<Item> = known.iter().take(MAX_ALONE).map(|stored| Item::of(stored)).collect();
    alert.count = u64::try_from(steps.len()).unwrap_or(u64::MAX);
    alert.rule = known.first().and_then(|stored| rule_of(&stored.finding)).map(escape);
    alert.evidence = items.iter().find_map(|item| item.evidence.clone());
    if let Some(first_seen) = known.iter().map(|stored| &stored.first_seen).min() {
        alert.first_seen = escape(first_seen);
    }
    alert.ended = match kind {
        // A finding that was withdrawn has no end of its own.
        Kind::Ended => {
            Some(known.iter().filter_map(|stored| stored.ended.clone()).max().unwrap_or(time(now)))
        }
        _ => None,
    };
    let what = match (steps, items.as_slice()) {
        ([_], [item]) => {
            (alert.index, alert.id) = (item.index, item.id.clone());
            item.message.clone()
        }
        ([step], _) => {
            alert.index = step.subject.split('/').nth(2).and_then(|index| index.parse().ok());
            format!("{code}: not found again when all entries were checked anew")
        }
        (steps, _) => {
            let meaning = Code::from_text(code).map_or("", Code::meaning);
            match steps.first().and_then(Step::rule) {
                Some(rule) => format!("{} hits of watch rule {}", steps.len(), quoted(rule)),
                None => format!("{} findings {code}: {meaning}", steps.len()),
            }
        }
    };
    alert.message = match kind {
        Kind::Reminder => format!("still so: {what}"),
        Kind::Ended if known.is_empty() && is_by_request(code) => {
            format!("{code}: withdrawn, as nobody asks for it any more; it may still be so")
        }
        Kind::Ended => format!("no longer so: {what}"),
        _ => what,
    };
    if steps.len() > 1 {
        alert.first = items;
    }
    alert
}
