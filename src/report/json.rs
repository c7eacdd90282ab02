//! The report as JSON (the page `audit` of the guide, "The report"). Fields are stable: fields may be added, but
//! none changes its meaning.

use super::{Report, ReportedFinding};
use crate::audit::peer::PeerResult;
use crate::audit::watch_list::rule_of;
use crate::core::text::escape;
use crate::core::time::{UnixMillis, whole_millis};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportJson<'a> {
    tool: &'static str,
    version: &'static str,
    command: &'a str,
    verdict: &'static str,
    exit_code: u8,
    log: LogJson<'a>,
    entries: EntriesJson,
    heads: HeadsJson,
    peers: Vec<PeerJson<'a>>,
    checks: ChecksJson<'a>,
    findings: Vec<FindingJson<'a>>,
    ended: Vec<FindingJson<'a>>,
    incomplete: &'a [String],
    faults: &'a [String],
    notes: &'a [String],
    started_at: String,
    finished_at: String,
    duration_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogJson<'a> {
    origin: String,
    source: &'a str,
    tree_size: Option<u64>,
    root_hash: Option<&'a str>,
    head_time: Option<UnixMillis>,
}

#[derive(Serialize)]
struct EntriesJson {
    total: u64,
    new: u64,
    approved: u64,
    rejected: u64,
    expired: u64,
    invalid: u64,
}

#[derive(Serialize)]
struct HeadsJson {
    seen: u64,
    new: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerJson<'a> {
    name: &'a str,
    reached: bool,
    heads_new: u64,
    error: Option<&'a str>,
    failures: u64,
}

fn peer(peer: &PeerResult) -> PeerJson<'_> {
    let PeerResult { name, reached, heads_new, error, failures } = peer;
    PeerJson { name, reached: *reached, heads_new: *heads_new, error: error.as_deref(), failures: *failures }
}

struct ChecksJson<'a>(&'a Report);

#[derive(Serialize)]
struct CheckJson {
    result: &'static str,
    count: u64,
}

impl Serialize for ChecksJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines = self.0.checks();
        let mut map = serializer.serialize_map(Some(lines.len()))?;
        for line in lines {
            map.serialize_entry(
                line.check.as_str(),
                &CheckJson { result: line.result.as_str(), count: line.count },
            )?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingJson<'a> {
    code: &'static str,
    severity: &'static str,
    index: Option<u64>,
    id: Option<&'a str>,
    message: &'a str,
    evidence: Option<&'a str>,
    first_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

fn finding(reported: &ReportedFinding) -> FindingJson<'_> {
    let finding = &reported.finding;
    FindingJson {
        code: finding.code.as_str(),
        severity: finding.severity.as_str(),
        index: finding.index,
        id: finding.id.as_deref(),
        message: &finding.message,
        evidence: finding.evidence.as_deref(),
        first_seen: reported.first_seen.to_string(),
        ended: reported.ended.map(|ended| ended.to_string()),
        acknowledged: reported.acknowledged.as_deref(),
        rule: rule_of(finding),
    }
}

/// One line of JSON, including its newline.
///
/// # Errors
/// [`serde_json::Error`] if the report cannot be encoded.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let input = report.input();
    let json = ReportJson {
        tool: "countersign",
        version: env!("CARGO_PKG_VERSION"),
        command: input.command,
        verdict: report.verdict().as_str(),
        exit_code: report.verdict().exit_code(),
        log: LogJson {
            // The origin is part of the log key that the user gave, which is an unverified claim.
            origin: escape(&input.log.origin),
            source: &input.log.source,
            tree_size: input.log.tree_size,
            root_hash: input.log.root_hash.as_deref(),
            head_time: input.log.head_time,
        },
        entries: EntriesJson {
            total: input.entries.total,
            new: input.entries.new,
            approved: input.entries.approved,
            rejected: input.entries.rejected,
            expired: input.entries.expired,
            invalid: input.entries.invalid,
        },
        heads: HeadsJson { seen: input.heads.0, new: input.heads.1 },
        peers: input.peers.iter().map(peer).collect(),
        checks: ChecksJson(report),
        findings: input.findings.iter().map(finding).collect(),
        ended: input.ended.iter().map(finding).collect(),
        incomplete: &input.incomplete,
        faults: &input.faults,
        notes: &input.notes,
        started_at: input.started_at.to_string(),
        finished_at: input.finished_at.to_string(),
        duration_ms: whole_millis(input.took),
    };
    let mut text = serde_json::to_string(&json)?;
    text.push('\n');
    Ok(text)
}
