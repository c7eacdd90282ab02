//! The database of an open mirror: the connection, and what the stores have in common.
//!
//! Rows of a sealed table are read behind [`Db::trust`] or [`Db::trusted_ranges`], and changed by [`Db::change`],
//! [`Db::add`] and [`Db::remove`] alone (see [`super::seal`]). Every change is part of a transaction, which stores the
//! seals and the state with the rows.
//!
//! The lock sees to it that this process alone writes the mirror, and nothing rests on the lock: it is a file that
//! anybody can remove, and some network file systems grant it twice. So each transaction begins by holding the stored
//! state against the one that this process read or wrote last. SQLite lets one writer in at a time, and what it read
//! then stays so until it commits.

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

/// What the stores read and write.
pub struct Db {
    connection: Connection,
    path: PathBuf,
    state: State,
    seals: RefCell<Seals>,
    seen: Seen,
}

impl Db {
    /// With the state that was read from this connection.
    pub(super) fn new(connection: Connection, path: &Path, state: State) -> Db {
        let seals = RefCell::new(Seals::new(state.seals().unwrap_or_default()));
        let seen = Seen::new(state.seen_runs());
        Db { connection, path: path.to_owned(), state, seals, seen }
    }

    /// For statements.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Where the mirror is, its links resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As of the last commit.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// What was seen, and the connection to look it up on.
    pub(super) fn seen(&self) -> (&Seen, &Connection) {
        (&self.seen, &self.connection)
    }

    /// What was seen, to be added to.
    pub(super) fn seen_mut(&mut self) -> (&mut Seen, &Connection) {
        (&mut self.seen, &self.connection)
    }

    /// The result of a statement, with the mirror that failed.
    ///
    /// # Errors
    /// The statement failed.
    pub(super) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| sql_error(&self.path, error))
    }

    /// The fault of a mirror that is not what this program wrote.
    pub(super) fn damaged(&self, why: String) -> MirrorError {
        MirrorError::Damaged(self.path.clone(), why)
    }
}

/// Sealed tables.
impl Db {
    fn sealed(&self) -> Sealed<'_> {
        Sealed::new(&self.connection, &self.path, &self.seals)
    }

    /// Makes sure that the rows with keys in `keys` are those that were written, no more and no fewer.
    ///
    /// # Errors
    /// They are not, or the mirror cannot be read.
    pub(super) fn trust(&self, table: Table, keys: RangeInclusive<u64>) -> Result<()> {
        self.sealed().trust(table, keys)
    }

    /// Goes through the verified ranges of keys that have rows with keys in `keys`, in ascending or descending order,
    /// where `wanted` holds for the range and all that it is part of; until `visit` says `true`.
    ///
    /// # Errors
    /// A range is not what was written, or the mirror cannot be read.
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

    /// Replaces rows: `before` selects them (`SELECT *`), `after` changes or adds them (`RETURNING *`). All have keys in
    /// `keys`. Gives how many there are now.
    ///
    /// # Errors
    /// The rows are not those that were written, or a statement failed.
    pub(super) fn change(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        before: Statement<'_>,
        after: Statement<'_>,
    ) -> Result<usize> {
        self.sealed().change(table, keys, before, after)
    }

    /// Adds rows, with a statement that ends in `RETURNING *`; gives how many.
    ///
    /// # Errors
    /// The rows there are not those that were written, or the statement failed.
    pub(super) fn add(
        &mut self,
        table: Table,
        keys: RangeInclusive<u64>,
        sql: &str,
        values: &[&dyn ToSql],
    ) -> Result<usize> {
        self.sealed().add(table, keys, sql, values)
    }

    /// Deletes rows, with a statement that ends in `RETURNING *`; gives how many.
    ///
    /// # Errors
    /// The rows are not those that were written, or the statement failed.
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
    /// The mirror cannot be written.
    pub(super) fn clear(&mut self, table: Table) -> Result<()> {
        let result = self.connection.execute_batch(&format!("DELETE FROM {}", table.name()));
        self.sql(result.and_then(|()| self.seals.borrow_mut().clear(table, &self.connection)))
    }

    /// Seals a table as it stands, in the open transaction: after what was wrong in it was taken out.
    ///
    /// # Errors
    /// The mirror cannot be read or written.
    pub(super) fn seal_again(&mut self, table: Table) -> Result<()> {
        self.sql(seal_all(&self.connection, table, &mut self.seals.borrow_mut()))
    }

    /// How many rows the state says that a table has.
    pub(super) fn sealed_rows(&self, table: Table) -> u64 {
        self.seals.borrow().root(table).rows
    }

    /// How many heads have this flag, of all.
    pub(super) fn flagged_count(&self, flag: Flag) -> u64 {
        self.seals.borrow().root(Table::Heads).counts.get(flag.place()).copied().unwrap_or(0)
    }

    /// The fault of a table that is not what the state says.
    pub(super) fn unsealed(&self, table: Table) -> MirrorError {
        unsealed(&self.path, table)
    }
}

/// Transactions.
impl Db {
    /// Begins a transaction on what this process read or wrote last.
    ///
    /// # Errors
    /// Also where another process wrote in between: this one would write over it.
    pub(super) fn begin(&mut self) -> Result<()> {
        let result = self.connection.execute_batch("BEGIN IMMEDIATE");
        self.sql(result)?;
        self.written_by_none_else().inspect_err(|_| {
            // The error that matters is the one that is there already.
            let _ = self.connection.execute_batch("ROLLBACK");
        })
    }

    /// Commits with this state. Durable when it returns.
    ///
    /// # Errors
    /// The mirror cannot be written; the transaction is then given up.
    pub(super) fn commit(&mut self, mut state: State) -> Result<()> {
        state.generation = self.state.generation.saturating_add(1);
        let result = self.write_state(&mut state).and_then(|()| self.connection.execute_batch("COMMIT"));
        if let Err(error) = self.sql(result) {
            // What was not committed must not be part of what is committed next.
            let _ = self.rollback();
            return Err(error);
        }
        self.state = state;
        Ok(())
    }

    /// Writes the seals of what was changed, and the state that they hang from.
    fn write_state(&self, state: &mut State) -> rusqlite::Result<()> {
        self.seals.borrow_mut().write(&self.connection)?;
        state.set_seals(self.seals.borrow().roots());
        state.set_seen_runs(self.seen.runs());
        state_row::update(&self.connection, state)
    }

    /// Gives a transaction up.
    ///
    /// # Errors
    /// There is none, or SQLite refused.
    pub(super) fn rollback(&mut self) -> Result<()> {
        self.seals.replace(Seals::new(self.state.seals().unwrap_or_default()));
        self.seen.reset(self.state.seen_runs());
        let result = self.connection.execute_batch("ROLLBACK");
        self.sql(result)
    }

    /// The stored state is the one that this process knows. Within a transaction: for as long as that lasts.
    ///
    /// # Errors
    /// [`MirrorError::OtherWriter`]: it is another one.
    pub(super) fn written_by_none_else(&self) -> Result<()> {
        let why = match self.sql(state_row::stored(&self.connection))? {
            Some(stored) if stored == self.state => return Ok(()),
            Some(stored) if stored.mirror != self.state.mirror => {
                "another mirror stands in its place".to_owned()
            }
            Some(stored) => format!(
                "it is at transaction {}, and was at {} when this process last had it",
                stored.generation, self.state.generation
            ),
            None => "its state is gone".to_owned(),
        };
        Err(MirrorError::OtherWriter(self.path.clone(), why))
    }
}
