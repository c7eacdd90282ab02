//! The lies of the approval service, as a naive gate judges them and as an audit does afterwards. What is expected stands in
//! the table that `countersign-testlog lies` prints.

use countersign::core::check::Check;
use countersign::core::hash::sha256;
use countersign::core::time::{UnixMillis, whole_millis};
use countersign::{Expectation, Payload, verify_receipt};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::approvals::Service;
use support::lab::on_threads;
use support::served::Served;

const ACTION: &str = "Deploy api to production";

const PAYLOAD: &str = r#"{"service":"api"}"#;

/// How much older than the request an approval may be.
const OLDEST: Duration = Duration::from_secs(60);

fn table() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
    let output = command.args(["lies", "--format", "json"]).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    rows.into_iter().filter(|row| row["kind"] == "service-lie").collect()
}

fn now() -> UnixMillis {
    UnixMillis::new(whole_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap()))
}

/// The steps of the gate specification (section 2) as they are written, without patience: why nothing runs, if it does not.
fn gate(service: &Service, consumed: &mut HashSet<String>) -> Option<&'static str> {
    let asked_at = now();
    let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
    let Some((201, asked)) = service.ask("alex", ACTION, &payload) else { return Some("unavailable") };
    if asked["payloadHash"] != sha256(PAYLOAD.as_bytes()).to_string() {
        return Some("mismatch");
    }
    let id = asked["id"].as_str().unwrap();
    let Some((200, answer)) = service.wait(id, 1) else { return Some("unavailable") };
    match answer["status"].as_str().unwrap() {
        "approved" => {}
        "pending" => return Some("timed-out"),
        _ => return Some("unavailable"),
    }
    let (200, bundle) = service.bundle(id) else { return Some("not-logged") };
    let expected = Expectation {
        payload: Some(Payload::Bytes(PAYLOAD.as_bytes())),
        approvers: &["alex"],
        id: Some(id),
        ..Expectation::default()
    };
    let verdict = verify_receipt(&bundle, &service.pinned("alex"), &expected, now());
    let passed = |check| {
        verdict
            .check(check)
            .is_some_and(|line| line.result == countersign::audit::verdict::CheckResult::Passed)
    };
    let entry = &serde_json::from_slice::<Value>(&bundle).unwrap()["entry"];
    let time = |value: &Value| UnixMillis::new(value.as_u64().unwrap());
    let oldest = asked_at.saturating_sub(OLDEST);
    let dated = time(&entry["requestedAt"]) >= oldest
        && time(&entry["decidedAt"]) >= oldest
        && time(&entry["decidedAt"]) <= time(&asked["expiresAt"]);
    if !passed(Check::Checkpoint) || !passed(Check::Inclusion) {
        Some("unverified")
    } else if ![Check::Payload, Check::Approver, Check::Id].into_iter().all(passed) || !dated {
        Some("mismatch")
    } else if !verdict.is_clean() {
        Some("unverified")
    } else if !consumed.insert(verdict.nonce.unwrap()) {
        Some("replayed")
    } else {
        None
    }
}

/// What is wrong with what a lie leads to.
fn check_row(row: &Value) -> Option<String> {
    let lie = row["option"].as_str().unwrap();
    let service = Service::start(&["--decide", "approve", "--lie", lie]);
    let hangs = lie.starts_with("never-answers");
    let service = if hangs { service.impatient(Duration::from_secs(3)) } else { service };
    let mut consumed = HashSet::new();
    let runs = row["gate"]["runs"].as_u64().unwrap();
    let reasons: Vec<Option<&str>> = (0..runs).map(|_| gate(&service, &mut consumed)).collect();
    let (last, earlier) = reasons.split_last().unwrap();
    let expected = row["gate"]["reason"].as_str();
    if *last != expected || earlier.iter().any(Option::is_some) {
        return Some(format!("{lie}: {reasons:?}, expected {expected:?}"));
    }
    if service.served.stats()["paths"]["redirected"] != Value::Null {
        return Some(format!("{lie}: a redirect was followed"));
    }
    for (log, expected) in
        [(service.served.tiles_url(), &row["tiles"]), (service.served.api_url(), &row["api"])]
    {
        let outcome = service.auditor().init(log);
        let (exit, codes) = (json!(outcome.exit), json!(outcome.codes()));
        if (&exit, &codes) != (&expected["exit"], &expected["codes"]) {
            return Some(format!("{lie}: the audit says {exit} {codes}, expected {expected}: {outcome:#?}"));
        }
    }
    None
}

#[test]
fn every_lie_of_the_service_is_refused_for_its_reason() {
    let rows = table();
    assert!(rows.len() >= 19, "only {} lies", rows.len());
    let wrong = std::sync::Mutex::new(Vec::new());
    on_threads(3, rows.len(), |at| {
        if let Some(why) = check_row(&rows[at]) {
            wrong.lock().unwrap().push(why);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_naive_gate_lets_an_honest_approval_run() {
    let service = Service::start(&["--decide", "approve"]);
    let mut consumed = HashSet::new();
    assert_eq!([gate(&service, &mut consumed), gate(&service, &mut consumed)], [None, None]);
}

#[test]
fn without_a_pin_the_service_s_own_passkey_is_believed() {
    let service = Service::start(&["--decide", "approve", "--lie", "own-passkey"]);
    let (_, asked) = service.ask("alex", ACTION, &json!({"service": "api"})).unwrap();
    let id = asked["id"].as_str().unwrap();
    assert_eq!(service.wait(id, 60).unwrap().1["status"], "approved");
    let (_, bundle) = service.bundle(id);
    let expected = Expectation { approvers: &["alex"], ..Expectation::default() };
    let judged = |trust| verify_receipt(&bundle, &trust, &expected, now()).is_clean();
    assert!(judged(service.trust()));
    assert!(!judged(service.pinned("alex")));
}

#[test]
fn reasons_are_those_of_the_specification() {
    let reasons = ["mismatch", "not-logged", "replayed", "timed-out", "unavailable", "unverified"];
    for row in table() {
        let reason = row["gate"]["reason"].as_str();
        assert!(reason.is_none_or(|reason| reasons.contains(&reason)), "{row}");
        // What no gate can see, an audit does.
        assert!(reason.is_some() || row["tiles"]["exit"] != 0, "{row}");
    }
}

#[test]
fn lies_of_the_service_need_the_service() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
    let output = command.args(["serve", "--entries", "1", "--lie", "not-logged"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--approvals"));
}

#[test]
fn lies_of_the_log_combine_with_the_service() {
    let service = Service::start(&["--decide", "approve", "--lie", "head-disagree"]);
    let (_, asked) = service.ask("alex", ACTION, &json!({"service": "api"})).unwrap();
    let id = asked["id"].as_str().unwrap();
    assert_eq!(service.wait(id, 60).unwrap().1["status"], "approved");
    let verdict = verify_receipt(&service.bundle(id).1, &service.trust(), &Expectation::default(), now());
    assert!(verdict.evidence.is_some(), "{verdict:#?}");
}

#[test]
fn growing_and_approving_make_one_history() {
    let service = Service::start(&["--decide", "approve", "--grow", "100"]);
    for _ in 0..5 {
        let (_, asked) = service.ask("alex", ACTION, &json!({"service": "api"})).unwrap();
        assert_eq!(service.wait(asked["id"].as_str().unwrap(), 60).unwrap().1["status"], "approved");
        std::thread::sleep(Duration::from_millis(120));
    }
    let served: &Served = &service.served;
    for log in [served.tiles_url(), served.api_url()] {
        service.auditor().init(log).expect(0, &[]);
    }
}
