//! The database of an open mirror: the connection, and what the stores have in common.
//!
//! Rows of a sealed table are read only after [`Db::trust`] or [`Db::trusted_ranges`], and changed only by
//! [`Db::change`], [`Db::add`] and [`Db::remove`] (see [`super::seal`]). Every change is part of a transaction, which
//! stores the seals and the state together with the rows.
//!
//! The lock keeps other processes from writing to the mirror, but correctness does not depend on it: the lock is a
//! file that any user can remove, and some network file systems grant it twice. Each transaction therefore begins by
//! comparing the stored state with the one that this process read or wrote last. SQLite allows one writer at a time,
//! so the stored state does not change until that transaction commits.

use super::error::{MirrorError, Result, sql_error};
use super::seal::{Flag, Node, Sealed, Seals, Table, seal_all, unsealed};
use super::seen::Seen;
use super::state::State;
use super::state_row;
use rusqlite::{Connection, ToSql};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// A statement and its values.
type Statement<'a> = (&'a str, &'a [&'a dyn ToSql]);

/// The database handle that the stores read from and write to.
pub struct Db {
    connection: Connection,
    path: PathBuf,
    state: State,
    seals: RefCell<Seals>,
    seen: Seen,
}

impl Db {
    /// A handle with the state that was read from this connection.
    pub(super) fn new(connection: Connection, path: &Path, state: State) -> Db {
        let seals = RefCell::new(Seals::new(state.seals().unwrap_or_default()));
        let seen = Seen::new(state.seen_runs());
        Db { connection, path: path.to_owned(), state, seals, seen }
    }

    /// The connection, for statements.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The path of the mirror, with symbolic links resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The state as of the last commit.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The seen values, and the connection to look them up on.
    pub(super) fn seen(&self) -> (&Seen, &Connection) {
        (&self.seen, &self.connection)
    }

    /// The same, for adding values.
    pub(super) fn seen_mut(&mut self) -> (&mut Seen, &Connection) {
        (&mut self.seen, &self.connection)
    }

    /// Converts the result of a statement, adding the path of the mirror to the error.
    ///
    /// # Errors
    /// `MirrorError` if the statement failed.
    pub(super) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| sql_error(&self.path, error))
    }

    /// The error for a mirror that is not what this program wrote.
    pub(super) fn damaged(&self, why: String) -> MirrorError {
        MirrorError::Damaged(self.path.clone(), why)
    }
}

/// Sealed tables.
impl Db {
    fn sealed(&self) -> Sealed<'_> {
        Sealed::new(&self.connection, &self.path, &self.seals)
    }

    /// Verifies that the rows with keys in `keys` are exactly those that were written.
    ///
    /// # Errors
    /// `MirrorError` if they are not, or if the mirror cannot be read.
    pub(super) fn trust(&self, table: Table, keys: RangeInclusive<u64>) -> Result<()> {
        self.sealed().trust(table, keys)
    }

    /// Visits the verified ranges of keys that have rows with keys in `keys`, in ascending or descending order, if
    /// `wanted` holds for the range and for all its ancestors; stops when `visit` returns `true`.
    ///
    /// # Errors
    /// `MirrorError` if a range is not what was written, or if the mirror cannot be read.
    pub(super) fn trusted_ranges(
        &self,
        table: Table,
        keys: RangeInclusive<u64>,
        descending: bool,
        wanted: &dyn Fn(&Node) -> bool,
        visit: &mut dyn FnMut(RangeInclusive<u64>) -> Result<bool>,
    ) -> Result<bool> {
        self.sealed().trusted_ranges(table, keys, descending, wanted, visit)
    }

    /// Replaces rows: `before` selects them (`SELECT *`), `after` changes or adds them (`RETURNING *`). All have keys
    /// in `keys`. Returns the number of rows afterwards.
    ///
    /// # Errors
    /// `MirrorError` if the rows are not those that were written, or if a statement failed.
    pub(super) fn change(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        before: Statement<'_>,
        after: Statement<'_>,
    ) -> Result<usize> {
        self.sealed().change(table, keys, before, after)
    }

    /// Adds rows, with a statement that ends in `RETURNING *`; returns their number.
    ///
    /// # Errors
    /// `MirrorError` if the existing rows are not those that were written, or if the statement failed.
    pub(super) fn add(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.sealed().add(table, keys, sql, values)
    }

    /// Deletes rows, with a statement that ends in `RETURNING *`; returns their number.
    ///
    /// # Errors
    /// `MirrorError` if the rows are not those that were written, or if the statement failed.
    pub(super) fn remove(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.sealed().remove(table, keys, sql, values)
    }

    /// Deletes all rows of a table, whether or not they are those that were written.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written.
    pub(super) fn clear(&mut self, table: Table) -> Result<()> {
        let result = self.connection.execute_batch(&format!("DELETE FROM {}", table.name()));
        self.sql(result.and_then(|()| self.seals.borrow_mut().clear(table, &self.connection)))
    }

    /// Seals a table as it is, in the open transaction, after wrong rows were removed from it.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read or written.
    pub(super) fn seal_again(&mut self, table: Table) -> Result<()> {
        self.sql(seal_all(&self.connection, table, &mut self.seals.borrow_mut()))
    }

    /// The number of rows of a table according to the state.
    pub(super) fn sealed_rows(&self, table: Table) -> u64 {
        self.seals.borrow().root(table).rows
    }

    /// The number of heads with this flag.
    pub(super) fn flagged_count(&self, flag: Flag) -> u64 {
        self.seals.borrow().root(Table::Heads).counts.get(flag.place()).copied().unwrap_or(0)
    }

    /// The error for a table that does not match the state.
    pub(super) fn unsealed(&self, table: Table) -> MirrorError {
        unsealed(&self.path, table)
    }
}

/// Transactions.
impl Db {
    /// Begins a transaction, if the stored state is the one that this process read or wrote last.
    ///
    /// # Errors
    /// `MirrorError` if it cannot begin, or if another process wrote to the mirror in between.
    pub(super) fn begin(&mut self) -> Result<()> {
        let result = self.connection.execute_batch("BEGIN IMMEDIATE");
        self.sql(result)?;
        self.written_by_none_else().inspect_err(|_| {
            // The first error matters more than an error of the rollback.
            let _ = self.connection.execute_batch("ROLLBACK");
        })
    }

    /// Commits with this state. The commit is durable when this returns.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written; the transaction is then rolled back.
    pub(super) fn commit(&mut self, mut state: State) -> Result<()> {
        state.generation = self.state.generation.saturating_add(1);
        let result = self.write_state(&mut state).and_then(|()| self.connection.execute_batch("COMMIT"));
        if let Err(error) = self.sql(result) {
            // Changes that were not committed must not become part of the next commit.
            let _ = self.rollback();
            return Err(error);
        }
        self.state = state;
        Ok(())
    }

    /// Writes the changed seals, and the state that contains their roots.
    fn write_state(&self, state: &mut State) -> rusqlite::Result<()> {
        self.seals.borrow_mut().write(&self.connection)?;
        state.set_seals(self.seals.borrow().roots());
        state.set_seen_runs(self.seen.runs());
        state_row::update(&self.connection, state)
    }

    /// Rolls a transaction back.
    ///
    /// # Errors
    /// `MirrorError` if there is no open transaction, or SQLite refused.
    pub(super) fn rollback(&mut self) -> Result<()> {
        self.seals.replace(Seals::new(self.state.seals().unwrap_or_default()));
        self.seen.reset(self.state.seen_runs());
        let result = self.connection.execute_batch("ROLLBACK");
        self.sql(result)
    }

    /// Checks that the stored state is the one that this process knows. Within a transaction, this then holds until
    /// its end.
    ///
    /// # Errors
    /// [`MirrorError::OtherWriter`] if it is a different one.
    pub(super) fn written_by_none_else(&self) -> Result<()> {
        let why = match self.sql(state_row::stored(&self.connection))? {
            Some(stored) if stored == self.state => return Ok(()),
            Some(stored) if stored.mirror != self.state.mirror => "another mirror is in its place".to_owned(),
            Some(stored) => format!(
                "it is at transaction {}, and was at {} when this process last used it",
                stored.generation, self.state.generation
            ),
            None => "its state is gone".to_owned(),
        };
        Err(MirrorError::OtherWriter(self.path.clone(), why))
    }
}
