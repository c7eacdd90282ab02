//! Integrity values of the journal: a seal in each row, and their sum in the state.
//!
//! A row's seal is SHA-256 over the journal's name, the table and all other columns. It shows that this row was written
//! so, in this journal; it does not show that it is the newest version of the row, or that no row is missing. The number
//! of rows and the sum of their seals, in the state, show that when all rows are read. The state has a seal of its own.
//!
//! This covers a failing disk, and a hand that edits the file with SQL. It is no protection against somebody who can
//! write the file and this digest.

use super::error::{JournalError, Result, sql_error};
use crate::core::hash::Hash;
use crate::mirror::{ColumnDigest, DigestSum};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params};
use std::path::Path;

/// A sealed table. Its first column is the row's number, and its last one the seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Confirmations,
    ApproverKeys,
    OfferedKeys,
}

impl Table {
    pub(super) const ALL: [Table; 3] = [Table::Confirmations, Table::ApproverKeys, Table::OfferedKeys];

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Confirmations => "confirmations",
            Table::ApproverKeys => "approver_keys",
            Table::OfferedKeys => "offered_keys",
        }
    }

    /// The columns between number and seal.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Table::Confirmations => {
                "key, service, origin, username, action, payload_hash, asked_at, post_until, id, url, encoding, expires_at, \
                 decision, decided_at, refusal, message, nonce, credential, key_pinned, action_signed, receipt, \
                 consumed_at, ended_at, ending, failure"
            }
            Table::ApproverKeys | Table::OfferedKeys => "origin, username, key, since",
        }
    }
}

/// A row whose seal was verified, or was just made.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sealed {
    pub(super) number: i64,
    /// The columns between number and seal.
    pub(super) values: Vec<Value>,
    seal: Hash,
}

impl Sealed {
    /// Seals a row that is to be written.
    pub(super) fn new(journal: &str, table: Table, number: i64, values: Vec<Value>) -> Sealed {
        let seal = seal_of(journal, table, number, &values);
        Sealed { number, values, seal }
    }

    /// The row that was read, if its seal is right.
    pub(super) fn verify(
        journal: &str,
        table: Table,
        row: &rusqlite::Row<'_>,
    ) -> rusqlite::Result<Option<Sealed>> {
        let mut columns = (0..row.as_ref().column_count())
            .map(|column| row.get::<_, Value>(column))
            .collect::<rusqlite::Result<Vec<Value>>>()?;
        let Some(Value::Blob(seal)) = columns.pop() else { return Ok(None) };
        if columns.is_empty() {
            return Ok(None);
        }
        let Value::Integer(number) = columns.remove(0) else { return Ok(None) };
        let row = Sealed::new(journal, table, number, columns);
        Ok((row.seal.0.as_slice() == seal).then_some(row))
    }

    pub(super) fn seal(&self) -> &Hash {
        &self.seal
    }
}

fn seal_of(journal: &str, table: Table, number: i64, values: &[Value]) -> Hash {
    let mut digest = ColumnDigest::new(b"countersign journal v1");
    digest.add(ValueRef::Text(journal.as_bytes()));
    digest.add(ValueRef::Text(table.name().as_bytes()));
    digest.add(ValueRef::Integer(number));
    values.iter().for_each(|value| digest.add(value.into()));
    digest.finish()
}

/// The state: what stands for all rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    /// The random name of this journal.
    pub(super) journal: String,
    /// Number of transactions so far.
    pub(super) generation: u64,
    /// Number of rows of all sealed tables.
    pub(super) rows: u64,
    /// The sum of their seals.
    pub(super) sum: DigestSum,
}

impl State {
    pub(super) fn new(journal: String) -> State {
        State { journal, generation: 0, rows: 0, sum: DigestSum::default() }
    }

    fn seal(&self) -> Hash {
        let mut digest = ColumnDigest::new(b"countersign journal state v1");
        digest.add(ValueRef::Text(self.journal.as_bytes()));
        digest.add(ValueRef::Blob(&self.generation.to_le_bytes()));
        digest.add(ValueRef::Blob(&self.rows.to_le_bytes()));
        digest.add(ValueRef::Blob(self.sum.to_bytes().as_bytes()));
        digest.finish()
    }

    /// Counts a row that is written.
    pub(super) fn add(&mut self, row: &Sealed) {
        self.rows = self.rows.wrapping_add(1);
        self.sum.add(row.seal());
    }

    /// Discounts a row that is replaced.
    pub(super) fn remove(&mut self, row: &Sealed) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum.remove(row.seal());
    }

    /// Stores the state of a new journal.
    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let values = params![self.journal, self.generation, self.rows, self.sum.to_bytes().0, self.seal().0];
        db.execute("INSERT INTO state VALUES (1, ?1, ?2, ?3, ?4, ?5)", values).map(drop)
    }

    /// Replaces the stored state.
    pub(super) fn update(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "UPDATE state SET generation = ?1, rows = ?2, sum = ?3, seal = ?4 WHERE one = 1";
        let values = params![self.generation, self.rows, self.sum.to_bytes().0, self.seal().0];
        db.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// Reads the state and checks that it is what was written.
    pub(super) fn read(db: &Connection, path: &Path) -> Result<State> {
        let sql = "SELECT journal, generation, rows, sum, seal FROM state WHERE one = 1";
        let read = db.prepare_cached(sql).and_then(|mut select| {
            select.query_row([], |row| {
                let state = State {
                    journal: row.get(0)?,
                    generation: row.get(1)?,
                    rows: row.get(2)?,
                    sum: DigestSum::from_bytes(&Hash(row.get(3)?)),
                };
                Ok((state, row.get::<_, Vec<u8>>(4)?))
            })
        });
        let (state, seal) = read.map_err(|error| sql_error(path, error))?;
        if state.seal().0.as_slice() != seal {
            let why = "its state row does not have its seal".to_owned();
            return Err(JournalError::Damaged(path.to_owned(), why));
        }
        Ok(state)
    }
}
