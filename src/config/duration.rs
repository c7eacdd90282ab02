//! Spans of time as people write them.

use super::error::Error;
use crate::core::text;

/// A span of time in milliseconds.
///
/// # Errors
/// It is none, or too long.
pub fn duration(text: &str) -> Result<u64, Error> {
    // Elsewhere M is a month; who writes 10M means minutes, and would be content with any age.
    if text.contains('M') {
        return Err(format!("{}: write m for minutes, and days for longer spans", text::quoted(text)).into());
    }
    let parsed = humantime::parse_duration(text).map_err(|error| {
        format!("{} is no duration ({error}); write it as 90s, 30m, 36h or 7days", text::quoted(text))
    })?;
    u64::try_from(parsed.as_millis()).map_err(|_| format!("{} is too long", text::quoted(text)).into())
}
