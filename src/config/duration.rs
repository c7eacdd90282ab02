//! Durations as text, such as `36h`.

use super::error::Error;
use crate::core::text;
use std::time::Duration;

/// Parses a duration, to whole milliseconds.
///
/// # Errors
/// Returns [`Error::Usage`] if the text is not a duration, or if it is too long.
pub fn duration(text: &str) -> Result<Duration, Error> {
    // The parser reads M as months. A user who writes 10M means minutes, and would accept almost any age.
    if text.contains('M') {
        return Err(format!("{}: write m for minutes, and days for longer spans", text::quoted(text)).into());
    }
    let parsed = humantime::parse_duration(text).map_err(|error| {
        format!("{} is not a duration ({error}); write it as 90s, 30m, 36h or 7days", text::quoted(text))
    })?;
    let ms = u64::try_from(parsed.as_millis()).map_err(|_| format!("{} is too long", text::quoted(text)))?;
    Ok(Duration::from_millis(ms))
}
