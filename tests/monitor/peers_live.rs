//! Monitors that name each other, the real program over real HTTP, against a log that shows two clients two histories,
//! and against one that does not.

#![cfg(target_os = "linux")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::cli::{Auditor, Outcome, program, run};
use support::monitor::{Monitor, config, hasty_log_table, log_table};
use support::served::Served;
use support::{Reply, TestServer};

fn serve(arguments: &[&str]) -> Served {
    Served::start(&[arguments, &["--approvers", "4", "--mix", "es256=1"]].concat())
}

/// One organisation: an auditor with a monitor, and the alerts that it received.
struct Side {
    auditor: Auditor,
    contact: &'static str,
    /// Over the JSON API, not from tiles.
    api: bool,
    monitor: Option<Monitor>,
}

impl Side {
    fn new(log: &Served, contact: &'static str) -> Side {
        Side::start(log, contact, false)
    }

    fn start(log: &Served, contact: &'static str, api: bool) -> Side {
        let mut side = Side { auditor: Auditor::new(log.log_key()), contact, api, monitor: None };
        let path = side.configure(log, "");
        side.monitor = Some(Monitor::start(&path));
        side
    }

    fn monitor(&self) -> &Monitor {
        self.monitor.as_ref().unwrap()
    }

    fn alerts_file(&self) -> PathBuf {
        self.auditor.directory().join("told")
    }

    fn configure(&self, log: &Served, peers: &str) -> PathBuf {
        let alerts = self.alerts_file();
        let alert = format!(
            "[[alert]]\nname = \"file\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> '{0}'; echo >> '{0}'\"]\n",
            alerts.display()
        );
        let more = format!("init = true\ncontact = {:?}\n{peers}", self.contact);
        let url = if self.api { log.api_url() } else { log.tiles_url() };
        let table = hasty_log_table("main", &url, &self.auditor.db(), log.log_key(), &more);
        config(self.auditor.directory(), &format!("{alert}{table}"))
    }

    /// From now on the other's heads are compared.
    fn name(&self, log: &Served, other: &Side) {
        let url = other.monitor().url("/heads?log=main");
        self.configure(log, &format!("[[log.peer]]\nname = \"other\"\nheads = {url:?}\n"));
        self.monitor().signal("HUP");
        self.monitor().wait("reloaded");
    }

    /// Every alert, as JSON.
    fn alerts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.alerts_file()).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn wait_alert(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(alert) = self.alerts().into_iter().find(&fits) {
                return alert;
            }
            let events = self.monitor().events();
            assert!(begun.elapsed() < support::HANG, "no {what}: {:#?} {events:#?}", self.alerts());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn is_fork(value: &Value) -> bool {
    ["same-size-fork", "inconsistent-heads"].iter().any(|code| value["code"] == *code)
}

#[test]
fn two_monitors_as_peers_both_prove_a_fork() {
    for grow in [&[][..], &["--grow", "10"]] {
        let log = serve(&[&["--entries", "300", "--lie", "fork-by-client:mallory"], grow].concat());
        let sides = [Side::new(&log, "us@corp.example"), Side::new(&log, "mallory@corp.example")];
        for side in &sides {
            side.monitor().wait_audits(2);
        }
        assert!(sides.iter().all(|side| side.alerts().is_empty()), "neither can know alone");
        sides[0].name(&log, &sides[1]);
        sides[1].name(&log, &sides[0]);
        for side in &sides {
            let found = side
                .monitor()
                .wait_after(0, "the fork", |event| event["event"] == "finding-new" && is_fork(event));
            assert_eq!(found["severity"], "violation", "{found}");
            let proof = found["evidence"].as_str().unwrap();
            let verified = side.auditor.command(&["evidence", "verify", proof]);
            assert_eq!(verified.exit, 0, "{verified:?}");
            let events = side.monitor().events();
            let reloaded = events.iter().position(|event| event["event"] == "reloaded").unwrap();
            let at =
                events.iter().position(|event| event["event"] == "finding-new" && is_fork(event)).unwrap();
            let audits = events[reloaded..at].iter().filter(|event| event["event"] == "audited").count();
            // The one that found it says so before. A log that stands still is found by the first that asks.
            assert!(audits <= if grow.is_empty() { 1 } else { 3 }, "{audits} audits: {events:#?}");
        }
        for side in &sides {
            side.monitor().wait_audits(3);
            let alert = side.wait_alert("alert of the fork", is_fork);
            assert!(alert["evidenceContent"].as_str().unwrap().contains("approval-log-misbehaviour/v1"));
            let alerts = side.alerts();
            let mut keys: Vec<&str> = alerts.iter().map(|alert| alert["key"].as_str().unwrap()).collect();
            keys.sort_unstable();
            let all = keys.len();
            keys.dedup();
            assert_eq!(keys.len(), all, "each once: {alerts:#?}");
            assert!(alerts.iter().all(|alert| alert["kind"] == "new" && is_fork(alert)), "{alerts:#?}");
            if grow.is_empty() {
                assert_eq!(alerts.len(), 1, "{alerts:#?}");
            }
        }
    }
}

#[test]
fn an_honest_growing_log_stays_clean_for_two_peers() {
    let log = serve(&["--entries", "300", "--grow", "20"]);
    let sides = [Side::new(&log, "one@corp.example"), Side::start(&log, "two@corp.example", true)];
    sides.iter().for_each(|side| side.monitor().wait_audits(1));
    sides[0].name(&log, &sides[1]);
    sides[1].name(&log, &sides[0]);
    sides.iter().for_each(|side| side.monitor().wait_audits(8));
    for side in &sides {
        let audits = side.monitor().of_kind("audited");
        assert!(audits.iter().all(|audit| audit["verdict"] == "clean"), "{:#?}", side.monitor().events());
        assert_eq!(side.alerts(), Vec::<Value>::new());
        let metric = |name: &str| side.monitor().metric(&format!("{name}{{log=\"main\",peer=\"other\"}}"));
        assert_eq!(metric("countersign_peer_reachable"), Some(1.0));
        assert!(metric("countersign_peer_last_success_timestamp_seconds").unwrap() > 1e9);
        assert_eq!(side.monitor().page("/heads?log=main&since=now").0, 400);
        assert_eq!(side.monitor().page("/heads?log=main&since=2999-01-01T00:00:00Z"), (200, String::new()));
        let part = side.monitor().page("/heads?since=1999-01-01T00:00:00.000Z&log=main").1;
        assert!(part.lines().count() >= 8 && part.contains("\"provenance\":\"peer\""), "{part}");
    }
}

/// The heads of a log, from a server that is unavailable at first.
fn sometimes(log: &Served, away: &Arc<AtomicBool>) -> TestServer {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/checkpoint", log.url.trim_end_matches('/'));
    let checkpoint = client.get(url).send().unwrap().bytes().unwrap().to_vec();
    let away = Arc::clone(away);
    TestServer::start(move |_| match away.load(SeqCst) {
        true => Reply::status("503 Away", "", "\u{1b}[2Jaway"),
        false => Reply::ok(&checkpoint),
    })
}

#[test]
fn an_unreachable_peer_is_notified_once_without_blaming_the_log() {
    let log = serve(&["--entries", "300"]);
    let away = Arc::new(AtomicBool::new(true));
    let peer = sometimes(&log, &away);
    let mut side = Side::new(&log, "us@corp.example");
    side.monitor().wait_audits(1);
    let path =
        side.configure(&log, &format!("[[log.peer]]\nname = \"them\"\nheads = \"{}heads\"\n", peer.url()));
    side.monitor().signal("HUP");
    let alert = side.wait_alert("word of the peer", |alert| alert["code"] == "peer-failing");
    assert_eq!((&alert["kind"], &alert["severity"]), (&"unreachable".into(), &"warning".into()), "{alert}");
    assert!(alert["message"].as_str().unwrap().contains("\"them\""), "{alert}");
    side.monitor().wait_audits(2);
    let failing = side.monitor().of_kind("audited").pop().unwrap();
    assert_eq!(failing["verdict"], "incomplete", "what was not compared is no pass: {failing}");
    assert!(failing["nextMs"].as_u64().unwrap() <= 331, "no wait is longer for it: {failing}");
    assert_eq!(side.monitor().of_kind("peer-failing").len(), 1);
    assert_eq!(side.monitor().metric("countersign_peer_reachable{log=\"main\",peer=\"them\"}"), Some(0.0));
    assert_eq!(side.monitor().page("/healthz").0, 200);
    // A restart repeats no alert.
    side.monitor.as_mut().unwrap().stop();
    side.monitor = Some(Monitor::start(&path));
    side.monitor().wait_audits(2);
    assert_eq!(side.alerts().len(), 1, "{:#?}", side.alerts());
    away.store(false, SeqCst);
    let alert = side.wait_alert("its recovery", |alert| alert["kind"] == "recovered");
    assert_eq!(alert["code"], "peer-failing", "{alert}");
    side.monitor().wait("peer-recovered");
    side.monitor().wait_audits(2);
    assert_eq!(side.alerts().len(), 2, "{:#?}", side.alerts());
    assert_eq!(side.monitor().of_kind("audited").pop().unwrap()["verdict"], "clean");
    assert!(
        side.monitor().of_kind("unreachable").is_empty() && side.monitor().of_kind("finding-new").is_empty()
    );
}

/// `countersign` with a config of one log and these lines more.
fn with(auditor: &Auditor, log: &Served, command: &[&str], more: &str) -> Outcome {
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), more);
    let path = auditor.directory().join("one.toml");
    std::fs::write(&path, table.replace("[[log]]\n", "")).unwrap();
    let mut program = program();
    program.args(command).arg("--config").arg(path);
    run(program)
}

fn secret(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_audit_compares_peers_and_sends_each_its_own_secret() {
    let log = serve(&["--entries", "20"]);
    let auditor = Auditor::new(log.log_key());
    let peer = sometimes(&log, &Arc::new(AtomicBool::new(false)));
    let ours = secret(auditor.directory(), "ours", "token-of-the-log");
    let theirs = secret(auditor.directory(), "theirs", "token-of-the-peer");
    let more = format!(
        "init = true\nbearer-file = {ours:?}\n[[peer]]\nheads = \"{0}heads?key=key-of-the-peer\"\nbearer-file = {theirs:?}\n\
         [[peer]]\nname = \"without\"\nfile = \"{0}plain\"\n",
        peer.url()
    );
    let outcome = with(&auditor, &log, &["audit", "--format", "json"], &more);
    let report = outcome.report();
    assert_eq!(outcome.exit, 0, "{report:#}");
    assert_eq!(report["checks"]["peers"], serde_json::json!({"result": "passed", "count": 2}));
    let host = peer.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert_eq!(report["peers"][0]["name"], host.as_str());
    assert_eq!(
        (&report["peers"][1]["name"], &report["peers"][1]["reached"]),
        (&"without".into(), &true.into())
    );
    let tokens: Vec<(String, Option<String>)> = peer
        .requests()
        .iter()
        .map(|request| (request.path.clone(), request.header("authorization").map(str::to_owned)))
        .collect();
    assert!(
        tokens.contains(&(
            "/heads?key=key-of-the-peer".to_owned(),
            Some("Bearer token-of-the-peer".to_owned())
        ))
    );
    assert!(tokens.contains(&("/plain".to_owned(), None)), "{tokens:?}");
    let text = with(&auditor, &log, &["audit"], &more);
    let checked = with(&auditor, &log, &["config", "check"], &more);
    assert_eq!((text.exit, checked.exit), (0, 0), "{checked:#?}");
    assert!(
        checked.stdout.contains(&format!("compared with     {host}, http://{host}/heads\n")),
        "{checked:#?}"
    );
    for text in [&outcome, &text, &checked] {
        let text = format!("{text:?}");
        assert!(!text.contains("token-of-") && !text.contains("key-of-"), "{text}");
    }
    // An unreachable peer leaves it undecided.
    let gone = "init = true\n[[peer]]\nname = \"them\"\nheads = \"http://127.0.0.1:1/heads\"\n";
    let outcome = with(&auditor, &log, &["audit", "--format", "json"], gone);
    let report = outcome.report();
    assert_eq!(
        (outcome.exit, &report["checks"]["peers"]["result"]),
        (3, &"not-checked".into()),
        "{report:#}"
    );
    assert!(report["incomplete"][0].as_str().unwrap().starts_with("peer \"them\": "), "{report:#}");
    assert_eq!(outcome.findings(), Vec::new());
}

#[test]
fn mistakes_in_the_config_are_reported_at_once() {
    let log = serve(&["--entries", "20"]);
    let auditor = Auditor::new(log.log_key());
    for (peer, part) in [
        ("heads = \"http://other.example/heads\"\nbearer-env = \"PATH\"", "use https://"),
        ("heads = \"http://u:s3cret@other.example/heads\"", "use https://"),
        ("heads = \"ftp://other.example/heads\"", "not supported"),
        ("heads = \"https://other.example/heads\"\nbearer-env = \"COUNTERSIGN_NO_SUCH\"", "no such variable"),
        ("heads = \"https://other.example/heads\"\nca-file = \"/no/such/file\"", "CA file"),
        ("witness = \"https://w.example/?a=b\"", "no query"),
        ("file = \"theirs\"\nhead = \"x\"", "unknown field"),
    ] {
        let outcome = with(&auditor, &log, &["config", "check"], &format!("[[peer]]\n{peer}\n"));
        assert_eq!(outcome.exit, 2, "{peer}: {outcome:?}");
        assert!(outcome.stderr.contains(part) && !outcome.stderr.contains("s3cret"), "{peer}: {outcome:?}");
    }
    // Above the first log it would be of none.
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "");
    let path = config(auditor.directory(), &format!("[[peer]]\nfile = \"theirs\"\n{table}"));
    let mut command = program();
    command.args(["config", "check", "--config"]).arg(path);
    let outcome = run(command);
    assert!(outcome.exit == 2 && outcome.stderr.contains("peer"), "{outcome:?}");
}
