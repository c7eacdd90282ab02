//! The days and hours of a week in a time zone: was a decision made within them?
//!
//! Pure: a zone is given as its offsets from UTC and the times at which they change. The config reader looks
//! these up once, in a time zone database. Past the end of the known changes, no time is within any hours: a
//! time that cannot be classified must not look usual.

use crate::core::time::UnixMillis;

const DAY: i64 = 24 * 60 * 60;

/// A time zone: the offsets of its local time from UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// The name as written in the config.
    pub name: String,
    /// Seconds east of UTC before the first change.
    pub first: i32,
    /// Pairs of a time in Unix seconds and the offset from then on, in seconds east of UTC; ascending.
    pub changes: Vec<(i64, i32)>,
    /// The offset is unknown from this time on, in Unix seconds.
    pub end: i64,
}

impl Zone {
    /// A zone whose offset never changes.
    pub fn fixed(name: &str, east: i32) -> Zone {
        Zone { name: name.to_owned(), first: east, changes: Vec::new(), end: i64::MAX }
    }

    /// The local time at a moment, as seconds since the beginning of 1970 in local time.
    /// `None` if the offset is unknown.
    fn shown(&self, moment: UnixMillis) -> Option<i64> {
        let seconds = i64::try_from(moment.second().get()).ok().filter(|seconds| *seconds < self.end)?;
        let past = self.changes.partition_point(|(from, _)| *from <= seconds);
        let change = past.checked_sub(1).and_then(|last| self.changes.get(last));
        seconds.checked_add(i64::from(change.map_or(self.first, |(_, east)| *east)))
    }

    /// Day and time of day for display, such as `sat 03:12`.
    pub fn day_and_time(&self, moment: UnixMillis) -> String {
        let Some(shown) = self.shown(moment) else { return "some time".to_owned() };
        let (day, minute) = day_and_minute(shown);
        let name = WEEKDAYS.get(day).copied().unwrap_or_default();
        format!("{name} {:02}:{:02}", minute / 60, minute % 60)
    }
}

/// The days from Monday on, as written in the config and in messages.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The day of the week (0 is Monday) and the minute of that day.
fn day_and_minute(shown: i64) -> (usize, u16) {
    // 1 January 1970 was a Thursday.
    // Days are fewer than seconds, so that there is room for three more.
    let day = shown.div_euclid(DAY).saturating_add(3).rem_euclid(7);
    let minute = shown.rem_euclid(DAY) / 60;
    (usize::try_from(day).unwrap_or(0), u16::try_from(minute).unwrap_or(0))
}

/// Hours on some days of the week.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hours {
    /// The days, from Monday on.
    pub days: [bool; 7],
    /// The first minute of the day that is within the hours.
    pub from: u16,
    /// The first minute that is no longer within them; up to 1440. If not after `from`, it is on the next
    /// day.
    pub to: u16,
    /// The time zone of the hours.
    pub zone: Zone,
}

impl Hours {
    /// Whether a moment is within the hours. Hours that pass midnight belong to the day
    /// on which they begin.
    pub fn contain(&self, moment: UnixMillis) -> bool {
        let Some(shown) = self.zone.shown(moment) else { return false };
        let (day, minute) = day_and_minute(shown);
        let is_on = |day: usize| self.days.get(day).copied().unwrap_or(false);
        if self.from < self.to {
            return is_on(day) && (self.from..self.to).contains(&minute);
        }
        let before = day.checked_sub(1).unwrap_or(6);
        (is_on(day) && minute >= self.from) || (is_on(before) && minute < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-06-01, a Monday, at midnight UTC, in Unix milliseconds.
    const MONDAY: u64 = 1_780_272_000_000;
    const MINUTE: u64 = 60_000;

    fn at(ms: u64) -> UnixMillis {
        UnixMillis::new(ms)
    }

    fn hours(days: &[usize], from: u16, to: u16, east: i32) -> Hours {
        let mut on = [false; 7];
        days.iter().for_each(|day| on[*day] = true);
        Hours { days: on, from, to, zone: Zone::fixed("", east) }
    }

    /// Every minute of a week, against a table that is filled hour by hour.
    #[test]
    fn every_minute_of_a_week_agrees_with_a_table() {
        for (from, to) in [(8, 18), (22, 6), (0, 24), (0, 1), (23, 24), (12, 12), (1, 0)] {
            for days in [&[0usize][..], &[6], &[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4, 5, 6], &[]] {
                for east in [0i32, 9 * 3600, -10 * 3600] {
                    let mut table = [false; 7 * 24];
                    for day in days {
                        let length = if from < to { to - from } else { to + 24 - from };
                        (0..length).for_each(|hour| table[(day * 24 + from + hour) % (7 * 24)] = true);
                    }
                    let hours = hours(days, from as u16 * 60, to as u16 * 60, east);
                    for minute in 0..7 * 24 * 60u64 {
                        let shown = (minute as i64 * 60 + i64::from(east)).rem_euclid(7 * DAY);
                        let expected = table[(shown / 3600) as usize];
                        assert_eq!(
                            hours.contain(at(MONDAY + minute * MINUTE)),
                            expected,
                            "{hours:?} {minute}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn clock_changes_start_and_end_at_their_second() {
        let zone =
            Zone { name: "x".to_owned(), first: 3600, changes: vec![(1000, 7200), (2000, -3600)], end: 3000 };
        for (seconds, shown) in
            [(0, 3600), (999, 4599), (1000, 8200), (1999, 9199), (2000, -1600), (2999, -601)]
        {
            assert_eq!(zone.shown(at(seconds * 1000 + 999)), Some(shown), "{seconds}");
        }
        assert_eq!((zone.shown(at(3_000_000)), zone.shown(UnixMillis::MAX)), (None, None));
        let always = Hours { days: [true; 7], from: 0, to: 1440, zone };
        assert!(
            always.contain(at(2_999_999))
                && !always.contain(at(3_000_000))
                && !always.contain(UnixMillis::MAX)
        );
        assert_eq!(always.zone.day_and_time(at(3_000_000)), "some time");
    }

    #[test]
    fn days_have_their_names() {
        let utc = Zone::fixed("UTC", 0);
        assert_eq!(utc.day_and_time(at(MONDAY)), "mon 00:00");
        assert_eq!(utc.day_and_time(at(MONDAY + 6 * 24 * 60 * MINUTE + 754 * MINUTE)), "sun 12:34");
        assert_eq!(utc.day_and_time(UnixMillis::EPOCH), "thu 00:00");
    }
}
