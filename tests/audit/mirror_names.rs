//! One mirror, one path: links are resolved, other second names are refused, and special files are not opened.
//!
//! Whatever somebody put in the way, the answer is a fault here (5) or none, and no other file is written to.

#![cfg(unix)]

use countersign::alerts::{
    Dispatcher, DispatcherConfig, FallbackStore, LogName, MirrorUnavailable, TIMES_IN_USE,
};
use countersign::core::hash::sha256;
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::mirror::{Attempt, HeadReader, Mirror, MirrorError, Outgoing, holder_of};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use support::case::{Case, named};
use support::cli::{Auditor, Outcome, program, run};
use support::monitor::{config, log_table};
use support::{Reply, TestServer};

fn case() -> Case {
    named("honest-grows")
}

/// An auditor who audited the first step of a log.
fn begun(case: &Case) -> Auditor {
    let auditor = case.auditor();
    assert_eq!(auditor.init(&case.steps()[0]).exit, 0);
    auditor
}

/// An audit of the mirror by another of its names.
fn audit_by(auditor: &Auditor, db: &Path, log: impl AsRef<Path>, options: &[&str]) -> Outcome {
    run(audit_command(auditor, db, log, options))
}

fn audit_command(auditor: &Auditor, db: &Path, log: impl AsRef<Path>, options: &[&str]) -> Command {
    let mut command = program();
    command.arg("audit").arg("--log").arg(log.as_ref()).arg("--db").arg(db);
    command.args(&auditor.trust).args(["--format", "json"]).args(options);
    command
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn key_of(case: &Case) -> LogKey {
    LogKey::parse(&case.log_key).unwrap()
}

/// A second folder with a link to the mirror's file, and a link to the mirror's folder.
struct Links {
    folder: tempfile::TempDir,
    file: PathBuf,
    below: PathBuf,
    chain: PathBuf,
}

fn links(auditor: &Auditor) -> Links {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    symlink(auditor.db(), at("other.db")).unwrap();
    symlink("other.db", at("chain.db")).unwrap();
    symlink(auditor.directory(), at("folder")).unwrap();
    Links { file: at("other.db"), below: at("folder/mirror.db"), chain: at("chain.db"), folder }
}

#[test]
fn the_lock_holds_under_every_name() {
    let case = case();
    let auditor = begun(&case);
    let links = links(&auditor);
    let lock = File::options().write(true).open(auditor.beside_db(".lock")).unwrap();
    lock.lock().unwrap();
    for db in [&links.file, &links.below, &links.chain] {
        audit_by(&auditor, db, &case.steps()[1], &[]).expect_fault(&["in use"]);
        audit_by(&auditor, db, &case.steps()[1], &["--init"]).expect_fault(&["in use"]);
        for command in ["list", "export"] {
            let outcome = auditor.command(&["heads", command, "--db", db.to_str().unwrap()]);
            assert_eq!(outcome.exit, 5, "{outcome:?}");
        }
        let outcome = auditor.command(&["receipt", "--index", "0", "--db", db.to_str().unwrap()]);
        assert_eq!(outcome.exit, 5, "{outcome:?}");
        // Who reads beside an audit takes no lock.
        assert!(!HeadReader::open(db, &key_of(&case)).unwrap().next(10).unwrap().is_empty());
    }
    drop(lock);
    for (step, db) in case.steps()[1..].iter().zip([&links.file, &links.below, &links.chain]) {
        assert_eq!(audit_by(&auditor, db, step, &[]).exit, 0, "{db:?}");
    }
    assert_eq!(
        names(links.folder.path()),
        ["chain.db", "folder", "other.db"],
        "something was named after a link"
    );
    assert_eq!(auditor.audit(case.last_step(), &["--full"]).exit, 0);
}

/// No audit waits for another, so some are refused; none has a false finding, and none loses what another wrote.
#[test]
fn concurrent_audits_under_many_names_do_not_interleave() {
    let case = case();
    for _ in 0..3 {
        let auditor = begun(&case);
        let links = links(&auditor);
        std::thread::scope(|scope| {
            let all = [&auditor.db(), &links.file, &links.below, &links.chain].map(|db| {
                let (auditor, case, db) = (&auditor, &case, db.clone());
                scope.spawn(move || {
                    for _ in 0..6 {
                        let outcome = audit_by(auditor, &db, case.last_step(), &["--full"]);
                        if outcome.exit != 0 {
                            outcome.expect_fault(&["in use"]);
                        }
                    }
                })
            });
            for thread in all {
                thread.join().unwrap();
            }
        });
        let last = auditor.audit(case.last_step(), &["--full"]);
        assert_eq!((last.exit, last.report()["findings"].as_array().unwrap().len()), (0, 0), "{last:#?}");
        assert_eq!(names(links.folder.path()), ["chain.db", "folder", "other.db"]);
    }
}

#[test]
fn a_relative_name_is_the_same_mirror() {
    let case = case();
    let auditor = begun(&case);
    let lock = File::options().write(true).open(auditor.beside_db(".lock")).unwrap();
    lock.lock().unwrap();
    for db in ["mirror.db", "./mirror.db", "sub/../mirror.db"] {
        fs::create_dir_all(auditor.directory().join("sub")).unwrap();
        let mut command = audit_command(&auditor, Path::new(db), &case.steps()[1], &[]);
        command.current_dir(auditor.directory());
        run(command).expect_fault(&["in use"]);
    }
    drop(lock);
    let mut command = audit_command(&auditor, Path::new("new.db"), &case.steps()[1], &["--init"]);
    command.current_dir(auditor.directory());
    assert_eq!(run(command).exit, 0);
    let new = auditor.directory().join("new.db");
    assert_eq!(audit_by(&auditor, &new, case.last_step(), &[]).exit, 0);
}

/// A mirror that is yet to be made is where its folder is.
#[test]
fn a_new_mirror_in_a_linked_folder_has_one_path() {
    let case = case();
    let auditor = case.auditor();
    let links = links(&auditor);
    assert_eq!(audit_by(&auditor, &links.below, &case.steps()[0], &["--init"]).exit, 0);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// A disk that is not mounted is no reason to begin anew.
#[test]
fn a_dangling_link_is_a_fault() {
    let case = case();
    let auditor = case.auditor();
    let links = links(&auditor);
    for options in [&[][..], &["--init"]] {
        for db in [&links.file, &links.chain] {
            audit_by(&auditor, db, case.last_step(), options).expect_fault(&["symbolic link", "--db"]);
        }
    }
    symlink(links.folder.path().join("loop.db"), links.folder.path().join("loop.db")).unwrap();
    audit_by(&auditor, &links.folder.path().join("loop.db"), case.last_step(), &["--init"]).expect_fault(&[]);
    assert!(names(auditor.directory()).is_empty(), "{:?}", names(auditor.directory()));
    assert_eq!(names(links.folder.path()), ["chain.db", "folder", "loop.db", "other.db"]);
    // The advice of the message.
    assert_eq!(auditor.init(case.last_step()).exit, 0);
    assert_eq!(audit_by(&auditor, &links.chain, case.last_step(), &[]).exit, 0);
}

#[test]
fn a_missing_folder_is_a_fault() {
    let case = case();
    let auditor = case.auditor();
    symlink("/nowhere/at/all", auditor.directory().join("gone")).unwrap();
    for db in ["no/mirror.db", "gone/mirror.db"] {
        for options in [&[][..], &["--init"]] {
            let db = auditor.directory().join(db);
            audit_by(&auditor, &db, case.last_step(), options).expect_fault(&["directory", "does not exist"]);
        }
    }
    for db in ["mirror.db/", "mirror.db/."] {
        let db = auditor.directory().join(db);
        audit_by(&auditor, &db, case.last_step(), &["--init"]).expect_fault(&["not the name of a file"]);
    }
    assert_eq!(names(auditor.directory()), ["gone"]);
}

#[test]
fn a_mirror_with_a_second_hard_link_is_refused_and_the_advice_works() {
    let case = case();
    let auditor = begun(&case);
    let other = auditor.directory().join("other.db");
    fs::hard_link(auditor.db(), &other).unwrap();
    for db in [&auditor.db(), &other] {
        for options in [&[][..], &["--init"], &["--full"], &["--heads-only"]] {
            audit_by(&auditor, db, &case.steps()[1], options).expect_fault(&[
                "hard links",
                ".mark",
                "-samefile",
            ]);
        }
        for arguments in [&["heads", "list"][..], &["heads", "export"], &["receipt", "--index", "0"]] {
            let outcome = auditor.command(&[arguments, &["--db", db.to_str().unwrap()]].concat());
            assert_eq!(outcome.exit, 5, "{outcome:?}");
            assert!(outcome.stderr.contains("hard links"), "{outcome:?}");
        }
        assert!(HeadReader::open(db, &key_of(&case)).is_err());
    }
    fs::remove_file(&other).unwrap();
    symlink("mirror.db", &other).unwrap();
    assert_eq!(audit_by(&auditor, &other, &case.steps()[1], &[]).exit, 0);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// What SQLite keeps beside the mirror, and the lock, are written into: not into another file of that name.
#[test]
fn nothing_is_written_through_a_hard_link() {
    let case = case();
    for suffix in [".lock", "-wal", "-shm", "-journal"] {
        let auditor = begun(&case);
        let secret = auditor.directory().join("secret");
        fs::write(&secret, "of somebody else").unwrap();
        let _ = fs::remove_file(auditor.beside_db(suffix));
        fs::hard_link(&secret, auditor.beside_db(suffix)).unwrap();
        auditor.audit(&case.steps()[1], &[]).expect_fault(&[suffix, "hard links"]);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "of somebody else");
        fs::remove_file(auditor.beside_db(suffix)).unwrap();
        assert_eq!(auditor.audit(&case.steps()[1], &[]).exit, 0, "{suffix}");
    }
}

/// A file that is mounted by itself, as containers have it, has another name where it comes from.
#[cfg(target_os = "linux")]
#[test]
fn a_bind_mounted_mirror_is_refused() {
    let may = Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !may {
        println!("not tested: mounting is not allowed here");
        return;
    }
    let case = case();
    let auditor = begun(&case);
    let other = auditor.directory().join("mounted.db");
    fs::write(&other, "").unwrap();
    let audit = audit_command(&auditor, &other, &case.steps()[1], &[]);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\""]);
    command.arg(auditor.db()).arg(&other).arg(audit.get_program()).args(audit.get_args());
    run(command).expect_fault(&["mounted by itself"]);
    assert_eq!(auditor.audit(&case.steps()[1], &[]).exit, 0);
}

#[test]
fn two_logs_of_a_config_cannot_share_a_mirror() {
    let case = case();
    let auditor = begun(&case);
    let links = links(&auditor);
    let hard = auditor.directory().join("hard.db");
    let dangling = links.folder.path().join("dangling.db");
    symlink(auditor.directory().join("new.db"), &dangling).unwrap();
    let new = auditor.directory().join("new.db");
    let below = links.folder.path().join("folder/new.db");
    fs::hard_link(auditor.db(), &hard).unwrap();
    let db = auditor.db();
    for (one, two) in [
        (&db, &links.file),
        (&db, &links.below),
        (&links.chain, &db),
        (&db, &hard),
        (&new, &dangling),
        (&new, &below),
    ] {
        let log = case.last_step().display().to_string();
        let tables =
            log_table("one", &log, one, &case.log_key, "") + &log_table("two", &log, two, &case.log_key, "");
        let path = config(links.folder.path(), &tables);
        for arguments in [&["config", "check"][..], &["monitor", "--once"]] {
            let mut command = program();
            command.args(arguments).arg("--config").arg(&path);
            let outcome = run(command);
            assert_eq!(outcome.exit, 2, "{one:?} {two:?}: {outcome:?}");
            assert!(outcome.stderr.contains("has the same mirror as another"), "{outcome:?}");
        }
    }
}

#[test]
fn a_peer_cannot_be_the_mirror_itself() {
    let case = case();
    let auditor = begun(&case);
    let links = links(&auditor);
    let peer = format!("[[log.peer]]\nfile = {:?}\n", links.file);
    let table =
        log_table("one", &case.last_step().display().to_string(), &auditor.db(), &case.log_key, &peer);
    let mut command = program();
    command.args(["monitor", "--once", "--config"]).arg(config(links.folder.path(), &table));
    let outcome = run(command);
    assert_eq!(outcome.exit, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("the mirror itself"), "{outcome:?}");
}

/// What can stand where a file is looked for, and what must have become of it: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Odd {
    Fifo,
    Socket,
    Folder,
    Link,
    LinkToNowhere,
    LinkToEndless,
}

const ODD: [Odd; 6] =
    [Odd::Fifo, Odd::Socket, Odd::Folder, Odd::Link, Odd::LinkToNowhere, Odd::LinkToEndless];

fn secret(folder: &Path) -> PathBuf {
    folder.join("secret")
}

fn put(odd: Odd, path: &Path) {
    let _ = fs::remove_file(path);
    let folder = path.parent().unwrap();
    fs::write(secret(folder), "of somebody else").unwrap();
    match odd {
        Odd::Fifo => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        // The file stays when the socket is closed.
        Odd::Socket => drop(UnixListener::bind(path).unwrap()),
        Odd::Folder => fs::create_dir(path).unwrap(),
        Odd::Link => symlink(secret(folder), path).unwrap(),
        Odd::LinkToNowhere => symlink(folder.join("made-by-mistake"), path).unwrap(),
        Odd::LinkToEndless => symlink("/dev/zero", path).unwrap(),
    }
}

fn remove(odd: Odd, path: &Path) {
    match odd {
        Odd::Folder => fs::remove_dir(path).unwrap(),
        _ => {
            let _ = fs::remove_file(path);
        }
    }
}

#[track_caller]
fn assert_untouched(folder: &Path, here: &str) {
    assert_eq!(fs::read_to_string(secret(folder)).unwrap(), "of somebody else", "{here}");
    assert!(!folder.join("made-by-mistake").exists(), "{here}");
}

/// `run` ends what hangs and fails.
#[test]
fn special_files_beside_the_mirror_are_faults() {
    let case = case();
    for suffix in [".lock", ".mark", "-wal", "-shm", "-journal"] {
        for odd in ODD {
            let here = format!("{suffix} {odd:?}");
            let auditor = begun(&case);
            let path = auditor.beside_db(suffix);
            let mark = fs::read(auditor.beside_db(".mark")).unwrap();
            put(odd, &path);
            for options in [&[][..], &["--init"]] {
                let outcome = auditor.audit(&case.steps()[1], options);
                outcome.expect_fault(&[suffix, "not a file"]);
                assert!(outcome.report()["findings"].as_array().unwrap().is_empty(), "{here}");
            }
            assert_eq!(auditor.command(&["heads", "export", "--db", "{db}"]).exit, 5, "{here}");
            assert!(!holder_of(&auditor.db()).is_empty(), "{here}");
            if suffix.starts_with('-') {
                assert!(HeadReader::open(&auditor.db(), &key_of(&case)).is_err(), "{here}");
            }
            assert_untouched(auditor.directory(), &here);
            remove(odd, &path);
            fs::write(auditor.beside_db(".mark"), mark).unwrap();
            assert_eq!(auditor.audit(&case.steps()[1], &[]).exit, 0, "{here}");
        }
    }
}

/// Temporary files are ours to remove, whatever somebody made of them; but for a folder.
#[test]
fn files_in_place_of_a_temporary_file_are_replaced() {
    let case = case();
    for suffix in [".mark.new", ".new", ".new-journal", ".new-wal", ".fault", ".fault.new"] {
        for odd in ODD {
            let here = format!("{suffix} {odd:?}");
            let auditor = case.auditor();
            let path = auditor.beside_db(suffix);
            put(odd, &path);
            let outcome = auditor.init(&case.steps()[0]);
            let is_in_the_way = odd == Odd::Folder && !suffix.starts_with(".fault");
            assert_eq!(outcome.exit, if is_in_the_way { 5 } else { 0 }, "{here}: {outcome:#?}");
            assert_untouched(auditor.directory(), &here);
            remove(odd, &path);
            assert_eq!(auditor.init(&case.steps()[1]).exit, 0, "{here}");
            assert!(auditor.db().symlink_metadata().unwrap().is_file());
        }
    }
}

#[test]
fn a_special_file_is_not_a_mirror() {
    let case = case();
    for odd in ODD {
        for options in [&[][..], &["--init"]] {
            let auditor = case.auditor();
            put(odd, &auditor.db());
            let before = names(auditor.directory());
            auditor.audit(case.last_step(), options).expect_fault(&[]);
            assert_eq!(auditor.command(&["heads", "list", "--db", "{db}"]).exit, 5, "{odd:?}");
            assert!(HeadReader::open(&auditor.db(), &key_of(&case)).is_err(), "{odd:?}");
            let elsewhere = tempfile::tempdir().unwrap();
            let config = config(
                elsewhere.path(),
                &log_table("one", &case.last_step().display().to_string(), &auditor.db(), &case.log_key, ""),
            );
            let mut check = program();
            check.args(["config", "check", "--config"]).arg(config);
            // A link to a file that is no mirror is a file to it.
            assert_eq!(run(check).exit, if odd == Odd::Link { 0 } else { 2 }, "{odd:?}");
            assert_untouched(auditor.directory(), &format!("{odd:?}"));
            if odd != Odd::Link {
                assert_eq!(names(auditor.directory()), before, "{odd:?}");
            }
        }
    }
    let device = case.auditor();
    audit_by(&device, Path::new("/dev/null"), case.last_step(), &["--init"]).expect_fault(&["device"]);
    assert!(!Path::new("/dev/null.lock").exists());
    assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
}

/// A misbehaviour file is written anew where something else stands in its place.
#[test]
fn files_in_place_of_a_misbehaviour_file_are_replaced() {
    let forked = support::case::all().into_iter().find(|case| case.exit == 4).unwrap();
    let first = forked.auditor();
    for step in forked.steps() {
        first.audit(step, &["--init"]);
    }
    let is_proof = |name: &OsString| name.to_string_lossy().starts_with("misbehaviour-");
    let proofs: Vec<OsString> = names(first.directory()).into_iter().filter(is_proof).collect();
    assert!(!proofs.is_empty());
    for odd in ODD {
        let auditor = forked.auditor();
        proofs.iter().for_each(|proof| put(odd, &auditor.directory().join(proof)));
        let outcomes: Vec<Outcome> =
            forked.steps().iter().map(|step| auditor.audit(step, &["--init"])).collect();
        let last = outcomes.last().unwrap();
        assert_untouched(auditor.directory(), &format!("{odd:?}"));
        if odd == Odd::Folder {
            // The proof comes first: what cannot be written down is a fault.
            last.expect_fault(&["misbehaviour file"]);
            continue;
        }
        assert_eq!(last.exit, 4, "{odd:?}: {last:#?}");
        for proof in &proofs {
            let (ours, theirs) = (auditor.directory().join(proof), first.directory().join(proof));
            assert!(ours.symlink_metadata().unwrap().is_file(), "{odd:?}");
            let verified =
                |path: &Path| auditor.command(&["evidence", "verify", path.to_str().unwrap()]).exit;
            assert_eq!(verified(&ours), verified(&theirs), "{odd:?}");
        }
    }
}

/// Misbehaviour files are beside the mirror itself, and not beside a link to it.
#[test]
fn misbehaviour_files_are_beside_the_mirror() {
    let forked = support::case::all().into_iter().find(|case| case.exit == 4).unwrap();
    let auditor = forked.auditor();
    assert!([0, 4].contains(&auditor.init(&forked.steps()[0]).exit));
    let links = links(&auditor);
    for step in forked.steps() {
        audit_by(&auditor, &links.file, &step, &[]);
    }
    let is_proof = |name: &OsString| name.to_string_lossy().starts_with("misbehaviour-");
    assert!(names(auditor.directory()).iter().any(is_proof));
    assert_eq!(names(links.folder.path()), ["chain.db", "folder", "other.db"]);
}

/// As earlier versions left it.
#[test]
fn a_mark_named_after_a_link_is_reported() {
    let case = case();
    let auditor = begun(&case);
    let links = links(&auditor);
    let of_link = links.folder.path().join("other.db.mark");
    fs::rename(auditor.beside_db(".mark"), &of_link).unwrap();
    let outcome = audit_by(&auditor, &links.file, case.last_step(), &[]);
    outcome.expect_fault(&["beside the link", "move", "other.db.mark"]);
    fs::rename(&of_link, auditor.beside_db(".mark")).unwrap();
    assert_eq!(audit_by(&auditor, &links.file, case.last_step(), &[]).exit, 0);
}

/// What a database that is gone left is not taken into a new one.
#[test]
fn a_new_mirror_ignores_files_of_a_deleted_one() {
    let case = case();
    let auditor = begun(&case);
    let (wal, kept) = (auditor.beside_db("-wal"), auditor.directory().join("kept-wal"));
    {
        // As after `kill -9`: what was written last is in the write-ahead log alone.
        let db = rusqlite::Connection::open(auditor.db()).unwrap();
        db.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE state SET json = json || ' '").unwrap();
        fs::copy(&wal, &kept).unwrap();
    }
    let moved = auditor.directory().join("moved.db");
    fs::rename(auditor.db(), &moved).unwrap();
    fs::rename(&kept, &wal).unwrap();
    let mark = fs::read(auditor.beside_db(".mark")).unwrap();
    auditor.init(case.last_step()).expect_fault(&["-wal", "gone"]);
    assert_eq!(fs::read(auditor.beside_db(".mark")).unwrap(), mark, "the mirror may yet come back");
    assert!(!auditor.db().exists());
    fs::rename(&wal, auditor.directory().join("moved.db-wal")).unwrap();
    assert_eq!(auditor.init(case.last_step()).exit, 0);
}

/// Stored as the program stores it, without the lock.
fn bump(mirror: &Path) {
    let db = rusqlite::Connection::open(mirror).unwrap();
    let json: String = db.query_row("SELECT json FROM state", [], |row| row.get(0)).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&json).unwrap();
    state["generation"] = (state["generation"].as_u64().unwrap() + 1).into();
    let json = state.to_string();
    db.execute("UPDATE state SET json = ?1, digest = ?2", (&json, sha256(json.as_bytes()).0)).unwrap();
}

fn alert(key: &str) -> Outgoing {
    Outgoing {
        key: key.to_owned(),
        kind: "finding".to_owned(),
        severity: countersign::core::finding::Severity::Info,
        payload: "{}".to_owned(),
        channels: vec!["a".to_owned()],
    }
}

#[test]
fn concurrent_writes_are_not_overwritten() {
    let case = case();
    let auditor = begun(&case);
    let mut mirror = Mirror::open(&auditor.db(), &key_of(&case)).unwrap();
    mirror.transact(|mirror, _| mirror.outbox_mut().enqueue(&alert("before"), UnixMillis::new(1))).unwrap();
    mirror.acknowledge().unwrap();
    bump(&auditor.db());
    let mark = fs::read(auditor.beside_db(".mark")).unwrap();
    for _ in 0..2 {
        let refused = mirror.transact(|_, _| -> Result<(), MirrorError> { panic!("begun all the same") });
        let message = refused.unwrap_err();
        assert!(matches!(message, MirrorError::OtherWriter(..)), "{message}");
        assert!(message.to_string().contains("another process wrote"), "{message}");
        assert!(matches!(mirror.acknowledge(), Err(MirrorError::OtherWriter(..))));
    }
    assert_eq!(fs::read(auditor.beside_db(".mark")).unwrap(), mark);
    drop(mirror);
    assert_eq!(auditor.audit(case.last_step(), &[]).exit, 0);
}

/// A whole audit: another process writes while the log is slow to answer.
#[test]
fn a_concurrent_write_during_an_audit_is_a_fault() {
    let case = case();
    let auditor = begun(&case);
    let (mirror, files, bumped) = (auditor.db(), case.last_step(), AtomicBool::new(false));
    let server = TestServer::start(move |request| {
        if !bumped.swap(true, Ordering::SeqCst) {
            bump(&mirror);
        }
        match fs::read(files.join(request.path.trim_start_matches('/'))) {
            Ok(bytes) => Reply::ok(bytes),
            Err(_) => Reply::status("404 Not Found", "", ""),
        }
    });
    let outcome = auditor.audit(server.url(), &[]);
    outcome.expect_fault(&["another process wrote"]);
    assert!(outcome.report()["findings"].as_array().unwrap().is_empty(), "{outcome:#?}");
    assert_eq!(auditor.audit(case.last_step(), &["--full"]).exit, 0);
}

/// Two that have the mirror at once, because somebody removed the lock: of all that either was told is written, nothing
/// is lost, and no transaction stays open.
#[test]
fn no_update_is_lost_without_the_lock() {
    let case = case();
    let auditor = begun(&case);
    let open = || {
        fs::remove_file(auditor.beside_db(".lock")).unwrap();
        Mirror::open(&auditor.db(), &key_of(&case)).unwrap()
    };
    let (mut both, mut random) = ([open(), open()], fastrand::Rng::with_seed(23));
    let (mut written, mut refused) = (Vec::new(), 0);
    for number in 0..200 {
        let at = random.usize(..2);
        let key = format!("alert {number}");
        match both[at]
            .transact(|mirror, _| mirror.outbox_mut().enqueue(&alert(&key), UnixMillis::new(number)))
        {
            Ok(_) => written.push(key),
            Err(MirrorError::OtherWriter(..)) => {
                refused += 1;
                both[at] = open();
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 20 && written.len() > 20, "{refused} {}", written.len());
    let mut mirror = open();
    let due = mirror.outbox().due("a", UnixMillis::new(1000), 0, 1000).unwrap();
    assert_eq!(due.len(), written.len());
    mirror
        .transact(|mirror, _| {
            mirror.outbox_mut().attempted(due[0].alert, "a", &Attempt::Delivered, UnixMillis::new(1))
        })
        .unwrap();
    let db = rusqlite::Connection::open(auditor.db()).unwrap();
    let keys: Vec<String> = {
        let mut select = db.prepare("SELECT key FROM alerts ORDER BY id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(keys, written);
}

/// The note of a mirror that cannot be used is beside the mirror, by whatever name it is called.
#[test]
fn the_fault_file_is_beside_the_mirror() {
    let case = case();
    let auditor = begun(&case);
    let links = links(&auditor);
    let dispatcher = Dispatcher::new(DispatcherConfig::default()).unwrap();
    let log = LogName { name: "log".to_owned(), origin: "o".to_owned() };
    for odd in [None].into_iter().chain(ODD.map(Some)) {
        if let Some(odd) = odd {
            put(odd, &auditor.beside_db(".fault"));
        }
        for now in 1..=u64::from(TIMES_IN_USE) {
            dispatcher.notify_without_mirror(
                &FallbackStore::of(&links.chain),
                &log,
                MirrorUnavailable::Fault("gone"),
                UnixMillis::new(now),
                &|| false,
            );
        }
        let is_file = auditor.beside_db(".fault").symlink_metadata().unwrap().is_file();
        assert_eq!(is_file, odd != Some(Odd::Folder), "{odd:?}");
        if odd.is_some() {
            assert_untouched(auditor.directory(), &format!("{odd:?}"));
        }
        assert_eq!(names(links.folder.path()), ["chain.db", "folder", "other.db"]);
        if let Some(Odd::Folder) = odd {
            remove(Odd::Folder, &auditor.beside_db(".fault"));
        }
    }
}
