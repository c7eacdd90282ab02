//! Creation of a new database.

use super::connection::connect;
use super::error::{Result, beside_error, io_error, sql_error};
use super::schema::{OUTBOX, SEEN, TABLES, VIEWS, WATCHING};
use super::side_files::{beside, sync_directory};
use super::state::State;
use super::{path, state_row};
use crate::core::head::LogKey;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Creates the database of a mirror.
pub(super) fn create(path: &Path, key: &LogKey) -> Result<()> {
    let built = Built::new(path, |db| {
        db.execute_batch("PRAGMA page_size = 8192")?;
        [TABLES, SEEN, OUTBOX, WATCHING, VIEWS].iter().try_for_each(|sql| db.execute_batch(sql))?;
        state_row::insert(db, &State::new(random_name(db)?, key))
    })?;
    built.publish()
}

/// A random name for a new database: 32 hex digits.
pub(crate) fn random_name(db: &Connection) -> rusqlite::Result<String> {
    db.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))
}

/// A new database under a temporary name. It is renamed once it is complete, so that a crash leaves either no database
/// or a complete one.
pub(crate) struct Built {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Built {
    /// Builds the database that `fill` makes of an empty one.
    pub(crate) fn new(path: &Path, fill: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<Built> {
        let temporary = beside(path, ".new");
        let file = path::fresh(&temporary).map_err(|error| beside_error(path, ".new", &error))?;
        let db = connect(&temporary, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        path::still_is(&file, &temporary).map_err(|error| beside_error(path, ".new", &error))?;
        fill(&db).map_err(|error| sql_error(path, error))?;
        db.close().map_err(|(_, error)| sql_error(path, error))?;
        Ok(Built { path: path.to_owned(), temporary, file })
    }

    /// Gives it its name, durably.
    pub(crate) fn publish(self) -> Result<()> {
        let publish = || {
            self.file.sync_all()?;
            path::still_is(&self.file, &self.temporary)?;
            fs::rename(&self.temporary, &self.path)?;
            sync_directory(&self.path)
        };
        publish().map_err(|error| io_error(&self.path, &error))
    }
}
