//! Whatever happens to the files, a journal is what was written, or an error.

use super::mark;
use super::test_kit::{approval, approve, moment, place};
use super::{Consumed, Journal, JournalError};
use crate::core::hash::sha256;
use crate::gate::row::{Consumption, Ending, Row};
use crate::mirror::beside;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A closed journal with two rows and two keys, in small pages, and the rows.
fn small(path: &Path) -> Vec<Row> {
    let mut journal = Journal::create_with_pages(path, 512).unwrap();
    for key in ["a", "b"] {
        approve(&mut journal, key);
    }
    let unpinned = |key: &str| Consumption { credential: key.to_owned(), key_pinned: false, ..approval(key) };
    journal.consume("a", &unpinned("a")).unwrap();
    journal.ended("a", &Ending::Ok, moment(6_000)).unwrap();
    assert!(matches!(journal.consume("b", &unpinned("b")).unwrap(), Consumed::OtherKey { .. }));
    journal.rows().unwrap()
}

fn rows(path: &Path) -> Result<Vec<Row>, JournalError> {
    Journal::open(path)?.rows()
}

fn is_damage(error: &JournalError) -> bool {
    matches!(
        error,
        JournalError::Damaged(..)
            | JournalError::RolledBack(..)
            | JournalError::NotAJournal(..)
            | JournalError::Newer(..)
            | JournalError::Io(..)
    )
}

#[test]
fn no_flipped_bit_changes_what_is_read() {
    let (_folder, path) = place();
    let written = small(&path);
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        match rows(&path) {
            Ok(read) => assert_eq!(read, written, "byte {at}"),
            Err(error) => {
                assert!(is_damage(&error), "byte {at}: {error}");
                noticed += 1;
            }
        }
        let _ = fs::remove_file(beside(&path, "-wal"));
        let _ = fs::remove_file(beside(&path, "-shm"));
    }
    assert!(noticed > whole.len() / 4, "of {} flips {noticed} were noticed", whole.len());
    fs::write(&path, &whole).unwrap();
    assert_eq!(rows(&path).unwrap(), written);
}

#[test]
fn what_sql_changed_is_noticed() {
    for sql in [
        "DELETE FROM confirmations WHERE key = 'b'",
        "DELETE FROM confirmations",
        "UPDATE confirmations SET nonce = NULL, credential = NULL, key_pinned = NULL, action_signed = NULL,
           receipt = NULL, consumed_at = NULL, ended_at = NULL, ending = NULL WHERE key = 'a'",
        "UPDATE confirmations SET nonce = 'other' WHERE key = 'a'",
        "UPDATE confirmations SET decision = 'rejected' WHERE key = 'b'",
        "UPDATE confirmations SET number = 9 WHERE key = 'b'",
        "UPDATE confirmations SET seal = zeroblob(32) WHERE key = 'b'",
        "INSERT INTO confirmations SELECT 3, 'c', service, origin, username, action, payload_hash, asked_at, post_until,
           NULL, url, encoding, expires_at, decision, decided_at, refusal, message, NULL, credential, key_pinned,
           action_signed, receipt, consumed_at, ended_at, ending, failure, seal FROM confirmations WHERE key = 'a'",
        "DELETE FROM approver_keys",
        "UPDATE approver_keys SET key = 'bb'",
        "DELETE FROM offered_keys",
        "INSERT INTO approver_keys SELECT number, origin, 'kim', key, since, seal FROM offered_keys WHERE 0 UNION
           SELECT 2, origin, 'kim', key, since, seal FROM offered_keys",
        "UPDATE state SET rows = rows - 1",
        "UPDATE state SET generation = generation + 1",
        "UPDATE state SET sum = zeroblob(32)",
        "UPDATE state SET journal = 'another'",
        "DELETE FROM state",
        "DROP TABLE offered_keys",
        "CREATE TABLE more (x)",
        "CREATE INDEX more ON confirmations (username)",
        "CREATE TRIGGER more AFTER UPDATE ON confirmations BEGIN DELETE FROM confirmations; END",
        "PRAGMA writable_schema = ON;
           UPDATE sqlite_schema SET sql = replace(sql, 'nonce         TEXT UNIQUE', 'nonce         TEXT       ')
             WHERE name = 'confirmations'",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 1",
    ] {
        let (_folder, path) = place();
        small(&path);
        let db = Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let error = rows(&path).err().unwrap_or_else(|| panic!("{sql}"));
        assert!(is_damage(&error), "{sql}: {error}");
    }
}

/// What a look-up finds is verified in a journal that was opened before it was changed, too.
#[test]
fn what_sql_changed_is_noticed_by_who_has_it_open() {
    for sql in [
        "UPDATE confirmations SET decision = 'approved', refusal = NULL, message = NULL, receipt = x'00'",
        "UPDATE confirmations SET username = 'kim'",
        "UPDATE state SET generation = generation - 1",
        "DELETE FROM state",
    ] {
        let (_folder, path) = place();
        small(&path);
        let mut journal = Journal::open(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let read = journal.row("b").unwrap_err();
        assert!(is_damage(&read), "{sql}: {read}");
        let consumed = journal.consume("b", &approval("b")).unwrap_err();
        assert!(is_damage(&consumed), "{sql}: {consumed}");
    }
}

fn copy(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        fs::copy(beside(from, suffix), beside(to, suffix)).unwrap();
    }
}

#[test]
fn an_older_copy_is_noticed() {
    let (folder, path) = place();
    small(&path);
    let old = folder.path().join("old.db");
    copy(&path, &old, &["", ".mark"]);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.consume("b", &approval("b")).unwrap(), Consumed::Fresh);
    drop(journal);
    copy(&path, &folder.path().join("new.db"), &["", ".mark"]);
    copy(&old, &path, &[""]);
    let error = rows(&path).unwrap_err();
    assert!(matches!(error, JournalError::RolledBack(..)), "{error}");
    // Both together are the journal as it was then. Only somebody who can write both can do that.
    copy(&old, &path, &[".mark"]);
    rows(&path).unwrap();
    // The newer copy with the older mark is a process that was killed before its mark.
    copy(&folder.path().join("new.db"), &path, &[""]);
    assert!(rows(&path).unwrap().iter().all(|row| row.consumed.is_some()));
}

#[test]
fn a_file_that_takes_its_place_while_it_is_open_is_noticed() {
    let (folder, path) = place();
    small(&path);
    let old = folder.path().join("old.db");
    copy(&path, &old, &["", ".mark"]);
    let mut journal = Journal::open(&path).unwrap();
    fs::rename(&old, &path).unwrap();
    fs::rename(beside(&old, ".mark"), mark::path_of(&path)).unwrap();
    let error = journal.consume("b", &approval("b")).unwrap_err();
    assert!(error.to_string().contains("in its place"), "{error}");
}

#[test]
fn a_journal_without_its_mark_is_not_used() {
    let (folder, path) = place();
    small(&path);
    let mut open = Journal::open(&path).unwrap();
    let whole = fs::read(mark::path_of(&path)).unwrap();
    let other = folder.path().join("other.db");
    drop(Journal::create(&other).unwrap());
    let marks: [(&str, Option<Vec<u8>>); 4] = [
        ("missing", None),
        ("damaged", Some(Vec::new())),
        ("damaged", Some(whole[..whole.len() - 1].to_vec())),
        ("another journal", Some(fs::read(mark::path_of(&other)).unwrap())),
    ];
    for (why, bytes) in marks {
        match bytes {
            Some(bytes) => fs::write(mark::path_of(&path), bytes).unwrap(),
            None => fs::remove_file(mark::path_of(&path)).unwrap(),
        }
        for error in [rows(&path).unwrap_err(), open.consume("b", &approval("b")).unwrap_err()] {
            assert!(matches!(error, JournalError::RolledBack(..)), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    fs::write(mark::path_of(&path), whole).unwrap();
    assert_eq!(open.consume("b", &approval("b")).unwrap(), Consumed::Fresh);
}

/// The files as a killed process leaves them, and as a machine leaves them that lost power while the write-ahead log was
/// written: cut anywhere, it is an error, or has all that the mark acknowledges.
#[test]
fn what_was_acknowledged_is_there_or_the_log_of_it_is_missed() {
    let (folder, path) = place();
    let mut journal = Journal::create_with_pages(&path, 512).unwrap();
    approve(&mut journal, "a");
    let killed = folder.path().join("killed.db");
    copy(&path, &killed, &["", "-wal", ".mark"]);
    let before = journal.rows().unwrap();
    let acknowledged_before = fs::metadata(beside(&path, "-wal")).unwrap().len();
    journal.consume("a", &approval("n")).unwrap();
    let after = journal.rows().unwrap();
    let log = fs::read(beside(&path, "-wal")).unwrap();
    let old_mark = fs::read(mark::path_of(&killed)).unwrap();
    let new_mark = fs::read(mark::path_of(&path)).unwrap();
    let database = fs::read(&path).unwrap();
    let lengths = (0..log.len()).step_by(101).chain([acknowledged_before as usize, log.len()]);
    for length in lengths {
        for (mark, acknowledged) in [(&old_mark, acknowledged_before), (&new_mark, log.len() as u64)] {
            fs::write(&killed, &database).unwrap();
            fs::write(beside(&killed, "-wal"), &log[..length]).unwrap();
            fs::write(mark::path_of(&killed), mark).unwrap();
            let read = rows(&killed);
            let is_whole = length == log.len();
            if length as u64 >= acknowledged {
                assert_eq!(read.unwrap(), *if is_whole { &after } else { &before }, "cut at {length}");
            } else {
                assert!(is_damage(&read.unwrap_err()), "cut at {length}");
            }
            let _ = fs::remove_file(beside(&killed, "-shm"));
        }
    }
}

/// The disk is full in the middle of a step: the step is not there, and the journal goes on when there is room.
#[test]
fn a_full_disk_is_an_error_and_changes_nothing() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    approve(&mut journal, "k");
    let before = journal.rows().unwrap();
    let limit = |journal: &Journal, pages: u32| {
        let set = format!("PRAGMA max_page_count = {pages}");
        journal.db.connection().query_row(&set, [], |row| row.get::<_, i64>(0)).unwrap();
    };
    limit(&journal, 1);
    let large = Consumption { receipt: vec![7; 100_000], ..approval("n") };
    let error = journal.consume("k", &large).unwrap_err();
    assert!(matches!(error, JournalError::Io(..)), "{error}");
    assert_eq!(journal.rows().unwrap(), before);
    limit(&journal, 1 << 20);
    assert_eq!(journal.consume("k", &large).unwrap(), Consumed::Fresh);
    let receipt = journal.row("k").unwrap().unwrap().consumed.unwrap().receipt;
    assert_eq!(sha256(&receipt), sha256(&large.receipt));
}

#[test]
fn who_waits_too_long_for_the_lock_is_told() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    let lock = crate::mirror::lock_within(&path, Duration::ZERO).unwrap();
    journal.db.set_wait(Duration::from_millis(20));
    for error in [journal.row("k").unwrap_err(), journal.begin(&super::test_kit::request("k")).unwrap_err()] {
        assert!(matches!(error, JournalError::InUse(..)), "{error}");
    }
    drop(lock);
    assert_eq!(journal.row("k").unwrap(), None);
}
