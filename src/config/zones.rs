//! Time zones by name, from the database that is built in, so that they are the same on every machine.

use crate::audit::hours::Zone;
use crate::core::text::quoted;
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

/// 2200-01-01, in Unix seconds. Changes of clocks are computed up to this time.
const END: i64 = 7_258_118_400;

/// Reads a zone: a name such as `Europe/Berlin`, or an offset from UTC such as `+01:00`, where plus is east.
///
/// # Errors
/// Returns a message for the user if there is no such zone.
pub(super) fn read(text: &str) -> Result<Zone, String> {
    if let Some(east) = offset(text) {
        return Ok(Zone::fixed(text, east));
    }
    let unknown = |_| {
        format!("{} is not a known time zone: write one such as Europe/Berlin, UTC or +01:00", quoted(text))
    };
    let zone = TimeZoneDatabase::bundled().get(text).map_err(unknown)?;
    let name = zone.iana_name().unwrap_or(text).to_owned();
    let changes = zone.following(Timestamp::UNIX_EPOCH);
    let changes = changes.map(|change| (change.timestamp().as_second(), change.offset().seconds()));
    Ok(Zone {
        name,
        first: zone.to_offset(Timestamp::UNIX_EPOCH).seconds(),
        changes: changes.take_while(|(from, _)| *from < END).collect(),
        end: END,
    })
}

/// Parses `+01:00` or `-09:30` into seconds.
fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let east = i32::from(minutes(rest)?).checked_mul(60)?;
    // No zone has a larger offset from UTC.
    // The sign is 1 or -1, and the offset is small.
    (east <= 14 * 60 * 60).then(|| east.saturating_mul(sign))
}

/// Parses `hh:mm`, up to 24:00, into minutes.
pub(super) fn minutes(text: &str) -> Option<u16> {
    let digits = |text: &str| -> Option<u16> {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let sum = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && sum <= 24 * 60).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::UnixMillis;

    fn shown(zone: &str, moment: &str) -> String {
        read(zone).unwrap().day_and_time(UnixMillis::parse(moment).unwrap())
    }

    /// The days on which clocks change by law.
    #[test]
    fn clocks_change_on_the_day() {
        for (zone, moment, expected) in [
            ("Europe/Berlin", "2026-03-29T00:59:59Z", "sun 01:59"),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", "sun 03:00"),
            ("Europe/Berlin", "2026-10-25T00:59:59Z", "sun 02:59"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", "sun 02:00"),
            ("Europe/Berlin", "2150-07-01T12:00:00Z", "wed 14:00"),
            ("Europe/Berlin", "2200-01-01T00:00:00Z", "some time"),
            ("America/New_York", "2026-03-08T06:59:59Z", "sun 01:59"),
            ("America/New_York", "2026-03-08T07:00:00Z", "sun 03:00"),
            ("america/new_york", "2026-11-01T06:00:00Z", "sun 01:00"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "sun 01:30"),
            ("Asia/Kolkata", "2026-06-01T18:30:00Z", "tue 00:00"),
            ("UTC", "2026-06-01T23:59:59Z", "mon 23:59"),
            ("+05:30", "2026-06-01T18:30:00Z", "tue 00:00"),
            ("-10:00", "2026-06-01T09:59:59Z", "sun 23:59"),
        ] {
            assert_eq!(shown(zone, moment), expected, "{zone} {moment}");
        }
    }

    /// Compares every hour of some years with the database itself.
    #[test]
    fn every_hour_of_some_years_agrees_with_the_database() {
        for name in
            ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo"]
        {
            let (ours, theirs) = (read(name).unwrap(), TimeZoneDatabase::bundled().get(name).unwrap());
            for begin in [0i64, 946_684_800, 1_767_225_600, 4_102_444_800] {
                for hour in 0..2 * 366 * 24 {
                    let second = begin + hour * 3600;
                    let local = Timestamp::from_second(second).unwrap().to_zoned(theirs.clone());
                    let expected = format!("{:02}:{:02}", local.hour(), local.minute());
                    let found = ours.day_and_time(UnixMillis::new(u64::try_from(second).unwrap() * 1000));
                    assert_eq!(found.get(4..), Some(expected.as_str()), "{name} {second}");
                }
            }
        }
    }

    #[test]
    fn names_are_spelled_as_in_the_database_and_others_refused() {
        assert_eq!(read("europe/berlin").unwrap().name, "Europe/Berlin");
        for slip in
            ["", "Berlin", "+1:00", "+01", "+01:60", "+14:01", "-25:00", "01:00", "Europe/Berlin\n", "+é:00"]
        {
            let why = read(slip).unwrap_err();
            assert!(why.contains("Europe/Berlin, UTC or +01:00"), "{why}");
        }
    }
}
