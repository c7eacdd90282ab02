//! Faults of a mirror that cannot be opened are told once, and so is their end, however often the monitor starts anew.

#[path = "support/receiver.rs"]
mod receiver;
mod support;

use countersign::alerts::{Cries, Desk, Fault, Log};
use countersign::core::finding::Severity;
use receiver::{Answer, Fake, Home, MINUTE, NOW, desk, pair, well};

const MISSING: Fault<'static> = Fault { message: "the mirror is missing \u{202e}", in_use: false };
const IN_USE: Fault<'static> = Fault { message: "the mirror is in use", in_use: true };

fn log() -> Log {
    Log { name: "main".to_owned(), origin: "o".to_owned() }
}

/// A monitor that was started just now finds this fault.
fn life(home: &Home, desk: &Desk, fault: Fault<'_>, minute: u64) {
    desk.cry(&Cries::beside(&home.path()), &log(), fault, NOW + minute * MINUTE);
}

/// A monitor that was started just now finds that all is well.
fn well_again(home: &Home, desk: &Desk, minute: u64) {
    let mut mirror = home.open();
    desk.calm(&Cries::beside(&home.path()), &mut mirror, &log(), NOW + minute * MINUTE).unwrap();
    desk.note(&mut mirror, "main", &well(), NOW + minute * MINUTE).unwrap();
    desk.deliver(&mut mirror, NOW + minute * MINUTE).unwrap();
}

#[test]
fn a_fault_is_told_once_across_lives_and_so_is_its_end() {
    let (home, pager) = (Home::new(), Fake::default());
    let desk = desk(vec![pager.channel("pager", Severity::Violation)]);
    (0..5).for_each(|minute| life(&home, &desk, MISSING, minute));
    let told = pager.take();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["kind"], &told[0]["code"]), (&"local".into(), &"local-fault".into()));
    assert!(!told[0]["message"].as_str().unwrap().contains('\u{202e}'));
    (5..8).for_each(|minute| well_again(&home, &desk, minute));
    assert_eq!(pager.kinds(), [pair("recovered", "local-fault")]);
    // What comes back is news again.
    life(&home, &desk, MISSING, 9);
    assert_eq!(pager.kinds(), [pair("local", "local-fault")]);
}

#[test]
fn a_mirror_that_is_in_use_for_a_moment_is_no_news() {
    let (home, pager) = (Home::new(), Fake::default());
    let desk = desk(vec![pager.channel("pager", Severity::Warning)]);
    for round in 0..3 {
        life(&home, &desk, IN_USE, round);
        life(&home, &desk, IN_USE, round);
        well_again(&home, &desk, round);
    }
    assert_eq!(pager.take(), [] as [serde_json::Value; 0]);
    (0..6).for_each(|minute| life(&home, &desk, IN_USE, minute));
    assert_eq!(pager.kinds(), [pair("local", "local-fault")]);
    well_again(&home, &desk, 7);
    assert_eq!(pager.kinds(), [pair("recovered", "local-fault")]);
}

#[test]
fn a_channel_that_was_down_is_told_later_under_the_same_key_and_the_others_not_again() {
    let (home, a, b) = (Home::new(), Fake::default(), Fake::default());
    let desk = desk(vec![a.channel("a", Severity::Warning), b.channel("b", Severity::Warning)]);
    b.script(vec![Answer::Down, Answer::Refuse]);
    (0..4).for_each(|minute| life(&home, &desk, MISSING, minute));
    let (to_a, to_b) = (a.take(), b.take());
    assert_eq!((to_a.len(), to_b.len()), (1, 1));
    assert_eq!(to_a[0]["key"], to_b[0]["key"]);
}

#[test]
fn one_that_was_killed_after_telling_says_the_same_key_again() {
    let (home, a) = (Home::new(), Fake::default());
    let desk = desk(vec![a.channel("a", Severity::Warning)]);
    a.script(vec![Answer::TakeAndKill, Answer::Kill]);
    for minute in 0..5 {
        let once = std::panic::AssertUnwindSafe(|| life(&home, &desk, MISSING, minute));
        let _ = std::panic::catch_unwind(once);
    }
    let told = a.take();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0]["key"], told[1]["key"]);
}

#[test]
fn where_nothing_can_be_written_each_process_tells_once() {
    let (home, a) = (Home::new(), Fake::default());
    let desk = desk(vec![a.channel("a", Severity::Warning)]);
    let nowhere = home.path().join("no/such/place.db");
    for _ in 0..2 {
        let cries = Cries::beside(&nowhere);
        (0..3).for_each(|minute| desk.cry(&cries, &log(), MISSING, NOW + minute * MINUTE));
    }
    assert_eq!(a.take().len(), 2);
}

#[test]
fn a_damaged_note_is_none() {
    let (home, a) = (Home::new(), Fake::default());
    let desk = desk(vec![a.channel("a", Severity::Warning)]);
    life(&home, &desk, MISSING, 0);
    let note = home.path().with_extension("db.cried");
    assert!(note.exists());
    std::fs::write(&note, "{\"fault\": 7").unwrap();
    life(&home, &desk, MISSING, 1);
    assert_eq!(a.take().len(), 2);
}
