//! What hostile files cost: `countersign verify` needs at most 64 MB, whatever it is given, and one thread
//! for one receipt.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::cli::run_watched;
use tempfile::TempDir;

/// Bytes of memory at most.
const MOST: u64 = 64_000_000;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/receipts").join(name)
}

fn verify(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("verify").args(args).arg("--config").arg(fixture("trust.toml")).stdin(Stdio::null());
    command
}

/// A list of so many copies, about as long as any file may be.
fn list(item: &str, bytes: usize) -> String {
    format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","))
}

fn held_to_the_bound(what: &str, command: Command, exits: &[i32]) {
    let watched = run_watched(command);
    assert!(exits.contains(&watched.outcome.exit), "{what}: {:#?}", watched.outcome);
    // A run may be over before it was looked at.
    let peak = watched.peak.unwrap_or(0);
    assert!(peak <= MOST, "{what}: {peak} bytes");
    assert!(watched.took < support::HANG, "{what}: {:?}", watched.took);
}

#[test]
fn receipts_need_bounded_memory() {
    let good = std::fs::read_to_string(fixture("good-payload.json")).unwrap();
    let committed = good.replacen(
        "\"revealCommitment\":null",
        &format!("\"revealCommitment\":\"{}\"", "00".repeat(32)),
        1,
    );
    assert_ne!(good, committed);
    let with = |member: &str, value: &str| {
        let text = committed.replacen(&format!("\"{member}\":"), &format!("\"{member}\":{value},\"x\":"), 1);
        assert!(text.len() > good.len());
        text
    };
    let folder = TempDir::new().unwrap();
    let mut texts: Vec<(String, String)> = Vec::new();
    for item in ["0", "[]", "[0]", "{}", "{\"a\":0}", "\"\"", "\"a\"", "1e1", "[[[[0]]]]"] {
        let list = list(item, 2_000_000);
        let reveal = committed.replacen("\"reveal\":null", &format!("\"reveal\":{list}"), 1);
        texts.push((format!("reveal of {item}"), reveal));
        texts.push((
            format!("entry of {item}"),
            committed.replacen("\"decision\":", &format!("\"x\":{list},\"decision\":"), 1),
        ));
        texts.push((
            format!("anchors of {item}"),
            committed.replacen("\"anchors\":[]", &format!("\"anchors\":{list}"), 1),
        ));
        texts.push((format!("list of {item}"), list));
    }
    texts.push(("members".to_owned(), {
        let members: Vec<String> = (0..150_000).map(|n| format!("\"{n}\":0")).collect();
        committed.replacen("\"reveal\":null", &format!("\"reveal\":{{{}}}", members.join(",")), 1)
    }));
    texts.push(("zeros".to_owned(), "\0".repeat(20_000_000)));
    texts.push(("escapes".to_owned(), with("approver", &format!("\"{}\"", "\\u0041".repeat(300_000)))));
    let many = texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
    texts.push(("all of them, a line each".to_owned(), many));
    let path = folder.path().join("receipt.json");
    for (what, text) in &texts {
        std::fs::write(&path, text).unwrap();
        held_to_the_bound(what, verify(&["--workers", "8", path.to_str().unwrap()]), &[1]);
    }
}

#[test]
fn payloads_policies_and_configs_need_bounded_memory() {
    let folder = TempDir::new().unwrap();
    let receipt = fixture("good-payload.json");
    let receipt = receipt.to_str().unwrap();
    let mut files: Vec<(&str, String)> = Vec::new();
    for item in ["0", "[]", "[0]", "{}", "{\"a\":0}", "\"\"", "\"a\"", "1e1", "[[[[0]]]]"] {
        files.push(("--payload", list(item, 2_097_000)));
        files.push(("--payload", list(item, 50_000_000)));
    }
    let members: Vec<String> = (0..180_000).map(|n| format!("\"{n}\":0")).collect();
    files.push(("--payload", format!("{{{}}}", members.join(","))));
    files.push(("--policy", (0..40_000).map(|n| format!("group g{n} 1 g{n}\n")).collect()));
    files.push(("--policy", "x".repeat(5_000_000)));
    files.push(("--policy", "\n".repeat(1_000_000)));
    let path = folder.path().join("file");
    for (option, text) in files {
        std::fs::write(&path, &text).unwrap();
        let what = format!("{option} {}… of {} bytes", &text[..text.len().min(20)], text.len());
        held_to_the_bound(&what, verify(&[receipt, option, path.to_str().unwrap()]), &[1, 2]);
    }
    // Hashed once, whatever the number of receipts and threads.
    let many = vec![std::fs::read_to_string(fixture("good-payload.json")).unwrap(); 200].join("\n");
    let (lines, payload) = (folder.path().join("many.ndjson"), folder.path().join("payload"));
    std::fs::write(&lines, many).unwrap();
    std::fs::write(&payload, format!("{{{}}}", members.join(","))).unwrap();
    let (lines, payload) = (lines.to_str().unwrap(), payload.to_str().unwrap());
    held_to_the_bound(
        "a long payload for many",
        verify(&[lines, "--payload", payload, "--workers", "64"]),
        &[1],
    );
    let pins: String = (0..35_000).map(|n| format!("\"a{n}\" = []\n")).collect();
    std::fs::write(&path, format!("[approvers]\n{pins}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["verify", receipt, "--config", path.to_str().unwrap()]).stdin(Stdio::null());
    held_to_the_bound("a long config", command, &[3]);
}

/// No async runtime, no pool: while it waits for its receipt, the program has one thread.
#[test]
fn one_receipt_is_checked_by_one_thread() {
    let mut child = verify(&["-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let receipt = std::fs::read(fixture("good-payload.json")).unwrap();
    stdin.write_all(&receipt[..1000]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count();
    stdin.write_all(&receipt[1000..]).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(threads, 1);
}
