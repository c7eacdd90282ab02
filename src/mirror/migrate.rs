//! Upgrades mirrors of earlier formats when they are opened.
//!
//! A mirror holds every head ever seen, so no mirror may become unreadable. In formats 1 to 4, nothing tied the
//! tables to the state. Data that can be derived from the leaves is therefore not taken from their tables: no entry
//! counts as checked any more, and the next audit hashes the leaves, compares them with the signed root and checks
//! all entries again. Data that cannot be derived again (heads, findings, what was reported) is sealed as it is;
//! every head is compared again with every other and with the leaves.

use super::error::{MirrorError, Result, sql_error};
use super::schema::{OUTBOX, SCHEMA_VERSION, VIEWS, WATCHING};
use super::seal::{Seals, Table, seal_all};
use super::{findings, schema, state_row};
use rusqlite::Connection;
use std::path::Path;

/// The statements for format 2.
const TO_2: &str = "BEGIN IMMEDIATE; ALTER TABLE heads ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
    DROP INDEX IF EXISTS heads_by_size; PRAGMA user_version = 2; COMMIT;";

/// Renames tables whose layout changes in format 5, so that the current schema can create them under their names.
const ASIDE: &str = "DROP VIEW IF EXISTS entries; DROP VIEW IF EXISTS leaf_text; DROP VIEW IF EXISTS standing_findings;
    DROP VIEW IF EXISTS signed_heads; DROP VIEW IF EXISTS passkeys;
    DROP INDEX IF EXISTS heads_by_tree; DROP INDEX IF EXISTS heads_by_time; DROP INDEX IF EXISTS alert_deliveries_due;
    ALTER TABLE heads RENAME TO old_heads; ALTER TABLE findings RENAME TO old_findings;
    DROP TABLE seen; DROP TABLE keys; DROP TABLE approver_keys; DROP TABLE entry_columns;";

/// Copies their rows, without anything that was concluded from other rows.
const BACK: &str = "INSERT INTO heads SELECT statement, format, size, root, time, raw, 'unchecked', provenance, first_seen,
      last_seen, 0, listed FROM old_heads;
    INSERT INTO findings SELECT key, code, severity, idx, entry_id, subject, message, evidence, first_seen, last_seen,
      ended, pending, digest FROM old_findings;
    DROP TABLE old_heads; DROP TABLE old_findings;";

/// What to do with a mirror that has no head of the mirrored size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    /// The mirror is damaged.
    MustBeThere,
    /// The mirror is being rebuilt, from what the remaining heads confirm.
    MayBeGone,
}

/// Upgrades the mirror to [`SCHEMA_VERSION`], each step in one transaction.
///
/// # Errors
/// `MirrorError` if the mirror is damaged or cannot be written.
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
            // The first error matters more than an error of the rollback.
            let _ = step("ROLLBACK");
        }
        return done;
    }
    Ok(())
}

fn seal(db: &Connection, path: &Path, heads: Heads) -> Result<()> {
    let sql = |result: rusqlite::Result<()>| result.map_err(|error| sql_error(path, error));
    let mut state = state_row::read(db, path)?;
    sql(db.execute_batch(ASIDE))?;
    sql(db.execute_batch(&new_tables()))?;
    sql(db.execute_batch(schema::SEEN))?;
    sql(db.execute_batch(BACK))?;
    sql(db.execute_batch(VIEWS))?;
    let largest: rusqlite::Result<Option<u64>> =
        db.query_row("SELECT max(size) FROM heads", [], |row| row.get(0));
    let largest = largest.map_err(|error| sql_error(path, error))?.unwrap_or(0);
    if heads == Heads::MustBeThere && largest < state.verified {
        let why = format!("it has {} entries, and no signed head that commits to them", state.verified);
        return Err(MirrorError::Damaged(path.to_owned(), why));
    }
    sql(findings::set_all_pending(db, state.verified))?;
    state.forget_checks();
    state.entry_policy.clear();
    let mut seals = Seals::default();
    sql(Table::ALL.into_iter().try_for_each(|table| seal_all(db, table, &mut seals)))?;
    sql(seals.write(db))?;
    state.set_seals(seals.roots());
    state.generation = state.generation.saturating_add(1);
    sql(state_row::update(db, &state))?;
    sql(db.execute_batch(&format!("PRAGMA user_version = {SCHEMA_VERSION}")))
}

/// The statements of the schema that create missing tables.
fn new_tables() -> String {
    let schema = schema::TABLES.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ");
    schema.lines().filter(|line| !line.starts_with("PRAGMA ")).collect::<Vec<&str>>().join("\n")
}
