//! `countersign monitor` sends each alert once, to a program and a webhook, even if it is killed repeatedly.

#![cfg(target_os = "linux")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::cli::{Auditor, program, run};
use support::monitor::{Monitor, config, log_table};
use support::served::Served;
use support::{Reply, TestServer};

const SECRET: &str = "a secret of the receiver";

/// A config of one log, a program that appends each alert to a file, and a webhook.
fn watch(auditor: &Auditor, log: &Served, file: &Path, webhook: &TestServer) -> PathBuf {
    let folder = auditor.directory();
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let channels = format!(
        "[[alert]]\nname = \"file\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> '{}'; echo >> '{}'\"]\n\
         [[alert]]\nname = \"hook\"\nwebhook = \"{}hook\"\nsecret-file = \"{}\"\n",
        file.display(),
        file.display(),
        webhook.url(),
        secret.display()
    );
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "init = true\n");
    config(folder, &format!("{channels}\n{table}"))
}

fn alerts_in(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < support::HANG, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn each_finding_is_notified_once_across_restarts_and_kills() {
    let log =
        Served::start(&["--entries", "300", "--approvers", "4", "--mix", "es256=1", "--lie", "rollback"]);
    let auditor = Auditor::new(log.log_key());
    let file = auditor.directory().join("told");
    let hook = TestServer::start(|_| Reply::ok("thanks"));
    let path = watch(&auditor, &log, &file, &hook);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..6 {
        let monitor = Monitor::start(&path);
        std::thread::sleep(Duration::from_millis(random.u64(20..900)));
        monitor.signal("KILL");
        drop(monitor);
    }
    let mut monitor = Monitor::start(&path);
    wait_for("the alert of the rollback", || {
        alerts_in(&file).iter().any(|alert| alert["code"] == "head-rollback")
    });
    monitor.wait_audits(3);
    monitor.stop();
    let alerts = alerts_in(&file);
    let of_rollback: Vec<&Value> = alerts.iter().filter(|alert| alert["code"] == "head-rollback").collect();
    let mut keys: Vec<&str> = of_rollback.iter().map(|alert| alert["key"].as_str().unwrap()).collect();
    keys.dedup();
    assert_eq!(keys.len(), 1, "{of_rollback:#?}");
    assert_eq!((&of_rollback[0]["kind"], &of_rollback[0]["severity"]), (&"new".into(), &"invalid".into()));
    let posted: Vec<String> = hook
        .requests()
        .iter()
        .filter(|request| request.path == "/hook")
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert!(posted.iter().any(|key| key == keys[0]), "{posted:?}");
    assert!(hook.requests().iter().all(|request| request.header("countersign-signature").is_some()));
}

#[test]
fn a_clean_log_sends_no_alert_and_once_sends_them() {
    let log = Served::start(&["--entries", "300", "--approvers", "4", "--mix", "es256=1"]);
    let auditor = Auditor::new(log.log_key());
    let file = auditor.directory().join("told");
    let hook = TestServer::start(|_| Reply::ok("thanks"));
    let path = watch(&auditor, &log, &file, &hook);
    let once = || {
        let mut command = support::cli::program();
        command.args(["monitor", "--once", "--config", path.to_str().unwrap()]);
        support::cli::run(command).exit
    };
    assert_eq!((once(), once()), (0, 0));
    assert!(alerts_in(&file).is_empty() && hook.requests().is_empty());
    // The mirror disappears: notified at once, although there is no outbox any more.
    std::fs::remove_file(auditor.db()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replace("init = true\n", "");
    std::fs::write(&path, text).unwrap();
    assert_eq!(once(), 5);
    let alerts = alerts_in(&file);
    assert_eq!((alerts.len(), &alerts[0]["kind"]), (1, &"local".into()), "{alerts:#?}");
}

/// For cron, where nobody reads metrics: a failing channel is reported on stderr, and changes no verdict.
#[test]
fn once_reports_a_failing_channel() {
    let log = Served::start(&[
        "--entries",
        "20",
        "--approvers",
        "4",
        "--mix",
        "es256=1",
        "--lie",
        "forged-entry:7",
    ]);
    let auditor = Auditor::new(log.log_key());
    let alert = "[[alert]]\nname = \"page\"\ncommand = [\"/bin/false\"]\n";
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "init = true\n");
    let path = config(auditor.directory(), &format!("{alert}{table}"));
    let mut command = program();
    command.args(["monitor", "--once", "--quiet", "--config"]).arg(path);
    let outcome = run(command);
    assert_eq!(outcome.exit, 1, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("main: the alert channel \"page\" has been failing since"),
        "{outcome:#?}"
    );
}
