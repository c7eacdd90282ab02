//! The export of the head history: one line of JSON per head, read from a mirror that may be in use.

use super::query::{Raw, SELECT, raw, stored_head};
use super::stored::StoredHead;
use crate::core::head::LogKey;
use crate::core::text;
use crate::core::time::UnixMillis;
use crate::mirror::connection::connect;
use crate::mirror::error::{MirrorError, Result, sql_error};
use crate::mirror::path::{exists, resolve};
use crate::mirror::schema::SCHEMA_VERSION;
use crate::mirror::seal::{Table, total};
use crate::mirror::state_row;
use crate::mirror::values::TimeText;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One line of `heads export`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadLine {
    /// `checkpoint` or `sth`.
    pub format: String,
    /// The number of entries that the head commits to.
    pub size: u64,
    /// The root, hex.
    pub root: String,
    /// When the head was signed, as the log says, in Unix milliseconds; if the head has a time.
    pub time: Option<UnixMillis>,
    /// The [`HeadStatus`](super::HeadStatus) as a word.
    pub status: String,
    /// The provenance: how the head came here.
    pub provenance: String,
    /// When it was first seen here, RFC 3339: as others wrote it, perhaps in another way.
    pub first_seen: String,
    /// The head, byte for byte.
    pub head: String,
}

impl HeadLine {
    /// The line for a kept head.
    pub fn new(stored: &StoredHead) -> HeadLine {
        HeadLine {
            format: stored.head.format().as_str().to_owned(),
            size: stored.head.size(),
            root: stored.head.root().to_string(),
            time: stored.head.timestamp(),
            status: stored.status.as_str().to_owned(),
            provenance: stored.provenance.clone(),
            first_seen: stored.first_seen.to_string(),
            head: stored.head.raw().to_owned(),
        }
    }

    /// The line, including its newline.
    ///
    /// # Errors
    /// [`serde_json::Error`] if it cannot be encoded; nothing may be written in its place.
    pub fn to_line(&self) -> serde_json::Result<String> {
        encode(self)
    }
}

/// A value as one line of JSON, including its newline.
fn encode(value: &impl Serialize) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    Ok(line)
}

/// Why a document cannot contain heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoText {
    /// It is UTF-16.
    Utf16,
    /// It is not UTF-8.
    NotUtf8,
}

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoText::Utf16 => text::UTF_16,
            NoText::NotUtf8 => "it is not UTF-8",
        })
    }
}

impl std::error::Error for NoText {}

/// Reads the heads in a document, each with the time at which its keeper first saw it, if given. The document has
/// lines of `heads export`, lines of STH JSON, or one checkpoint. Nothing in it is verified. A byte order mark is
/// ignored at the beginning, and also before a line, where one file was appended to another.
///
/// # Errors
/// [`NoText`] if the document is not UTF-8 text.
pub fn read_heads(
    bytes: &[u8],
) -> std::result::Result<impl Iterator<Item = (Cow<'_, str>, Option<UnixMillis>)>, NoText> {
    if text::is_utf16(bytes) {
        return Err(NoText::Utf16);
    }
    let heads = std::str::from_utf8(text::without_bom(bytes)).map_err(|_| NoText::NotUtf8)?;
    let whole = !heads.trim_start().starts_with('{');
    let lines = heads.lines().filter(move |line| !whole && !line.trim().is_empty());
    let lines =
        lines.map(|line| line.strip_prefix('\u{feff}').unwrap_or(line)).map(
            |line| match serde_json::from_str::<HeadLine>(line) {
                Ok(line) => {
                    let seen = UnixMillis::parse(&line.first_seen);
                    (Cow::Owned(line.head), seen)
                }
                Err(_) => (Cow::Borrowed(line), None),
            },
        );
    Ok(lines.chain((whole && !heads.trim().is_empty()).then_some((Cow::Borrowed(heads), None))))
}

/// Reads the kept heads while an audit may be using the mirror. It has a read-only connection and takes no lock: the
/// reader must not hold up the audit, nor the audit the reader.
pub struct HeadReader {
    db: Connection,
    path: PathBuf,
    key: LogKey,
    /// Rows that are still to be read, in reverse order.
    rows: Vec<Place>,
}

/// The place of a head: size, root and statement.
pub(in crate::mirror) type Place = (i64, Vec<u8>, Vec<u8>);

/// Reads the place of a head from a row.
pub(in crate::mirror) fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

impl HeadReader {
    /// Opens the heads of the mirror at `path` as they are now. Creates and changes nothing.
    ///
    /// # Errors
    /// [`MirrorError`] if the mirror cannot be read, or if it mirrors another log.
    pub fn open(path: &Path, key: &LogKey) -> Result<HeadReader> {
        let path = &resolve(path)?;
        if !exists(path)? {
            return Err(MirrorError::Missing(path.to_owned()));
        }
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(|error| sql_error(path, error))?;
        // The transaction sees one snapshot of the mirror, even while an audit writes.
        db.execute_batch("BEGIN").map_err(|error| sql_error(path, error))?;
        let state = state_row::read(&db, path)?;
        state_row::check_log(path, &state, key)?;
        let version: rusqlite::Result<i64> = db.query_row("PRAGMA user_version", [], |row| row.get(0));
        if version.map_err(|error| sql_error(path, error))? == SCHEMA_VERSION {
            let sealed = state.seals().unwrap_or_default().remove(&Table::Heads).unwrap_or_default();
            if total(&db, Table::Heads).map_err(|error| sql_error(path, error))? != sealed {
                let why = "its table \"heads\" is not the one that was written".to_owned();
                return Err(MirrorError::Damaged(path.to_owned(), why));
            }
        }
        // Places are read first, so that pages neither overlap nor leave a gap if heads are added meanwhile.
        let rows = || -> rusqlite::Result<Vec<Place>> {
            let sql = "SELECT size, root, statement FROM heads ORDER BY size DESC, time DESC, statement DESC";
            db.prepare(sql)?.query_map([], place)?.collect()
        };
        let rows = rows().and_then(|rows| db.execute_batch("COMMIT").map(|()| rows));
        let rows = rows.map_err(|error| sql_error(path, error))?;
        Ok(HeadReader { db, path: path.to_owned(), key: key.clone(), rows })
    }

    /// Keeps only heads that were first seen at this time (RFC 3339 in UTC) or later. `None` if `time` is not a time.
    ///
    /// # Errors
    /// [`MirrorError`] if the mirror is damaged or cannot be read.
    pub fn since(self, time: &str) -> Result<Option<HeadReader>> {
        let Some(time) = UnixMillis::parse(time).map(TimeText) else { return Ok(None) };
        let rows = || -> rusqlite::Result<Vec<Place>> {
            let sql = "SELECT size, root, statement FROM heads WHERE first_seen >= ?1
                       ORDER BY size DESC, time DESC, statement DESC";
            self.db.prepare(sql)?.query_map([&time], place)?.collect()
        };
        let rows = rows().map_err(|error| sql_error(&self.path, error))?;
        Ok(Some(HeadReader { rows, ..self }))
    }

    /// The next `most` heads, in the order of [`Heads::all`](super::Heads::all), each verified again. Empty after the
    /// last.
    ///
    /// # Errors
    /// [`MirrorError`] if the mirror is damaged or cannot be read.
    pub fn next(&mut self, most: usize) -> Result<Vec<StoredHead>> {
        let sql = format!("{SELECT} WHERE size = ?1 AND root = ?2 AND statement = ?3");
        let wanted = self.rows.split_off(self.rows.len().saturating_sub(most));
        let read = |(size, root, statement): &Place| -> Result<StoredHead> {
            let place = rusqlite::params![size, root, statement];
            let found: rusqlite::Result<Raw> =
                self.db.prepare_cached(&sql).and_then(|mut select| select.query_row(place, raw));
            let found = found.map_err(|error| sql_error(&self.path, error))?;
            stored_head(&self.path, found, &self.key)
        };
        wanted.iter().rev().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list cannot be a key in JSON.
    #[test]
    fn an_encoding_failure_is_an_error() {
        assert_eq!(encode(&1).unwrap(), "1\n");
        assert!(encode(&std::collections::BTreeMap::from([(vec![1], 1)])).is_err());
    }
}
