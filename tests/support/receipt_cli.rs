//! `countersign receipt` as the tests run it.

use super::case::fixtures;
use super::cli::{Auditor, Outcome, program, run};
use super::lab::{Files, write_files};
use super::log::{TestKey, honest_log};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The demo log's key.
pub const DEMO_KEY: &str = "log.approvals.example/demo+8510316a+AW1WNZCZA1cmce/hLEL8UdRcAicdDrQ7a0EjMoTz7QD2";

/// Entry 5 of the demo log.
pub const DEMO_ID: &str = "2a72431f-a875-40f6-aa04-1e5cbe4fa5d3";

/// Short limits for tests.
pub const IMPATIENT: [&str; 4] = ["--timeout", "2s", "--retry-for", "3s"];

/// The key of logs made here.
pub fn key() -> TestKey {
    TestKey::new(1)
}

/// An auditor with a mirror of the demo log.
pub fn demo() -> Auditor {
    let auditor = Auditor::new(DEMO_KEY);
    assert_eq!(auditor.init(fixtures().join("demo")).exit, 0);
    auditor
}

/// `countersign receipt` with all that the auditor trusts; `{db}` and `{dir}` are the auditor's.
#[track_caller]
pub fn receipt(auditor: &Auditor, arguments: &[&str]) -> Outcome {
    let (db, dir) = (auditor.db().display().to_string(), auditor.directory().display().to_string());
    let mut command = program();
    command.arg("receipt").args(&auditor.trust);
    command.args(arguments.iter().map(|argument| argument.replace("{db}", &db).replace("{dir}", &dir)));
    command.current_dir(auditor.directory());
    run(command)
}

/// Nothing is written, and the reason is printed.
#[track_caller]
pub fn nothing(outcome: &Outcome, exit: i32, words: &[&str]) {
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (exit, ""), "{outcome:#?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "{word:?} is not said: {}", outcome.stderr);
    }
}

/// `countersign verify` of a receipt with the same trust.
#[track_caller]
pub fn verify(auditor: &Auditor, text: &str, options: &[&str]) -> Value {
    let path = auditor.directory().join("to-verify");
    fs::write(&path, text).unwrap();
    let mut command = program();
    command.arg("verify").arg(path).args(&auditor.trust).args(options).args(["--format", "json"]);
    run(command).report()
}

/// The files of a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A log made here, in a directory, with an auditor of it.
pub fn own(leaves: &[Vec<u8>], change: impl Fn(&mut Files)) -> (Auditor, TempDir, Outcome) {
    let (auditor, log) = (Auditor::new(&key().vkey()), tempfile::tempdir().unwrap());
    let mut files = honest_log(&key(), leaves);
    change(&mut files);
    write_files(log.path(), &files);
    let outcome = auditor.init(log.path());
    (auditor, log, outcome)
}
