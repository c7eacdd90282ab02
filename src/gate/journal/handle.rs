//! An open journal: how it is created and opened, and what can be read from it.

use super::db::{Db, View, WAIT};
use super::error::{JournalError, Result, mark_error, sql_error};
use super::keys::{self, ApproverKey};
use super::mark::{self, MarkRead};
use super::rows;
use super::schema::{self, TABLES};
use super::seal::{Sealed, State, Table};
use crate::gate::row::Row;
use crate::mirror::{
    Built, beside, configure, connect, exists, lock_within, no_remains, random_name, resolve,
};
use rusqlite::{MAIN_DB, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};

/// The page size of a new journal: that of most disks and file systems. A receipt takes two or three pages.
const PAGE_SIZE: u32 = 4096;

/// The write-ahead log begins again after 4 MB, in the same place: to sync a file that grows takes twice as long as to
/// sync one that is written over.
const REUSE_LOG: &str = "PRAGMA wal_autocheckpoint = 1000";

/// An open journal. Several processes and threads may have the same one open, each with a handle of its own; a handle
/// holds the lock for the time of one call.
pub struct Journal {
    pub(super) db: Db,
}

/// Creation and opening.
impl Journal {
    /// Creates a journal and opens it. This is the only way to begin one.
    ///
    /// # Errors
    /// [`JournalError`] if there is a file already, if there are remains of an earlier journal that knew used approvals,
    /// or if no file can be created there.
    pub fn create(given: &Path) -> Result<Journal> {
        Journal::create_with_pages(given, PAGE_SIZE)
    }

    pub(super) fn create_with_pages(given: &Path, page_size: u32) -> Result<Journal> {
        let path = place(given)?;
        // Checked first, so that no lock file is left beside something that is no journal.
        is_free(&path)?;
        let lock = lock_within(&path, WAIT)?;
        is_free(&path)?;
        no_remains(&path)?;
        match mark::read(&path).map_err(|error| mark_error(&path, &error))? {
            MarkRead::Missing => {}
            // Left by a creation that was cut short: there is nothing that it could have forgotten.
            MarkRead::Mark(mark) if mark.generation() == 0 => {}
            MarkRead::Mark(_) | MarkRead::Damaged => {
                let left = mark::path_of(&path);
                return Err(JournalError::Gone(path, left));
            }
        }
        let mut name = String::new();
        let built = Built::new(&path, |db| {
            // With a write-ahead log from the beginning: two processes that open it first need not agree on that.
            db.execute_batch(&format!("PRAGMA page_size = {page_size}; PRAGMA journal_mode = WAL;"))?;
            db.execute_batch(TABLES)?;
            name = random_name(db)?;
            State::new(name.clone()).insert(db)
        })?;
        // Before the journal has its name: a journal without its mark cannot be opened, and a mark of which nothing was
        // acknowledged is replaced.
        mark::create(&path, &name).map_err(|error| mark_error(&path, &error))?;
        built.publish()?;
        own(&path)?;
        drop(lock);
        Journal::open(&path)
    }

    /// Opens a journal, and verifies all of it. The time grows with the number of rows.
    ///
    /// # Errors
    /// [`JournalError`] if there is none, if it is damaged or older than its mark, if other processes held it for too
    /// long, or if it cannot be read and written.
    pub fn open(given: &Path) -> Result<Journal> {
        let path = place(given)?;
        if !exists(&path)? {
            return Err(JournalError::Missing(path));
        }
        let db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Before the connection is configured, which writes: a file that is no journal stays as it is.
        schema::check_header(&db, &path)?;
        if db.is_readonly(MAIN_DB).map_err(|error| sql_error(&path, error))? {
            let why = "it cannot be written: run this as its owner, on a file system that is not read-only";
            return Err(JournalError::Io(path, why.to_owned()));
        }
        let configured = configure(&db).and_then(|()| db.execute_batch(REUSE_LOG));
        configured.map_err(|error| sql_error(&path, error))?;
        Ok(Journal { db: Db::open(db, &path)? })
    }

    /// The path of the journal, with symbolic links in its directories resolved.
    pub fn path(&self) -> &Path {
        self.db.path()
    }
}

/// Reading.
impl Journal {
    /// The row with this idempotency key.
    ///
    /// # Errors
    /// [`JournalError`] if the row is not what was written, or the journal cannot be read.
    pub fn row(&mut self, key: &str) -> Result<Option<Row>> {
        self.db.read(|view| Ok(by_key(view, key)?.map(|(_, row)| row)))
    }

    /// The row with this confirmation id.
    ///
    /// # Errors
    /// [`JournalError`] if the row is not what was written, or the journal cannot be read.
    pub fn row_by_id(&mut self, id: &str) -> Result<Option<Row>> {
        self.db.read(|view| Ok(by_id(view, id)?.map(|(_, row)| row)))
    }

    /// All rows, in the order in which they were asked for, with their receipts.
    ///
    /// # Errors
    /// [`JournalError`] if the rows are not exactly those that were written, or the journal cannot be read.
    pub fn rows(&mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each_row(|row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }

    /// Visits the rows in the order in which they were asked for, one in memory at a time, until `visit` returns
    /// `false`. Other processes can go on meanwhile; what they write is not seen.
    ///
    /// # Errors
    /// [`JournalError`] if the rows are not exactly those that were written, or the journal cannot be read. The rows
    /// that were visited before were written so, but one may be missing among them.
    pub fn each_row(&mut self, mut visit: impl FnMut(Row) -> bool) -> Result<()> {
        let mut goes_on = true;
        self.db.read(|view| {
            view.each(|table, row| {
                if goes_on && table == Table::Confirmations {
                    goes_on = visit(parse(view, &row)?);
                }
                Ok(())
            })
        })
    }

    /// The passkey that stands for a person whose key is not pinned, under the log key of this origin.
    ///
    /// # Errors
    /// [`JournalError`] if it is not what was written, or the journal cannot be read.
    pub fn approver_key(&mut self, origin: &str, username: &str) -> Result<Option<ApproverKey>> {
        self.db.read(|view| keys::standing(view, origin, username))
    }
}

/// The path of a journal, by its only name. The lock and the mark are named after it.
fn place(given: &Path) -> Result<PathBuf> {
    if let Ok(target) = fs::read_link(given) {
        let why = format!("it is a symbolic link to {target:?}. Name the file itself");
        return Err(JournalError::Io(given.to_owned(), why));
    }
    Ok(resolve(given)?)
}

/// Keeps a journal and the files beside it to its owner: it has what people approved, and whoever can open the lock can hold it.
#[cfg(unix)]
fn own(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in [path.to_owned(), beside(path, ".lock"), mark::path_of(path)] {
        let changed = fs::set_permissions(&file, fs::Permissions::from_mode(0o600));
        changed.map_err(|error| JournalError::Io(file, error.to_string()))?;
    }
    Ok(())
}

/// Other systems have no such modes.
#[cfg(not(unix))]
fn own(_: &Path) -> Result<()> {
    Ok(())
}

fn is_free(path: &Path) -> Result<()> {
    match exists(path)? {
        true => Err(JournalError::AlreadyThere(path.to_owned())),
        false => Ok(()),
    }
}

/// The row with this idempotency key.
pub(super) fn by_key(view: &View<'_>, key: &str) -> Result<Option<(Sealed, Row)>> {
    one(view, "key = ?1", key)
}

/// The row with this confirmation id.
pub(super) fn by_id(view: &View<'_>, id: &str) -> Result<Option<(Sealed, Row)>> {
    one(view, "id = ?1", id)
}

/// The row that consumed this nonce.
pub(super) fn by_nonce(view: &View<'_>, nonce: &str) -> Result<Option<(Sealed, Row)>> {
    one(view, "nonce = ?1", nonce)
}

fn one(view: &View<'_>, condition: &str, value: &str) -> Result<Option<(Sealed, Row)>> {
    let found = view.select(Table::Confirmations, condition, &[&value])?.pop();
    found.map(|sealed| parse(view, &sealed).map(|row| (sealed, row))).transpose()
}

fn parse(view: &View<'_>, sealed: &Sealed) -> Result<Row> {
    rows::parse(&sealed.values).ok_or_else(|| view.damaged("a row of it contradicts itself"))
}
