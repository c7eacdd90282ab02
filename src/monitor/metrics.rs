//! What is known, in the text format of Prometheus.

use super::state::{Board, Status};
use crate::audit::conclusion::Conclusion;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Every answer that an audit can give.
const VERDICTS: [Conclusion; 5] = [
    Conclusion::Clean,
    Conclusion::Incomplete,
    Conclusion::Invalid,
    Conclusion::Violation,
    Conclusion::LocalFault,
];

/// One number with the labels that it has besides the log.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

/// A number that is known of logs.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&Status, u64) -> Vec<Sample<'_>>,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "countersign_last_success_timestamp_seconds",
        kind: "gauge",
        help: "When an audit last checked everything that it was asked to, whatever it found.",
        of: |status, _| one(status.success.map(seconds)),
    },
    Metric {
        name: "countersign_last_audit_timestamp_seconds",
        kind: "gauge",
        help: "When the last audit ended, successful or not.",
        of: |status, _| one(status.last.map(|last| seconds(last.at))),
    },
    Metric {
        name: "countersign_last_audit_duration_seconds",
        kind: "gauge",
        help: "How long the last audit took.",
        of: |status, _| one(status.last.map(|last| seconds(last.took))),
    },
    Metric {
        name: "countersign_verdict",
        kind: "gauge",
        help: "1 for the verdict of the last audit, 0 for the others.",
        of: |status, _| {
            let last = status.last.map(|last| last.verdict);
            let is = |verdict: Conclusion| if last == Some(verdict) { 1.0 } else { 0.0 };
            let all = VERDICTS.iter().map(|verdict| (vec![("verdict", verdict.as_str())], is(*verdict)));
            all.filter(|_| last.is_some()).collect()
        },
    },
    Metric {
        name: "countersign_audits_total",
        kind: "counter",
        help: "Audits since the start, by verdict.",
        of: |status, _| {
            let count = |verdict: &Conclusion| status.counts.get(verdict).copied().unwrap_or(0);
            VERDICTS
                .iter()
                .map(|verdict| (vec![("verdict", verdict.as_str())], number(count(verdict))))
                .collect()
        },
    },
    Metric {
        name: "countersign_unreachable",
        kind: "gauge",
        help: "How many audits in a row could not read a head of the log.",
        of: |status, _| one(Some(f64::from(status.unreachable))),
    },
    Metric {
        name: "countersign_head_size",
        kind: "gauge",
        help: "Entries that the newest head commits to.",
        of: |status, _| one(status.known.as_ref().and_then(|known| known.size).map(number)),
    },
    Metric {
        name: "countersign_head_age_seconds",
        kind: "gauge",
        help: "Age of the newest head, where it has a time.",
        of: |status, now| {
            let time = status.known.as_ref().and_then(|known| known.head_time);
            one(time.map(|time| seconds(now.saturating_sub(time))))
        },
    },
    Metric {
        name: "countersign_entries_checked",
        kind: "gauge",
        help: "Entries in the mirror that were checked.",
        of: |status, _| one(status.known.as_ref().map(|known| number(known.checked))),
    },
    Metric {
        name: "countersign_findings",
        kind: "gauge",
        help: "Findings that stand.",
        of: |status, _| {
            let findings = status.known.iter().flat_map(|known| &known.findings);
            let sample = |((code, severity), count): (&(&'static str, &'static str), &u64)| {
                (vec![("code", *code), ("severity", *severity)], number(*count))
            };
            findings.map(sample).collect()
        },
    },
    Metric {
        name: "countersign_peer_reachable",
        kind: "gauge",
        help: "1 where the last audit compared all heads of the peer with ours, 0 where it could not.",
        of: |status, _| {
            let peers = status.peers.iter();
            peers.map(|(name, peer)| (vec![("peer", name)], if peer.compared { 1.0 } else { 0.0 })).collect()
        },
    },
    Metric {
        name: "countersign_peer_last_success_timestamp_seconds",
        kind: "gauge",
        help: "When all heads of the peer were last compared with ours.",
        of: |status, _| {
            let known = status.peers.iter().filter_map(|(name, peer)| Some((name, peer.success?)));
            known.map(|(name, success)| (vec![("peer", name)], seconds(success))).collect()
        },
    },
];

fn one(value: Option<f64>) -> Vec<Sample<'static>> {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

/// Exact up to 2^53, as Prometheus has no other numbers.
#[allow(clippy::cast_precision_loss)]
fn number(value: u64) -> f64 {
    value as f64
}

fn seconds(ms: u64) -> f64 {
    number(ms) / 1000.0
}

/// A label's value: `\`, `"` and line breaks are escaped, and nothing else needs to be.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page that `/metrics` serves.
pub(super) fn render(board: &Board, now: u64) -> String {
    let mut page = format!(
        "# HELP countersign_build_info The version that runs.\n# TYPE countersign_build_info gauge\n\
         countersign_build_info{{version=\"{}\"}} 1\n",
        label(env!("CARGO_PKG_VERSION"))
    );
    let all = board.lock();
    METRICS.iter().for_each(|metric| add(&mut page, metric, &all, now));
    page
}

fn add(page: &mut String, metric: &Metric, all: &BTreeMap<String, Status>, now: u64) {
    let Metric { name, kind, help, of } = metric;
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (log, status) in all {
        for (labels, value) in of(status, now) {
            let labels: String =
                labels.iter().map(|(name, value)| format!(",{name}=\"{}\"", label(value))).collect();
            let _ = writeln!(page, "{name}{{log=\"{}\"{labels}}} {value}", label(log));
        }
    }
}
