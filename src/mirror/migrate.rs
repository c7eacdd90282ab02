//! Mirrors of earlier formats, brought up to this one when they are opened.
//!
//! A mirror holds every head ever seen, so none may become unreadable. Formats 1 to 4 had nothing that tied their tables
//! to the state. What follows from the leaves is therefore not taken from their tables: no entry counts as checked any
//! more, and the next audit hashes the leaves, holds them against the signed root and checks them all again. What cannot
//! be made again (heads, findings, what was told) is sealed as it stands; every head is held against every other and
//! against the leaves again.

use super::seal::{Seals, Table, seal_all};
use super::write::state_row;
use super::{MirrorError, OUTBOX, Result, SCHEMA_VERSION, VIEWS, WATCHING, read, sql_error};
use rusqlite::{Connection, params};
use std::path::Path;

/// What format 2 brought.
const TO_2: &str = "BEGIN IMMEDIATE; ALTER TABLE heads ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
    DROP INDEX IF EXISTS heads_by_size; PRAGMA user_version = 2; COMMIT;";

/// Tables that change their shape in format 5 are made anew under their names, by the one schema that there is.
const ASIDE: &str = "DROP VIEW IF EXISTS entries; DROP VIEW IF EXISTS leaf_text; DROP VIEW IF EXISTS standing_findings;
    DROP VIEW IF EXISTS signed_heads; DROP VIEW IF EXISTS passkeys;
    DROP INDEX IF EXISTS heads_by_tree; DROP INDEX IF EXISTS heads_by_time; DROP INDEX IF EXISTS alert_deliveries_due;
    ALTER TABLE heads RENAME TO old_heads; ALTER TABLE findings RENAME TO old_findings;
    DROP TABLE seen; DROP TABLE keys; DROP TABLE approver_keys; DROP TABLE entry_columns;";

/// Their rows, and nothing that was concluded from other rows.
const BACK: &str = "INSERT INTO heads SELECT statement, format, size, root, time, raw, 'unchecked', provenance, first_seen,
      last_seen, 0, listed FROM old_heads;
    INSERT INTO findings SELECT key, code, severity, idx, entry_id, subject, message, evidence, first_seen, last_seen,
      ended, pending, digest FROM old_findings;
    DROP TABLE old_heads; DROP TABLE old_findings;";

/// What to do with a mirror that has no head of the size of what is mirrored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    /// It is damaged.
    MustBeThere,
    /// It is being made again, from what the heads that are there bear out.
    MayBeGone,
}

/// Brings the mirror up to [`SCHEMA_VERSION`], each step in one transaction.
///
/// # Errors
/// It is damaged, or cannot be written.
pub(super) fn migrate(db: &Connection, path: &Path, heads: Heads) -> Result<()> {
    let version: rusqlite::Result<i64> = db.query_row("PRAGMA user_version", [], |row| row.get(0));
    let version = version.map_err(|error| sql_error(path, error))?;
    let step = |sql: &str| db.execute_batch(sql).map_err(|error| sql_error(path, error));
    if version == 1 {
        step(TO_2)?;
    }
    if version <= 2 {
        step(&format!("BEGIN IMMEDIATE; {OUTBOX} PRAGMA user_version = 3; COMMIT;"))?;
    }
    if version <= 3 {
        step(&format!("BEGIN IMMEDIATE; {WATCHING} PRAGMA user_version = 4; COMMIT;"))?;
    }
    if version < SCHEMA_VERSION {
        step("BEGIN IMMEDIATE")?;
        let done = seal(db, path, heads).and_then(|()| step("COMMIT"));
        if done.is_err() {
            // The error that matters is the one that is there already.
            let _ = step("ROLLBACK");
        }
        return done;
    }
    Ok(())
}

fn seal(db: &Connection, path: &Path, heads: Heads) -> Result<()> {
    let sql = |result: rusqlite::Result<()>| result.map_err(|error| sql_error(path, error));
    let mut state = read::state(db, path)?;
    sql(db.execute_batch(ASIDE))?;
    sql(db.execute_batch(&new_tables()))?;
    sql(db.execute_batch(super::seen::TABLE))?;
    sql(db.execute_batch(BACK))?;
    sql(db.execute_batch(VIEWS))?;
    let largest: rusqlite::Result<Option<u64>> =
        db.query_row("SELECT max(size) FROM heads", [], |row| row.get(0));
    let largest = largest.map_err(|error| sql_error(path, error))?.unwrap_or(0);
    if heads == Heads::MustBeThere && largest < state.verified {
        let why = format!("it has {} entries, and no signed head that commits to them", state.verified);
        return Err(MirrorError::Damaged(path.to_owned(), why));
    }
    sql(db.execute(super::findings::SET_PENDING, [super::write::int(state.verified)]).map(drop))?;
    state.forget_checks();
    state.entry_policy.clear();
    let mut seals = Seals::default();
    sql(Table::ALL.into_iter().try_for_each(|table| seal_all(db, table, &mut seals)))?;
    sql(seals.write(db))?;
    state.set_seals(seals.roots());
    state.generation = state.generation.saturating_add(1);
    let (json, digest) = state_row(&state).map_err(|error| sql_error(path, error))?;
    let update = "UPDATE state SET json = ?1, digest = ?2 WHERE one = 1";
    sql(db.execute(update, params![json, digest.0]).map(drop))?;
    sql(db.execute_batch(&format!("PRAGMA user_version = {SCHEMA_VERSION}")))
}

/// Those statements of the schema whose tables are not there.
fn new_tables() -> String {
    let schema = include_str!("schema.sql").replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ");
    schema.lines().filter(|line| !line.starts_with("PRAGMA ")).collect::<Vec<&str>>().join("\n")
}
