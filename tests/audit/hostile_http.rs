//! What a hostile server can do with each kind of file: refuse, redirect, stall, never end. What is
//! definitely not there is a `gap`; what we could not get is `incomplete`; nothing takes for ever.
//!
//! In the test's own process, because the patience of the command line is measured in minutes.

use countersign::source::{self, HttpOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::lab::{Answer, Files, Lab};
use support::log::{TestKey, honest_log, rejected_leaves};
use support::{HANG, Reply, Request, TestServer};

const FILES: [&str; 6] =
    ["checkpoint", "sth", "tile/0/000", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"];

/// For what answers at once: nothing that holds this machine up makes an answer late.
fn patient() -> HttpOptions {
    let ms = Duration::from_millis;
    HttpOptions {
        connect_timeout: HANG,
        attempt_timeout: HANG,
        resource_timeout: HANG,
        retries: 1,
        later_retries: 1,
        backoff_base: ms(1),
        backoff_cap: ms(5),
        retry_after_cap: ms(10),
        missing_retries: 1,
        missing_delay: ms(1),
        env_proxy: false,
        ..HttpOptions::default()
    }
}

/// For what never does.
fn impatient() -> HttpOptions {
    let ms = Duration::from_millis;
    HttpOptions { attempt_timeout: ms(400), resource_timeout: ms(1500), ..patient() }
}

fn log() -> Files {
    honest_log(&TestKey::new(1), &rejected_leaves(300))
}

fn not_found() -> Reply {
    Reply::status("404 Not Found", "", "")
}

/// Serves a log, but answers `file` as `odd` does.
fn server(files: Files, file: &str, odd: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> TestServer {
    let file = file.to_owned();
    TestServer::start(move |request| match request.path.trim_start_matches('/') {
        path if path == file => odd(request),
        path => files.get(path).map_or_else(not_found, Reply::ok),
    })
}

/// Audits the log with one odd file, from scratch and in bounded time.
fn audit(lab: &Lab, file: &str, odd: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Answer {
    audit_with(&patient(), lab, file, odd)
}

/// The same with a file that never comes to its end. What else is late under load is undecided as well.
fn audit_in_a_hurry(
    lab: &Lab,
    file: &str,
    odd: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Answer {
    audit_with(&impatient(), lab, file, odd)
}

fn audit_with(
    options: &HttpOptions,
    lab: &Lab,
    file: &str,
    odd: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Answer {
    let server = server(log(), file, odd);
    let source = source::open(&server.url(), false, options).unwrap_or_else(|error| panic!("{error}"));
    let started = Instant::now();
    let answer = lab.workspace(0).audit(source.as_ref());
    assert!(started.elapsed() < HANG, "{file}: {:?}", started.elapsed());
    assert!(answer.faults.is_empty(), "{file}: {answer:?}");
    answer
}

/// Asserts an undecided result: no finding, a cause, and the earlier entries stored.
#[track_caller]
fn undecided(what: &str, file: &str, answer: &Answer) {
    assert!(answer.findings.is_empty(), "{file}: {what}: {answer:?}");
    assert!(!answer.incomplete.is_empty(), "{file}: {what}: {answer:?}");
    assert!(answer.checked <= 300);
}

#[test]
fn a_definite_absence_is_a_gap() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    for status in ["404 Not Found", "410 Gone"] {
        for file in FILES {
            let answer = audit(&lab, file, move |_| Reply::status(status, "", ""));
            let expected: &[&str] = if file == "sth" { &[] } else { &["gap"] };
            assert_eq!(answer.codes(), expected, "{status} for {file}: {answer:?}");
        }
    }
}

#[test]
fn a_failed_fetch_is_undecided() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    let moved =
        |to: &'static str| move |_: &Request| Reply::status("302 Found", &format!("Location: {to}\r\n"), "");
    for file in FILES {
        for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "429 Too Many Requests"] {
            let answer = audit(&lab, file, move |_| Reply::status(status, "Retry-After: 99999\r\n", ""));
            match (status, file) {
                // The file is optional, and object stores answer 403 for missing files.
                ("403 Forbidden", "sth") => assert!(answer.is_clean(), "{answer:?}"),
                _ => undecided(status, file, &answer),
            }
        }
        for status in
            ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"]
        {
            undecided(status, file, &audit(&lab, file, move |_| Reply::status(status, "", "")));
        }
        undecided(
            "a redirect to itself",
            file,
            &audit(&lab, file, |request| {
                Reply::status("301 Moved Permanently", &format!("Location: {}\r\n", request.path), "")
            }),
        );
        undecided("a redirect elsewhere", file, &audit(&lab, file, moved("http://127.0.0.1:9/checkpoint")));
        undecided("a redirect to a file", file, &audit(&lab, file, moved("file:///etc/passwd")));
        undecided("no answer", file, &audit_in_a_hurry(&lab, file, |_| Reply::ok("late").after(HANG)));
        undecided("a closed connection", file, &audit(&lab, file, |_| Reply::raw("")));
        undecided("no HTTP", file, &audit(&lab, file, |_| Reply::raw("SSH-2.0-OpenSSH_9.6\r\n")));
        undecided(
            "cut short",
            file,
            &audit(&lab, file, |_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc")),
        );
        undecided(
            "a slow drip",
            file,
            &audit_in_a_hurry(&lab, file, |_| {
                Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").drip(
                    b'x',
                    Duration::from_millis(20),
                    4900,
                )
            }),
        );
    }
}

/// A page that says "not found" with status 200 is no file of the log, and no proof of absence.
#[test]
fn a_web_page_instead_of_a_file_is_undecided() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    for file in FILES {
        let answer = audit(&lab, file, |_| {
            Reply::status("200 OK", "Content-Type: text/html\r\n", "<!doctype html><title>Not found</title>")
        });
        undecided("a web page", file, &answer);
    }
}

#[test]
fn any_content_type_is_accepted() {
    let files = log();
    let server = TestServer::start(move |request| match files.get(request.path.trim_start_matches('/')) {
        Some(bytes) => Reply::status("200 OK", "Content-Type: image/png; charset=klingon\r\n", bytes),
        None => not_found(),
    });
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    let source = source::open(&server.url(), false, &patient()).unwrap_or_else(|error| panic!("{error}"));
    let answer = lab.workspace(0).audit(source.as_ref());
    assert!(answer.is_clean(), "{answer:?}");
}

/// An endless body is longer than any honest one: a finding, and only so much of it was read.
#[test]
fn endless_bodies_are_read_up_to_the_limit() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    let expected = BTreeMap::from([
        ("checkpoint", "head-malformed"),
        ("sth", "head-malformed"),
        ("tile/0/000", "tile-mismatch"),
        ("tile/1/000.p/1", "tile-mismatch"),
    ]);
    for (file, code) in expected {
        let answer = audit(&lab, file, |_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n").endless(vec![b'x'; 4096]));
        assert_eq!(answer.codes(), [code], "{file}: {answer:?}");
    }
}

/// After an outage, the next run has the result of an undisturbed one.
#[test]
fn an_audit_continues_after_an_outage() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    for file in FILES {
        let workspace = lab.workspace(0);
        let flaky = server(log(), file, |_| Reply::status("503 Service Unavailable", "", ""));
        let source = source::open(&flaky.url(), false, &patient()).unwrap_or_else(|error| panic!("{error}"));
        undecided("an outage", file, &workspace.audit(source.as_ref()));
        let files = log();
        let honest = support::lab::MemoryLog { files: &files, instead: None }.source();
        let answer = workspace.audit_again(&honest);
        assert!(answer.is_clean() && answer.checked == 300, "{file}: {answer:?}");
    }
}

/// Bytes after an unrequested protocol switch are not an answer.
#[test]
fn a_protocol_switch_is_not_an_answer() {
    let lab = Lab::of_key(&TestKey::new(1).vkey());
    let absent = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for change in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        for file in ["checkpoint", "tile/entries/000"] {
            let answer = audit(&lab, file, move |_| Reply::raw(format!("{change}{absent}")));
            undecided("101", file, &answer);
        }
    }
}
