//! Where a journal can be, and where not. Never is one made that was not asked for.

use super::mark;
use super::test_kit::{approval, approve, place};
use super::{Consumed, Journal, JournalError};
use crate::mirror::beside;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;

fn fails(path: &Path) -> JournalError {
    Journal::open(path).err().unwrap_or_else(|| panic!("{path:?} was opened"))
}

#[test]
fn a_journal_that_is_not_there_is_not_made() {
    let (folder, path) = place();
    let error = fails(&path);
    assert!(matches!(error, JournalError::Missing(_)), "{error}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("there is no journal at {path:?}. ")), "{said}");
    let create = format!("create it once with `countersign gate --journal {path:?} --init`");
    assert!(said.contains("--config") && said.contains(&create), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = folder.path().join("no/j.db");
    assert!(fails(&nowhere).to_string().contains("directory"));
    assert!(Journal::create(&nowhere).is_err());
}

#[test]
fn a_journal_is_made_once() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    approve(&mut journal, "k");
    for _ in 0..2 {
        assert!(matches!(Journal::create(&path), Err(JournalError::AlreadyThere(_))));
    }
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().rows().unwrap().len(), 1);
}

#[test]
fn of_many_who_make_it_at_once_one_does() {
    let (_folder, path) = place();
    let path = &path;
    let made = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(move || Journal::create(path).map(drop))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(
        made.iter()
            .flat_map(|made| made.as_ref().err())
            .all(|error| matches!(error, JournalError::AlreadyThere(_)))
    );
    Journal::open(path).unwrap();
}

#[test]
fn a_creation_that_was_cut_short_is_done_again_and_a_lost_journal_is_not() {
    let (_folder, path) = place();
    drop(Journal::create(&path).unwrap());
    // Killed before the database had its name.
    fs::rename(&path, beside(&path, ".new")).unwrap();
    let mut journal = Journal::create(&path).unwrap();
    approve(&mut journal, "k");
    drop(journal);
    let database = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(fails(&path), JournalError::Missing(_)));
    let error = Journal::create(&path).err().unwrap();
    assert!(matches!(&error, JournalError::Gone(_, left) if *left == mark::path_of(&path)), "{error}");
    fs::write(beside(&path, "-wal"), "frames").unwrap();
    let error = Journal::create(&path).err().unwrap();
    assert!(error.to_string().contains("-wal"), "{error}");
    fs::remove_file(beside(&path, "-wal")).unwrap();
    assert!(!path.exists());
    fs::write(&path, database).unwrap();
    assert_eq!(Journal::open(&path).unwrap().consume("k", &approval("n")).unwrap(), Consumed::Fresh);
}

#[test]
fn a_link_a_directory_and_a_pipe_are_no_journal() {
    let (folder, path) = place();
    drop(Journal::create(&path).unwrap());
    let at = |name: &str| folder.path().join(name);
    symlink(&path, at("link")).unwrap();
    symlink(at("nowhere.db"), at("dangling")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (name, why) in [
        ("link", "symbolic link"),
        ("dangling", "symbolic link"),
        ("directory", "a directory"),
        ("pipe", "a FIFO"),
    ] {
        for error in [fails(&at(name)), Journal::create(&at(name)).err().unwrap()] {
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }
    assert!(!at("nowhere.db").exists());
    // A second name of the file: its log and mark go by the first one.
    fs::hard_link(&path, at("second.db")).unwrap();
    assert!(fails(&path).to_string().contains("hard links"));
    // A link among its directories is followed to the one name that it has.
    fs::remove_file(at("second.db")).unwrap();
    symlink(folder.path(), at("linked")).unwrap();
    assert_eq!(Journal::open(&at("linked/j.db")).unwrap().path(), path);
}

#[test]
fn another_file_is_no_journal_and_stays_as_it_is() {
    let (folder, _) = place();
    let database = folder.path().join("other.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("PRAGMA application_id = 0x63736967; PRAGMA user_version = 1; CREATE TABLE t (x)")
        .unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(folder.path().join("text"), "no database, and longer than the header of one is\n".repeat(9))
        .unwrap();
    for name in ["other.db", "empty", "text"] {
        let path = folder.path().join(name);
        let before = fs::read(&path).unwrap();
        let error = fails(&path);
        assert!(matches!(error, JournalError::NotAJournal(_)), "{name}: {error}");
        assert!(matches!(Journal::create(&path), Err(JournalError::AlreadyThere(_))), "{name}");
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
    }
}

#[test]
#[cfg(unix)]
fn a_journal_belongs_to_its_owner_alone() {
    let (_folder, path) = place();
    drop(Journal::create(&path).unwrap());
    for file in [path.clone(), beside(&path, ".lock"), beside(&path, ".mark")] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_journal_that_may_not_be_read_or_written_is_an_error() {
    let (_folder, path) = place();
    drop(Journal::create(&path).unwrap());
    for mode in [0o000, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        // For root the modes do not count.
        if File::options().write(true).open(&path).is_ok() {
            continue;
        }
        let error = fails(&path);
        assert!(matches!(error, JournalError::Io(..)), "{mode:o}: {error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Journal::open(&path).unwrap();
}
