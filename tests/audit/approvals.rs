//! `countersign-testlog serve --approvals`: its API, and that every decision is in a log that an audit finds clean.

use countersign::core::entry::Decision;
use countersign::core::hash::sha256;
use countersign::core::time::{UnixMillis, whole_millis};
use countersign::{Expectation, Payload, TrustPolicy, Verdict, verify_receipt};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::approvals::Service;

const ACTION: &str = "Deploy api to production";

fn payload() -> Value {
    json!({"version": "1.4.2", "service": "api", "replicas": 3.0})
}

/// The canonical form of [`payload`].
const CANONICAL: &str = r#"{"replicas":3,"service":"api","version":"1.4.2"}"#;

fn now() -> UnixMillis {
    UnixMillis::new(whole_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap()))
}

fn moment(value: &Value) -> UnixMillis {
    UnixMillis::new(value.as_u64().unwrap())
}

/// Asks alex, and gives the id.
#[track_caller]
fn asked(service: &Service) -> String {
    let (status, answer) = service.ask("alex", ACTION, &payload()).unwrap();
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["url"], format!("{}/approve/{}", service.web_origin(), answer["id"].as_str().unwrap()));
    assert!(moment(&answer["expiresAt"]) > now().saturating_sub(Duration::from_secs(1)), "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// The status within a minute.
#[track_caller]
fn status(service: &Service, id: &str) -> String {
    let (status, answer) = service.wait(id, 60).unwrap();
    assert_eq!((status, &answer["id"]), (200, &id.into()), "{answer}");
    answer["status"].as_str().unwrap().to_owned()
}

/// The verdict on what the log has for an id.
#[track_caller]
fn judged(service: &Service, trust: &TrustPolicy, id: &str, decision: Decision) -> Verdict {
    let (status, bundle) = service.bundle(id);
    assert_eq!(status, 200, "the log has nothing for {id}");
    let given = CANONICAL.as_bytes();
    let expected = Expectation {
        decision,
        payload: Some(Payload::Bytes(given)),
        approvers: &["alex"],
        id: Some(id),
        max_age: Some(Duration::from_secs(600)),
        ..Expectation::default()
    };
    verify_receipt(&bundle, trust, &expected, now())
}

/// An audit of both forms, each with a mirror of its own.
#[track_caller]
fn audited_clean(service: &Service, entries: u64) {
    for log in [service.served.tiles_url(), service.served.api_url()] {
        let outcome = service.auditor().init(log);
        outcome.expect(0, &[]);
        assert_eq!(outcome.report()["entries"]["total"], entries, "{outcome:#?}");
    }
}

#[test]
fn an_approval_is_in_the_log_when_it_is_answered() {
    let service = Service::start(&["--decide", "approve"]);
    let auditors = [service.served.tiles_url(), service.served.api_url()].map(|log| (service.auditor(), log));
    for (auditor, log) in &auditors {
        auditor.init(log).expect(0, &[]);
    }
    for _ in 0..3 {
        let id = asked(&service);
        assert_eq!(status(&service, &id), "approved");
        let verdict = judged(&service, &service.pinned("alex"), &id, Decision::Approved);
        assert!(verdict.is_clean(), "{verdict:#?}");
    }
    // Everybody's key is another, and pinned for nobody else.
    let id = asked(&service);
    let mut wrong = service.trust();
    wrong.pin("alex", service.served.announced["approverKeys"]["bruna"].as_str().unwrap()).unwrap();
    assert_eq!(status(&service, &id), "approved");
    assert!(!judged(&service, &wrong, &id, Decision::Approved).is_clean());
    for (auditor, log) in &auditors {
        let outcome = auditor.audit(log, &[]);
        outcome.expect(0, &[]);
        assert_eq!(outcome.report()["entries"]["total"], 24, "{outcome:#?}");
    }
    audited_clean(&service, 24);
}

#[test]
fn rejections_and_what_nobody_decided_are_in_the_log_too() {
    for (options, expected, decision) in [
        (["--decide", "reject", "--decide-after", "50ms"], "rejected", Decision::Rejected),
        (["--decide", "never", "--expires", "300ms"], "expired", Decision::Expired),
        (["--decide", "approve", "--expires", "0s"], "expired", Decision::Expired),
    ] {
        let service = Service::start(&options);
        assert_eq!(
            service.served.announced["approverKeys"].as_object().unwrap().is_empty(),
            options[1] != "approve"
        );
        let id = asked(&service);
        assert_eq!(status(&service, &id), expected);
        let verdict = judged(&service, &service.trust(), &id, decision);
        assert!(verdict.is_clean(), "{verdict:#?}");
        audited_clean(&service, 21);
    }
}

#[test]
fn a_pending_confirmation_is_answered_when_the_wait_is_over() {
    let service = Service::start(&[]);
    let id = asked(&service);
    for wait in [0, 1] {
        let (status, answer) = service.wait(&id, wait).unwrap();
        assert_eq!((status, &answer["status"]), (200, &"pending".into()));
    }
    assert_eq!(service.bundle(&id).0, 404);
    audited_clean(&service, 20);
}

#[test]
fn the_hash_is_that_of_the_payload_or_of_the_action_too() {
    let with_action = format!(r#"{{"action":"{ACTION}","payload":{CANONICAL}}}"#);
    for (options, encoding, signed) in
        [(&[][..], "jcs-payload", CANONICAL), (&["--sign-action"], "jcs-action-payload", &with_action)]
    {
        let service = Service::start(&[&["--decide", "approve"], options].concat());
        let (_, answer) = service.ask("alex", ACTION, &payload()).unwrap();
        assert_eq!(answer["payloadHash"], sha256(signed.as_bytes()).to_string());
        let id = answer["id"].as_str().unwrap();
        assert_eq!(status(&service, id), "approved");
        let bundle: Value = serde_json::from_slice(&service.bundle(id).1).unwrap();
        assert_eq!(bundle["entry"]["payloadEncoding"], encoding);
        assert_eq!(bundle["entry"]["payloadHash"], answer["payloadHash"]);
    }
}

#[test]
fn one_idempotency_key_asks_once() {
    let service = Service::start(&["--decide", "approve"]);
    let ask = |key: &str, action: &str| {
        let body = json!({"username": "alex", "action": action, "payload": payload()}).to_string();
        let request = service.request("POST", "/api/confirmations").header("idempotency-key", key).body(body);
        Service::send(request).unwrap()
    };
    let (status, first) = ask("k1", ACTION);
    assert_eq!(status, 201);
    let (status, again) = ask("k1", ACTION);
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    assert_eq!((ask("k1", "Another").0, ask("k2", ACTION).0, ask("", ACTION).0), (409, 201, 400));
    assert_eq!(self::status(&service, first["id"].as_str().unwrap()), "approved");
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let service = Service::start(&[]);
    let good = json!({"username": "alex", "action": ACTION, "payload": payload()}).to_string();
    let post = || service.request("POST", "/api/confirmations");
    let keyless = |method: &str, path: &str| {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        client.request(method, format!("{}{path}", service.base()))
    };
    let id = asked(&service);
    let path = format!("/api/confirmations/{id}");
    for (request, expected) in [
        (keyless("POST", "/api/confirmations").body(good.clone()), 401),
        (keyless("POST", "/api/confirmations").header("x-api-key", "x").body(good.clone()), 401),
        (keyless("GET", &path), 401),
        (post().body("{}"), 400),
        (post().body(r#"{"username":"alex","action":"a","payload":{"a":1,"a":2}}"#), 400),
        (post().body(r#"{"username":"alex","action":"a","payload":12345678901234567890}"#), 400),
        (post().body("x".repeat(64 * 1024 + 1)), 413),
        (service.request("GET", "/api/confirmations"), 405),
        (service.request("DELETE", &path), 405),
        (service.request("GET", "/api/confirmations/no-such-id"), 404),
        (service.request("GET", &format!("{path}?wait=x")), 400),
        (service.request("GET", "/api/other"), 404),
    ] {
        let seen = format!("{request:?}");
        let (status, answer) = Service::send(request).unwrap();
        assert_eq!(status, expected, "{seen}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{seen}");
        assert!(!answer.to_string().contains(service.api_key()), "{seen}");
    }
    audited_clean(&service, 20);
}

#[test]
fn its_key_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "secret-of-this-test\n").unwrap();
    let service = Service::start(&["--api-key-file", file.to_str().unwrap()]);
    assert_eq!(service.served.announced["apiKey"], Value::Null);
    assert!(!service.served.announced.to_string().contains("secret-of-this-test"));
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let ask = |key: &str| {
        let body = json!({"username": "alex", "action": ACTION, "payload": 1}).to_string();
        let url = format!("{}/api/confirmations", service.base());
        client.post(url).header("x-api-key", key).body(body).send().unwrap().status().as_u16()
    };
    assert_eq!((ask("secret-of-this-test"), ask("countersign-testlog")), (201, 401));
}

#[test]
fn bad_weather_is_over_the_api_too() {
    let service = Service::start(&["--decide", "approve", "--disturb", "429:2", "--disturb", "resets:5"]);
    let mut refused = 0;
    for _ in 0..4 {
        let id = loop {
            let (status, answer) =
                service.ask("alex", ACTION, &payload()).expect("a POST is always answered");
            match status {
                201 => break answer["id"].as_str().unwrap().to_owned(),
                _ => refused += 1,
            }
        };
        while service.wait(&id, 10).is_none_or(|(status, _)| status != 200) {
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn times_are_those_of_the_decision() {
    let service = Service::start(&["--decide", "approve", "--decide-after", "100ms", "--expires", "60s"]);
    let before = now();
    let (_, answer) = service.ask("alex", ACTION, &payload()).unwrap();
    let id = answer["id"].as_str().unwrap();
    assert_eq!(status(&service, id), "approved");
    let bundle: Value = serde_json::from_slice(&service.bundle(id).1).unwrap();
    let [requested, decided, expires] =
        ["requestedAt", "decidedAt", "expiresAt"].map(|name| moment(&bundle["entry"][name]));
    let waited = decided.since(requested).unwrap();
    assert!(before <= requested && waited >= Duration::from_millis(100) && decided <= now(), "{decided}");
    assert_eq!(expires.since(requested), Some(Duration::from_secs(60)));
    assert_eq!(moment(&answer["expiresAt"]), expires);
}
