//! The logs with known answers under `fixtures/logs`.

use super::cli::Auditor;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One `case.json`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// Its folder.
    pub name: String,
    /// vkey.
    pub log_key: String,
    rp_id: String,
    allow_origins: Vec<String>,
    steps: Vec<String>,
    /// Exit code of the last audit.
    pub exit: i32,
    /// Verdict of the last audit.
    pub verdict: String,
    /// Code → exactly these indices; `None`: the log as a whole.
    pub findings: BTreeMap<String, Option<Vec<u64>>>,
    /// Further codes that may appear.
    #[serde(default)]
    pub allow: BTreeSet<String>,
    #[serde(default)]
    any_of: Value,
    #[serde(skip)]
    folder: PathBuf,
}

/// Where all fixtures are.
pub fn fixtures() -> PathBuf {
    crate::root().join("fixtures")
}

/// Every case there is, by name.
pub fn all() -> Vec<Case> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(fixtures().join("logs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("case.json").is_file());
    folders.sort();
    folders.iter().map(|folder| read(folder)).collect()
}

/// One case by name.
pub fn named(name: &str) -> Case {
    read(&fixtures().join("logs").join(name))
}

fn read(folder: &Path) -> Case {
    let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
    let mut case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    case.folder = folder.to_owned();
    case
}

impl Case {
    /// What the log serves at successive audits.
    pub fn steps(&self) -> Vec<PathBuf> {
        self.steps.iter().map(|step| self.folder.join(step)).collect()
    }

    /// What the log serves at the last audit.
    pub fn last_step(&self) -> PathBuf {
        self.steps().pop().unwrap()
    }

    /// An auditor who trusts what the case says.
    pub fn auditor(&self) -> Auditor {
        let mut auditor = Auditor::new(&self.log_key);
        auditor.trust =
            vec!["--log-key".to_owned(), self.log_key.clone(), "--rp-id".to_owned(), self.rp_id.clone()];
        for origin in &self.allow_origins {
            auditor.trust.extend(["--allow-origin".to_owned(), origin.clone()]);
        }
        auditor
    }

    /// Asserts that a report is what the case says.
    #[track_caller]
    pub fn check(&self, report: &Value) {
        let name = &self.name;
        assert_eq!(
            (report["exitCode"].as_i64(), &report["verdict"]),
            (Some(self.exit.into()), &Value::from(self.verdict.as_str())),
            "{name}: {report:#}"
        );
        let mut found: BTreeMap<String, Vec<Option<u64>>> = BTreeMap::new();
        for finding in report["findings"].as_array().unwrap().iter().filter(|f| f["severity"] != "info") {
            found
                .entry(finding["code"].as_str().unwrap().to_owned())
                .or_default()
                .push(finding["index"].as_u64());
        }
        for (code, indices) in &self.findings {
            let wanted = match indices {
                None => vec![None],
                Some(indices) => indices.iter().map(|index| Some(*index)).collect(),
            };
            assert_eq!(found.get(code), Some(&wanted), "{name}: {code}");
        }
        let mut expected: BTreeSet<&String> = self.findings.keys().chain(&self.allow).collect();
        let alternatives = alternatives(&self.any_of);
        for (codes, index) in &alternatives {
            let there = codes.iter().any(|code| found.get(code).is_some_and(|at| at.contains(index)));
            assert!(there, "{name}: none of {codes:?} at {index:?}");
            expected.extend(codes);
        }
        for code in found.keys() {
            assert!(expected.contains(code), "{name}: {code} was not expected: {report:#}");
        }
    }
}

/// `anyOf`: one of some codes at an index; several such demands may stand in a list.
fn alternatives(any_of: &Value) -> Vec<(Vec<String>, Option<u64>)> {
    match any_of {
        Value::Null => Vec::new(),
        Value::Array(demands) => demands.iter().flat_map(alternatives).collect(),
        Value::Object(demand) => {
            let codes = demand["codes"].as_array().expect("codes of anyOf");
            let codes = codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect();
            vec![(codes, demand.get("index").and_then(Value::as_u64))]
        }
        other => panic!("anyOf is {other}"),
    }
}
