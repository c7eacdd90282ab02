//! Moments: milliseconds, and for witnesses seconds, after the beginning of 1970 in UTC.
//!
//! A moment is never a plain number: a size, a duration and a moment that are taken for each other type-check as numbers
//! and say something false of a log. Time is an argument here, and no clock is read. How long something takes is a
//! [`Duration`].
//!
//! A moment is shown as RFC 3339 ([`UnixMillis`]'s `Display`), and read again from both that and what people write.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A moment in Unix milliseconds, as a number in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(u64);

/// The least by which two moments differ.
pub const TICK: Duration = Duration::from_millis(1);

/// The last moment that RFC 3339 can write: 9999-12-31T23:59:59Z.
const LAST: UnixMillis = UnixMillis(253_402_300_799_000);

/// What follows the number of a moment that is beyond [`LAST`].
const BEYOND: &str = " ms after 1970";

impl UnixMillis {
    /// The beginning of 1970.
    pub const EPOCH: UnixMillis = UnixMillis(0);

    /// The latest moment that there is.
    pub const MAX: UnixMillis = UnixMillis(u64::MAX);

    /// The moment so many milliseconds after the beginning of 1970.
    pub const fn new(ms: u64) -> UnixMillis {
        UnixMillis(ms)
    }

    /// Milliseconds after the beginning of 1970.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The second that this moment is in.
    pub const fn second(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }

    /// The first whole second at this moment or after it.
    pub const fn next_second(self) -> UnixSeconds {
        UnixSeconds(self.0.div_ceil(1000))
    }

    /// The moment that an RFC 3339 text in UTC names, whole milliseconds of it; `None` if it is not one or is before 1970.
    pub fn parse(text: &str) -> Option<UnixMillis> {
        let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok().map(UnixMillis)
    }

    /// The moment that is shown with exactly this text: the inverse of `Display`.
    pub fn from_shown(text: &str) -> Option<UnixMillis> {
        let moment = match text.strip_suffix(BEYOND) {
            Some(number) => UnixMillis(number.parse().ok()?),
            None => UnixMillis::parse(text)?,
        };
        (moment.to_string() == text).then_some(moment)
    }

    /// This much later, in whole milliseconds; `None` if that is beyond [`UnixMillis::MAX`].
    pub fn checked_add(self, by: Duration) -> Option<UnixMillis> {
        self.0.checked_add(u64::try_from(by.as_millis()).ok()?).map(UnixMillis)
    }

    /// This much later, at most [`UnixMillis::MAX`]: as a bound in the future, that is never reached.
    pub fn saturating_add(self, by: Duration) -> UnixMillis {
        self.checked_add(by).unwrap_or(UnixMillis::MAX)
    }

    /// This much earlier, at least [`UnixMillis::EPOCH`]: nothing that this program compares with happened before.
    pub fn saturating_sub(self, by: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub(whole_millis(by)))
    }

    /// The time from `earlier` to this moment; `None` if `earlier` is the later of the two.
    pub fn since(self, earlier: UnixMillis) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_millis)
    }

    /// The time between two moments, whichever is the earlier one.
    pub fn abs_diff(self, other: UnixMillis) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC with milliseconds. A moment beyond the year 9999 is shown as a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.0)).filter(|_| *self <= LAST);
        match time {
            Some(time) => f.pad(&humantime::format_rfc3339_millis(time).to_string()),
            None => f.pad(&format!("{}{BEYOND}", self.0)),
        }
    }
}

/// A moment in Unix seconds: witnesses state no more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// The moment so many seconds after the beginning of 1970.
    pub const fn new(seconds: u64) -> UnixSeconds {
        UnixSeconds(seconds)
    }

    /// Seconds after the beginning of 1970.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for UnixSeconds {
    /// As [`UnixMillis`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Witnesses can state seconds that are too many in milliseconds: they are shown as the last moment that is not.
        fmt::Display::fmt(&UnixMillis(self.0.saturating_mul(1000)), f)
    }
}

/// A duration in whole milliseconds, for what stores or sends it as a number.
pub fn whole_millis(duration: Duration) -> u64 {
    // A duration that does not fit is of more than 500 million years: no bound or timeout differs.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
