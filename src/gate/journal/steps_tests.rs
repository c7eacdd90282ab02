//! The steps of a confirmation, in order and out of it, by one process and by many.

use super::mark;
use super::test_kit::{answer, approval, approve, approve_for, moment, place, request};
use super::{Consumed, Journal, JournalError, Noted, Recorded, Trusted};
use crate::core::entry::Decision;
use crate::core::hash::sha256;
use crate::core::time::UnixMillis;
use crate::gate::reason::{Reason, Refusal};
use crate::gate::row::{Consumption, Decided, Ended, Ending, NewRow, Row};
use std::fs;
use std::sync::Barrier;
use std::thread;

#[test]
fn the_life_of_a_row() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    let mut row = Row::new(request("k"));
    assert_eq!(journal.begin(&request("k")).unwrap(), Recorded::New(row.clone()));
    row.asked = Some(answer("a"));
    assert_eq!(journal.asked("k", &answer("a")).unwrap(), Noted::New(row.clone()));
    row.decided = Some(Decided { decision: Decision::Approved, at: moment(4_000) });
    assert_eq!(journal.decided("k", Decision::Approved, moment(4_000)).unwrap(), Recorded::New(row.clone()));
    assert_eq!(journal.consume("k", &approval("n")).unwrap(), Consumed::Fresh);
    row.consumed = Some(approval("n"));
    assert!(journal.row("k").unwrap().unwrap().is_end_unknown());
    let ending = Ending::Failed("it broke".to_owned());
    row.ended = Some(Ended { ending: ending.clone(), at: moment(6_000) });
    assert_eq!(journal.ended("k", &ending, moment(6_000)).unwrap(), row);
    // The same after a restart, from the file.
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.row("k").unwrap(), Some(row.clone()));
    assert_eq!(journal.row_by_id("a").unwrap(), Some(row.clone()));
    assert_eq!(journal.rows().unwrap(), [row]);
    assert_eq!((journal.row("?").unwrap(), journal.row_by_id("?").unwrap()), (None, None));
    assert_eq!(journal.path(), path);
}

#[test]
fn to_begin_again_changes_nothing_and_shows_another_request() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    journal.begin(&request("k")).unwrap();
    let later = NewRow { asked_at: moment(9_000), post_until: moment(39_000), ..request("k") };
    let other = NewRow { payload_hash: sha256(b"[]"), ..later.clone() };
    for (again, is_same) in [(&later, true), (&other, false)] {
        let Recorded::Known(row) = journal.begin(again).unwrap() else { panic!("it was begun before") };
        assert_eq!(row, Row::new(request("k")));
        assert_eq!(row.request.asks_the_same_as(again), is_same);
    }
    assert_eq!(journal.rows().unwrap().len(), 1);
}

#[test]
fn a_request_is_sent_again_only_where_none_may_be_under_way_and_none_was_answered() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    journal.begin(&request("k")).unwrap();
    assert!(matches!(journal.ask_again("k", moment(30_999), moment(60_999)).unwrap(), Recorded::Known(_)));
    let Recorded::New(row) = journal.ask_again("k", moment(31_000), moment(61_000)).unwrap() else {
        panic!("it is time")
    };
    assert_eq!((row.request.asked_at, row.request.post_until), (moment(31_000), moment(61_000)));
    // Another process that was told the same is later.
    assert!(matches!(journal.ask_again("k", moment(31_001), moment(61_001)).unwrap(), Recorded::Known(_)));
    // It is known that it reached nobody: one process may send it at once.
    let Recorded::New(row) = journal.not_asked("k").unwrap() else { panic!("it has no answer") };
    assert!(row.was_not_asked());
    assert!(matches!(journal.ask_again("k", moment(32_000), moment(62_000)).unwrap(), Recorded::New(_)));
    assert!(matches!(journal.ask_again("k", moment(32_001), moment(62_001)).unwrap(), Recorded::Known(_)));
    journal.asked("k", &answer("a")).unwrap();
    assert!(matches!(journal.not_asked("k").unwrap(), Recorded::Known(_)));
    assert!(matches!(journal.ask_again("k", moment(99_000), moment(99_000)).unwrap(), Recorded::Known(_)));
    // The answer to the earlier request does not take the place of the first one that came.
    let Noted::Known(row) = journal.asked("k", &answer("b")).unwrap() else { panic!("it is answered") };
    assert_eq!(row.asked, Some(answer("a")));
    journal.begin(&request("denied")).unwrap();
    journal.refused("denied", &Refusal::new(Reason::Denied, "no")).unwrap();
    assert!(matches!(
        journal.ask_again("denied", moment(99_000), moment(99_000)).unwrap(),
        Recorded::Known(_)
    ));
    assert!(matches!(journal.asked("denied", &answer("c")).unwrap(), Noted::Known(_)));
}

#[test]
fn an_id_is_of_one_row() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    journal.begin(&request("first")).unwrap();
    journal.begin(&request("second")).unwrap();
    journal.asked("first", &answer("a")).unwrap();
    assert_eq!(journal.asked("second", &answer("a")).unwrap(), Noted::IdTaken);
    assert_eq!(journal.row("second").unwrap(), Some(Row::new(request("second"))));
    assert_eq!(journal.row_by_id("a").unwrap().unwrap().request.key, "first");
}

#[test]
fn the_first_decision_counts() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    journal.begin(&request("k")).unwrap();
    assert!(matches!(journal.decided("k", Decision::Approved, moment(1)), Err(JournalError::OutOfOrder(..))));
    journal.asked("k", &answer("a")).unwrap();
    journal.decided("k", Decision::Rejected, moment(4_000)).unwrap();
    let Recorded::Known(row) = journal.decided("k", Decision::Approved, moment(5_000)).unwrap() else {
        panic!("it was decided before")
    };
    assert_eq!(row.decided, Some(Decided { decision: Decision::Rejected, at: moment(4_000) }));
    assert!(matches!(journal.consume("k", &approval("n")), Err(JournalError::OutOfOrder(..))));
}

#[test]
fn a_final_refusal_stays() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    for reason in Reason::ALL {
        let key = reason.as_str();
        approve(&mut journal, key);
        let refusal = Refusal::new(reason, "why");
        let recorded = journal.refused(key, &refusal);
        if reason.may_go_on() {
            assert!(matches!(recorded, Err(JournalError::OutOfOrder(..))), "{key}");
            assert_eq!(journal.row(key).unwrap().unwrap().refusal, None);
            continue;
        }
        assert!(matches!(recorded.unwrap(), Recorded::New(_)), "{key}");
        let Recorded::Known(row) = journal.refused(key, &Refusal::new(Reason::Denied, "other")).unwrap()
        else {
            panic!("it was refused before")
        };
        assert_eq!(row.refusal, Some(refusal.clone()));
        assert_eq!(journal.consume(key, &approval(key)).unwrap(), Consumed::Refused(refusal));
        assert_eq!(journal.row(key).unwrap(), Some(row));
    }
    // What was consumed is not refused afterwards.
    approve(&mut journal, "used");
    journal.consume("used", &approval("n")).unwrap();
    let refusal = Refusal::new(Reason::Replayed, "again");
    let Recorded::Known(row) = journal.refused("used", &refusal).unwrap() else { panic!("it was consumed") };
    assert_eq!(row.refusal, None);
}

#[test]
fn a_row_and_a_nonce_are_consumed_once() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    ["first", "second"].iter().for_each(|key| approve(&mut journal, key));
    assert_eq!(journal.consume("first", &approval("n")).unwrap(), Consumed::Fresh);
    assert_eq!(journal.consume("first", &approval("n")).unwrap(), Consumed::Replayed);
    assert_eq!(journal.consume("first", &approval("other")).unwrap(), Consumed::Replayed);
    assert_eq!(journal.consume("second", &approval("n")).unwrap(), Consumed::Replayed);
    assert_eq!(journal.row("second").unwrap().unwrap().consumed, None);
    assert_eq!(journal.row("first").unwrap().unwrap().consumed, Some(approval("n")));
    assert_eq!(journal.consume("second", &approval("other")).unwrap(), Consumed::Fresh);
}

/// Ten gates at once, once for one key and once for ten keys to which a log gave one nonce.
#[test]
fn of_ten_at_once_one_consumes() {
    for is_one_row in [true, false] {
        let (_folder, path) = place();
        let mut journal = Journal::create(&path).unwrap();
        let key = |n: usize| if is_one_row { "k".to_owned() } else { format!("k{n}") };
        (0..10).for_each(|n| approve(&mut journal, &key(n)));
        let (start, path) = (Barrier::new(10), &path);
        let consumed: Vec<Consumed> = thread::scope(|scope| {
            let threads: Vec<_> = (0..10)
                .map(|n| {
                    let start = &start;
                    scope.spawn(move || {
                        let mut journal = Journal::open(path).unwrap();
                        start.wait();
                        journal.consume(&key(n), &approval("n")).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |of: Consumed| consumed.iter().filter(|consumed| **consumed == of).count();
        assert_eq!((count(Consumed::Fresh), count(Consumed::Replayed)), (1, 9), "one row: {is_one_row}");
        let rows = journal.rows().unwrap();
        assert_eq!(rows.iter().filter(|row| row.consumed.is_some()).count(), 1);
        Journal::open(path).unwrap();
    }
}

#[test]
fn handles_see_what_others_wrote() {
    let (_folder, path) = place();
    let mut handles = vec![Journal::create(&path).unwrap()];
    handles.extend((0..4).map(|_| Journal::open(&path).unwrap()));
    for (n, handle) in handles.iter_mut().enumerate() {
        let key = format!("k{n}");
        approve(handle, &key);
        assert_eq!(handle.consume(&key, &approval("n")).unwrap() == Consumed::Fresh, n == 0);
        assert_eq!(handle.rows().unwrap().len(), n + 1);
    }
    let all = handles[0].rows().unwrap();
    for handle in &mut handles {
        assert_eq!(handle.rows().unwrap(), all);
        assert!(handle.row("k4").unwrap().is_some());
    }
}

#[test]
fn an_action_ends_once_and_after_it_was_permitted() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    approve(&mut journal, "k");
    assert!(matches!(journal.ended("k", &Ending::Ok, moment(1)), Err(JournalError::OutOfOrder(..))));
    journal.consume("k", &approval("n")).unwrap();
    let row = journal.ended("k", &Ending::Ok, moment(6_000)).unwrap();
    let again = journal.ended("k", &Ending::Failed("no".to_owned()), moment(7_000)).unwrap_err();
    assert!(again.to_string().contains("nothing was recorded under"), "{again}");
    assert_eq!(journal.row("k").unwrap(), Some(row));
}

#[test]
fn a_step_of_a_row_that_is_not_there_is_an_error() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    let errors = [
        journal.ask_again("?", moment(1), moment(2)).unwrap_err(),
        journal.asked("?", &answer("a")).unwrap_err(),
        journal.decided("?", Decision::Expired, moment(1)).unwrap_err(),
        journal.refused("?", &Refusal::new(Reason::Expired, "late")).unwrap_err(),
        journal.consume("?", &approval("n")).unwrap_err(),
        journal.ended("?", &Ending::Ok, moment(1)).unwrap_err(),
    ];
    assert!(
        errors.iter().all(|error| matches!(error, JournalError::NoRow(_, key) if key == "?")),
        "{errors:?}"
    );
}

#[test]
fn what_is_too_large_is_not_written() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    let late = NewRow { post_until: UnixMillis::MAX, ..request("k") };
    assert!(matches!(journal.begin(&late), Err(JournalError::TooLarge(..))));
    assert!(journal.rows().unwrap().is_empty());
    approve(&mut journal, "k");
    let long = Consumption { receipt: vec![0; 3 << 20], ..approval("n") };
    assert!(matches!(journal.consume("k", &long), Err(JournalError::TooLarge(..))));
    assert_eq!(journal.consume("k", &approval("n")).unwrap(), Consumed::Fresh);
}

fn by(key: &str, nonce: &str) -> Consumption {
    Consumption { credential: key.to_owned(), key_pinned: false, ..approval(nonce) }
}

#[test]
fn the_first_key_stands_until_another_one_is_accepted() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    (0..9).for_each(|n| approve(&mut journal, &format!("k{n}")));
    assert_eq!(journal.trust(None, "alex", moment(1)).unwrap(), Trusted::NothingOffered);
    assert_eq!(journal.consume("k0", &by("aa", "n0")).unwrap(), Consumed::Fresh);
    assert_eq!(journal.trust(None, "alex", moment(1)).unwrap(), Trusted::NothingOffered);
    let Consumed::OtherKey { stands } = journal.consume("k1", &by("bb", "n1")).unwrap() else {
        panic!("it is another key")
    };
    assert_eq!(("aa", moment(5_000)), (stands.key.as_str(), stands.since));
    assert_eq!(journal.row("k1").unwrap().unwrap().consumed, None);
    // A pinned key is compared with its pin alone, and stands for nobody else.
    assert_eq!(
        journal.consume("k2", &Consumption { credential: "cc".to_owned(), ..approval("n2") }).unwrap(),
        Consumed::Fresh
    );
    assert_eq!(journal.consume("k3", &by("aa", "n3")).unwrap(), Consumed::Fresh);
    assert_eq!(journal.trust(Some("log.example/2"), "alex", moment(1)).unwrap(), Trusted::NothingOffered);
    let Trusted::Accepted { now, before } = journal.trust(None, "alex", moment(8_000)).unwrap() else {
        panic!("one was offered")
    };
    assert_eq!((now.key.as_str(), now.since, before), ("bb", moment(8_000), stands));
    assert_eq!(journal.trust(None, "alex", moment(9_000)).unwrap(), Trusted::NothingOffered);
    assert_eq!(journal.approver_key("log.example/1", "alex").unwrap(), Some(now));
    assert_eq!(journal.consume("k4", &by("bb", "n4")).unwrap(), Consumed::Fresh);
    assert!(matches!(journal.consume("k5", &by("aa", "n5")).unwrap(), Consumed::OtherKey { .. }));
    assert_eq!(journal.approver_key("log.example/1", "kim").unwrap(), None);
    Journal::open(&path).unwrap();
}

#[test]
fn a_key_is_of_one_person_under_one_log() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    for (n, (origin, username)) in
        [("log.example/1", "alex"), ("log.example/2", "alex"), ("log.example/1", "kim")]
            .into_iter()
            .enumerate()
    {
        for (key, credential) in [("first", format!("{n}a")), ("other", format!("{n}b"))] {
            let key = format!("{key}{n}");
            let request =
                NewRow { origin: origin.to_owned(), username: username.to_owned(), ..request(&key) };
            approve_for(&mut journal, request);
            let is_first = credential.ends_with('a');
            let consumed = journal.consume(&key, &by(&credential, &key)).unwrap();
            assert_eq!(consumed == Consumed::Fresh, is_first, "{key}");
        }
    }
    let origins = vec!["log.example/1".to_owned(), "log.example/2".to_owned()];
    assert_eq!(journal.trust(None, "alex", moment(1)).unwrap(), Trusted::Several(origins));
    assert!(matches!(
        journal.trust(Some("log.example/2"), "alex", moment(1)).unwrap(),
        Trusted::Accepted { .. }
    ));
    assert_eq!(journal.approver_key("log.example/2", "alex").unwrap().unwrap().key, "1b");
    assert_eq!(journal.approver_key("log.example/1", "alex").unwrap().unwrap().key, "0a");
    assert_eq!(journal.approver_key("log.example/1", "kim").unwrap().unwrap().key, "2a");
}

/// A process that is killed between its commit and its mark.
#[test]
fn a_mark_behind_its_journal_is_brought_up() {
    let (_folder, path) = place();
    let mut journal = Journal::create(&path).unwrap();
    approve(&mut journal, "k");
    let before = fs::read(mark::path_of(&path)).unwrap();
    journal.consume("k", &approval("n")).unwrap();
    let after = fs::read(mark::path_of(&path)).unwrap();
    for torn in [false, true] {
        let mut bytes = before.clone();
        // The slot that was being written is the one in which they differ.
        let at = before.iter().zip(&after).position(|(before, after)| before != after).unwrap();
        bytes[at] ^= u8::from(torn);
        fs::write(mark::path_of(&path), &bytes).unwrap();
        let mut next = Journal::open(&path).unwrap();
        assert_eq!(next.consume("k", &approval("n")).unwrap(), Consumed::Replayed);
        assert_eq!(fs::read(mark::path_of(&path)).unwrap(), after);
    }
}
