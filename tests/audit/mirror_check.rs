//! `countersign mirror check`: every part of a mirror is held against what was written, the part that is wrong is named, and
//! `--rebuild` makes again what follows from the entries.

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
const DAMAGES: [(&str, &str); 9] = [
    ("DELETE FROM heads WHERE size = (SELECT min(size) FROM heads)", "heads"),
    ("DELETE FROM heads WHERE size = (SELECT max(size) FROM heads)", "heads"),
    ("DELETE FROM heads", "heads"),
    ("UPDATE heads SET listed = 1", "heads"),
    ("DELETE FROM keys", "keys"),
    ("UPDATE entry_columns SET approver = 'x' WHERE idx = 3", "entry_columns"),
    ("DELETE FROM approver_keys", "approver_keys"),
    ("UPDATE leaves SET leaf = x'7b7d' WHERE idx = 5", "leaves"),
    ("UPDATE nodes SET hash = zeroblob(32) WHERE n = 0", "leaves"),
];

#[test]
fn damage_is_located_and_repaired_by_rebuilding() {
    let case = named("honest-grows");
    for (sql, part) in DAMAGES {
        let auditor = grown(&case);
        auditor.sql(sql);
        let outcome = check(&auditor, &["--format", "json"]);
        assert_eq!((outcome.exit, wrong(&outcome)), (5, vec![part.to_owned()]), "{sql}");
        let rebuilt = check(&auditor, &["--rebuild"]);
        assert!(rebuilt.stdout.contains("was rebuilt"), "{rebuilt:#?}");
        // What is lost is no pass.
        let lost = part == "heads";
        assert_eq!(
            (rebuilt.exit, rebuilt.stdout.contains("LOST: ")),
            (if lost { 3 } else { 0 }, lost),
            "{rebuilt:#?}"
        );
        assert!(auditor.beside_db(".damaged-1").is_file(), "the damaged file is kept");
        assert_eq!(check(&auditor, &[]).exit, 0, "{sql}");
        // Nor is any audit until heads are given back: a fork could not be seen.
        let exit = if lost { 3 } else { 0 };
        let audit = auditor.audit(case.last_step(), &[]);
        assert_eq!(audit.exit, exit, "{sql}: {audit:#?}");
        assert_eq!(audit.stdout.contains("this was lost"), lost, "{audit:#?}");
        let whole = case.auditor().init(case.last_step()).report()["entries"].clone();
        assert_eq!(audit.report()["entries"], whole.new_as(&audit));
        assert_eq!(check(&auditor, &[]).exit, 0, "{sql}");
        assert_eq!(auditor.audit(case.last_step(), &["--full"]).exit, exit, "{sql}");
    }
}

/// Once the heads of others are imported, reports no longer mention lost heads.
#[test]
fn lost_heads_can_be_imported_again() {
    let case = named("honest-grows");
    let (auditor, other) = (grown(&case), grown(&case));
    let heads = other.command(&["heads", "export", "--db", "{db}"]).stdout;
    let file = auditor.directory().join("heads");
    std::fs::write(&file, &heads).unwrap();
    auditor.sql("DELETE FROM heads");
    assert_eq!(check(&auditor, &["--rebuild"]).exit, 3);
    let imported = auditor.command(&["heads", "import", "--db", "{db}", file.to_str().unwrap()]);
    assert!([0, 3].contains(&imported.exit), "{imported:#?}");
    let audit = auditor.audit(case.last_step(), &[]);
    assert!(audit.exit == 0 && !audit.stdout.contains("this was lost"), "{audit:#?}");
    let statements = |auditor: &Auditor| count(auditor, "heads");
    assert!(statements(&auditor) >= statements(&other));
}

/// Missing and altered findings are not restored, and this is reported.
#[test]
fn altered_findings_are_not_rebuilt() {
    let case = named("assertion-signature-flipped");
    for sql in [
        "DELETE FROM findings",
        "UPDATE findings SET message = 'x' || message",
        "UPDATE findings SET code = 'x'",
        "UPDATE findings SET ended = '2026-01-01T00:00:00.000Z'",
    ] {
        let auditor = case.auditor();
        let first = auditor.init(case.last_step());
        auditor.sql(sql);
        auditor.audit(case.last_step(), &[]).expect_fault(&["mirror check"]);
        let outcome = check(&auditor, &["--format", "json"]);
        assert_eq!((outcome.exit, wrong(&outcome)), (5, vec!["findings".to_owned()]), "{sql}");
        let rebuilt = check(&auditor, &["--rebuild"]);
        assert!(rebuilt.exit == 3 && rebuilt.stdout.contains("LOST: "), "{sql}: {rebuilt:#?}");
        assert_eq!(check(&auditor, &[]).exit, 0, "{sql}");
        let again = auditor.audit(case.last_step(), &[]);
        assert_eq!((again.exit, again.codes()), (first.exit, first.codes()), "{sql}");
    }
}

/// A copy that was put back has forgotten what came since: to make it again must not hide that.
#[test]
fn a_rolled_back_mirror_is_not_rebuilt() {
    let case = named("honest-grows");
    let auditor = case.auditor();
    assert_eq!(auditor.init(&case.steps()[0]).exit, 0);
    auditor.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let old = std::fs::read(auditor.db()).unwrap();
    assert_eq!(auditor.audit(&case.steps()[1], &[]).exit, 0);
    auditor.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::write(auditor.db(), old).unwrap();
    for options in [&[][..], &["--rebuild"]] {
        check(&auditor, options).expect_fault(&["rolled back"]);
    }
    // Without the mark it is unknown, which is not a pass either.
    std::fs::remove_file(auditor.beside_db(".mark")).unwrap();
    auditor.sql("DELETE FROM keys");
    let rebuilt = check(&auditor, &["--rebuild"]);
    assert!(rebuilt.exit == 3 && rebuilt.stdout.contains(".mark"), "{rebuilt:#?}");
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 3);
}

#[test]
fn an_intact_mirror_is_not_rebuilt() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let outcome = check(&auditor, &["--rebuild"]);
    assert!(outcome.exit == 0 && outcome.stdout.contains("nothing to rebuild"), "{outcome:#?}");
    assert!(!auditor.beside_db(".damaged-1").exists());
    assert_eq!(check(&auditor, &["--quiet"]).stdout, "");
    // Nor is another application's file made a mirror.
    let photos = case.auditor();
    photos.sql("CREATE TABLE photos (name TEXT)");
    check(&photos, &["--rebuild"]).expect_fault(&["not a countersign mirror"]);
    assert!(!photos.beside_db(".damaged-1").exists());
}

/// The new file is as private as the old one was.
#[cfg(unix)]
#[test]
fn a_rebuilt_mirror_keeps_its_owner() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let case = named("honest-grows");
    let auditor = grown(&case);
    auditor.sql("DELETE FROM keys; PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::set_permissions(auditor.db(), std::fs::Permissions::from_mode(0o600)).unwrap();
    // Only root can give a file away.
    let owner = if chown(auditor.db(), Some(65534), Some(65534)).is_ok() {
        65534
    } else {
        auditor.db().metadata().unwrap().uid()
    };
    assert_eq!(check(&auditor, &["--rebuild"]).exit, 0);
    for suffix in ["", ".mark"] {
        let metadata = auditor.beside_db(suffix).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o077), (owner, 0), "{suffix:?}");
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
fn a_mirror_without_its_state_is_rebuilt_from_leaves_and_heads() {
    let case = named("honest-grows");
    let auditor = grown(&case);
    let leaves = auditor.leaves();
    auditor.sql("DELETE FROM state");
    assert_eq!(check(&auditor, &[]).exit, 5);
    let rebuilt = check(&auditor, &["--rebuild"]);
    assert_eq!(rebuilt.exit, 3, "{rebuilt:#?}");
    assert!(rebuilt.stdout.contains("LOST: its state could not be read"), "{rebuilt:#?}");
    assert_eq!(auditor.leaves(), leaves);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 3);
}

/// What a fork was found by is kept: heads, and the finding.
#[test]
fn a_rebuilt_mirror_keeps_its_violation() {
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
fn rows_that_no_signed_head_commits_to_are_not_rebuilt() {
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

/// A truncated copy: its rows are restored, and the rows after the cut are rebuilt or reported as lost.
#[test]
fn a_truncated_mirror_is_rebuilt() {
    let case = named("honest-grows");
    for pages in [1, 5, 20] {
        let auditor = grown(&case);
        auditor.sql("PRAGMA wal_checkpoint(TRUNCATE)");
        let length = auditor.db().metadata().unwrap().len();
        let file = std::fs::File::options().write(true).open(auditor.db()).unwrap();
        file.set_len(length - pages * 8192).unwrap();
        drop(file);
        assert_eq!(auditor.audit(case.last_step(), &[]).exit, 5, "{pages} pages");
        assert_eq!(check(&auditor, &[]).exit, 5, "{pages} pages");
        let rebuilt = check(&auditor, &["--rebuild"]);
        assert!([0, 3].contains(&rebuilt.exit), "{pages} pages: {rebuilt:#?}");
        assert_eq!(check(&auditor, &[]).exit, 0, "{pages} pages");
        let audit = auditor.audit(case.last_step(), &[]);
        assert_eq!(audit.exit, 0, "{pages} pages: {audit:#?}");
    }
}

#[test]
fn a_file_that_is_not_this_mirror_is_left_unchanged() {
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
