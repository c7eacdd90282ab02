//! The metrics of all logs, in the text format of Prometheus.

use super::process::{self, number, unix_seconds};
use super::state::{Known, Status, StatusRegistry};
use crate::audit::conclusion::Conclusion;
use crate::core::time::{TICK, UnixMillis, whole_millis};
use crate::mirror::Queue;
use crate::source::RequestOutcome;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Every verdict of an audit.
const VERDICTS: [Conclusion; 5] = [
    Conclusion::Clean,
    Conclusion::Incomplete,
    Conclusion::Invalid,
    Conclusion::Violation,
    Conclusion::LocalFault,
];

/// One sample, with its labels other than the log.
type Sample = (Vec<(&'static str, Cow<'static, str>)>, f64);

/// Numbers of findings by code and severity.
type Findings = BTreeMap<(&'static str, &'static str), u64>;

/// A metric that each log has.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&Status, UnixMillis) -> Vec<Sample>,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "countersign_last_success_timestamp_seconds",
        kind: "gauge",
        help: "When an audit last checked everything that it was asked to, whatever it found.",
        of: |status, _| one(status.success.map(unix_seconds)),
    },
    Metric {
        name: "countersign_last_audit_timestamp_seconds",
        kind: "gauge",
        help: "When the last audit ended, successful or not.",
        of: |status, _| one(status.last.map(|last| unix_seconds(last.at))),
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
            let is = |verdict: Conclusion| flag(last == Some(verdict));
            let all =
                VERDICTS.iter().map(|verdict| (vec![("verdict", verdict.as_str().into())], is(*verdict)));
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
                .map(|verdict| (vec![("verdict", verdict.as_str().into())], number(count(verdict))))
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
            // A head that is dated ahead of the clock is new.
            one(time.map(|time| seconds(now.since(time).unwrap_or_default())))
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
        of: |status, _| findings(status, |known| &known.findings),
    },
    Metric {
        name: "countersign_findings_acknowledged",
        kind: "gauge",
        help: "Findings that stand and that an [[acknowledge]] rule of the config answers for.",
        of: |status, _| findings(status, |known| &known.acknowledged),
    },
    Metric {
        name: "countersign_backlog_entries",
        kind: "gauge",
        help: "Entries that the newest head commits to and that were not checked yet.",
        of: |status, _| {
            let known = status.known.as_ref();
            // A head that is smaller than what was checked, as after a rollback, leaves nothing to check.
            let backlog = known.and_then(|known| Some(known.size?.saturating_sub(known.checked)));
            one(backlog.map(number))
        },
    },
    Metric {
        name: "countersign_interval_seconds",
        kind: "gauge",
        help: "Time between two audits, give or take a tenth.",
        of: |status, _| one(Some(status.interval.as_secs_f64())),
    },
    Metric {
        name: "countersign_next_audit_timestamp_seconds",
        kind: "gauge",
        help: "When the next audit is due, or the one in progress was.",
        of: |status, _| one(Some(unix_seconds(status.due))),
    },
    Metric {
        name: "countersign_audit_in_progress",
        kind: "gauge",
        help: "1 while an audit is under way.",
        of: |status, _| one(Some(flag(status.running.is_some()))),
    },
    Metric {
        name: "countersign_local_fault",
        kind: "gauge",
        help: "1 where the last audit met a fault on this side; /healthz says which.",
        of: |status, _| one(Some(flag(status.fault.is_some()))),
    },
    Metric {
        name: "countersign_requests_total",
        kind: "counter",
        help: "Requests to the log since the start, redirects followed, by how they came out.",
        of: |status, _| {
            let requests = status.subject.requests();
            let sample = |outcome: RequestOutcome| {
                (vec![("outcome", outcome.as_str().into())], number(requests.so_far(outcome)))
            };
            RequestOutcome::ALL.into_iter().map(sample).collect()
        },
    },
    Metric {
        name: "countersign_alerts_pending",
        kind: "gauge",
        help: "Alerts on their way over a channel.",
        of: |status, _| channels(status, |queue| number(queue.pending)),
    },
    Metric {
        name: "countersign_alerts_retrying",
        kind: "gauge",
        help: "Alerts on their way over a channel that failed at least once.",
        of: |status, _| channels(status, |queue| number(queue.failed)),
    },
    Metric {
        name: "countersign_alerts_delivered",
        kind: "gauge",
        help: "Alerts that a channel took in the last 90 days.",
        of: |status, _| channels(status, |queue| number(queue.delivered)),
    },
    Metric {
        name: "countersign_alerts_given_up",
        kind: "gauge",
        help: "Alerts that a channel never took, of the last 90 days.",
        of: |status, _| channels(status, |queue| number(queue.given_up)),
    },
    Metric {
        name: "countersign_alert_channel_failing_seconds",
        kind: "gauge",
        help: "How long a channel has been failing, 0 where it does not.",
        of: |status, now| {
            let since = |queue: &Queue| queue.failing.as_ref().map(|failing| failing.since);
            // At least 1, so that it is not 0 in the second in which the failure began.
            let time = |since| seconds(now.since(since).unwrap_or_default().max(TICK));
            channels(status, |queue| since(queue).map_or(0.0, time))
        },
    },
    Metric {
        name: "countersign_peer_reachable",
        kind: "gauge",
        help: "1 where the last audit compared all heads of the peer with ours, 0 where it could not.",
        of: |status, _| {
            let peers = status.peers.iter();
            peers.map(|(name, peer)| (vec![("peer", name.to_owned().into())], flag(peer.compared))).collect()
        },
    },
    Metric {
        name: "countersign_peer_last_success_timestamp_seconds",
        kind: "gauge",
        help: "When all heads of the peer were last compared with ours.",
        of: |status, _| {
            let known = status.peers.iter().filter_map(|(name, peer)| Some((name, peer.success?)));
            known
                .map(|(name, success)| (vec![("peer", name.to_owned().into())], unix_seconds(success)))
                .collect()
        },
    },
];

fn findings(status: &Status, of: fn(&Known) -> &Findings) -> Vec<Sample> {
    let sample = |((code, severity), count): (&(&'static str, &'static str), &u64)| {
        (vec![("code", (*code).into()), ("severity", (*severity).into())], number(*count))
    };
    status.known.iter().flat_map(of).map(sample).collect()
}

fn channels(status: &Status, value: impl Fn(&Queue) -> f64) -> Vec<Sample> {
    let all = status.subject.channels().into_iter();
    all.map(|(name, queue)| (vec![("channel", name.into())], value(&queue))).collect()
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn one(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

fn seconds(duration: Duration) -> f64 {
    number(whole_millis(duration)) / 1000.0
}

/// A label value: only `\`, `"` and line breaks need to be escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page that `/metrics` serves.
pub(super) fn render(registry: &StatusRegistry, started: UnixMillis, now: UnixMillis) -> String {
    let mut page = format!(
        "# HELP countersign_build_info The version that runs.\n# TYPE countersign_build_info gauge\n\
         countersign_build_info{{version=\"{}\"}} 1\n",
        label(env!("CARGO_PKG_VERSION"))
    );
    let all = registry.lock();
    METRICS.iter().for_each(|metric| add(&mut page, metric, &all, now));
    drop(all);
    for (name, kind, help, value) in process::numbers(started) {
        // Writing to a string cannot fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    page
}

fn add(page: &mut String, metric: &Metric, all: &BTreeMap<String, Status>, now: UnixMillis) {
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
