//! The history of heads: what one auditor was shown, held against what another was; and the shape
//! of the report that scripts rely on.

use countersign::core::finding::{Code, Severity};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::case::{all, named};
use support::cli::{Auditor, Outcome};
use support::lab::write_files;
use support::log::{HEAD_TIME, TestKey, honest_log, leaf, rejected, rejected_leaves, root_of};
use tempfile::TempDir;

fn key() -> TestKey {
    TestKey::new(1)
}

/// An auditor who audited an honest log of these leaves, and that log.
fn auditor_of(leaves: &[Vec<u8>]) -> (Auditor, TempDir) {
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), &honest_log(&key(), leaves));
    let auditor = Auditor::new(&key().vkey());
    assert_eq!(auditor.init(log.path()).exit, 0);
    (auditor, log)
}

/// `count` leaves, of which those from `other` on are of another history.
fn history(count: usize, other: usize) -> Vec<Vec<u8>> {
    let mut leaves = rejected_leaves(count);
    for (n, place) in leaves.iter_mut().enumerate().skip(other) {
        *place = leaf(&rejected(&format!("other-{n}")));
    }
    leaves
}

fn import(auditor: &Auditor, file: &Path) -> Outcome {
    auditor.command(&["heads", "import", "--db", "{db}", "--format", "json", file.to_str().unwrap()])
}

fn write(auditor: &Auditor, text: impl AsRef<[u8]>) -> PathBuf {
    let path = auditor.directory().join("to-import");
    fs::write(&path, text).unwrap();
    path
}

/// Exports one auditor's heads and imports them at another's.
fn exchange(from: &Auditor, to: &Auditor) -> Outcome {
    let exported = from.command(&["heads", "export", "--db", "{db}"]);
    assert_eq!(exported.exit, 0, "{exported:?}");
    import(to, &write(to, exported.stdout))
}

/// Every misbehaviour file of an auditor, each verified by a stranger with the log's key alone.
fn proofs(auditor: &Auditor) -> Vec<String> {
    let stranger = Auditor::new(&key().vkey());
    let files = fs::read_dir(auditor.directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut kinds = Vec::new();
    for file in files.filter(|path| path.to_string_lossy().contains("misbehaviour-")) {
        let outcome = stranger.command(&["evidence", "verify", "--format", "json", file.to_str().unwrap()]);
        assert_eq!(outcome.exit, 0, "{outcome:?}");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        kinds.push(report["kind"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn two_auditors_of_one_log_find_nothing() {
    let (small, _log) = auditor_of(&rejected_leaves(300));
    let (large, log) = auditor_of(&rejected_leaves(700));
    let outcome = exchange(&small, &large);
    assert_eq!(outcome.exit, 0, "{outcome:?}");
    let outcome = exchange(&large, &small);
    assert_eq!(outcome.exit, 3, "not compared yet: {outcome:?}");
    for auditor in [&small, &large] {
        assert!(proofs(auditor).is_empty());
        assert_eq!(auditor.audit(log.path(), &[]).exit, 0, "and the log has it all");
    }
}

#[test]
fn two_auditors_find_a_fork() {
    // The same size, two roots.
    let (one, log) = auditor_of(&history(300, 300));
    let (two, _other) = auditor_of(&history(300, 100));
    for (from, to) in [(&one, &two), (&two, &one)] {
        let outcome = exchange(from, to);
        assert_eq!(outcome.exit, 4, "{outcome:?}");
        assert_eq!(proofs(to), ["same-size-fork"]);
        let again = exchange(from, to);
        assert_eq!(again.exit, 4, "once found, it stays: {again:?}");
    }
    let outcome = one.audit(log.path(), &[]);
    assert_eq!(outcome.exit, 4, "{outcome:?}");
    assert_eq!(one.audit(log.path(), &["--full"]).exit, 4);
}

#[test]
fn a_smaller_head_of_another_history_is_proved_from_the_mirror() {
    for (size, other) in [(1, 0), (100, 50), (255, 0), (256, 255), (257, 256), (511, 3), (600, 599)] {
        let (auditor, log) = auditor_of(&rejected_leaves(700));
        let head = key().checkpoint(size, root_of(&history(usize::try_from(size).unwrap(), other)));
        let outcome = import(&auditor, &write(&auditor, head));
        assert_eq!(outcome.exit, 4, "size {size}: {outcome:?}");
        assert_eq!(proofs(&auditor), ["inconsistent-heads"], "size {size}");
        let outcome = auditor.audit(log.path(), &[]);
        assert_eq!(
            (outcome.exit, outcome.codes()),
            (4, vec!["inconsistent-heads".to_owned()]),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_larger_head_is_kept_until_the_log_grows() {
    // The log's own history: consistent, once it is served.
    let (auditor, log) = auditor_of(&rejected_leaves(300));
    let honest = key().checkpoint(600, root_of(&rejected_leaves(600)));
    let outcome = import(&auditor, &write(&auditor, honest));
    assert_eq!(outcome.exit, 3, "not compared yet: {outcome:?}");
    let waiting = auditor.audit(log.path(), &[]);
    // The log signed 600 and serves 300: it went back behind what it signed.
    waiting.expect(1, &["head-rollback"]);
    write_files(log.path(), &honest_log(&key(), &rejected_leaves(700)));
    auditor.audit(log.path(), &[]).expect(0, &[]);

    // Another history: proved as soon as the log grows past it.
    let (auditor, log) = auditor_of(&rejected_leaves(300));
    let other = key().sth(600, root_of(&history(600, 400)), HEAD_TIME);
    let outcome = import(&auditor, &write(&auditor, other));
    assert_eq!(outcome.exit, 3, "not compared yet: {outcome:?}");
    write_files(log.path(), &honest_log(&key(), &rejected_leaves(700)));
    let outcome = auditor.audit(log.path(), &[]);
    assert_eq!(outcome.exit, 4, "{outcome:?}");
    assert!(outcome.codes().contains(&"inconsistent-heads".to_owned()), "{outcome:?}");
    assert_eq!(proofs(&auditor), ["inconsistent-heads"]);
}

#[test]
fn an_empty_head_with_a_root_is_invalid() {
    let (auditor, _log) = auditor_of(&rejected_leaves(3));
    let wrong = key().checkpoint(0, root_of(&rejected_leaves(1)));
    let outcome = import(&auditor, &write(&auditor, wrong));
    assert_eq!(outcome.exit, 1, "{outcome:?}");
    let right = key().checkpoint(0, root_of(&[]));
    let (auditor, _log) = auditor_of(&rejected_leaves(3));
    assert_eq!(import(&auditor, &write(&auditor, right)).exit, 0);
}

#[test]
fn a_later_sth_with_a_smaller_size_contradicts() {
    let (auditor, _log) = auditor_of(&rejected_leaves(300));
    let late = key().sth(200, root_of(&rejected_leaves(200)), HEAD_TIME + 60_001);
    assert_eq!(import(&auditor, &write(&auditor, late)).exit, 4);
    assert_eq!(proofs(&auditor), ["sth-time-contradiction"]);
}

#[test]
fn malformed_heads_are_refused() {
    let (auditor, log) = auditor_of(&rejected_leaves(300));
    let root = root_of(&rejected_leaves(200));
    let genuine = String::from_utf8(key().sth(200, root, HEAD_TIME - 1)).unwrap();
    let foreign = String::from_utf8(TestKey::new(2).sth(200, root, HEAD_TIME - 1)).unwrap();
    for (text, new) in [
        ("not a head\n".to_owned(), 0),
        ("{}".to_owned(), 0),
        (foreign.clone(), 0),
        (String::from_utf8(TestKey::new(2).checkpoint(200, root)).unwrap(), 0),
        (genuine.replace(":200,", ":201,"), 0),
        (format!("{foreign}\n{genuine}\n{{\n"), 1),
    ] {
        let outcome = import(&auditor, &write(&auditor, &text));
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!((outcome.exit, report["new"].as_u64()), (1, Some(new)), "{text}: {outcome:?}");
        assert!(!report["refused"].as_array().unwrap().is_empty());
    }
    assert_eq!(auditor.command(&["heads", "import", "--db", "{db}", "/no/such/file"]).exit, 2);
    assert_eq!(auditor.audit(log.path(), &[]).exit, 0);
}

#[test]
fn every_head_is_listed_once() {
    let case = named("honest-grows");
    let auditor = case.auditor();
    for (number, step) in case.steps().iter().enumerate() {
        let options: &[&str] = if number == 0 { &["--init"] } else { &[] };
        assert_eq!(auditor.audit(step, options).exit, 0);
    }
    let listed = auditor.command(&["heads", "list", "--db", "{db}", "--format", "json"]);
    let heads: Vec<Value> = listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sizes: Vec<u64> = heads.iter().map(|head| head["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 1, 100, 100, 256, 256, 300, 300]);
    assert!(heads.iter().all(|head| head["status"] == "consistent" && head["provenance"] == "served"));
    let text = auditor.command(&["heads", "list", "--db", "{db}"]);
    assert_eq!((text.exit, text.stdout.lines().count()), (0, 9));
}

/// A value as its type and, for objects, its members: what the contract fixes.
#[track_caller]
fn assert_shape(report: &Value) {
    let text = |value: &Value| assert!(value.is_string(), "{value} in {report:#}");
    let number = |value: &Value| assert!(value.is_u64(), "{value} in {report:#}");
    let or_null = |value: &Value, is: fn(&Value) -> bool| {
        assert!(value.is_null() || is(value), "{value} in {report:#}")
    };
    assert_eq!((&report["tool"], &report["command"]), (&"countersign".into(), &"audit".into()));
    for name in ["version", "verdict", "startedAt", "finishedAt"] {
        text(&report[name]);
    }
    for name in ["exitCode", "durationMs"] {
        number(&report[name]);
    }
    text(&report["log"]["origin"]);
    text(&report["log"]["source"]);
    for (name, is) in [
        ("treeSize", Value::is_u64 as fn(&Value) -> bool),
        ("rootHash", Value::is_string),
        ("headTime", Value::is_u64),
    ] {
        assert!(report["log"].as_object().unwrap().contains_key(name), "{name}");
        or_null(&report["log"][name], is);
    }
    for name in ["total", "new", "approved", "rejected", "expired", "invalid"] {
        number(&report["entries"][name]);
    }
    for name in ["seen", "new"] {
        number(&report["heads"][name]);
    }
    for check in report["checks"].as_object().unwrap().values() {
        assert!(["passed", "failed", "not-checked"].contains(&check["result"].as_str().unwrap()));
        number(&check["count"]);
    }
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        let members = finding.as_object().unwrap();
        for name in ["code", "severity", "index", "id", "message", "evidence", "firstSeen"] {
            assert!(members.contains_key(name), "{name} is missing in {finding}");
        }
        let code = Code::from_text(finding["code"].as_str().unwrap()).expect("a known code");
        assert_eq!(finding["severity"], code.severity().as_str());
        or_null(&finding["index"], Value::is_u64);
        or_null(&finding["id"], Value::is_string);
        text(&finding["message"]);
        text(&finding["firstSeen"]);
        assert_eq!(finding["evidence"].is_string(), code.severity() == Severity::Violation, "{finding}");
    }
    let place = |finding: &Value| (finding["index"].as_u64(), finding["code"].as_str().unwrap().to_owned());
    assert!(findings.is_sorted_by_key(place), "{report:#}");
}

#[test]
fn every_report_has_the_documented_shape() {
    for case in all() {
        let auditor = case.auditor();
        for (number, step) in case.steps().iter().enumerate() {
            let options: &[&str] = if number == 0 { &["--init"] } else { &[] };
            assert_shape(&auditor.audit(step, options).report());
        }
    }
    let nothing = Auditor::new(&key().vkey());
    assert_shape(&nothing.audit("/no/such/log", &[]).report());
    assert_shape(&nothing.audit("/no/such/log", &["--init"]).report());
}

#[test]
fn wrong_usage_exits_2_without_a_report() {
    let case = named("honest-1");
    let auditor = case.auditor();
    let log = case.last_step();
    for options in [
        &["--init", "--workers", "0"][..],
        &["--init", "--no-such-option"],
        &["--init", "--allow-origin", "https://approvals.example/"],
        &["--init", "--config", "/no/such/file"],
        &["--init", "--max-head-age", "-1"],
    ] {
        let outcome = auditor.audit(&log, options);
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{options:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
    for key in ["", "log.example", "log.approvals.example/2026+00000000+AAAA"] {
        let mut wrong = Auditor::new(key);
        wrong.trust.truncate(2);
        assert_eq!(wrong.init(&log).exit, 2, "{key}");
    }
    assert!(!auditor.db().exists(), "wrong usage made a mirror");
}
