//! How values are stored.

use crate::core::text::quoted;
use crate::core::time::UnixMillis;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::Serialize;

/// SQLite integers are signed; everything stored is at most 2^53.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The JSON text of a value that is to be stored.
///
/// # Errors
/// [`rusqlite::Error`] if it cannot be encoded; nothing may be stored in its place.
pub(super) fn as_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A moment in a column of numbers: Unix milliseconds.
impl ToSql for UnixMillis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(int(self.get()).into())
    }
}

impl FromSql for UnixMillis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<UnixMillis> {
        u64::column_result(value).map(UnixMillis::new)
    }
}

/// A moment in a column of text, as it is shown. Up to the year 9999, the order of such texts is that of the moments.
pub(super) struct TimeText(pub(super) UnixMillis);

impl ToSql for TimeText {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for TimeText {
    /// Only what this program writes is a moment.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<TimeText> {
        let text = value.as_str()?;
        let wrong = || FromSqlError::Other(format!("{} is not how a time is stored", quoted(text)).into());
        UnixMillis::from_shown(text).map(TimeText).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_stored_as_they_are_read() {
        for ms in [0, 1, 1_782_000_045_000, 253_402_300_799_001, i64::MAX.unsigned_abs()] {
            let moment = UnixMillis::new(ms);
            let stored = |value: &dyn ToSql| match value.to_sql().unwrap() {
                ToSqlOutput::Owned(value) => value,
                other => panic!("{other:?}"),
            };
            let number = stored(&moment);
            assert_eq!(UnixMillis::column_result((&number).into()).unwrap(), moment);
            let text = stored(&TimeText(moment));
            assert_eq!(TimeText::column_result((&text).into()).unwrap().0, moment);
        }
        assert!(UnixMillis::column_result(ValueRef::Integer(-1)).is_err());
        assert!(TimeText::column_result(ValueRef::Text(b"2026-06-21T00:00:45Z")).is_err());
        assert!(TimeText::column_result(ValueRef::Integer(7)).is_err());
    }

    /// A list cannot be a key in JSON.
    #[test]
    fn an_encoding_failure_stores_nothing() {
        let value = std::collections::BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(as_json(&value), Err(rusqlite::Error::ToSqlConversionFailure(_))));
    }
}
