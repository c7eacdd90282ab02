//! Faults that make the outbox unusable: they and their ends are still notified once, across restarts.

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
fn notify(dispatcher: &Dispatcher, home: &Home, trouble: MirrorUnavailable<'_>, now: u64) {
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
fn the_loss_and_return_of_a_mirror_are_notified_once() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Violation)]);
    for episode in 0..3 {
        let now = NOW + episode * 1000 * MINUTE;
        (0..5).for_each(|n| notify(&dispatcher, &home, GONE, now + n * MINUTE));
        // Another cause of the same: it still cannot be used, which they know.
        notify(&dispatcher, &home, MirrorUnavailable::Fault("the disk failed"), now + 6 * MINUTE);
        notify(&dispatcher, &home, MirrorUnavailable::InUse("process 1"), now + 7 * MINUTE);
        assert_eq!(fake.kinds(), [pair("local", "local-fault")], "episode {episode}");
        (0..3).for_each(|n| over(&dispatcher, &home, now + 10 * MINUTE + n));
        assert_eq!(fake.kinds(), [pair("recovered", "local-fault")], "episode {episode}");
    }
}

#[test]
fn a_kill_loses_no_alert_and_repeats_only_its_key() {
    for answer in [Answer::Kill, Answer::TakeAndKill] {
        let home = Home::new();
        let fakes = [Fake::default(), Fake::default()];
        let dispatcher =
            dispatcher(vec![fakes[0].channel("a", Severity::Info), fakes[1].channel("b", Severity::Info)]);
        fakes[1].script(vec![answer]);
        let killed = catch_unwind(AssertUnwindSafe(|| notify(&dispatcher, &home, GONE, NOW)));
        assert!(killed.is_err());
        (1..4).for_each(|n| notify(&dispatcher, &home, GONE, NOW + n));
        assert_eq!(fakes[0].take().len(), 1);
        let got = fakes[1].take();
        assert_eq!(got.len(), if answer == Answer::Kill { 1 } else { 2 });
        assert!(got.iter().all(|alert| *alert == got[0]), "{got:#?}");
        over(&dispatcher, &home, NOW + MINUTE);
        assert_eq!(fakes.map(|fake| fake.kinds()), [0, 1].map(|_| vec![pair("recovered", "local-fault")]));
    }
}

#[test]
fn an_unavailable_channel_is_retried_without_repeating_the_others() {
    let home = Home::new();
    let fakes = [Fake::default(), Fake::default()];
    let dispatcher =
        dispatcher(vec![fakes[0].channel("a", Severity::Info), fakes[1].channel("b", Severity::Info)]);
    fakes[0].script(vec![Answer::Down, Answer::Refuse]);
    // Asked no more than once a minute.
    (0..16).for_each(|n| notify(&dispatcher, &home, GONE, NOW + n * MINUTE / 4));
    assert_eq!(fakes.map(|fake| fake.take().len()), [1, 1]);
}

#[test]
fn a_mirror_in_use_is_notified_the_third_time_and_not_by_its_user() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let busy = |times: u32| {
        (0..times).for_each(|_| notify(&dispatcher, &home, MirrorUnavailable::InUse("process 1"), NOW))
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
    (0..5).for_each(|_| notify(&dispatcher, &home, MirrorUnavailable::InUse(holder_id()), NOW));
    assert_eq!(fake.kinds(), [pair("local", "local-fault")]);
    over(&dispatcher, &home, NOW);
    assert!(fake.take().is_empty());
}

#[test]
fn a_damaged_fault_file_silences_no_alert() {
    for damage in ["", "{}", "\u{0}", "[1"] {
        let home = Home::new();
        let fake = Fake::default();
        let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
        std::fs::write(home.path().with_extension("db.fault"), damage).unwrap();
        (0..3).for_each(|n| notify(&dispatcher, &home, GONE, NOW + n));
        assert_eq!(fake.take().len(), 1, "{damage:?}");
    }
    // If nothing can be written, each process still notifies once.
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let fallback = FallbackStore::of(&home.path().join("not").join("there"));
    (0..3).for_each(|n| {
        drop(dispatcher.notify_without_mirror(&fallback, &log(), GONE, UnixMillis::new(NOW + n), &|| false))
    });
    assert_eq!(fake.take().len(), 1);
}

/// Each start notifies again; receivers that store keys see one alert a day.
#[test]
fn an_unwritable_fault_file_has_one_key_a_day() {
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
fn a_stop_ends_notifications_and_a_clock_error_silences_none() {
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
    notify(&dispatcher, &home, GONE, NOW + 10_000 * MINUTE);
    notify(&dispatcher, &home, GONE, NOW);
    assert_eq!(fake.take().len(), 1);
}

#[test]
fn the_lock_names_its_holder() {
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
