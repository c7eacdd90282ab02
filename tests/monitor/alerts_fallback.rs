//! Faults that keep the outbox from being used: told once all the same, whoever starts anew, and that they are over.

use support::receiver;

use countersign::alerts::{Dispatcher, FallbackStore, LogName, MirrorUnavailable, TIMES_IN_USE};
use countersign::core::finding::Severity;
use countersign::core::time::UnixMillis;
use countersign::mirror::{holder_id, holder_of};
use receiver::{Answer, Fake, Home, MINUTE, NOW, dispatcher, pair};
use std::panic::{AssertUnwindSafe, catch_unwind};

const GONE: MirrorUnavailable<'_> = MirrorUnavailable::Fault("there is no mirror\u{1b}[2J");

fn log() -> LogName {
    LogName { name: "log".to_owned(), origin: "o".to_owned() }
}

/// As a process does that was just started.
fn tell(dispatcher: &Dispatcher, home: &Home, trouble: MirrorUnavailable<'_>, now: u64) {
    dispatcher.notify_without_mirror(
        &FallbackStore::of(&home.path()),
        &log(),
        trouble,
        UnixMillis::new(now),
        &|| false,
    );
}

fn over(dispatcher: &Dispatcher, home: &Home, now: u64) {
    let mut mirror = home.open();
    dispatcher
        .mirror_opened(&FallbackStore::of(&home.path()), &mut mirror, "log", UnixMillis::new(now))
        .unwrap();
    dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap();
}

#[test]
fn a_mirror_that_is_gone_is_told_once_and_so_is_its_return() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Violation)]);
    for episode in 0..3 {
        let now = NOW + episode * 1000 * MINUTE;
        (0..5).for_each(|n| tell(&dispatcher, &home, GONE, now + n * MINUTE));
        // Another cause of the same: it still cannot be used, which they know.
        tell(&dispatcher, &home, MirrorUnavailable::Fault("the disk failed"), now + 6 * MINUTE);
        tell(&dispatcher, &home, MirrorUnavailable::InUse("process 1"), now + 7 * MINUTE);
        assert_eq!(fake.kinds(), [pair("local", "local-fault")], "episode {episode}");
        (0..3).for_each(|n| over(&dispatcher, &home, now + 10 * MINUTE + n));
        assert_eq!(fake.kinds(), [pair("recovered", "local-fault")], "episode {episode}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_repeats_it_under_its_key_alone() {
    for answer in [Answer::Kill, Answer::TakeAndKill] {
        let home = Home::new();
        let fakes = [Fake::default(), Fake::default()];
        let dispatcher =
            dispatcher(vec![fakes[0].channel("a", Severity::Info), fakes[1].channel("b", Severity::Info)]);
        fakes[1].script(vec![answer]);
        let killed = catch_unwind(AssertUnwindSafe(|| tell(&dispatcher, &home, GONE, NOW)));
        assert!(killed.is_err());
        (1..4).for_each(|n| tell(&dispatcher, &home, GONE, NOW + n));
        assert_eq!(fakes[0].take().len(), 1);
        let got = fakes[1].take();
        assert_eq!(got.len(), if answer == Answer::Kill { 1 } else { 2 });
        assert!(got.iter().all(|alert| *alert == got[0]), "{got:#?}");
        over(&dispatcher, &home, NOW + MINUTE);
        assert_eq!(fakes.map(|fake| fake.kinds()), [0, 1].map(|_| vec![pair("recovered", "local-fault")]));
    }
}

#[test]
fn a_channel_that_is_down_gets_it_later_and_the_others_not_again() {
    let home = Home::new();
    let fakes = [Fake::default(), Fake::default()];
    let dispatcher =
        dispatcher(vec![fakes[0].channel("a", Severity::Info), fakes[1].channel("b", Severity::Info)]);
    fakes[0].script(vec![Answer::Down, Answer::Refuse]);
    // Asked no more than once a minute.
    (0..16).for_each(|n| tell(&dispatcher, &home, GONE, NOW + n * MINUTE / 4));
    assert_eq!(fakes.map(|fake| fake.take().len()), [1, 1]);
}

#[test]
fn a_mirror_in_use_is_told_at_the_third_time_in_a_row_and_never_by_whom_it_is_used() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let busy = |times: u32| {
        (0..times).for_each(|_| tell(&dispatcher, &home, MirrorUnavailable::InUse("process 1"), NOW))
    };
    busy(TIMES_IN_USE - 1);
    over(&dispatcher, &home, NOW);
    busy(TIMES_IN_USE - 1);
    assert!(fake.take().is_empty(), "not in a row");
    busy(5);
    assert_eq!(fake.kinds(), [pair("local", "local-fault")]);
    over(&dispatcher, &home, NOW);
    assert_eq!(fake.kinds(), [pair("recovered", "local-fault")]);
    // We are the one who has it: others wait for us, and are not well because we are.
    (0..5).for_each(|_| tell(&dispatcher, &home, MirrorUnavailable::InUse(holder_id()), NOW));
    assert_eq!(fake.kinds(), [pair("local", "local-fault")]);
    over(&dispatcher, &home, NOW);
    assert!(fake.take().is_empty());
}

#[test]
fn a_note_that_is_none_is_no_reason_to_be_silent() {
    for damage in ["", "{}", "\u{0}", "[1"] {
        let home = Home::new();
        let fake = Fake::default();
        let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
        std::fs::write(home.path().with_extension("db.fault"), damage).unwrap();
        (0..3).for_each(|n| tell(&dispatcher, &home, GONE, NOW + n));
        assert_eq!(fake.take().len(), 1, "{damage:?}");
    }
    // Where nothing can be written, a process still tells once.
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let fallback = FallbackStore::of(&home.path().join("not").join("there"));
    (0..3).for_each(|n| {
        drop(dispatcher.notify_without_mirror(&fallback, &log(), GONE, UnixMillis::new(NOW + n), &|| false))
    });
    assert_eq!(fake.take().len(), 1);
}

/// Each start tells again, and who keeps keys sees one alert a day.
#[test]
fn a_note_that_cannot_be_written_has_one_key_a_day() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let path = home.path().join("not").join("there");
    let start = |trouble, now| {
        drop(dispatcher.notify_without_mirror(
            &FallbackStore::of(&path),
            &log(),
            trouble,
            UnixMillis::new(now),
            &|| false,
        ))
    };
    start(GONE, NOW);
    start(GONE, NOW + MINUTE);
    start(MirrorUnavailable::Fault("another"), NOW);
    start(GONE, NOW + 24 * 60 * MINUTE);
    let keys: Vec<String> = fake.take().iter().map(|alert| alert["key"].to_string()).collect();
    assert_eq!((keys.len(), &keys[0]), (4, &keys[1]));
    assert!(keys[0] != keys[2] && keys[0] != keys[3] && keys[2] != keys[3]);
}

#[test]
fn a_stop_ends_the_telling_and_a_clock_that_was_ahead_mutes_nothing() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    dispatcher.notify_without_mirror(
        &FallbackStore::of(&home.path()),
        &log(),
        GONE,
        UnixMillis::new(NOW),
        &|| true,
    );
    assert!(fake.take().is_empty());
    fake.script(vec![Answer::Down]);
    tell(&dispatcher, &home, GONE, NOW + 10_000 * MINUTE);
    tell(&dispatcher, &home, GONE, NOW);
    assert_eq!(fake.take().len(), 1);
}

#[test]
fn who_holds_the_mirror_is_in_its_lock() {
    let home = Home::new();
    let mirror = home.open();
    assert_eq!(holder_of(&home.path()), "unknown", "we are it");
    drop(mirror);
    let lock = home.path().with_extension("db.lock");
    for (text, holder) in [("process 7 00ff", "process 7 00ff"), ("", "unknown"), ("\u{1b}[2J", "unknown")] {
        std::fs::write(&lock, text).unwrap();
        assert_eq!(holder_of(&home.path()), holder);
    }
}
