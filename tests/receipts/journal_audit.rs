//! `countersign audit --journal`: the log of an approval service, held against the journal of a gate that asked it.
#![cfg(unix)] // The gates run `true`.

use countersign::config::Given;
use countersign::core::time::{UnixMillis, whole_millis};
use countersign::run::Silent;
use countersign::service::{self, AuditSpec, Clock};
use countersign::source::Stop;
use countersign::{Conclusion, report};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::approvals::Service;
use support::cli::{Auditor, Outcome, findings, program, run};
use tempfile::TempDir;

/// Longer than anybody waits for an approval to enter the log.
const LATER: Duration = Duration::from_secs(61 * 60);

/// A service, and a gate with its journal.
struct Gate {
    folder: TempDir,
    service: Service,
}

impl Gate {
    fn new(options: &[&str]) -> Gate {
        let service = Service::start(&[&["--decide", "approve"], options].concat());
        let gate = Gate { folder: tempfile::tempdir().unwrap(), service };
        fs::write(gate.path("payload.json"), "{}").unwrap();
        let mut command = program();
        command.args(["gate", "--init", "--journal"]).arg(gate.journal());
        assert_eq!(run(command).exit, 0);
        gate
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journal(&self) -> PathBuf {
        self.path("gate.db")
    }

    /// Asks alex, and runs `command` if they approve; returns the exit code.
    fn ask(&self, command: &str) -> i32 {
        let service = &self.service;
        let mut gate = program();
        gate.arg("gate").arg("--journal").arg(self.journal()).env("COSIGNET_API_KEY", service.api_key());
        gate.args(["--service", service.base(), "--log", &service.served.api_url(), "--log-wait", "1s"]);
        gate.args(["--log-key", service.served.log_key(), "--rp-id", "localhost"]);
        gate.args(["--allow-origin", service.web_origin(), "--username", "alex", "--action", "Deploy"]);
        gate.arg("--payload").arg(self.path("payload.json")).args(["--", command]);
        gate.output().unwrap().status.code().unwrap()
    }

    /// A config that declares the journal complete for these people.
    fn config(&self, complete_for: &[&str]) -> String {
        let path = self.path("audit.toml");
        let text = format!("[journal]\nfile = {:?}\ncomplete-for = {complete_for:?}\n", self.journal());
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Audits this log for the first time, with the journal.
    fn audit(&self) -> Outcome {
        self.service.auditor().audit(self.service.served.tiles_url(), &["--init", "--journal", &self.named()])
    }

    fn named(&self) -> String {
        self.journal().to_str().unwrap().to_owned()
    }

    /// The same an hour later, with the journal or without it.
    fn audit_later(&self, journal: Option<PathBuf>) -> report::Report {
        let given = Given {
            log: Some(self.service.served.tiles_url()),
            db: Some(self.path("later.db")),
            init: true,
            log_key: Some(self.service.served.log_key().to_owned()),
            rp_id: Some("localhost".to_owned()),
            allow_origin: vec![self.service.web_origin().to_owned()],
            journal,
            ..Given::default()
        };
        service::audit(&AuditSpec::of(given).unwrap(), &Later, &Stop::default(), &Silent).unwrap()
    }
}

struct Later;

impl Clock for Later {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(whole_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + LATER))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

fn notes(report: &Value) -> String {
    report["notes"].as_array().unwrap().iter().map(|note| format!("{}\n", note.as_str().unwrap())).collect()
}

fn codes(report: &report::Report) -> Vec<&'static str> {
    report.input().findings.iter().map(|found| found.finding.code.as_str()).collect()
}

#[test]
fn a_journal_that_the_log_agrees_with_is_clean() {
    let gate = Gate::new(&[]);
    assert_eq!([gate.ask("true"), gate.ask("false")], [0, 1]);
    let auditor = gate.service.auditor();
    let log = gate.service.served.tiles_url();
    let report = auditor.init(&log).expect(0, &[]).report();
    assert_eq!(report["checks"]["journal"], Value::Null, "{report:#}");
    let config = gate.config(&["alex"]);
    for options in [["--journal", &gate.named()], ["--config", &config]] {
        let outcome = auditor.audit(&log, &options);
        let report = outcome.expect(0, &[]).report();
        assert_eq!(report["checks"]["journal"]["result"], "passed", "{report:#}");
        assert!(notes(&report).contains("actions in the journal that failed (1)"), "{report:#}");
    }
    let later = gate.audit_later(Some(gate.journal()));
    assert_eq!(later.verdict(), Conclusion::Clean, "{:#?}", later.input());
    let heads = auditor.audit(&log, &["--heads-only", "--journal", &gate.named()]).expect(0, &[]).report();
    assert!(notes(&heads).contains("--heads-only fetches no entries"), "{heads:#}");
}

#[test]
fn an_approval_that_the_log_never_gets_is_omitted_after_an_hour() {
    for (lie, said) in [("not-logged", "does not have it"), ("changes-mind", "has it as rejected")] {
        let gate = Gate::new(&["--lie", lie]);
        assert_eq!(gate.ask("true"), 125);
        let now = gate.audit();
        let report = now.expect(0, &[]).report();
        assert!(notes(&report).contains("not yet judged"), "{lie}: {report:#}");
        assert!(notes(&report).contains("never used (1)"), "{lie}: {report:#}");
        let later = gate.audit_later(Some(gate.journal()));
        assert_eq!(
            (later.verdict(), codes(&later)),
            (Conclusion::Invalid, vec!["approval-omitted"]),
            "{lie}"
        );
        let message = &later.input().findings[0].finding.message;
        assert!(message.contains(said), "{lie}: {message}");
        // It stands for audits that have no journal as well, until the log has the entry.
        let again = gate.audit_later(None);
        assert_eq!(codes(&again), ["approval-omitted"]);
    }
}

#[test]
fn an_approval_that_the_journal_never_asked_for_is_unasked() {
    let gate = Gate::new(&[]);
    assert_eq!(gate.ask("true"), 0);
    let (_, asked) = gate.service.ask("alex", "Deploy", &serde_json::json!({})).unwrap();
    let id = asked["id"].as_str().unwrap();
    assert_eq!(gate.service.wait(id, 60).unwrap().1["status"], "approved");
    let log = gate.service.served.api_url();
    let auditor = gate.service.auditor();
    let bruna = gate.config(&["bruna"]);
    auditor.audit(&log, &["--init", "--config", &bruna]).expect(0, &[]);
    let alex = gate.config(&["alex", "bruna"]);
    for options in [&["--config", &alex][..], &["--config", &alex, "--full"], &[]] {
        let report = auditor.audit(&log, options).expect(0, &["approval-unasked"]).report();
        assert_eq!(findings(&report), [("approval-unasked".to_owned(), Some(21))]);
        assert_eq!(report["findings"][0]["id"], id);
        assert_eq!(report["checks"]["journal"]["result"], "failed");
    }
}

/// The testlogs share one key: the second is a history of this log without the approval.
#[test]
fn an_action_is_without_approval_once_the_mirror_covers_its_receipt() {
    let (gate, other) = (Gate::new(&[]), Service::start(&["--decide", "approve"]));
    assert_eq!(gate.ask("true"), 0);
    let mut auditor = Auditor::new(gate.service.served.log_key());
    let origins = ["--allow-origin", gate.service.web_origin(), "--allow-origin", other.web_origin()];
    auditor.trust = ["--log-key", gate.service.served.log_key(), "--rp-id", "localhost"]
        .into_iter()
        .chain(origins)
        .map(str::to_owned)
        .collect();
    let log = other.served.tiles_url();
    let named = gate.named();
    let report = auditor.audit(&log, &["--init", "--journal", &named]).expect(0, &[]).report();
    assert!(notes(&report).contains("the head in its receipt is larger"), "{report:#}");
    let (_, asked) = other.ask("bruna", "Deploy", &serde_json::json!({})).unwrap();
    assert_eq!(other.wait(asked["id"].as_str().unwrap(), 60).unwrap().1["status"], "approved");
    let outcome = auditor.audit(&log, &["--journal", &named]);
    let report = outcome.expect(1, &["action-without-approval"]).report();
    let message = report["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("size 21") && message.contains("countersign gate export"), "{message}");
}

#[test]
fn a_journal_that_cannot_be_used_is_a_local_fault() {
    let gate = Gate::new(&[]);
    let before: Vec<Vec<u8>> =
        ["gate.db", "gate.db-wal"].iter().map(|name| fs::read(gate.path(name)).unwrap_or_default()).collect();
    assert_eq!(gate.ask("true"), 0);
    let auditor = gate.service.auditor();
    let log = gate.service.served.tiles_url();
    let none = gate.path("none.db").to_str().unwrap().to_owned();
    let outcome = auditor.audit(&log, &["--init", "--journal", &none]);
    outcome.expect_fault(&["there is no journal", "not held against the log"]);
    assert_eq!(outcome.report()["entries"]["total"], 21, "the log is audited all the same");

    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let trust = demo.join("trust.toml").to_str().unwrap().to_owned();
    let mut elsewhere = Auditor::new("");
    elsewhere.trust = vec!["--config".to_owned(), trust];
    let report = elsewhere.audit(&demo, &["--init", "--journal", &gate.named()]).expect(0, &[]).report();
    assert!(notes(&report).contains("about other logs, and were not judged: 1"), "{report:#}");

    let journal = rusqlite::Connection::open(gate.journal()).unwrap();
    journal.execute("UPDATE confirmations SET action = 'another'", []).unwrap();
    drop(journal);
    auditor.audit(&log, &["--journal", &gate.named()]).expect_fault(&["is damaged"]);

    for (name, bytes) in ["gate.db", "gate.db-wal"].iter().zip(before) {
        fs::write(gate.path(name), bytes).unwrap();
    }
    auditor.audit(&log, &["--journal", &gate.named()]).expect_fault(&["may be an older copy"]);
}
