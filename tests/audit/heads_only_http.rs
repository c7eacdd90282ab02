//! `--heads-only` with the real program over HTTP, against a log that lies, with transient faults and under `kill -9`.

use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::cli::{Auditor, Outcome};
use support::lab::on_threads;
use support::served::Served;

const IMPATIENT: [&str; 5] = ["--heads-only", "--timeout", "2s", "--retry-for", "4s"];

fn auditor(log: &Served) -> Auditor {
    let mut auditor = Auditor::new(log.log_key());
    auditor.trust.truncate(2);
    auditor
}

/// So many runs, `--init` with the first of them; the last answer.
#[track_caller]
fn follow(auditor: &Auditor, url: &str, options: &[&str], runs: u64) -> Outcome {
    let run = |more: &[&str]| auditor.audit(url, &[&IMPATIENT[..], options, more].concat());
    let mut last = run(&["--init"]);
    for _ in 1..runs {
        last = run(&[]);
    }
    last
}

/// Lies about heads, in the words of the table; what they show is the same with and without entries.
fn is_of_heads(name: &str) -> bool {
    let names =
        ["rewrite", "rollback", "shrink", "frozen", "head-disagree", "wrong-key", "key-swap", "future"];
    names.contains(&name)
        || ["fork", "no-head", "history", "deep-json", "floats", "strings"]
            .iter()
            .any(|part| name.starts_with(part))
}

#[test]
fn only_lies_about_heads_are_found() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign-testlog"))
        .args(["lies", "--format", "json"])
        .output()
        .unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let rows: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "lie").collect();
    let wrong = std::sync::Mutex::new(Vec::new());
    on_threads(6, rows.len() * 2, |piece| {
        let (row, by_api) = (rows[piece / 2], piece % 2 == 1);
        let expected = &row[if by_api { "api" } else { "tiles" }];
        if expected.is_null() {
            return;
        }
        let log = Served::start(&["--entries", "600", "--lie", row["option"].as_str().unwrap()]);
        let auditor = auditor(&log);
        let url = if by_api { log.api_url() } else { log.tiles_url() };
        let texts = |name: &str| -> Vec<String> {
            expected[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let options = texts("options");
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let last = follow(&auditor, &url, &options, expected["audits"].as_u64().unwrap());
        let wanted = match is_of_heads(row["name"].as_str().unwrap()) {
            true => (i32::try_from(expected["exit"].as_i64().unwrap()).unwrap(), texts("codes")),
            false => (0, Vec::new()),
        };
        let outcome = (last.exit, last.codes());
        println!("{} api {by_api}: {outcome:?}", row["option"]);
        if outcome != wanted {
            let why = format!(
                "{} api {by_api}: {outcome:?}, expected {wanted:?}: {:#}",
                row["option"],
                last.report()
            );
            wrong.lock().unwrap().push(why);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// While the log grows, what is needed to compare heads is wrong, missing or cannot be had.
#[test]
fn unproved_heads_are_undecided() {
    for (lie, tiles, api) in [
        ("tampered-proof", (1, &["tile-mismatch"][..]), (1, &["proof-invalid"][..])),
        ("no-proof:404", (1, &["gap"]), (1, &["gap"])),
        ("no-proof:500", (3, &[]), (3, &[])),
    ] {
        for by_api in [false, true] {
            let log = Served::start(&["--entries", "600", "--grow", "20", "--lie", lie]);
            let url = if by_api { log.api_url() } else { log.tiles_url() };
            let auditor = auditor(&log);
            // There may be several heads from the start: in the API's list of them, and where the log grew between the
            // checkpoint and the STH.
            let first = follow(&auditor, &url, &[], 1);
            let several = first.report()["heads"]["seen"] != 1;
            assert!(first.exit == 0 || by_api || several, "{first:?}");
            // The next head is another one.
            let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
            let size = || {
                let head = client.get(format!("{}/checkpoint", log.url)).send().unwrap().text().unwrap();
                head.lines().nth(1).map(str::to_owned)
            };
            let before = size();
            support::until("grown", || size() != before);
            let (exit, codes) = if by_api { api } else { tiles };
            let outcome = auditor.audit(&url, &IMPATIENT);
            outcome.expect(exit, codes);
            assert!(!outcome.report()["incomplete"].as_array().unwrap().is_empty(), "{lie}: {outcome:?}");
        }
    }
}

/// Killed repeatedly while the log grows: the mirror opens, there are no findings, and in the end every head is linked.
#[test]
fn a_killed_run_loses_no_head() {
    for by_api in [false, true] {
        let log = Served::start(&["--entries", "300", "--grow", "50", "--disturb", "503"]);
        let url = if by_api { log.api_url() } else { log.tiles_url() };
        let auditor = auditor(&log);
        follow(&auditor, &url, &[], 1).expect(0, &[]);
        let mut random = fastrand::Rng::with_seed(20261124);
        for _ in 0..15 {
            let mut command = auditor.audit_command(&url, &IMPATIENT);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let (begun, delay) = (Instant::now(), Duration::from_millis(random.u64(5..150)));
            while begun.elapsed() < delay && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
        let last = auditor.audit(&url, &IMPATIENT);
        last.expect(0, &[]);
        let list = auditor.command(&["heads", "list", "--db", "{db}"]).stdout;
        // What is listed may be newer than what was served a moment before.
        let size = |line: &str| line.split_whitespace().next().unwrap().parse::<u64>().unwrap();
        let served = last.report()["log"]["treeSize"].as_u64().unwrap();
        let mut old = list.lines().skip(1).filter(|line| size(line) <= served).peekable();
        assert!(old.peek().is_some() && old.all(|line| line.contains("linked")), "{served}: {list}");
        assert!(auditor.leaves().is_empty());
    }
}
