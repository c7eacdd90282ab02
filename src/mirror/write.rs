//! Transactions, leaves, nodes and columns: everything that an audit adds batch by batch.

use super::seal::{Seals, Table};
use super::state::State;
use super::{Mirror, Result};
use crate::audit::entries::Columns;
use crate::core::entry::Decision;
use crate::core::hash::{Hash, sha256};
use rusqlite::{Connection, params};
use serde::Serialize;

/// SQLite integers are signed; everything stored is at most 2^53.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What is stored of the state: its text and the digest of that.
///
/// # Errors
/// It has no text, and nothing may be stored in its place.
pub(super) fn state_row(state: &State) -> rusqlite::Result<(String, Hash)> {
    let json = as_json(state)?;
    let digest = sha256(json.as_bytes());
    Ok((json, digest))
}

/// The JSON text that is to be stored of a value.
///
/// # Errors
/// It has none, and nothing may be stored in its place.
pub(super) fn as_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn insert_state(db: &Connection, state: &State) -> rusqlite::Result<()> {
    let (json, digest) = state_row(state)?;
    db.execute("INSERT INTO state VALUES (1, ?1, ?2)", params![json, digest.0])?;
    Ok(())
}

impl Mirror {
    /// Begins a transaction on what this process read or wrote last.
    ///
    /// # Errors
    /// Also where another process wrote in between: this one would write over it.
    pub fn begin(&mut self) -> Result<()> {
        let result = self.db.execute_batch("BEGIN IMMEDIATE");
        self.sql(result)?;
        self.written_by_none_else().inspect_err(|_| {
            // The error that matters is the one that is there already.
            let _ = self.db.execute_batch("ROLLBACK");
        })
    }

    /// Commits with this state. Durable when it returns.
    pub fn commit(&mut self, mut state: State) -> Result<()> {
        state.generation = self.state.generation.saturating_add(1);
        let result = self.write_state(&mut state).and_then(|()| self.db.execute_batch("COMMIT"));
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
        self.seals.borrow_mut().write(&self.db)?;
        state.set_seals(self.seals.borrow().roots());
        state.seen = self.seen.runs().to_vec();
        let (json, digest) = state_row(state)?;
        let mut update = self.db.prepare_cached("UPDATE state SET json = ?1, digest = ?2 WHERE one = 1")?;
        update.execute(params![json, digest.0]).map(drop)
    }

    /// Gives a transaction up.
    pub fn rollback(&mut self) -> Result<()> {
        self.seals.replace(Seals::new(self.state.seals().unwrap_or_default()));
        self.seen.reset(&self.state.seen);
        let result = self.db.execute_batch("ROLLBACK");
        self.sql(result)
    }

    /// Does `act` in one transaction, with the state as `act` leaves it: all of it, or nothing.
    pub fn transact<T>(&mut self, act: impl FnOnce(&mut Mirror, &mut State) -> Result<T>) -> Result<T> {
        self.begin()?;
        let mut state = self.state.clone();
        match act(self, &mut state) {
            Ok(value) => self.commit(state).map(|()| value),
            Err(error) => {
                // The error that matters is the one that is there already.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Stores a leaf as received, replacing what is there (which only happens to a leaf that is not
    /// verified, or that turned out to be damaged here).
    pub fn put_leaf(&mut self, index: u64, leaf: &[u8]) -> Result<()> {
        let result = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO leaves VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![int(index), leaf]));
        self.sql(result).map(drop)
    }

    /// Forgets the leaves from `index` on: they were never verified.
    pub fn drop_leaves_from(&mut self, index: u64) -> Result<()> {
        let result = self.db.execute("DELETE FROM leaves WHERE idx >= ?1", [int(index)]);
        self.sql(result).map(drop)
    }

    /// Stores the root of a perfect subtree of 256^`level` leaves.
    pub fn put_node(&mut self, level: u8, n: u64, hash: &Hash) -> Result<()> {
        let result = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO nodes VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![level, int(n), hash.0]));
        self.sql(result).map(drop)
    }

    /// Stores what a checked leaf says.
    pub fn put_columns(&mut self, index: u64, columns: &Columns) -> Result<()> {
        let [requested, decided, expires] = match columns.times {
            Some(times) => times.map(|time| Some(int(time))),
            None => [None; 3],
        };
        self.add(
            Table::Columns,
            index..=index,
            "INSERT INTO entry_columns VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) RETURNING *",
            &[
                &int(index),
                &columns.id,
                &columns.decision.map(Decision::as_str),
                &requested,
                &decided,
                &expires,
                &columns.approver,
                &columns.rp_id,
                &columns.key.map(|key| key.0),
                &columns.sign_count,
                &columns.payload_encoding,
                &columns.payload_hash,
            ],
        )
        .map(drop)
    }

    /// Begins the check of all entries anew, in the open transaction: what the checks across
    /// entries remember is forgotten, and findings of entries are pending until they are made
    /// again. The leaves and the heads stay.
    pub fn forget_checks(&mut self, state: &mut State) -> Result<()> {
        self.seen.clear(&self.db).map_err(|fault| fault.of(&self.path))?;
        for table in Table::ALL.into_iter().filter(|table| table.follows_from_leaves()) {
            let result = self.db.execute_batch(&format!("DELETE FROM {}", table.name()));
            self.sql(result.and_then(|()| self.seals.borrow_mut().clear(table, &self.db)))?;
        }
        // Findings beyond, made after a hole, are not made again by checking what is mirrored.
        self.set_pending(state.verified)?;
        state.forget_checks();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON has no key that is a list.
    #[test]
    fn what_cannot_be_encoded_is_not_stored() {
        let value = std::collections::BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(as_json(&value), Err(rusqlite::Error::ToSqlConversionFailure(_))));
    }
}
