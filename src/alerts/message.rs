//! An alert, as it is stored in the outbox and sent: one value for all channels.
//!
//! Every text in it is escaped for one line. A renderer for HTML or Markdown escapes it for that format.

use super::kind::AlertKind;
use super::plan::{MAX_SINGLE_ALERTS, PlannedAlert};
use super::topic::Topic;
use crate::audit::finding::FindingKey;
use crate::audit::watch_list::rule_of;
use crate::core::encoding::encode_hex;
use crate::core::finding::{Code, Severity};
use crate::core::hash::sha256;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::mirror::StoredFinding;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The log that an alert is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogName {
    /// Its name in the config.
    pub name: String,
    /// Its origin.
    pub origin: String,
}

/// One of several findings in one alert.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertItem {
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

/// Makes a path absolute, because a receiver does not know where the monitor was started.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

impl AlertItem {
    pub(super) fn of(stored: &StoredFinding) -> AlertItem {
        AlertItem {
            index: stored.finding.index,
            id: stored.finding.id.as_deref().map(escape),
            message: escape(&stored.finding.message),
            first_seen: stored.first_seen.to_string(),
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
    /// Its kind.
    pub kind: AlertKind,
    /// Identifies the alert: two messages with one key are one alert.
    pub key: String,
    /// Which log.
    pub log: LogName,
    /// The severity of the finding.
    pub severity: String,
    /// The finding's code, or `unreachable`, `local-fault`, `peer-failing`, `channel-failing`, `test`.
    pub code: String,
    /// The index of the entry, if it is about one.
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
    /// The first of them, if there are several.
    pub first: Vec<AlertItem>,
    /// RFC 3339: when it was first found.
    pub first_seen: String,
    /// RFC 3339: when it ended.
    pub ended: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// The path of the misbehaviour file on the auditor's machine.
    pub evidence: Option<String>,
    /// The content of that file. Added when the alert is sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_content: Option<String>,
    /// The same in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_base64: Option<String>,
    /// Why the file is missing from the alert, if it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence_missing: Option<String>,
}

impl Alert {
    pub(super) fn new(
        kind: AlertKind,
        key: String,
        log: LogName,
        severity: Severity,
        code: &str,
        now: UnixMillis,
    ) -> Alert {
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
            first_seen: now.to_string(),
            ended: None,
            created_at: now.to_string(),
            evidence: None,
            evidence_content: None,
            evidence_base64: None,
            evidence_missing: None,
        }
    }

    /// One line of JSON, without the line end.
    ///
    /// # Errors
    /// [`EncodeError`]: it cannot be encoded. An empty alert must not be stored or sent in its place.
    pub fn to_json(&self) -> Result<String, EncodeError> {
        encode(self)
    }
}

/// An alert cannot be encoded as JSON, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodeError(String);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the alert cannot be encoded: {}", self.0)
    }
}

impl std::error::Error for EncodeError {}

fn encode(value: &impl Serialize) -> Result<String, EncodeError> {
    serde_json::to_string(value).map_err(|error| EncodeError(error.to_string()))
}

/// The key of an alert: a hash, so that no text of a log gets into a header through it. The mirror's random
/// name distinguishes two auditors of one log.
pub(super) fn key(mirror: &str, kind: AlertKind, topics: &[(&str, u64, u64)]) -> String {
    let mut text = format!("countersign alert v1\0{mirror}\0{}", kind.as_str());
    for (topic, episode, number) in topics {
        text.push_str(&format!("\0{}\0{topic}\0{episode}\0{number}", topic.len()));
    }
    encode_hex(sha256(text.as_bytes()).as_bytes())
}

/// Codes that are checked only if an option requests it.
fn is_by_request(code: &str) -> bool {
    matches!(Code::from_text(code), Some(Code::HeadStale | Code::WitnessQuorum))
}

/// The alert for these planned alerts, which have one kind and code. There is at least one.
pub(super) fn of_findings(
    steps: &[PlannedAlert<'_>],
    key: String,
    log: LogName,
    severity: Severity,
    now: UnixMillis,
) -> Alert {
    let kind = steps.first().map_or(AlertKind::New, |step| step.kind);
    let code = steps.first().map_or("", PlannedAlert::code);
    let mut alert = Alert::new(kind, key, log, severity, code, now);
    let known: Vec<&StoredFinding> = steps.iter().filter_map(|step| step.finding).collect();
    let items: Vec<AlertItem> =
        known.iter().take(MAX_SINGLE_ALERTS).map(|stored| AlertItem::of(stored)).collect();
    alert.count = u64::try_from(steps.len()).unwrap_or(u64::MAX);
    alert.rule = known.first().and_then(|stored| rule_of(&stored.finding)).map(escape);
    alert.evidence = items.iter().find_map(|item| item.evidence.clone());
    if let Some(first_seen) = known.iter().map(|stored| stored.first_seen).min() {
        alert.first_seen = first_seen.to_string();
    }
    alert.ended = match kind {
        // A withdrawn finding has no end of its own.
        AlertKind::Ended => {
            let ended = known.iter().filter_map(|stored| stored.ended).max();
            Some(ended.unwrap_or(now).to_string())
        }
        _ => None,
    };
    let what = match (steps, items.as_slice()) {
        ([_], [item]) => {
            (alert.index, alert.id) = (item.index, item.id.clone());
            item.message.clone()
        }
        ([step], _) => {
            if let Topic::Finding(FindingKey { index, .. }) = step.topic {
                alert.index = index;
            }
            format!("{code}: not found again when all entries were checked again")
        }
        (steps, _) => {
            let meaning = Code::from_text(code).map_or("", Code::meaning);
            match steps.first().and_then(PlannedAlert::rule) {
                Some(rule) => format!("{} hits of watch rule {}", steps.len(), quoted(rule)),
                None => format!("{} findings {code}: {meaning}", steps.len()),
            }
        }
    };
    alert.message = match kind {
        AlertKind::Reminder => format!("still true: {what}"),
        AlertKind::Ended if known.is_empty() && is_by_request(code) => {
            format!("{code}: withdrawn, because its check is no longer requested; it may still be true")
        }
        AlertKind::Ended => format!("no longer true: {what}"),
        _ => what,
    };
    if steps.len() > 1 {
        alert.first = items;
    }
    alert
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_encoding_failure_is_an_error() {
        let not_json = BTreeMap::from([([0u8; 2], 0)]);

        let error = encode(&not_json).unwrap_err();

        assert!(error.to_string().starts_with("the alert cannot be encoded: "), "{error}");
    }
}
