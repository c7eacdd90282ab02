//! `countersign mirror check`: every part of a mirror is held against what was written, the part that is wrong is named, and
//! `--rebuild` makes again what follows from the entries.

mod support;

use serde_json::Value;
use support::case::{Case, named};
use support::cli::{Auditor, Outcome};

/// A mirror after three audits of a growing log.
fn grown(case: &Case) -> Auditor {
    let auditor = case.auditor();
    assert_eq!(auditor.init(&case.steps()[0]).exit, 0);
    for step in &case.steps()[1..3] {
        assert_eq!(auditor.audit(step, &[]).exit, 0);
    }
    auditor
}

fn check(auditor: &Auditor, options: &[&str]) -> Outcome {
    auditor.command(&[&["mirror", "check", "--db", "{db}"], options].concat())
}

/// The tables that are wrong by the JSON report.
fn wrong(outcome: &Outcome) -> Vec<String> {
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["exitCode"], outcome.exit);
    let parts = report["parts"].as_array().unwrap().iter();
    parts
        .filter(|part| !part["wrong"].is_null())
        .map(|part| part["table"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_mirror_as_written_is_clean_in_every_part() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let outcome = check(&auditor, &[]);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    for table in ["file", "leaves", "heads", "findings", "seen", "keys", "entry_columns", "alerts"] {
        assert!(
            outcome.stdout.lines().any(|line| line.starts_with(table) && line.ends_with("as written")),
            "{outcome:#?}"
        );
    }
    assert_eq!(wrong(&check(&auditor, &["--format", "json"])), Vec::<String>::new());
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// One statement for each table, and the part that is then wrong.
const DAMAGES: [(&str, &str); 8] = [
    ("DELETE FROM heads WHERE size = (SELECT min(size) FROM heads)", "heads"),
    ("UPDATE heads SET listed = 1", "heads"),
    ("DELETE FROM keys", "keys"),
    ("UPDATE entry_columns SET approver = 'x' WHERE idx = 3", "entry_columns"),
    ("DELETE FROM approver_keys", "approver_keys"),
    ("DELETE FROM findings", "findings"),
    ("UPDATE leaves SET leaf = x'7b7d' WHERE idx = 5", "leaves"),
    ("UPDATE nodes SET hash = zeroblob(32) WHERE n = 0", "leaves"),
];

#[test]
fn the_part_that_is_wrong_is_named_and_rebuilding_mends_it() {
    let case = named("honest-grows");
    for (sql, part) in DAMAGES {
        let auditor = grown(&case);
        auditor.sql("INSERT INTO alert_channels VALUES ('x', 1, 1, 1, 'x'); DELETE FROM alert_channels");
        let before = count(&auditor, "findings");
        auditor.sql(sql);
        let outcome = check(&auditor, &["--format", "json"]);
        if part == "findings" && before == 0 {
            assert_eq!(outcome.exit, 0, "{sql}: {outcome:#?}");
            continue;
        }
        assert_eq!((outcome.exit, wrong(&outcome)), (5, vec![part.to_owned()]), "{sql}");
        let rebuilt = check(&auditor, &["--rebuild"]);
        assert_eq!(rebuilt.exit, 0, "{sql}: {rebuilt:#?}");
        assert!(rebuilt.stdout.contains("made again"), "{rebuilt:#?}");
        let lost = rebuilt.stdout.contains("LOST: ");
        assert_eq!(lost, part == "heads", "{sql}: {rebuilt:#?}");
        if lost {
            assert!(rebuilt.stdout.contains("heads import"), "{rebuilt:#?}");
        }
        assert!(auditor.beside_db(".damaged-1").is_file(), "the damaged file is kept");
        let audit = auditor.audit(case.last_step(), &[]);
        assert_eq!(audit.exit, 0, "{sql}: {audit:#?}");
        assert_eq!(
            audit.report()["entries"],
            case.auditor().init(case.last_step()).report()["entries"].clone().new_as(&audit)
        );
        assert_eq!(check(&auditor, &[]).exit, 0, "{sql}");
        assert_eq!(auditor.audit(case.last_step(), &["--full"]).exit, 0, "{sql}");
    }
}

/// The same counts, with `new` as in another report.
trait NewAs {
    fn new_as(self, other: &Outcome) -> Value;
}

impl NewAs for Value {
    fn new_as(mut self, other: &Outcome) -> Value {
        self["new"] = other.report()["entries"]["new"].clone();
        self
    }
}

fn count(auditor: &Auditor, table: &str) -> u64 {
    let db = rusqlite::Connection::open(auditor.db()).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_mirror_without_its_state_is_made_again_from_leaves_and_heads() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let leaves = auditor.leaves();
    auditor.sql("DELETE FROM state");
    assert_eq!(check(&auditor, &[]).exit, 5);
    let rebuilt = check(&auditor, &["--rebuild"]);
    assert_eq!(rebuilt.exit, 0, "{rebuilt:#?}");
    assert!(rebuilt.stdout.contains("LOST: its state could not be read"), "{rebuilt:#?}");
    assert_eq!(auditor.leaves(), leaves);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// What a fork was found by is kept: heads, and the finding.
#[test]
fn a_violation_is_still_one_in_a_rebuilt_mirror() {
    let case = named("history-same-size-fork");
    let auditor = case.auditor();
    let mut last = None;
    for step in case.steps() {
        last = Some(auditor.audit(step, &["--init"]));
    }
    let last = last.unwrap();
    assert_eq!(last.exit, 4);
    assert_eq!(check(&auditor, &["--rebuild"]).exit, 0);
    let again = auditor.audit(case.last_step(), &[]);
    assert_eq!((again.exit, again.codes()), (4, last.codes()));
}

#[test]
fn what_no_signed_head_commits_to_is_not_taken_over() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let total = count(&auditor, "leaves");
    auditor.sql(&format!("DELETE FROM leaves WHERE idx = {}", total - 1));
    let rebuilt = check(&auditor, &["--rebuild"]);
    assert_eq!(rebuilt.exit, 0, "{rebuilt:#?}");
    assert!(rebuilt.stdout.contains(&format!("It had {total} entries")), "{rebuilt:#?}");
    assert!(count(&auditor, "leaves") < total - 1);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

#[test]
fn what_is_no_mirror_of_this_log_stays_as_it_is() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let before = std::fs::read(auditor.db()).unwrap();
    let mut other = case.auditor();
    other.trust = vec!["--log-key".to_owned(), named("honest-1").log_key];
    let db = auditor.db().display().to_string();
    for options in [&[][..], &["--rebuild"]] {
        let outcome = other.command(&[&["mirror", "check", "--db", &db], options].concat());
        assert_eq!(outcome.exit, 2, "{outcome:#?}");
    }
    assert!(std::fs::read(auditor.db()).unwrap() == before);
    let none = case.auditor();
    for options in [&[][..], &["--rebuild"]] {
        assert_eq!(check(&none, options).exit, 5);
        assert!(!none.db().exists());
    }
}
