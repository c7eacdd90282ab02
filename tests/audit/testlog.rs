//! Logs made by `countersign-testlog`: the same bytes from the same seed, and clean under the audit
//! at every size where the tree's shape changes; and logs of real passkeys, good and bad.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::{TempDir, tempdir};

fn testlog(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign-testlog")).args(args).output().unwrap()
}

/// The summary that a successful `countersign-testlog` prints.
fn made(args: &[&str]) -> Value {
    let output = testlog(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

fn build(dir: &Path, entries: u64, more: &[&str]) -> Value {
    let entries = entries.to_string();
    made(&[&["build", dir.to_str().unwrap(), "--entries", &entries], more].concat())
}

/// The report of one audit with the trust that the log's maker printed.
fn audit(log: &Path, summary: &Value, db: &Path) -> Value {
    let key = summary["logKey"].as_str().unwrap();
    audit_with(
        log,
        db,
        &["--log-key", key, "--rp-id", "approvals.example", "--allow-origin", "https://approvals.example"],
    )
}

fn audit_with(log: &Path, db: &Path, trust: &[&str]) -> Value {
    let (log, db) = (log.to_str().unwrap(), db.to_str().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["audit", "--init", "--format", "json", "--log", log, "--db", db])
        .args(trust)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["exitCode"], output.status.code().unwrap());
    report
}

fn assert_clean(report: &Value, entries: u64) {
    assert_eq!(report["verdict"], "clean", "{report}");
    assert_eq!(report["findings"], serde_json::json!([]));
    assert_eq!(report["entries"]["total"], entries);
    assert_eq!(report["log"]["treeSize"], entries);
    for (name, check) in report["checks"].as_object().unwrap() {
        assert_ne!(check["result"], "failed", "{name}");
    }
}

/// Every file below a directory with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut left) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Authenticators that write the key type as text, of every algorithm.
#[test]
fn named_key_types_are_only_warnings() {
    let dir = tempdir().unwrap();
    let (log, db) = paths(&dir);
    let mix = "es256=1,rs256=1,eddsa=1,es384=1";
    let options = ["--approvers", "8", "--mix", mix, "--named-kty"];
    let report = audit(&log, &build(&log, 60, &options), &db);
    assert_eq!((&report["verdict"], &report["exitCode"]), (&"clean".into(), &0.into()), "{report}");
    let found = report["findings"].as_array().unwrap();
    assert!(found.iter().all(|finding| finding["code"] == "key-encoding-odd"), "{report}");
    assert_eq!(report["entries"]["approved"], found.len());
}

fn paths(dir: &TempDir) -> (PathBuf, PathBuf) {
    (dir.path().join("log"), dir.path().join("mirror.db"))
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

#[test]
fn honest_logs_of_every_mix_are_clean() {
    // 65,536 leaves fill a tile of level 1, which 65,793 go beyond by a bundle and an entry.
    for (entries, mix) in [
        (0, "es256=85,rs256=8,eddsa=5,es384=2"),
        (1, "es384=1"),
        (255, "rs256=1"),
        (256, "es256=85,rs256=8,eddsa=5,es384=2"),
        (257, "es256=1,eddsa=1"),
        (65_793, "eddsa=1"),
    ] {
        let dir = tempdir().unwrap();
        let (log, db) = paths(&dir);
        let summary = build(&log, entries, &["--mix", mix]);
        let report = audit(&log, &summary, &db);
        assert_clean(&report, entries);
        assert_eq!(report["log"]["rootHash"], summary["rootHash"]);
    }
}

#[test]
fn a_seed_gives_one_log_for_any_thread_count() {
    let dir = tempdir().unwrap();
    let log = |name: &str, more: &[&str]| {
        let path = dir.path().join(name);
        build(&path, 600, more);
        files(&path)
    };
    let first = log("a", &["--workers", "1"]);
    let expected = ["checkpoint", "sth", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"];
    let bundles = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"];
    let names: BTreeSet<PathBuf> = expected.iter().chain(&bundles).map(PathBuf::from).collect();
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), names);
    assert_eq!(first, log("b", &["--workers", "5"]));
    let other = log("c", &["--seed", "another"]);
    assert!(first.iter().all(|(path, bytes)| other[path] != *bytes));
}

#[test]
fn a_log_has_the_requested_mix() {
    let dir = tempdir().unwrap();
    let (log, _) = paths(&dir);
    build(&log, 1000, &["--approvers", "40", "--rejected-percent", "10", "--expired-percent", "0"]);
    let (mut approvers, mut decisions) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
    let (mut algorithms, mut flags, mut longer) = (BTreeMap::<Vec<u8>, u32>::new(), BTreeSet::new(), 0);
    for (n, width) in [("000", 256), ("001", 256), ("002", 256), ("003.p/232", 232)] {
        let bundle = fs::read(log.join("tile/entries").join(n)).unwrap();
        for leaf in countersign::core::tile::parse_bundle(&bundle, width).unwrap() {
            let reading = countersign::core::entry::read_leaf(leaf, "log.approvals.example/test");
            assert_eq!(reading.findings, []);
            let entry = reading.entry.unwrap();
            *decisions.entry(entry.decision.as_str().to_owned()).or_default() += 1;
            let Some(signed) = entry.assertion else { continue };
            approvers.insert(entry.approver);
            *algorithms.entry(signed.public_key[1..5].to_vec()).or_default() += 1;
            flags.insert((signed.authenticator_data[32], signed.authenticator_data[33..] == [0; 4]));
            longer += u32::from(String::from_utf8(signed.client_data_json).unwrap().contains("other_keys"));
        }
    }
    assert!(approvers.len() > 30);
    assert_eq!(algorithms.len(), 4, "{algorithms:?}");
    assert_eq!(flags, BTreeSet::from([(0x05, false), (0x05, true), (0x0d, true), (0x1d, true)]));
    assert!((100..220).contains(&longer), "{longer}");
    assert!(
        (60..140).contains(&decisions["rejected"]) && !decisions.contains_key("expired"),
        "{decisions:?}"
    );
}

#[test]
fn a_grown_log_equals_the_longer_log() {
    let dir = tempdir().unwrap();
    let (log, db) = paths(&dir);
    let mut times = Vec::new();
    assert_clean(&audit(&log, &build(&log, 0, &[]), &db), 0);
    for entries in ["1", "1", "255", "256", "700"] {
        let summary = made(&["grow", log.to_str().unwrap(), "--entries", entries]);
        let report = audit(&log, &summary, &db);
        assert_clean(&report, entries.parse().unwrap());
        times.push(report["log"]["headTime"].as_u64().unwrap());
    }
    assert!(times.is_sorted() && times[1] < times[2], "{times:?}");
    let direct = dir.path().join("direct");
    build(&direct, 700, &[]);
    let grown = files(&log);
    assert!(files(&direct).iter().all(|(path, bytes)| grown[path] == *bytes));
}

#[test]
fn growing_another_log_is_refused() {
    for entries in [100, 256, 300] {
        let dir = tempdir().unwrap();
        let (log, _) = paths(&dir);
        build(&log, entries, &[]);
        let before = files(&log);
        let wrong: [&[&str]; 4] = [
            &["--entries", "400", "--seed", "another"],
            &["--entries", "400", "--approvers", "10"],
            &["--entries", "400", "--origin", "other.example"],
            &["--entries", "9"],
        ];
        for options in wrong {
            let args = [&["grow", log.to_str().unwrap()], options].concat();
            assert!(!testlog(&args).status.success(), "{args:?}");
            assert_eq!(files(&log), before, "{args:?}");
        }
        assert!(!testlog(&["build", log.to_str().unwrap(), "--entries", "400"]).status.success());
        assert_eq!(files(&log), before);
    }
}

#[test]
fn the_demo_follows_from_its_captures_and_is_clean() {
    let dir = tempdir().unwrap();
    let (log, db) = paths(&dir);
    let captures = fixture("captures/passkeys.json");
    made(&["demo", log.to_str().unwrap(), "--captures", captures.to_str().unwrap()]);
    let mut kept = files(&fixture("demo"));
    assert!(kept.remove(Path::new("trust.toml")).is_some());
    assert_eq!(files(&log), kept);
    let trust = fixture("demo/trust.toml");
    let report = audit_with(&fixture("demo"), &db, &["--config", trust.to_str().unwrap()]);
    assert_clean(&report, 800);
    assert_eq!(report["entries"]["approved"], 800);
}

/// Real signatures over the wrong thing, one after the other behind 800 honest ones.
#[test]
fn each_bad_capture_has_exactly_its_findings() {
    let expected = |kind: &str| -> &[&str] {
        match kind {
            "wrong-origin-subdomain" => &["origin-not-allowed"],
            "wrong-rp" => &["origin-not-allowed", "rp-id-mismatch"],
            "no-user-verification" => &["user-not-verified"],
            "cross-origin-frame" => &["cross-origin", "top-origin-not-allowed"],
            "login-challenge" | "bare-payload-hash" | "hash-before-nonce" | "other-payload" => {
                &["challenge-mismatch"]
            }
            "honest" => &[],
            other => panic!("a new kind of capture: {other}"),
        }
    };
    let dir = tempdir().unwrap();
    let (log, db) = paths(&dir);
    let (good, bad) = (fixture("captures/passkeys.json"), fixture("captures/passkeys-bad.json"));
    made(&[
        "demo",
        log.to_str().unwrap(),
        "--captures",
        good.to_str().unwrap(),
        "--captures",
        bad.to_str().unwrap(),
    ]);
    let report = audit_with(&log, &db, &["--config", fixture("demo/trust.toml").to_str().unwrap()]);
    let mut found = BTreeMap::<u64, Vec<&str>>::new();
    for finding in report["findings"].as_array().unwrap() {
        found.entry(finding["index"].as_u64().unwrap()).or_default().push(finding["code"].as_str().unwrap());
    }
    let captures: Value = serde_json::from_slice(&fs::read(bad).unwrap()).unwrap();
    let captures = captures["assertions"].as_array().unwrap();
    let mut credentials = BTreeSet::new();
    for (index, capture) in (800..).zip(captures) {
        let mut codes = expected(capture["kind"].as_str().unwrap()).to_vec();
        // All of them are mallory's, who has a passkey for each kind.
        if credentials.insert(capture["credentialId"].as_str().unwrap()) && credentials.len() > 1 {
            codes.push("credential-new");
        }
        codes.sort_unstable();
        assert_eq!(found.remove(&index).unwrap_or_default(), codes, "{}", capture["kind"]);
    }
    assert_eq!(found, BTreeMap::new());
    assert_eq!(report["verdict"], "invalid");
    assert_eq!(report["entries"]["invalid"], 16);
}
