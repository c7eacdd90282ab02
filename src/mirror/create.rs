//! Creation of a new mirror.

use super::connection::connect;
use super::error::{Result, beside_error, io_error, sql_error};
use super::schema::{OUTBOX, SEEN, TABLES, VIEWS, WATCHING};
use super::side_files::{beside, sync_directory};
use super::state::State;
use super::{path, state_row};
use crate::core::head::LogKey;
use rusqlite::OpenFlags;
use std::fs;
use std::path::Path;

/// Builds the database under a temporary name and renames it, so that a crash leaves either no mirror or a complete
/// one.
pub(super) fn create(path: &Path, key: &LogKey) -> Result<()> {
    let temporary = beside(path, ".new");
    let file = path::fresh(&temporary).map_err(|error| beside_error(path, ".new", &error))?;
    let db = connect(&temporary, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    path::still_is(&file, &temporary).map_err(|error| beside_error(path, ".new", &error))?;
    let build = || -> rusqlite::Result<()> {
        db.execute_batch("PRAGMA page_size = 8192")?;
        [TABLES, SEEN, OUTBOX, WATCHING, VIEWS].iter().try_for_each(|sql| db.execute_batch(sql))?;
        let mirror: String = db.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
        state_row::insert(&db, &State::new(mirror, key))
    };
    build().map_err(|error| sql_error(path, error))?;
    db.close().map_err(|(_, error)| sql_error(path, error))?;
    let publish = || {
        file.sync_all()?;
        path::still_is(&file, &temporary)?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    };
    publish().map_err(|error| io_error(path, &error))
}
