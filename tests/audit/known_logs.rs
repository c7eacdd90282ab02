//! Every log with a known answer, audited by the real program: over a directory and over HTTP,
//! step by step with one mirror. The logs were made by an independent implementation; a new folder
//! under `fixtures/logs` is picked up without a change here.

use countersign::core::evidence;
use countersign::core::head::LogKey;
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::case::{Case, all};
use support::cli::{Auditor, Outcome, findings, lasting};
use support::serve_dir;

/// Another log's key: it must vouch for nothing here.
const OTHER_KEY: &str = "log.approvals.example/2026+32120c14+Aamy8BHxKavt1QtX/1Awiseoa8/03ycoG4hFD7NAAskA";

/// Audits a step as `transport` serves it.
fn audit(auditor: &Auditor, step: &Path, over_http: bool, first: bool) -> Outcome {
    let options: &[&str] = if first { &["--init"] } else { &[] };
    if !over_http {
        return auditor.audit(step, options);
    }
    let server = serve_dir(step);
    auditor.audit(server.url(), options)
}

/// All steps of a case in order; gives the auditor and the report of the last.
fn audit_all(case: &Case, over_http: bool) -> (Auditor, Value) {
    let auditor = case.auditor();
    let mut last = None;
    for (number, step) in case.steps().iter().enumerate() {
        last = Some(audit(&auditor, step, over_http, number == 0));
    }
    let report = last.expect("a case has steps").report();
    (auditor, report)
}

#[test]
fn every_known_log_has_its_recorded_verdict() {
    let cases = all();
    for case in &cases {
        let [(by_files, report), (by_http, http_report)] =
            [false, true].map(|over_http| audit_all(case, over_http));
        case.check(&report);
        case.check(&http_report);
        assert_eq!(lasting(&report), lasting(&http_report), "{}: the transports differ", case.name);
        assert_eq!(by_files.leaves(), by_http.leaves(), "{}: the mirrors differ", case.name);
        // A finding once made stays: the same log, asked again, gives the same answer.
        let again = audit(&by_files, &case.last_step(), false, false).report();
        case.check(&again);
        assert_eq!(findings(&report), findings(&again), "{}", case.name);
        assert_eq!(
            report["checks"].as_object().map(|c| c.len()),
            again["checks"].as_object().map(|c| c.len())
        );
        assert_eq!(again["entries"]["new"], 0, "{}: entries were checked twice", case.name);
        for auditor in [&by_files, &by_http] {
            check_evidence(case, auditor, &report);
        }
    }
    println!("{} logs with known answers, each over a directory and over HTTP", cases.len());
    assert!(cases.len() >= 16, "only {} cases were found", cases.len());
}

/// Misbehaviour files of an auditor.
fn evidence_files(auditor: &Auditor) -> Vec<PathBuf> {
    let files = std::fs::read_dir(auditor.directory()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("misbehaviour-")).collect()
}

/// Each violation has a file that others can verify; without a violation there is no file.
fn check_evidence(case: &Case, auditor: &Auditor, report: &Value) {
    let violations = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "violation")
        .count();
    let files = evidence_files(auditor);
    assert_eq!(files.len(), violations, "{}: {files:?}", case.name);
    for file in files {
        let file = file.to_str().unwrap();
        let verify = |auditor: &Auditor, file: &str| auditor.command(&["evidence", "verify", file]).exit;
        assert_eq!(verify(auditor, file), 0, "{}", case.name);
        assert_eq!(verify(&Auditor::new(OTHER_KEY), file), 1, "{}: proved with another log's key", case.name);
        let mutated = auditor.directory().join("mutated.json");
        std::fs::write(&mutated, with_a_changed_head(file)).unwrap();
        assert_eq!(verify(auditor, mutated.to_str().unwrap()), 1, "{}: a changed head holds", case.name);
    }
}

/// The file with one character of its first head changed.
fn with_a_changed_head(file: &str) -> String {
    let mut changed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut head: Vec<char> = changed["heads"][0].as_str().unwrap().chars().collect();
    let middle = head.len() / 2;
    head[middle] = if head[middle] == 'x' { 'y' } else { 'x' };
    changed["heads"][0] = head.into_iter().collect::<String>().into();
    changed.to_string()
}

/// A file with any one bit changed proves the same contradiction (the bit was in the unsigned
/// context, or in how the same values are written), or nothing.
#[test]
fn flipped_evidence_proves_the_same_or_nothing() {
    let (mut files, mut flips, mut unmoved) = (0, 0, 0);
    for case in all().iter().filter(|case| case.exit == 4) {
        let (auditor, report) = audit_all(case, false);
        let key = LogKey::parse(&case.log_key).unwrap();
        for path in
            report["findings"].as_array().unwrap().iter().filter_map(|found| found["evidence"].as_str())
        {
            let whole = std::fs::read(auditor.directory().join(path)).unwrap();
            let proved = evidence::verify(&whole, &key).unwrap();
            let statements =
                |m: &evidence::Misbehaviour| (m.kind(), m.heads().0.statement(), m.heads().1.statement());
            files += 1;
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                flips += 1;
                if let Ok(other) = evidence::verify(&bytes, &key) {
                    unmoved += 1;
                    assert_eq!(statements(&other), statements(&proved), "{}: byte {at}", case.name);
                }
            }
        }
    }
    println!(
        "{flips} flips in {files} misbehaviour files; {unmoved} left the proof as it was, the others ended it"
    );
    assert!(files >= 2 && unmoved < flips / 2);
}
