//! Logs for the measurements, built once.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A log in `target/bench-logs`, and the summary that `countersign-testlog` printed.
pub struct BenchLog {
    pub dir: PathBuf,
    pub summary: Value,
}

/// Where logs and mirrors go: one disk for both, as a real auditor may have it.
pub fn home() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is inside the target directory");
    target.join("bench-logs")
}

impl BenchLog {
    /// The log with this number of entries; it is built if it does not exist.
    pub fn of(entries: u64) -> BenchLog {
        let dir = home().join(entries.to_string());
        let summary = home().join(format!("{entries}.json"));
        if !summary.exists() {
            // The summary is written last, so without it the log may be incomplete.
            if dir.exists() {
                fs::remove_dir_all(&dir).expect("the half log can be removed");
            }
            fs::create_dir_all(&dir).expect("target is writable");
            eprintln!("making a log of {entries} entries");
            fs::write(&summary, make(&dir, entries)).expect("target is writable");
        }
        let text = fs::read(&summary).expect("it was just written");
        BenchLog { dir, summary: serde_json::from_slice(&text).expect("it is what the maker printed") }
    }

    pub fn text(&self, member: &str) -> &str {
        self.summary[member].as_str().expect("the maker says it")
    }

    pub fn size(&self) -> u64 {
        self.summary["treeSize"].as_u64().expect("the maker says it")
    }
}

fn make(dir: &Path, entries: u64) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"))
        .arg("build")
        .arg(dir)
        .args(["--entries", &entries.to_string()])
        .output()
        .expect("the program was built with this one");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = output.stdout.trim_ascii().rsplit(|byte| *byte == b'\n').next();
    line.expect("it prints a line").to_vec()
}
