//! Whatever happens to the auditor's own files is the auditor's fault: exit code 5 with advice, and
//! the log is not accused.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use support::case::{Case, named};
use support::cli::{Auditor, Outcome};
use support::lab::write_files;
use support::log::{HEAD_TIME, TestKey, honest_log, rejected_leaves};

/// An auditor who audited the first step of a log.
fn begun(case: &Case) -> Auditor {
    let auditor = case.auditor();
    assert_eq!(auditor.init(&case.steps()[0]).exit, 0);
    auditor
}

/// Copies the mirror without its mark, as a backup would hold it.
fn backup(auditor: &Auditor) -> Vec<u8> {
    // Nothing may be left in the WAL, which no backup of one file has.
    auditor.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    fs::read(auditor.db()).unwrap()
}

fn put_back(auditor: &Auditor, copy: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(auditor.beside_db(suffix));
    }
    fs::write(auditor.db(), copy).unwrap();
}

/// No answer about the log: a fault here, or wrong usage, or that all is well.
#[track_caller]
fn nobody_is_accused(outcome: &Outcome, here: &str) {
    assert!(![1, 4].contains(&outcome.exit), "the log is accused: {here}: {outcome:#?}");
}

#[test]
fn a_missing_mirror_is_not_a_first_run() {
    let case = named("honest-1");
    let auditor = case.auditor();
    let outcome = auditor.audit(case.last_step(), &[]);
    outcome.expect_fault(&["no mirror", "--init"]);
    assert!(!auditor.db().exists());
    assert_eq!(auditor.command(&["heads", "list", "--db", "{db}"]).exit, 5);
    assert_eq!(auditor.init(case.last_step()).exit, 0);
    // With --init an existing mirror is opened, not replaced.
    let again = auditor.init(case.last_step());
    assert_eq!((again.exit, again.report()["heads"]["new"].as_u64()), (0, Some(0)));
}

/// The mirror that format 4's program wrote after the first step of `across-replay-between-runs`.
fn of_format_4(case: &Case) -> Auditor {
    let auditor = case.auditor();
    let fixture = |name: &str| fs::read(support::case::fixtures().join("mirrors").join(name)).unwrap();
    let mut db = Vec::new();
    let packed = fixture("format-4.db.gz");
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut db).unwrap();
    fs::write(auditor.db(), db).unwrap();
    fs::write(auditor.beside_db(".mark"), fixture("format-4.mark")).unwrap();
    auditor
}

/// What formats 3 and 4 brought.
const WITHOUT_OUTBOX: &str = "DROP TABLE alerts; DROP TABLE alert_deliveries; DROP TABLE alert_subjects;
     DROP TABLE alert_channels; DROP TABLE peers; DROP TABLE watch_rules;";

/// What makes a mirror of format 4 one of an earlier format.
fn downgrades() -> Vec<(i32, String)> {
    let first = "ALTER TABLE heads DROP COLUMN listed; DROP INDEX heads_by_tree; DROP INDEX heads_by_time;
         CREATE INDEX heads_by_size ON heads (size);";
    vec![
        (4, String::new()),
        (3, "DROP TABLE peers; DROP TABLE watch_rules; PRAGMA user_version = 3".to_owned()),
        (2, format!("{WITHOUT_OUTBOX} PRAGMA user_version = 2")),
        // One that was killed in the middle of it begins anew.
        (2, "DROP TABLE alert_channels; DROP TABLE peers; PRAGMA user_version = 2".to_owned()),
        (1, format!("DROP VIEW signed_heads; {WITHOUT_OUTBOX} {first} PRAGMA user_version = 1")),
    ]
}

fn schema(auditor: &Auditor) -> Vec<String> {
    let db = rusqlite::Connection::open(auditor.db()).unwrap();
    let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
    let mut select = db.prepare(sql).unwrap();
    let words = |sql: String| {
        let text = sql.replace("IF NOT EXISTS ", "").replace('"', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    select.query_map([], |row| row.get(0)).unwrap().map(|sql| words(sql.unwrap())).collect()
}

/// A mirror holds every head ever seen: one that an earlier version wrote is brought up to this one, and what was seen
/// before is still seen.
#[test]
fn mirrors_of_earlier_formats_are_migrated() {
    let case = named("across-replay-between-runs");
    let new = begun(&case);
    let expected = new.audit(case.last_step(), &[]);
    for (format, downgrade) in downgrades() {
        for again in [&[][..], &["--full"]] {
            let auditor = of_format_4(&case);
            auditor.sql(&downgrade);
            let first = auditor.audit(&case.steps()[0], &[]);
            assert_eq!(first.exit, 0, "format {format}: {first:#?}");
            assert!(first.stdout.contains("an earlier version"), "{first:#?}");
            assert_eq!(schema(&auditor), schema(&new), "format {format}");
            let outcome = auditor.audit(case.last_step(), again);
            assert_eq!(
                (outcome.exit, outcome.findings()),
                (expected.exit, expected.findings()),
                "format {format}"
            );
        }
        let auditor = of_format_4(&case);
        auditor.sql(&downgrade);
        let outcome = auditor.audit(case.last_step(), &[]);
        assert_eq!(
            (outcome.exit, outcome.findings()),
            (expected.exit, expected.findings()),
            "format {format} at once"
        );
    }
}

/// What follows from the leaves is made of them, not taken from tables that nothing vouched for.
#[test]
fn a_migrated_mirror_rebuilds_lost_tables_from_its_leaves() {
    let case = named("across-replay-between-runs");
    let expected = begun(&case).audit(case.last_step(), &[]).findings();
    for sql in
        ["DELETE FROM seen", "DELETE FROM keys", "DELETE FROM approver_keys", "DELETE FROM entry_columns"]
    {
        let auditor = of_format_4(&case);
        auditor.sql(sql);
        assert_eq!(auditor.audit(case.last_step(), &[]).findings(), expected, "{sql}");
    }
    let auditor = of_format_4(&case);
    auditor.sql("DELETE FROM heads");
    auditor.audit(case.last_step(), &[]).expect_fault(&["no signed head", "--rebuild"]);
    // And the advice works.
    assert_eq!(auditor.command(&["mirror", "check", "--rebuild", "--db", "{db}"]).exit, 3);
    assert_eq!(auditor.audit(case.last_step(), &[]).findings(), expected);
    let auditor = of_format_4(&case);
    auditor.sql("UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE idx = 3) WHERE idx = 2");
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 5);
}

/// The rollback is reported before the migration, which increases the generation.
#[test]
fn a_rolled_back_mirror_is_found_before_its_migration() {
    let case = named("across-replay-between-runs");
    let auditor = of_format_4(&case);
    let mark = fs::read_to_string(auditor.beside_db(".mark")).unwrap();
    let lines: Vec<&str> = mark.lines().collect();
    let later: u64 = lines[2].parse::<u64>().unwrap() + 1;
    let body = format!("{}\n{}\n{later}\n", lines[0], lines[1]);
    let digest = countersign::core::hash::sha256(body.as_bytes());
    fs::write(auditor.beside_db(".mark"), format!("{body}{digest}\n")).unwrap();
    for _ in 0..2 {
        auditor.audit(case.last_step(), &[]).expect_fault(&["rolled back"]);
    }
}

/// Whoever can write to the file can put code into it; none of it is run.
#[test]
fn triggers_in_the_file_are_not_run() {
    let case = named("across-replay-between-runs");
    let expected = begun(&case).audit(case.last_step(), &[]);
    for trigger in [
        "BEFORE INSERT ON findings BEGIN SELECT RAISE(IGNORE); END",
        "AFTER UPDATE ON state BEGIN DELETE FROM findings; END",
        "AFTER INSERT ON entry_columns BEGIN DELETE FROM findings; END",
    ] {
        for options in [&[][..], &["--full"]] {
            let auditor = begun(&case);
            auditor.sql(&format!("CREATE TRIGGER tr {trigger}"));
            let outcome = auditor.audit(case.last_step(), options);
            assert_eq!((outcome.exit, outcome.findings()), (expected.exit, expected.findings()), "{trigger}");
        }
    }
}

#[test]
fn a_mirror_of_a_later_format_is_refused() {
    let case = named("honest-1");
    let auditor = begun(&case);
    auditor.sql("PRAGMA user_version = 6");
    auditor.audit(case.last_step(), &[]).expect_fault(&["newer version of countersign", "version 6"]);
}

#[test]
fn two_processes_do_not_share_a_mirror() {
    let case = named("honest-1");
    let auditor = begun(&case);
    let lock = File::options().write(true).open(auditor.beside_db(".lock")).unwrap();
    lock.lock().unwrap();
    auditor.audit(case.last_step(), &[]).expect_fault(&["in use"]);
    auditor.init(case.last_step()).expect_fault(&["in use"]);
    assert_eq!(auditor.command(&["heads", "export", "--db", "{db}"]).exit, 5);
    drop(lock);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// A process that is being started has, for an instant, all files of the one that starts it.
#[cfg(unix)]
#[test]
fn child_processes_do_not_hold_the_lock() {
    use countersign::core::head::LogKey;
    use std::sync::atomic::{AtomicBool, Ordering};
    let case = named("honest-1");
    let auditor = begun(&case);
    let key = LogKey::parse(&case.log_key).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(std::process::Command::new("true").status().unwrap().success());
                }
            });
        }
        let opened: Vec<_> =
            (0..300).map(|_| countersign::mirror::Mirror::open(&auditor.db(), &key).map(drop)).collect();
        done.store(true, Ordering::Relaxed);
        assert!(opened.iter().all(Result::is_ok), "{:?}", opened.iter().find(|result| result.is_err()));
    });
}

#[test]
fn a_rolled_back_mirror_is_found_and_the_advice_works() {
    let case = named("honest-grows");
    let auditor = begun(&case);
    let old = backup(&auditor);
    assert_eq!(auditor.audit(&case.steps()[1], &[]).exit, 0);
    let new = backup(&auditor);
    put_back(&auditor, &old);
    auditor.audit(&case.steps()[2], &[]).expect_fault(&["rolled back", ".mark", "--init"]);
    auditor.init(&case.steps()[2]).expect_fault(&["rolled back"]);
    // The newest copy put back is all that it takes …
    put_back(&auditor, &new);
    assert_eq!(auditor.audit(&case.steps()[2], &[]).exit, 0);
    // … and without a copy, the mark is deleted and one run made with --init.
    put_back(&auditor, &old);
    fs::remove_file(auditor.beside_db(".mark")).unwrap();
    assert_eq!(auditor.audit(&case.steps()[2], &["--init"]).exit, 0);
    assert_eq!(auditor.audit(&case.steps()[3], &[]).exit, 0);
}

#[test]
fn a_missing_or_damaged_mark_is_found_and_the_advice_works() {
    let case = named("honest-1");
    for damage in [None, Some(&b""[..]), Some(b"countersign mirror mark v1\n"), Some(&[0xff; 64])] {
        let auditor = begun(&case);
        let mark = auditor.beside_db(".mark");
        match damage {
            None => fs::remove_file(&mark).unwrap(),
            Some(bytes) => fs::write(&mark, bytes).unwrap(),
        }
        auditor.audit(case.last_step(), &[]).expect_fault(&[".mark", "--init"]);
        let _ = fs::remove_file(&mark);
        assert_eq!(auditor.audit(case.last_step(), &["--init"]).exit, 0);
        assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
    }
}

/// What somebody does to a mirror, given its bytes.
type Damage = fn(&Path, Vec<u8>);

#[test]
fn a_file_that_is_not_a_mirror_is_a_fault() {
    let case = named("honest-1");
    let damages: [(&str, Damage); 7] = [
        ("cut in the middle of a page", |db, bytes| fs::write(db, &bytes[..bytes.len() / 2 + 100]).unwrap()),
        ("cut after a page", |db, bytes| fs::write(db, &bytes[..8192 * 2]).unwrap()),
        ("without its header", |db, bytes| fs::write(db, [&[0; 100][..], &bytes[100..]].concat()).unwrap()),
        ("random bytes", |db, bytes| {
            let mut random = fastrand::Rng::with_seed(5);
            fs::write(db, std::iter::repeat_with(|| random.u8(..)).take(bytes.len()).collect::<Vec<u8>>())
                .unwrap();
        }),
        ("empty", |db, _| fs::write(db, b"").unwrap()),
        ("a text", |db, _| fs::write(db, b"not a mirror\n").unwrap()),
        ("a directory", |db, _| {
            fs::remove_file(db).unwrap();
            fs::create_dir(db).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for options in [&[][..], &["--init"], &["--full"]] {
            let auditor = begun(&case);
            let bytes = backup(&auditor);
            put_back(&auditor, &bytes);
            damage(&auditor.db(), bytes);
            let outcome = auditor.audit(case.last_step(), options);
            assert_eq!(outcome.exit, 5, "{what} {options:?}: {outcome:#?}");
            assert!(outcome.report()["findings"].as_array().unwrap().is_empty(), "{what}");
        }
    }
}

#[test]
fn another_applications_database_is_left_unchanged() {
    let case = named("honest-1");
    let auditor = case.auditor();
    auditor.sql("CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES ('sea.jpg')");
    let before = fs::read(auditor.db()).unwrap();
    auditor.audit(case.last_step(), &["--init"]).expect_fault(&["not a countersign mirror"]);
    auditor.audit(case.last_step(), &[]).expect_fault(&["not a countersign mirror"]);
    let count: u64 = rusqlite::Connection::open(auditor.db())
        .unwrap()
        .query_row("SELECT count(*) FROM photos", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
    assert!(before == fs::read(auditor.db()).unwrap(), "a database that is not ours was changed");
}

/// Bytes of the mirror itself, changed one at a time, on disk: the log is never accused.
#[test]
fn no_changed_byte_of_the_mirror_accuses_the_log() {
    let case = named("accept-high-s");
    let auditor = begun(&case);
    let whole = backup(&auditor);
    let mark = fs::read(auditor.beside_db(".mark")).unwrap();
    // Every page at its header, where its structure is, and a byte of its content; pages differ.
    let mut random = fastrand::Rng::with_seed(17);
    let pages = (0..whole.len()).step_by(4096);
    let places: Vec<usize> = pages
        .flat_map(|page| [page, page + 1 + random.usize(..12), page + 12 + random.usize(..4084)])
        .collect();
    let mut answers = std::collections::BTreeMap::<i32, usize>::new();
    for (number, at) in places.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[*at] ^= 1 << (at % 8);
        put_back(&auditor, &bytes);
        fs::write(auditor.beside_db(".mark"), &mark).unwrap();
        let options: &[&str] = if number % 2 == 0 { &["--full"] } else { &[] };
        let outcome = auditor.audit(case.last_step(), options);
        nobody_is_accused(&outcome, &format!("byte {at} {options:?}"));
        *answers.entry(outcome.exit).or_default() += 1;
    }
    println!("{} changed bytes of {}: exit codes {answers:?}", places.len(), whole.len());
}

/// Changes one leaf in the mirror.
fn damage_leaf(auditor: &Auditor) {
    auditor.sql("UPDATE leaves SET leaf = CAST(replace(CAST(leaf AS TEXT), 'approved', 'rejected') AS BLOB) WHERE idx = 0");
}

#[test]
fn a_changed_leaf_is_repaired_from_the_log() {
    let case = named("accept-high-s");
    let auditor = begun(&case);
    let leaves = auditor.leaves();
    for options in [&[][..], &["--full"]] {
        damage_leaf(&auditor);
        assert_ne!(auditor.leaves(), leaves);
        let outcome = auditor.audit(case.last_step(), options);
        outcome.expect_fault(&["damaged", "fetched again"]);
        assert!(outcome.report()["findings"].as_array().unwrap().is_empty());
        assert_eq!(auditor.leaves(), leaves);
        assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
        assert_eq!(auditor.audit(case.last_step(), &["--full"]).exit, 0);
    }
    auditor.sql("DELETE FROM leaves WHERE idx IN (3, 19)");
    auditor.audit(case.last_step(), &[]).expect_fault(&["fetched again"]);
    assert_eq!(auditor.leaves(), leaves);
}

#[test]
fn a_changed_leaf_stays_a_fault_until_the_log_serves_it() {
    let case = named("accept-high-s");
    let auditor = begun(&case);
    damage_leaf(&auditor);
    let log = tempfile::tempdir().unwrap();
    for head in ["checkpoint", "sth"] {
        fs::copy(case.last_step().join(head), log.path().join(head)).unwrap();
    }
    for options in [&[][..], &["--full"]] {
        auditor.audit(log.path(), options).expect_fault(&["damaged"]);
    }
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 5, "repaired, and said");
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

#[test]
fn edited_rows_never_accuse_the_log() {
    let case = named("honest-grows");
    for sql in [
        "UPDATE state SET json = replace(json, '\"checked\":', '\"checked\": ')",
        "UPDATE state SET digest = zeroblob(32)",
        "DELETE FROM state",
        "UPDATE heads SET raw = replace(raw, 'log.approvals', 'log.approvalz')",
        "UPDATE heads SET root = zeroblob(32)",
        "UPDATE heads SET size = size + 1",
        "UPDATE heads SET size = size - 1",
        "UPDATE heads SET time = time + 1000000000",
        "UPDATE heads SET status = 'unknown'",
        "UPDATE heads SET status = 'unchecked'",
        "DELETE FROM heads",
        "UPDATE nodes SET hash = zeroblob(32)",
        "UPDATE nodes SET hash = zeroblob(31)",
        "DELETE FROM nodes",
        "DELETE FROM seen_rows",
        "UPDATE keys SET approver = approver || 'x'",
        "UPDATE keys SET credential = zeroblob(32)",
        "UPDATE keys SET backup_eligible = 1 - backup_eligible",
        "UPDATE keys SET last_count = 4000000000, last_count_idx = 1",
        "DROP TABLE leaves",
        "DROP TABLE findings",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 6",
        "PRAGMA application_id = 7",
    ] {
        let auditor = begun(&case);
        for step in &case.steps()[1..3] {
            assert_eq!(auditor.audit(step, &[]).exit, 0);
        }
        auditor.sql(sql);
        for options in [&[][..], &["--full"]] {
            let outcome = auditor.audit(&case.steps()[3], options);
            nobody_is_accused(&outcome, &format!("{sql} {options:?}"));
        }
    }
}

#[test]
fn full_repairs_damaged_rows_of_seen_values() {
    let case = named("honest-grows");
    for sql in [
        "UPDATE keys SET approver = approver || 'x'",
        // As if entries had other ids, or none.
        "UPDATE seen_rows SET data = zeroblob(length(data))",
        "UPDATE seen_rows SET data = x'00'",
        "DELETE FROM seen_rows",
        // What a look-up reads before all else, and what it reads then.
        "DELETE FROM seen_rows WHERE id = (SELECT max(id) FROM seen_rows)",
        "DELETE FROM seen_rows WHERE id % 128 = 127 AND id NOT IN (SELECT max(id) FROM seen_rows)",
    ] {
        let auditor = begun(&case);
        for step in &case.steps()[1..3] {
            assert_eq!(auditor.audit(step, &[]).exit, 0);
        }
        auditor.sql(sql);
        let last = &case.steps()[3];
        auditor.audit(last, &[]).expect_fault(&["remembers", "--full"]);
        assert_eq!(auditor.audit(last, &["--full"]).exit, 0, "{sql}");
        assert_eq!(auditor.audit(last, &[]).exit, 0, "{sql}");
    }
}

#[test]
fn the_mirror_of_another_log_is_wrong_usage() {
    let case = named("honest-1");
    let auditor = begun(&case);
    for key in [named("accept-high-s").log_key, TestKey::new(1).vkey()] {
        let mut command = support::cli::program();
        command.arg("audit").arg("--log").arg(case.last_step()).arg("--db").arg(auditor.db());
        let outcome = support::cli::run({
            command.args(["--log-key", &key, "--init"]);
            command
        });
        assert_eq!(outcome.exit, 2, "{outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("not of this log"), "{outcome:?}");
    }
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// A tree that is signed again, later, while our own copy of it is damaged: it is our copy that is
/// wrong, and a further signature over the same tree must not be held against the log for it.
#[test]
fn a_damaged_mirror_does_not_contradict_a_new_head() {
    let key = TestKey::new(1);
    let leaves = rejected_leaves(600);
    let root = |size: usize| support::log::root_of(&leaves[..size]);
    for sql in [
        "UPDATE leaves SET leaf = CAST('{}' AS BLOB) WHERE idx = 599",
        "UPDATE leaves SET leaf = CAST('{}' AS BLOB) WHERE idx = 300",
        "DELETE FROM leaves WHERE idx = 590",
        "UPDATE nodes SET hash = zeroblob(32) WHERE n = 1",
    ] {
        for resigned in [600, 599, 300, 256] {
            let log = tempfile::tempdir().unwrap();
            let mut files = honest_log(&key, &leaves);
            write_files(log.path(), &files);
            let auditor = Auditor::new(&key.vkey());
            assert_eq!(auditor.init(log.path()).exit, 0);
            auditor.sql(sql);
            let say = |what: &str, outcome: Outcome| {
                let here = format!("{sql}, size {resigned} signed again, {what}");
                assert!(outcome.exit == 5 || outcome.exit == 0, "{here}: {outcome:#?}");
                let report = outcome.report();
                assert!(report["findings"].as_array().unwrap().is_empty(), "{here}: {outcome:#?}");
            };
            if resigned == 600 {
                files.insert("sth".to_owned(), key.sth(600, root(600), HEAD_TIME + 1000));
                write_files(log.path(), &files);
                say("served", auditor.audit(log.path(), &[]));
                say("served again", auditor.audit(log.path(), &[]));
            } else {
                let file = log.path().join("seen-elsewhere");
                fs::write(&file, key.checkpoint(resigned as u64, root(resigned))).unwrap();
                let imported = auditor.command(&["heads", "import", "--db", "{db}", file.to_str().unwrap()]);
                assert!([0, 5].contains(&imported.exit), "{sql}, size {resigned}, imported: {imported:#?}");
                say("after the import", auditor.audit(log.path(), &[]));
            }
        }
    }
}

/// The same for a node high up in the tree, which no leaf's bundle vouches for.
#[test]
fn a_damaged_upper_node_does_not_contradict_a_new_head() {
    let key = TestKey::new(1);
    let leaves = rejected_leaves(65_600);
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), &honest_log(&key, &leaves));
    let auditor = Auditor::new(&key.vkey());
    assert_eq!(auditor.init(log.path()).exit, 0);
    fs::write(log.path().join("sth"), key.sth(65_600, support::log::root_of(&leaves), HEAD_TIME + 1))
        .unwrap();
    auditor.sql("UPDATE nodes SET hash = zeroblob(32) WHERE level = 2");
    let outcome = auditor.audit(log.path(), &[]);
    outcome.expect_fault(&["nodes"]);
    assert!(outcome.report()["findings"].as_array().unwrap().is_empty(), "{outcome:#?}");
}

/// The superuser may write anywhere, so a read-only directory has no effect.
#[cfg(unix)]
#[test]
fn an_unwritable_path_is_a_fault() {
    let case = named("honest-1");
    let auditor = begun(&case);
    // Not even root can write a file where a directory is.
    fs::create_dir(auditor.beside_db(".mark.new")).unwrap();
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 5);
    let nowhere = case.auditor();
    let missing: PathBuf = nowhere.directory().join("no/such/folder/mirror.db");
    let mut command = support::cli::program();
    command.arg("audit").arg("--log").arg(case.last_step()).arg("--db").arg(missing).arg("--init");
    command.args(&nowhere.trust).args(["--format", "json"]);
    assert_eq!(support::cli::run(command).exit, 5);
}

#[test]
fn full_rechecks_everything_and_changes_nothing() {
    let key = TestKey::new(1);
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), &honest_log(&key, &rejected_leaves(600)));
    let auditor = Auditor::new(&key.vkey());
    let first = auditor.init(log.path()).report();
    assert_eq!(first["verdict"], "clean");
    let full = auditor.audit(log.path(), &["--full"]).report();
    assert_eq!(full["verdict"], "clean");
    assert_eq!(full["entries"]["total"], 600);
    assert_eq!(full["checks"]["leaf-form"], first["checks"]["leaf-form"]);
}
