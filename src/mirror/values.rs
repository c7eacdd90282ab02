//! How values are stored.

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A list cannot be a key in JSON.
    #[test]
    fn an_encoding_failure_stores_nothing() {
        let value = std::collections::BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(as_json(&value), Err(rusqlite::Error::ToSqlConversionFailure(_))));
    }
}
