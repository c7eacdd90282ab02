//! Moments: bounds, text, order.

use super::*;

const NOON: UnixMillis = UnixMillis::new(1_782_000_045_000);

#[test]
fn every_moment_can_be_shown() {
    for (ms, shown) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (NOON.get(), "2026-06-21T00:00:45.000Z"),
        (LAST.get(), "9999-12-31T23:59:59.000Z"),
        (LAST.get() + 1, "253402300799001 ms after 1970"),
        (u64::MAX, "18446744073709551615 ms after 1970"),
    ] {
        assert_eq!(UnixMillis::new(ms).to_string(), shown);
        assert_eq!(UnixMillis::from_shown(shown), Some(UnixMillis::new(ms)));
    }
    assert_eq!(format!("{:>26}", UnixMillis::EPOCH), "  1970-01-01T00:00:00.000Z");
}

#[test]
fn only_what_is_shown_is_read_as_shown() {
    for text in [
        "",
        "2026-06-21T00:00:45Z",
        "2026-06-21T00:00:45.0000Z",
        "2026-06-21 00:00:45.000Z",
        "2026-06-21T00:00:45.000Z ",
        "0 ms after 1970",
        "+253402300799001 ms after 1970",
        "18446744073709551616 ms after 1970",
        " ms after 1970",
    ] {
        assert_eq!(UnixMillis::from_shown(text), None, "{text:?}");
    }
}

#[test]
fn what_people_write_is_read() {
    let half = UnixMillis::new(NOON.get() + 500);
    for (text, moment) in [
        ("2026-06-21T00:00:45Z", Some(NOON)),
        ("2026-06-21T00:00:45.5Z", Some(half)),
        ("2026-06-21T00:00:45.500999Z", Some(half)),
        ("1970-01-01T00:00:00Z", Some(UnixMillis::EPOCH)),
        ("1969-12-31T23:59:59Z", None),
        ("2026-06-21", None),
        ("1782000045000", None),
    ] {
        assert_eq!(UnixMillis::parse(text), moment, "{text:?}");
    }
}

#[test]
fn nothing_is_later_than_the_latest() {
    assert_eq!(NOON.checked_add(TICK), Some(UnixMillis::new(NOON.get() + 1)));
    assert_eq!(NOON.checked_add(TICK / 2), Some(NOON));
    assert_eq!(UnixMillis::MAX.checked_add(Duration::ZERO), Some(UnixMillis::MAX));
    assert_eq!(UnixMillis::MAX.checked_add(TICK), None);
    assert_eq!(UnixMillis::EPOCH.checked_add(Duration::MAX), None);
    assert_eq!(NOON.saturating_add(Duration::MAX), UnixMillis::MAX);
    assert_eq!(NOON.saturating_sub(Duration::MAX), UnixMillis::EPOCH);
    assert_eq!(UnixMillis::EPOCH.saturating_sub(TICK), UnixMillis::EPOCH);
}

#[test]
fn since_a_later_moment_there_is_no_time() {
    let later = NOON.saturating_add(TICK * 7);
    assert_eq!(later.since(NOON), Some(TICK * 7));
    assert_eq!(NOON.since(NOON), Some(Duration::ZERO));
    assert_eq!(NOON.since(later), None);
    assert_eq!(NOON.abs_diff(later), TICK * 7);
    assert_eq!(later.abs_diff(NOON), TICK * 7);
    assert_eq!(UnixMillis::MAX.since(UnixMillis::EPOCH), Some(Duration::from_millis(u64::MAX)));
}

#[test]
fn moments_are_in_the_order_of_time() {
    let ascending = [UnixMillis::EPOCH, UnixMillis::new(9), UnixMillis::new(10), NOON, LAST, UnixMillis::MAX];
    assert!(ascending.is_sorted());
    assert_eq!(UnixMillis::default(), UnixMillis::EPOCH);
    // Up to the last that RFC 3339 can write, so are their texts: the mirror compares those in SQL.
    let texts: Vec<String> = ascending[..5].iter().map(UnixMillis::to_string).collect();
    assert!(texts.is_sorted());
}

#[test]
fn seconds_are_whole() {
    for (ms, second, next) in [(0, 0, 0), (1, 0, 1), (999, 0, 1), (1000, 1, 1), (1001, 1, 2)] {
        let moment = UnixMillis::new(ms);
        assert_eq!((moment.second().get(), moment.next_second().get()), (second, next), "{ms}");
    }
    assert_eq!(UnixSeconds::new(1_782_000_045).to_string(), NOON.to_string());
    assert_eq!(UnixSeconds::new(u64::MAX).to_string(), UnixMillis::MAX.to_string());
}

#[test]
fn in_json_a_moment_is_a_number() {
    assert_eq!(serde_json::to_string(&NOON).unwrap(), "1782000045000");
    assert_eq!(serde_json::from_str::<UnixMillis>("1782000045000").unwrap(), NOON);
    assert_eq!(serde_json::to_string(&UnixSeconds::new(7)).unwrap(), "7");
    for text in ["-1", "1.5", "\"1\"", "18446744073709551616"] {
        assert!(serde_json::from_str::<UnixMillis>(text).is_err(), "{text}");
    }
}
