//! Transactions on the journal, and what each verifies.
//!
//! Every transaction takes the lock, reads the mark, verifies the state row against its seal and against the mark, and
//! verifies each row that it reads against its seal. One that writes then stores the rows with the new state, commits,
//! writes the mark, and only then returns: nothing is acknowledged before it is durable, and the mark is never ahead of
//! the database. The lock is what keeps the marks of several processes in the order of their commits; that two do not
//! write at once is SQLite's.

use super::error::{JournalError, Result, mark_error, sql_error};
use super::mark::{self, Mark, MarkRead};
use super::schema;
use super::seal::{Sealed, State, Table};
use crate::mirror::{identity_of, lock_within};
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, TransactionBehavior, params_from_iter};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long other processes are waited for. Each holds the lock for one transaction.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// The database of an open journal.
pub(super) struct Db {
    connection: Connection,
    path: PathBuf,
    /// Which file that is.
    file: (PathBuf, Option<(u64, u64)>),
    /// The journal's name.
    name: String,
    wait: Duration,
}

/// A journal in a transaction, at a state that was verified.
pub(super) struct View<'a> {
    db: &'a Connection,
    path: &'a Path,
    state: State,
}

/// A transaction that writes.
pub(super) struct Change<'a> {
    view: View<'a>,
    is_changed: bool,
}

impl Db {
    /// The journal on this connection, all of it verified. What is returned is acknowledged from now on.
    pub(super) fn open(mut connection: Connection, path: &Path) -> Result<Db> {
        let file = identity_of(path);
        let lock = lock_within(path, WAIT)?;
        let mut mark = mark_of(path)?;
        let transaction = connection.transaction().map_err(|error| sql_error(path, error))?;
        let view = View::new(&transaction, path, &mark)?;
        // A process was killed between its commit and its mark. What it wrote is there and counts.
        if mark.generation() < view.state.generation {
            mark.acknowledge(view.state.generation).map_err(|error| mark_error(path, &error))?;
        }
        // The transaction goes on reading what was there when it began, whatever others write meanwhile.
        drop(lock);
        schema::check(&transaction, path)?;
        view.each(|_, _| Ok(()))?;
        let name = view.state.journal;
        drop(transaction);
        Ok(Db { connection, path: path.to_owned(), file, name, wait: WAIT })
    }

    /// The path of the journal, with symbolic links in its directories resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    #[cfg(test)]
    pub(super) fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Reads, at one moment in time.
    pub(super) fn read<T>(&mut self, act: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        let lock = lock_within(&self.path, self.wait)?;
        let mark = self.mark()?;
        let transaction = self.connection.transaction().map_err(|error| sql_error(&self.path, error))?;
        let view = View::new(&transaction, &self.path, &mark)?;
        drop(lock);
        act(&view)
    }

    /// Runs `act` in one transaction. What it wrote is durable and marked when this returns; after an error, none of it
    /// is there, except where the error is of the mark or of the commit itself: then it may be.
    pub(super) fn write<T>(&mut self, act: impl FnOnce(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let _lock = lock_within(&self.path, self.wait)?;
        let mut mark = self.mark()?;
        let path = &self.path;
        let sql = |error| sql_error(path, error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let mut change = Change { view: View::new(&transaction, path, &mark)?, is_changed: false };
        let answer = act(&mut change)?;
        if !change.is_changed {
            return Ok(answer);
        }
        let Change { view: View { mut state, .. }, .. } = change;
        state.generation = state.generation.saturating_add(1);
        state.update(&transaction).map_err(sql)?;
        transaction.commit().map_err(sql)?;
        // Not before the commit is durable: a database behind its mark is one that was rolled back.
        mark.acknowledge(state.generation).map_err(|error| mark_error(path, &error))?;
        Ok(answer)
    }

    /// The mark, if it and the file at the path are still those of this journal.
    fn mark(&self) -> Result<Mark> {
        // SQLite would go on writing to the file that it has open, which no other process sees any more.
        if identity_of(&self.path) != self.file {
            let why = "another file was put in its place while it was open".to_owned();
            return Err(JournalError::RolledBack(self.path.clone(), why));
        }
        let mark = mark_of(&self.path)?;
        match mark.contradicts(&self.name, mark.generation().saturating_add(1)) {
            Some(why) => Err(JournalError::RolledBack(self.path.clone(), why)),
            None => Ok(mark),
        }
    }
}

fn mark_of(path: &Path) -> Result<Mark> {
    let rolled_back = |why: &str| Err(JournalError::RolledBack(path.to_owned(), why.to_owned()));
    match mark::read(path).map_err(|error| mark_error(path, &error))? {
        MarkRead::Mark(mark) => Ok(mark),
        MarkRead::Missing => rolled_back("its \".mark\" file, which would tell, is missing"),
        MarkRead::Damaged => rolled_back("its \".mark\" file, which would tell, is damaged"),
    }
}

impl<'a> View<'a> {
    fn new(db: &'a Connection, path: &'a Path, mark: &Mark) -> Result<View<'a>> {
        let state = State::read(db, path)?;
        match mark.contradicts(&state.journal, state.generation) {
            Some(why) => Err(JournalError::RolledBack(path.to_owned(), why)),
            None => Ok(View { db, path, state }),
        }
    }

    /// The path of the journal.
    pub(super) fn path(&self) -> &Path {
        self.path
    }

    /// The error for a journal that is not what this program wrote.
    pub(super) fn damaged(&self, why: impl Into<String>) -> JournalError {
        JournalError::Damaged(self.path.to_owned(), why.into())
    }

    /// The rows that a condition selects, in the order in which they were written, each verified.
    pub(super) fn select(&self, table: Table, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<Sealed>> {
        let mut found = Vec::new();
        self.visit(table, condition, values, |row| {
            found.push(row);
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits all rows of all tables, each verified, and then verifies that they were all.
    pub(super) fn each(&self, mut visit: impl FnMut(Table, Sealed) -> Result<()>) -> Result<()> {
        let mut found = State::new(self.state.journal.clone());
        for table in Table::ALL {
            self.visit(table, "1", &[], |row| {
                found.add(&row);
                visit(table, row)
            })?;
        }
        match (found.rows, found.sum) == (self.state.rows, self.state.sum) {
            true => Ok(()),
            false => Err(self.damaged("a row is missing, was added, or is an earlier version of itself")),
        }
    }

    fn visit(
        &self,
        table: Table,
        condition: &str,
        values: &[&dyn ToSql],
        mut visit: impl FnMut(Sealed) -> Result<()>,
    ) -> Result<()> {
        let sql = |error| sql_error(self.path, error);
        let text = format!("SELECT * FROM {} WHERE {condition} ORDER BY number", table.name());
        let mut select = self.db.prepare_cached(&text).map_err(sql)?;
        let mut rows = select.query(values).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let sealed = Sealed::verify(&self.state.journal, table, row).map_err(sql)?;
            let unsealed =
                || self.damaged(format!("a row of its table {:?} does not have its seal", table.name()));
            visit(sealed.ok_or_else(unsealed)?)?;
        }
        Ok(())
    }
}

impl<'a> Change<'a> {
    /// The journal as it is, with what was written.
    pub(super) fn view(&self) -> &View<'a> {
        &self.view
    }

    /// Adds a row.
    pub(super) fn insert(&mut self, table: Table, values: Vec<Value>) -> Result<()> {
        let view = &mut self.view;
        let sql = |error| sql_error(view.path, error);
        let last = format!("SELECT ifnull(max(number), 0) FROM {}", table.name());
        let last: i64 = view
            .db
            .prepare_cached(&last)
            .and_then(|mut select| select.query_row([], |row| row.get(0)))
            .map_err(sql)?;
        let row = Sealed::new(&view.state.journal, table, last.saturating_add(1), values);
        let text = format!(
            "INSERT INTO {} (number, {}, seal) VALUES ({})",
            table.name(),
            table.columns(),
            vec!["?"; row.values.len().saturating_add(2)].join(", ")
        );
        let ends = [Value::Integer(row.number), Value::Blob(row.seal().0.to_vec())];
        let [number, seal] = &ends;
        let values = std::iter::once(number).chain(&row.values).chain(std::iter::once(seal));
        view.db
            .prepare_cached(&text)
            .and_then(|mut insert| insert.execute(params_from_iter(values)))
            .map_err(sql)?;
        view.state.add(&row);
        self.is_changed = true;
        Ok(())
    }

    /// Replaces the columns of a row that was read in this transaction.
    pub(super) fn replace(&mut self, table: Table, before: &Sealed, values: Vec<Value>) -> Result<()> {
        let view = &mut self.view;
        let row = Sealed::new(&view.state.journal, table, before.number, values);
        // Only what changed, so that the indexes of other columns are not written again.
        let columns = table.columns().split(", ").zip(&before.values).zip(&row.values);
        let (names, mut values): (Vec<&str>, Vec<Value>) =
            columns.filter(|((_, old), new)| old != new).map(|((name, _), new)| (name, new.clone())).unzip();
        if names.is_empty() {
            return Ok(());
        }
        let set = names.iter().map(|name| format!("{name} = ?, ")).collect::<String>();
        let text = format!("UPDATE {} SET {set}seal = ? WHERE number = ?", table.name());
        values.extend([Value::Blob(row.seal().0.to_vec()), Value::Integer(row.number)]);
        let changed = view
            .db
            .prepare_cached(&text)
            .and_then(|mut update| update.execute(params_from_iter(values)))
            .map_err(|error| sql_error(view.path, error))?;
        if changed != 1 {
            return Err(view.damaged("a row that was just read is gone"));
        }
        view.state.remove(before);
        view.state.add(&row);
        self.is_changed = true;
        Ok(())
    }
}
