//! The row that stores the state.

use super::error::{MirrorError, Result, sql_error};
use super::schema::{APPLICATION_ID, SCHEMA_VERSION};
use super::state::State;
use super::values::as_json;
use crate::core::hash::{Hash, sha256};
use crate::core::head::LogKey;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

/// Whether a database is a mirror, even a damaged one.
pub(super) fn is_mirror(db: &Connection, path: &Path) -> Result<bool> {
    let id: rusqlite::Result<i64> = db.query_row("PRAGMA application_id", [], |row| row.get(0));
    Ok(id.map_err(|error| sql_error(path, error))? == APPLICATION_ID)
}

/// Reads the state row and checks that it is what was written.
pub(super) fn read(db: &Connection, path: &Path) -> Result<State> {
    let damaged = |why: &str| MirrorError::Damaged(path.to_owned(), why.to_owned());
    let pragma = |name: &str| -> Result<i64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| sql_error(path, error))
    };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(damaged("it is not a countersign mirror"));
    }
    let version = pragma("user_version")?;
    if version > SCHEMA_VERSION {
        return Err(MirrorError::Newer(path.to_owned(), version, SCHEMA_VERSION));
    }
    if version < 1 {
        return Err(damaged(&format!("its format is version {version}, which no program wrote")));
    }
    let (json, digest): (String, Vec<u8>) = db
        .query_row("SELECT json, digest FROM state WHERE one = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|error| sql_error(path, error))?;
    if sha256(json.as_bytes()).0.as_slice() != digest {
        return Err(damaged("its state row does not have its digest"));
    }
    let state: State = serde_json::from_str(&json).map_err(|error| damaged(&error.to_string()))?;
    let ordered = state.checked <= state.verified && state.verified <= state.downloaded;
    if !ordered || state.frontier().is_none() || state.seals().is_none() {
        return Err(damaged("its cursors contradict each other"));
    }
    Ok(state)
}

/// The stored form of the state: its text and the digest of the text.
///
/// # Errors
/// [`rusqlite::Error`] if it cannot be encoded; nothing may be stored in its place.
fn encode(state: &State) -> rusqlite::Result<(String, Hash)> {
    let json = as_json(state)?;
    let digest = sha256(json.as_bytes());
    Ok((json, digest))
}

/// Stores the first state of a new mirror.
pub(super) fn insert(db: &Connection, state: &State) -> rusqlite::Result<()> {
    let (json, digest) = encode(state)?;
    db.execute("INSERT INTO state VALUES (1, ?1, ?2)", params![json, digest.0])?;
    Ok(())
}

/// Replaces the stored state.
pub(super) fn update(db: &Connection, state: &State) -> rusqlite::Result<()> {
    let (json, digest) = encode(state)?;
    let mut update = db.prepare_cached("UPDATE state SET json = ?1, digest = ?2 WHERE one = 1")?;
    update.execute(params![json, digest.0]).map(drop)
}

/// The stored state, to be compared with one that was checked; `None` if there is none.
pub(super) fn stored(db: &Connection) -> rusqlite::Result<Option<State>> {
    let json: Option<String> = db
        .prepare_cached("SELECT json FROM state WHERE one = 1")
        .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Checks that the mirror is of the log with this key.
pub(super) fn check_log(path: &Path, state: &State, key: &LogKey) -> Result<()> {
    let ours = key.verifier().to_string();
    if state.origin != key.origin() {
        let why = format!("it mirrors {:?}, and the log key is of {:?}", state.origin, key.origin());
        return Err(MirrorError::OtherLog(path.to_owned(), why));
    }
    if state.log_key != ours {
        let why = format!("it was written under the log key {}, now {ours} is given", state.log_key);
        return Err(MirrorError::OtherLog(path.to_owned(), why));
    }
    Ok(())
}
