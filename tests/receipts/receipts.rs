//! `countersign verify`, the real program, on receipts made by an independent implementation.

use countersign::core::time::UnixMillis;
use countersign::{Expectation, LogKey, Payload, TrustPolicy, verify_receipt};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::text::assert_fit_for_a_terminal;
use tempfile::TempDir;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/receipts")
}

fn cases() -> Value {
    serde_json::from_slice(&std::fs::read(folder().join("cases.json")).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

struct Ran {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|why| panic!("{why}: {}{}", self.stdout, self.stderr))
    }
}

/// Runs `countersign verify` in the folder of the receipts.
fn verify(args: &[&str], stdin: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("verify").args(args).current_dir(folder());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever needs no stdin closes it.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_fit_for_a_terminal(&stdout);
    assert_fit_for_a_terminal(&stderr);
    Ran { exit: output.status.code().expect("killed"), stdout, stderr }
}

fn trusted<'a>(cases: &'a Value, evidence: &'a TempDir) -> Vec<&'a str> {
    let text = |name: &str| cases[name].as_str().unwrap();
    let origin = cases["allowOrigins"][0].as_str().unwrap();
    let evidence = evidence.path().to_str().unwrap();
    vec![
        "--log-key",
        text("logKey"),
        "--rp-id",
        text("rpId"),
        "--allow-origin",
        origin,
        "--evidence-dir",
        evidence,
    ]
}

/// How many there are is part of the test: a case that is not looked at is no agreement.
#[test]
fn every_case_agrees_with_the_independent_implementation() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let all = cases["cases"].as_array().unwrap();
    assert_eq!(all.len(), 71);
    for case in all {
        let name = case["name"].as_str().unwrap();
        let exits: Vec<i64> = match &case["exit"] {
            Value::Array(exits) => exits.iter().map(|exit| exit.as_i64().unwrap()).collect(),
            exit => vec![exit.as_i64().unwrap()],
        };
        let mut args = vec![case["file"].as_str().unwrap()];
        let own = texts(&case["args"]);
        args.extend(own.iter().map(String::as_str));
        let trust = trusted(&cases, &evidence);
        let skip = |name: &str| case[name].as_bool() == Some(true);
        for pair in trust.chunks(2) {
            let is_key = pair[0] == "--log-key";
            let is_party = pair[0] == "--rp-id" || pair[0] == "--allow-origin";
            if !(is_key && skip("withoutKey") || is_party && skip("withoutRp")) {
                args.extend(pair);
            }
        }
        let (text, json) = (verify(&args, b""), verify(&[&args[..], &["--format", "json"]].concat(), b""));
        assert!(
            exits.contains(&i64::from(text.exit)),
            "{name}: {}\n{}{}",
            text.exit,
            text.stdout,
            text.stderr
        );
        assert_eq!(text.exit, json.exit, "{name}");
        if text.exit == 2 {
            assert!(text.stdout.is_empty() && text.stderr.contains("payload"), "{name}: {}", text.stderr);
            continue;
        }
        let report = json.json();
        let word = report["verdict"].as_str().unwrap().to_uppercase();
        assert!(text.stdout.starts_with(&format!("{word}:")), "{name}: {}", text.stdout);
        assert_eq!(report["exitCode"], json.exit, "{name}");
        assert_eq!(
            (&report["tool"], &report["command"]),
            (&"countersign".into(), &"verify".into()),
            "{name}"
        );
        assert_eq!(report["checks"].as_array().unwrap().len(), 31, "{name}");
        assert!(report["notProven"].as_array().unwrap().len() >= 4, "{name}");
        agrees_with_the_library(&cases, case, &own, json.exit);
    }
}

/// The library is asked the same, as a relying program would.
fn agrees_with_the_library(cases: &Value, case: &Value, args: &[String], exit: i32) {
    let read = |name: &str| std::fs::read(folder().join(name)).unwrap();
    let given = |option: &str| {
        let at = args.iter().position(|arg| arg == option)?;
        Some(args[at + 1].as_str())
    };
    let key = LogKey::parse(cases["logKey"].as_str().unwrap()).unwrap();
    let mut trust =
        TrustPolicy::new(key, cases["rpId"].as_str().unwrap(), cases["allowOrigins"][0].as_str().unwrap());
    if case["withoutKey"].as_bool() == Some(true) {
        trust.log_keys.clear();
    }
    if case["withoutRp"].as_bool() == Some(true) {
        (trust.relying_party.rp_id, trust.relying_party.allowed_origins) = (None, None);
    }
    let payload = given("--payload").map(read);
    let approver: Vec<&str> = given("--approver").into_iter().collect();
    let expected = Expectation {
        payload: payload.as_deref().map(Payload::Bytes),
        action: given("--action"),
        email: given("--email"),
        approvers: approver.as_slice(),
        id: given("--expect-id"),
        ..Expectation::default()
    };
    let receipt = read(case["file"].as_str().unwrap());
    let verdict = verify_receipt(&receipt, &trust, &expected, UnixMillis::new(1_795_000_000_000));
    assert_eq!(i32::from(verdict.conclusion().exit_code()), exit, "{}", case["name"]);
}

#[test]
fn a_fork_in_a_receipt_writes_a_verifiable_misbehaviour_file() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let ran = verify(&[&["sth-other-root.json", "--format", "json"], &trust[..]].concat(), b"");
    assert_eq!(ran.exit, 4);
    let path = ran.json()["evidence"].as_str().unwrap().to_owned();
    let check = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["evidence", "verify", &path, "--log-key", cases["logKey"].as_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(0));
}

#[test]
fn each_of_many_receipts_is_reported_and_the_worst_counts() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let names =
        ["good-payload.json", "rejected-is-not-approved.json", "good-bundle.json", "sth-other-root.json"];
    let lines = |names: &[&str]| {
        let texts = names.iter().map(|name| std::fs::read_to_string(folder().join(name)).unwrap());
        texts.collect::<Vec<_>>().join("\n\n")
    };
    let stdin =
        |names: &[&str], more: &[&str]| verify(&[&["-"], more, &trust[..]].concat(), lines(names).as_bytes());
    let of = |ran: &Ran| -> Vec<(String, i64)> {
        let reports = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        reports
            .map(|report| {
                (report["source"].as_str().unwrap().to_owned(), report["exitCode"].as_i64().unwrap())
            })
            .collect()
    };
    let ran = stdin(&names, &["--format", "json"]);
    assert_eq!(ran.exit, 4);
    let line = |n: usize, exit: i64| (format!("stdin line {n}"), exit);
    assert_eq!(of(&ran), [line(1, 0), line(3, 1), line(5, 0), line(7, 4)]);
    assert!(ran.stderr.contains("4 receipts: 2 clean, 1 invalid, 1 violation"), "{}", ran.stderr);
    let ran = stdin(&names[..3], &[]);
    assert_eq!(ran.exit, 1);
    assert!(ran.stdout.contains("failed decision: rejected, where approved was expected"), "{}", ran.stdout);
    assert_eq!(stdin(&["good-payload.json", "good-bundle.json"], &["--quiet"]).stdout, "");
    // A line that is no receipt is one that fails, and hides none of the others.
    let broken = format!("{}\n{{\"type\":\n{}\n", lines(&names[..1]), lines(&names[..1]));
    let ran = verify(&[&["-", "--format", "json"], &trust[..]].concat(), broken.as_bytes());
    assert_eq!(of(&ran), [line(1, 0), line(2, 1), line(3, 0)]);
    // Several files, and a directory of them.
    let ran = verify(&[&names[..3], &["--format", "json"], &trust[..]].concat(), b"");
    assert_eq!(of(&ran).iter().map(|(_, exit)| *exit).collect::<Vec<_>>(), [0, 1, 0]);
    let folder = TempDir::new().unwrap();
    for name in ["good-payload.json", "good-tlog-proof.tlog-proof", "good-payload.payload"] {
        std::fs::copy(self::folder().join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let ran = verify(&[&[path], &trust[..]].concat(), b"");
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    assert!(ran.stderr.contains("2 receipts: 2 clean; 1 other file(s)"), "{}", ran.stderr);
    let ran = verify(&[&[path, "--quiet"], &trust[..]].concat(), b"");
    assert!(ran.stderr.contains("1 other file(s)"), "skipped files are counted: {}", ran.stderr);
}

#[test]
fn wrong_usage_is_reported_and_checks_nothing() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let wrong: [(&[&str], &str); 8] = [
        (&[], "RECEIPT"),
        (&["no-such-file.json"], "no-such-file.json"),
        (&["good-payload.json", "--payload", "no-such-file"], "no-such-file"),
        (&["-", "--payload", "-"], "stdin"),
        (&["good-payload.json", "--max-age", "soon"], "duration"),
        (&["good-payload.json", "--decision", "maybe"], "maybe"),
        (&["good-payload.json", "--config", "no-such-config"], "no-such-config"),
        (&["good-payload.json", "--payload", "html.json"], "html.json"),
    ];
    for (args, message) in wrong {
        let ran = verify(&[args, &trust[..]].concat(), b"");
        assert_eq!(ran.exit, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn options_and_config_are_equivalent() {
    let (cases, folder) = (cases(), TempDir::new().unwrap());
    let config = folder.path().join("trust.toml");
    let text = format!(
        "log-key = {}\nrp-id = \"approvals.example\"\nallow-origin = [\"https://approvals.example\"]\n\
         payload = \"good-payload.payload\"\napprover = \"bruna\"\nmax-age = \"10000days\"\n",
        cases["logKey"]
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let ran = verify(&["good-payload.json", "--config", config, "--format", "json"], b"");
    assert_eq!(ran.exit, 0, "{}{}", ran.stdout, ran.stderr);
    let report = ran.json();
    let result = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["result"].clone()
    };
    for name in ["payload", "approver", "age"] {
        assert_eq!(result(name), "passed", "{name}");
    }
    let other =
        |more: &[&str]| verify(&[&["good-payload.json", "--config", config], more].concat(), b"").exit;
    assert_eq!(other(&["--approver", "alex"]), 1);
    assert_eq!(other(&["--max-age", "1s"]), 1);
    assert_eq!(other(&["--payload", "payload-changed.payload"]), 1);
    let payload = std::fs::read(self::folder().join("good-payload.payload")).unwrap();
    let ran = verify(&["good-payload.json", "--config", config, "--payload", "-"], &payload);
    assert_eq!(ran.exit, 0);
    // Who pins a key for an approver trusts no other.
    let pinned = |key: &str| {
        let text = std::fs::read_to_string(config).unwrap();
        let path = folder.path().join("pinned.toml");
        std::fs::write(&path, format!("{text}\n[approvers]\nbruna = [\"{key}\"]\n")).unwrap();
        verify(&["good-payload.json", "-v", "--config", path.to_str().unwrap()], b"")
    };
    assert_eq!(pinned(&"0".repeat(64)).exit, 1);
    let ran = pinned("208ee13bb41dfa75c62bfc4d51bc4e93f21901a9c8fbb27029960c966e223685");
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    assert!(ran.stdout.contains("pinned: key 208ee1"), "{}", ran.stdout);
}

/// A release of any size can be approved by its bytes: it is hashed as it is read.
#[test]
fn a_raw_payload_may_be_longer_than_memory_and_json_may_not() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let path = evidence.path().join("long");
    std::fs::write(&path, vec![b' '; 3 * 1024 * 1024]).unwrap();
    let path = path.to_str().unwrap();
    let run = |receipt: &str| verify(&[&[receipt, "--payload", path], &trust[..]].concat(), b"");
    let raw = run("good-raw-payload.json");
    assert_eq!(raw.exit, 1);
    assert!(raw.stdout.contains("payload-mismatch"), "{}", raw.stdout);
    let json = run("good-payload.json");
    assert_eq!(json.exit, 2);
    assert!(json.stderr.contains("longer than"), "{}", json.stderr);
}

/// Behind two million blanks there may stand a receipt.
#[test]
fn no_receipt_of_a_batch_is_skipped() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).unwrap();
    let good = read("good-payload.json");
    for (name, exit) in [("checkpoint-other-key.json", 1), ("good-payload.json", 1), ("deep.json", 1)] {
        for blanks in [2_097_151, 2_097_152, 2_097_153, 2_097_154, 2_097_155, 5_000_000] {
            let text = format!("{good}\n{good}\n{}{}\n{good}\n", " ".repeat(blanks), read(name));
            let ran = verify(&[&["-", "--format", "json"], &trust[..]].concat(), text.as_bytes());
            assert_eq!((ran.exit, ran.stdout.lines().count()), (exit, 4), "{name} behind {blanks}");
        }
    }
}

#[test]
fn a_fork_is_reported_beside_any_other_fault() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let saved = || std::fs::read_dir(evidence.path()).unwrap().count();
    let runs: [&[&str]; 3] = [
        &["sth-other-root.json", "--payload", "html.json"],
        &["sth-other-root.json", "no-such-file.json"],
        &["no-such-file.json", "sth-other-root.json", "good-payload.json"],
    ];
    for args in runs {
        let ran = verify(&[args, &trust[..]].concat(), b"");
        assert_eq!((ran.exit, saved()), (4, 1), "{args:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("misbehaviour-same-size-fork"), "{args:?}: {}", ran.stdout);
        std::fs::remove_dir_all(evidence.path()).unwrap();
        std::fs::create_dir(evidence.path()).unwrap();
    }
    // What cannot be read hides no receipt behind it, and is no pass.
    let ran = verify(&[&["no-such-file.json", "good-payload.json"], &trust[..]].concat(), b"");
    assert_eq!(ran.exit, 2);
    assert!(ran.stdout.contains("good-payload.json"), "{}", ran.stdout);
}

#[test]
fn a_clean_verdict_names_what_was_checked() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &evidence);
    let run = |args: &[&str]| verify(&[args, &trust[..]].concat(), b"").stdout;
    let approved = run(&["good-payload.json", "--payload", "good-payload.payload"]);
    assert!(approved.contains("Act on it once, with exactly the payload"), "{approved}");
    let something = run(&["good-payload.json"]);
    assert!(something.contains("not what") && !something.contains("Act on it once"), "{something}");
    let rejected = run(&["rejected-is-not-approved.json", "--decision", "rejected"]);
    assert!(
        rejected.starts_with("CLEAN: not approved") && rejected.contains("Do not run the action"),
        "{rejected}"
    );
    let unread = run(&["empty.json"]);
    assert!(unread.lines().count() < 12, "{unread}");
}

/// A pin also says whose key it is.
#[test]
fn a_pinned_key_signs_for_its_approver_only() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let path = evidence.path().join("pins.toml");
    let key = "208ee13bb41dfa75c62bfc4d51bc4e93f21901a9c8fbb27029960c966e223685";
    let run = |pins: &str| {
        std::fs::write(&path, format!("[approvers]\n{pins}\n")).unwrap();
        let trust = trusted(&cases, &evidence);
        let ran =
            verify(&[&["good-payload.json", "--config", path.to_str().unwrap()], &trust[..]].concat(), b"");
        (ran.exit, ran.stdout.contains("key-not-pinned"))
    };
    assert_eq!(run(&format!("alex = [\"{key}\"]")), (1, true));
    assert_eq!(run(&format!("alex = [\"{key}\"]\nbruna = [\"{key}\"]")), (0, false));
    assert_eq!(run(&format!("alex = [\"{}\"]", "0".repeat(64))), (0, false));
}

#[test]
fn one_of_several_approvers_is_enough() {
    let (cases, folder) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &folder);
    let exit = |args: &[&str]| verify(&[&["good-payload.json"], args, &trust[..]].concat(), b"").exit;
    assert_eq!(exit(&["--approver", "alex", "--approver", "bruna"]), 0);
    assert_eq!(exit(&["--approver", "alex", "--approver", "mallory"]), 1);
    let config = folder.path().join("c.toml");
    let path = config.to_str().unwrap();
    for (text, expected) in [("[\"alex\", \"bruna\"]", 0), ("\"bruna\"", 0), ("[\"alex\"]", 1), ("7", 2)] {
        std::fs::write(&config, format!("approver = {text}\n")).unwrap();
        assert_eq!(exit(&["--config", path]), expected, "{text}");
    }
}

/// A policy is trust: it is looked for beside the config, and not where the program happens to run.
#[test]
fn a_policy_path_is_relative_to_its_config() {
    let (cases, folder) = (cases(), TempDir::new().unwrap());
    let trust = trusted(&cases, &folder);
    std::fs::write(folder.path().join("c.toml"), "policy = \"p\"\n").unwrap();
    let config = folder.path().join("c.toml");
    let run =
        || verify(&[&["good-payload.json", "--config", config.to_str().unwrap()], &trust[..]].concat(), b"");
    assert_eq!(run().exit, 2, "there is none");
    std::fs::write(folder.path().join("p"), "quorum none\n").unwrap();
    assert_eq!(run().exit, 0, "{}", run().stderr);
    let both = verify(&[&["good-payload.json", "--policy", "-"], &trust[..]].concat(), b"quorum none\n");
    assert_eq!(both.exit, 2);
}

#[test]
fn arguments_are_escaped_in_messages() {
    for args in [
        &["good.json", "--format", "\u{1b}]0;x\u{7}\u{202e}"][..],
        &["good.json", "--decision", "\u{1b}[2J"],
        &["--\u{1b}[2J\u{9b}"],
        &["a", "--workers", "\u{202e}1"],
    ] {
        assert_eq!(verify(args, b"").exit, 2);
    }
    assert_eq!(verify(&["--help"], b"").exit, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn an_unwritable_report_does_not_pass() {
    let (cases, evidence) = (cases(), TempDir::new().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["verify", "good-payload.json", "--format", "json"]).args(trusted(&cases, &evidence));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.current_dir(folder()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}
