//! What is watched of the monitor: the metrics page is one that Prometheus takes, and the alert rules and the
//! dashboard name nothing that is not on it.

#![cfg(target_os = "linux")]

use support::exposition;

use exposition::{Metric, lint, names, parse};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use support::case::fixtures;
use support::cli::Auditor;
use support::monitor::{Monitor, config, hasty_log_table, log_table};
use support::served::Served;
use support::text::assert_fit_for_a_terminal;

/// A channel's name may hold what labels have to escape.
const CHANNEL: &str = "a \"b\\c";

/// The page of a monitor that has seen much: a log that lies, an acknowledged finding, a log that nobody serves,
/// a channel that works and one that does not.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let log =
        Served::start(&["--entries", "300", "--approvers", "4", "--mix", "es256=1", "--lie", "rollback"]);
    let auditor = Auditor::new(log.log_key());
    let alerts = format!(
        "[[alert]]\nname = '{CHANNEL}'\ncommand = ['/bin/false']\n[[alert]]\nname = 'good'\ncommand = ['/bin/true']\n\
         [[acknowledge]]\ncode = 'head-rollback'\nuntil = 2999-12-31\ncomment = 'known'\n"
    );
    // Somebody who was shown the same, asked elsewhere: this log counts who asks it.
    let honest = Served::start(&["--entries", "300", "--approvers", "4", "--mix", "es256=1"]);
    let peer = format!(
        "init = true\n[[log.peer]]\nname = \"other\"\nfile = \"{}/checkpoint\"\n",
        honest.tiles_url()
    );
    let lying = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), &peer);
    let other = auditor.directory().join("other.db");
    let away = hasty_log_table(
        "away",
        "http://127.0.0.1:1/",
        &other,
        log.log_key(),
        "init = true\nretry-for = \"100ms\"\n",
    );
    let away = away.replacen("retry-for = \"2s\"\n", "", 1);
    let mut monitor = Monitor::start(&config(auditor.directory(), &format!("{alerts}{lying}{away}")));
    let of = |event: &'static str, log: &'static str| {
        move |line: &Value| line["event"] == event && line["log"] == log
    };
    monitor.wait_after(0, "the rollback", of("finding-new", "main"));
    let failing = monitor.wait_after(0, "a channel that fails", of("channel-failing", "away"));
    assert_eq!((&failing["channel"], &failing["level"]), (&CHANNEL.into(), &"warn".into()), "{failing}");
    monitor.wait_audits(4);
    assert_eq!(monitor.of_kind("channel-failing").len(), 1, "it is said once: {:#?}", monitor.events());
    let (status, page) = monitor.page("/metrics");
    assert_eq!(status, 200);
    assert_eq!(monitor.page("/healthz").0, 200, "a channel that fails is no illness");
    monitor.stop();
    page
});

fn value(metrics: &BTreeMap<String, Metric>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let metric = metrics.get(name).unwrap_or_else(|| panic!("no {name}"));
    let found = metric.samples.iter().find(|(labels, _)| *labels == wanted);
    found.unwrap_or_else(|| panic!("no {name} {labels:?} in {metric:?}")).1
}

#[test]
fn the_metrics_page_is_valid_prometheus_text() {
    let metrics = parse(&PAGE);
    assert_eq!(lint(&metrics), Vec::<String>::new());
    PAGE.lines().for_each(assert_fit_for_a_terminal);
    let get = |name: &str, labels: &[(&str, &str)]| value(&metrics, name, labels);
    assert_eq!(get("countersign_interval_seconds", &[("log", "main")]), 0.3);
    assert_eq!(get("countersign_backlog_entries", &[("log", "main")]), 0.0);
    assert_eq!(get("countersign_local_fault", &[("log", "away")]), 0.0);
    let rollback = [("log", "main"), ("code", "head-rollback"), ("severity", "invalid")];
    assert_eq!(get("countersign_findings", &rollback), 1.0);
    assert_eq!(get("countersign_findings_acknowledged", &rollback), 1.0);
    assert!(get("countersign_requests_total", &[("log", "main"), ("outcome", "ok")]) >= 2.0);
    assert_eq!(get("countersign_requests_total", &[("log", "main"), ("outcome", "failed")]), 0.0);
    assert_eq!(get("countersign_requests_total", &[("log", "away"), ("outcome", "ok")]), 0.0);
    assert!(get("countersign_requests_total", &[("log", "away"), ("outcome", "failed")]) >= 1.0);
    let (bad, good) = ([("log", "away"), ("channel", CHANNEL)], [("log", "away"), ("channel", "good")]);
    assert_eq!(
        (get("countersign_alerts_pending", &bad), get("countersign_alerts_pending", &good)),
        (1.0, 0.0)
    );
    assert_eq!(
        (get("countersign_alerts_retrying", &bad), get("countersign_alerts_delivered", &good)),
        (1.0, 1.0)
    );
    assert!(get("countersign_alert_channel_failing_seconds", &bad) > 0.0);
    assert_eq!(get("countersign_alert_channel_failing_seconds", &good), 0.0);
    assert!(get("process_resident_memory_bytes", &[]) > 1e6 && get("process_open_fds", &[]) >= 3.0);
    let age = get("countersign_next_audit_timestamp_seconds", &[("log", "main")])
        - get("process_start_time_seconds", &[]);
    assert!((0.0..120.0).contains(&age), "{age}");
}

#[test]
fn promtool_accepts_the_page_and_the_rules() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("SKIPPED: promtool is not installed");
        return;
    }
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(PAGE.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
    let rules = fixtures().join("ops/prometheus-alerts.yml");
    let output = Command::new("promtool").args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Everything that an expression names is on the page.
#[track_caller]
fn assert_known(metrics: &BTreeMap<String, Metric>, expression: &str) -> BTreeSet<String> {
    let (named, labels) = names(expression);
    assert!(!named.is_empty(), "{expression}");
    // What Prometheus itself adds.
    let mut known: BTreeSet<&str> = ["job", "instance"].into();
    for name in &named {
        if name == "up" {
            continue;
        }
        let metric = metrics.get(name).unwrap_or_else(|| panic!("no {name}: {expression}"));
        assert!(!metric.samples.is_empty(), "nobody has seen {name}");
        known.extend(metric.samples.iter().flat_map(|(labels, _)| labels.keys()).map(String::as_str));
    }
    assert!(
        labels.iter().all(|label| known.contains(label.as_str())),
        "{labels:?} in {expression}: {known:?}"
    );
    named
}

#[test]
fn the_alert_rules_name_existing_metrics_and_say_what_to_do() {
    let metrics = parse(&PAGE);
    let text = std::fs::read_to_string(fixtures().join("ops/prometheus-alerts.yml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let mut alerts = BTreeSet::new();
    for group in file["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(alerts.insert(name.to_owned()), "{name} twice");
            let allowed = ["alert", "expr", "for", "labels", "annotations"];
            assert!(rule.as_object().unwrap().keys().all(|key| allowed.contains(&key.as_str())), "{name}");
            let named = assert_known(&metrics, rule["expr"].as_str().unwrap());
            assert!(
                ["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()),
                "{name}"
            );
            if let Some(time) = rule.get("for") {
                humantime::parse_duration(time.as_str().unwrap()).unwrap();
            }
            for annotation in ["summary", "description"] {
                let text = rule["annotations"][annotation].as_str().unwrap();
                assert!(text.len() > 20 && !text.contains('\n'), "{name}: {text:?}");
                // Labels that are put into the sentence are those of the metrics.
                for part in text.split("$labels.").skip(1) {
                    let label = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                    let of = |name: &String| metrics[name].samples[0].0.contains_key(label);
                    assert!(named.iter().all(of), "{name}: {label}");
                }
            }
        }
    }
    for needed in [
        "Violation",
        "Invalid",
        "NotChecked",
        "HeadStale",
        "Unreachable",
        "LocalFault",
        "ChannelFailing",
        "AlertsWaiting",
        "Down",
    ] {
        assert!(alerts.contains(&format!("Countersign{needed}")), "{needed}: {alerts:?}");
    }
}

#[test]
fn the_dashboard_uses_existing_metrics() {
    let metrics = parse(&PAGE);
    let text = std::fs::read_to_string(fixtures().join("ops/grafana-dashboard.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let variables: Vec<&str> = board["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "log"]);
    let (mut shown, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
            shown.extend(assert_known(&metrics, target["expr"].as_str().unwrap()));
        }
    }
    // Every metric is shown, except those that others on the page cover.
    let left_out =
        ["countersign_last_audit_timestamp_seconds", "process_max_fds", "process_virtual_memory_bytes"];
    let missing: Vec<&String> =
        metrics.keys().filter(|name| !shown.contains(*name) && !left_out.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The table of the page on metrics has every metric, and no other.
#[test]
fn the_guide_names_every_metric() {
    let metrics = parse(&PAGE);
    let page = include_str!("../../src/docs/metrics.md");
    let table = page.split("| metric | what to watch it for |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut named = BTreeSet::new();
    let first_cells = table.lines().filter_map(|row| row.strip_prefix("| "));
    let first_cells = first_cells.filter_map(|row| row.split(" | ").next());
    for code in first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let (name, labels) = code.split_once('{').unwrap_or((code, "}"));
        named.insert(name.to_owned());
        let metric = metrics.get(name).unwrap_or_else(|| panic!("no {name}"));
        let labels: BTreeSet<&str> =
            labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
        let has: BTreeSet<&str> =
            metric.samples[0].0.keys().map(String::as_str).filter(|label| *label != "log").collect();
        assert_eq!(labels, has, "{name}");
    }
    let missing: Vec<&String> = metrics.keys().filter(|name| !named.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
