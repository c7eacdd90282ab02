//! The tables of a journal, and whether a file has them.

use super::error::{JournalError, Result, sql_error};
use rusqlite::{Connection, ErrorCode};
use std::path::Path;

/// The tables.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// `application_id`: "csjl".
const APPLICATION_ID: i64 = 0x6373_6a6c;

/// The `user_version` that this program reads and writes.
const SCHEMA_VERSION: i64 = 1;

/// Checks that a file is a journal in a format that this program knows, before anything is written to it.
pub(super) fn check_header(db: &Connection, path: &Path) -> Result<()> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    match pragma("application_id") {
        Ok(APPLICATION_ID) => {}
        Ok(_) => return Err(JournalError::NotAJournal(path.to_owned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(JournalError::NotAJournal(path.to_owned()));
        }
        Err(error) => return Err(sql_error(path, error)),
    }
    match pragma("user_version").map_err(|error| sql_error(path, error))? {
        SCHEMA_VERSION => Ok(()),
        version if version > SCHEMA_VERSION => {
            Err(JournalError::Newer(path.to_owned(), version, SCHEMA_VERSION))
        }
        version => {
            let why = format!("its format is version {version}, which no program wrote");
            Err(JournalError::Damaged(path.to_owned(), why))
        }
    }
}

/// Checks that the tables are those of this program, and that SQLite finds nothing wrong in the file. Look-ups go by the
/// indexes of these tables: where one had lost a nonce, an approval could be used twice, though each row were right.
pub(super) fn check(db: &Connection, path: &Path) -> Result<()> {
    let sql = |error| sql_error(path, error);
    let damaged = |why: String| Err(JournalError::Damaged(path.to_owned(), why));
    let ours = Connection::open_in_memory().map_err(sql)?;
    ours.execute_batch(TABLES).map_err(sql)?;
    if described(db).map_err(sql)? != described(&ours).map_err(sql)? {
        return damaged("its tables are not those that were created".to_owned());
    }
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if found != "ok" {
        return damaged(found);
    }
    Ok(())
}

type Described = Vec<(String, String, String, Option<String>)>;

fn described(db: &Connection) -> rusqlite::Result<Described> {
    let mut select = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
}
