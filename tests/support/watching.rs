//! A log in a directory and an auditor of it with a config, for tests of watch rules.

use super::cli::{Auditor, Outcome, RP_ID, WEB_ORIGIN};
use super::lab::write_files;
use super::log::{HEAD_TIME, TestKey, honest_log, leaf, rejected, root_of};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

/// A log in a directory that grows as a test says, an auditor of it, and the auditor's config.
pub struct Bench {
    pub log: TempDir,
    pub leaves: Vec<Vec<u8>>,
    pub auditor: Auditor,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench::new()
    }
}

impl Bench {
    pub fn new() -> Bench {
        let auditor = Auditor::new(&TestKey::new(1).vkey());
        Bench { log: tempfile::tempdir().unwrap(), leaves: Vec::new(), auditor }
    }

    pub fn add(&mut self, entries: impl IntoIterator<Item = Value>) -> &mut Bench {
        self.leaves.extend(entries.into_iter().map(|entry| leaf(&entry)));
        self.write();
        self
    }

    pub fn write(&self) {
        let key = TestKey::new(1);
        let mut files = honest_log(&key, &self.leaves);
        let size = self.leaves.len() as u64;
        files.insert("sth".to_owned(), key.sth(size, root_of(&self.leaves), HEAD_TIME + size));
        write_files(self.log.path(), &files);
    }

    pub fn config(&self, text: &str) -> PathBuf {
        let path = self.auditor.directory().join("config.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Audits with this config.
    pub fn audit(&self, config: &str, options: &[&str]) -> Outcome {
        let path = self.config(config);
        let mut all = vec!["--config", path.to_str().unwrap()];
        all.extend(if self.auditor.db().exists() { &[][..] } else { &["--init"] });
        all.extend(options);
        self.auditor.audit(self.log.path(), &all)
    }

    /// Audits and gives the report as text.
    pub fn text(&self, config: &str, options: &[&str]) -> Outcome {
        let (path, log) = (self.config(config), self.log.path().to_str().unwrap());
        let words = ["audit", "--log", log, "--db", "{db}", "--init", "--config", path.to_str().unwrap()];
        let trust = ["--rp-id", RP_ID, "--allow-origin", WEB_ORIGIN];
        self.auditor.command(&[&words[..], &trust, options].concat())
    }

    /// One column of the mirror.
    pub fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> Vec<T> {
        let db = rusqlite::Connection::open(self.auditor.db()).unwrap();
        let mut select = db.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The entries that standing hits are about, as the view has them.
    pub fn hit(&self) -> Vec<u64> {
        self.sql("SELECT \"index\" FROM standing_findings WHERE code = 'watch-list' ORDER BY 1")
    }
}

/// The hits of a report: rule and entry.
pub fn hits(outcome: &Outcome) -> Vec<(String, Option<u64>)> {
    let report = outcome.report();
    let found = report["findings"].as_array().unwrap().iter().filter(|found| found["code"] == "watch-list");
    found.map(|found| (found["rule"].as_str().unwrap().to_owned(), found["index"].as_u64())).collect()
}

/// Hits of one rule.
pub fn of(rule: &str, indexes: impl IntoIterator<Item = u64>) -> Vec<(String, Option<u64>)> {
    indexes.into_iter().map(|index| (rule.to_owned(), Some(index))).collect()
}

/// Entry `n`, which this person rejected.
pub fn by(approver: &str, n: usize) -> Value {
    let mut entry = rejected(&format!("entry-{n}"));
    entry["approver"] = approver.into();
    entry
}

/// Entries `range`, every third of which is alex's.
pub fn mixed(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| by(if n % 3 == 0 { "alex" } else { "sam" }, n)).collect()
}

/// A rule for alex.
pub const ALEX: &str = "[[watch]]\nname = \"alex\"\napprover = \"alex\"\n";
