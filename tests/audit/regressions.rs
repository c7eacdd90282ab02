//! A test for every fault that somebody who tried to break the auditor found.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::cli::Auditor;
use support::lab::{Files, write_files};
use support::log::{HEAD_TIME, TestKey, honest_log, leaf, rejected, rejected_leaves, root_of};
use support::passkey::Passkey;
use tempfile::TempDir;

fn key() -> TestKey {
    TestKey::new(1)
}

fn on_disk(files: &Files) -> TempDir {
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), files);
    log
}

fn replace(log: &TempDir, files: &Files) {
    fs::remove_dir_all(log.path()).unwrap();
    write_files(log.path(), files);
}

fn with_sth(leaves: &[Vec<u8>], time: u64) -> Files {
    let mut files = honest_log(&key(), leaves);
    files.insert("sth".to_owned(), key().sth(leaves.len() as u64, root_of(leaves), time));
    files
}

/// serde reads an array of the values for an object. Kept as a head, it could not be read back, and
/// every later run was a fault that told people to throw the history away.
#[test]
fn an_sth_written_as_an_array_is_malformed() {
    let leaves = rejected_leaves(5);
    let files = with_sth(&leaves, HEAD_TIME);
    let sth: Value = serde_json::from_slice(&files["sth"]).unwrap();
    let names = ["type", "origin", "treeSize", "rootHash", "timestamp", "keyId", "signature"];
    let array: Vec<&Value> = names.iter().map(|name| &sth[name]).collect();
    let mut spelt = files.clone();
    spelt.insert("sth".to_owned(), serde_json::to_vec(&array).unwrap());
    let log = on_disk(&spelt);
    let auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(1, &["head-malformed"]);
    replace(&log, &files);
    auditor.audit(log.path(), &[]).expect(0, &[]);
}

/// A recheck that stopped at --max-findings was followed by new entries, and the cursor jumped.
#[test]
fn a_stopped_recheck_skips_no_entry() {
    let approve = |n: usize| {
        let entry = rejected(&format!("entry-{n}"));
        leaf(&Passkey::new(1).approve(entry))
    };
    let leaves: Vec<Vec<u8>> = (0..600).map(approve).collect();
    let log = on_disk(&honest_log(&key(), &leaves[..520]));
    let mut auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(0, &[]);
    replace(&log, &honest_log(&key(), &leaves));
    // Another relying party: now every entry is wrong, and the recheck stops at the limit.
    auditor.trust[3] = "other.example".to_owned();
    for _ in 0..2 {
        let outcome = auditor.audit(log.path(), &["--max-findings", "5"]);
        assert_eq!(outcome.exit, 1, "{outcome:?}");
        assert!(!outcome.report()["incomplete"].as_array().unwrap().is_empty(), "{outcome:?}");
    }
    let outcome = auditor.audit(log.path(), &[]);
    assert_eq!(outcome.exit, 1);
    let entries = &outcome.report()["entries"];
    assert_eq!(
        (&entries["total"], &entries["approved"], &entries["invalid"]),
        (&json!(600), &json!(600), &json!(600))
    );
}

/// What could not be written as evidence was forgotten when the log moved on.
#[test]
fn a_contradiction_outlives_a_full_disk() {
    let leaves = rejected_leaves(30);
    let log = on_disk(&with_sth(&leaves[..10], HEAD_TIME + 60_500));
    let auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(0, &[]);
    replace(&log, &with_sth(&leaves[..20], HEAD_TIME + 300));
    let blocked = auditor.directory().join("blocked");
    fs::write(&blocked, "").unwrap();
    let nowhere = blocked.join("evidence");
    let outcome = auditor.audit(log.path(), &["--evidence-dir", nowhere.to_str().unwrap()]);
    outcome.expect_fault(&["--evidence-dir"]);
    replace(&log, &with_sth(&leaves, HEAD_TIME + 60_600));
    auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction"]);
    auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction"]);
}

/// After a pass that ended in the middle, upper tiles were asked for at a size that no head has.
#[test]
fn unsigned_sizes_need_no_upper_tiles() {
    let leaves = rejected_leaves(900);
    let files = honest_log(&key(), &leaves);
    let mut with_gap = files.clone();
    with_gap.remove("tile/entries/002").unwrap();
    let log = on_disk(&with_gap);
    let auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(1, &["gap"]);
    let outcome = auditor.audit(log.path(), &["--max-entries", "800"]);
    assert_eq!(outcome.codes(), ["gap"], "still the one gap");
    replace(&log, &files);
    auditor.audit(log.path(), &[]).expect(0, &[]);
}

/// A gap was called over as soon as the tree was larger than the beginning of its bundle.
#[test]
fn a_gap_ends_when_its_entries_are_served() {
    let leaves = rejected_leaves(320);
    let log = on_disk(&honest_log(&key(), &leaves[..300]));
    let auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(0, &[]);
    let files = honest_log(&key(), &leaves);
    let mut with_gap = files.clone();
    with_gap.remove("tile/entries/001.p/64").unwrap();
    replace(&log, &with_gap);
    auditor.audit(log.path(), &[]).expect(1, &["gap"]);
    auditor.audit(log.path(), &["--max-entries", "310"]).expect(1, &["gap"]);
    replace(&log, &files);
    auditor.audit(log.path(), &[]).expect(0, &[]);
}

/// A finding beyond a gap was withdrawn by --full, which does not reach beyond the gap.
#[test]
fn a_finding_beyond_a_gap_stays() {
    let mut leaves = rejected_leaves(900);
    leaves[700] = leaf(&json!({"not": "an entry"}));
    let mut files = honest_log(&key(), &leaves);
    files.remove("tile/entries/001").unwrap();
    let log = on_disk(&files);
    let auditor = Auditor::new(&key().vkey());
    auditor.init(log.path()).expect(1, &["gap", "leaf-malformed"]);
    files.remove("tile/entries/002").unwrap();
    replace(&log, &files);
    auditor.audit(log.path(), &["--full"]).expect(1, &["gap", "leaf-malformed"]);
}

/// A 31,000-character id was stored once a finding, escaped: a 32 MB log made a 1.4 GB mirror.
#[test]
fn long_names_are_not_multiplied() {
    let leaves: Vec<Vec<u8>> = (0..40)
        .map(|n| {
            let mut entry = rejected(&"\u{85}".repeat(15_000 + n));
            for name in ["approver", "rpId", "payloadEncoding"] {
                entry[name] = json!("\u{85}".repeat(5_000));
            }
            leaf(&entry)
        })
        .collect();
    let log = on_disk(&honest_log(&key(), &leaves));
    let auditor = Auditor::new(&key().vkey());
    let outcome = auditor.init(log.path());
    assert_eq!(outcome.exit, 1);
    assert!(outcome.stdout.len() < 64 * 1024, "{} bytes", outcome.stdout.len());
    let served: u64 = leaves.iter().map(|leaf| leaf.len() as u64).sum();
    let kept = fs::metadata(auditor.db()).unwrap().len();
    assert!(kept < served * 3 / 2 + 400_000, "{kept} bytes for {served}");
}

/// An empty shell variable made every entry of an honest log look wrong.
#[test]
fn an_empty_trust_option_is_wrong_usage() {
    let log = on_disk(&honest_log(&key(), &rejected_leaves(1)));
    let mut auditor = Auditor::new(&key().vkey());
    for (option, value) in [
        ("--rp-id", ""),
        ("--rp-id", "https://approvals.example"),
        ("--rp-id", "Approvals.example"),
        ("--rp-id", "approvals.example "),
        ("--rp-id", "approvals.example."),
        ("--allow-origin", "approvals.example"),
        ("--allow-origin", "https://approvals.example/"),
        ("--allow-origin", "https://approvals.example:443"),
        ("--allow-origin", "http://approvals.example:80"),
        ("--allow-origin", "https://\u{e4}.example"),
        ("--allow-origin", "https://*.example"),
    ] {
        auditor.trust.truncate(2);
        auditor.trust.extend([option, value].map(str::to_owned));
        let outcome = auditor.init(log.path());
        assert_eq!(outcome.exit, 2, "{option} {value:?}: {outcome:?}");
        assert!(!Path::new(&auditor.db()).exists(), "nothing was begun");
    }
}
