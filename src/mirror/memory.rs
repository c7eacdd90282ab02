//! The memory of the checks across entries ([`crate::audit::across::Memory`]): the seen values, which [`super::seen`]
//! keeps, and two tables of passkeys.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::seal::{Table, approver_slot, digest_key};
use super::seen::Cursor;
use super::values::int;
use crate::audit::across::{KnownKey, Memory, Repeat, Sighting, Unique};
use crate::core::hash::{Hash, sha256};
use rusqlite::{OptionalExtension as _, Row, params};
use std::ops::Deref;

/// The backup eligibility if no authenticator data of the key has parsed so far: the column is not NULL.
const UNKNOWN: i64 = 2;

/// The store of the memory of the checks across entries.
pub struct EntryMemory<D> {
    db: D,
}

impl<D: Deref<Target = Db>> EntryMemory<D> {
    pub(super) fn new(db: D) -> EntryMemory<D> {
        EntryMemory { db }
    }

    /// Whether this approver has signed anything in the log.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn has_signed(&self, approver: &str) -> Result<bool> {
        let slot = approver_slot(approver);
        self.db.trust(Table::ApproverKeys, slot..=slot)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM approver_keys WHERE slot = ?1 AND approver = ?2)";
        let result = self.db.connection().query_row(sql, params![int(slot), approver], |row| row.get(0));
        self.db.sql(result)
    }

    /// The first checked entry with this id, according to the memory of the checks across entries: one look-up,
    /// however long the log. The caller must confirm the id with the entry's leaf.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn first_with_id(&self, id: &str) -> Result<Option<u64>> {
        self.first(Unique::Id, id.as_bytes())
    }

    /// The first checked entry with this nonce, likewise.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn first_with_nonce(&self, nonce: &[u8]) -> Result<Option<u64>> {
        self.first(Unique::Nonce, nonce)
    }

    fn first(&self, kind: Unique, value: &[u8]) -> Result<Option<u64>> {
        let (seen, connection) = self.db.seen();
        seen.first(connection, kind.fingerprint(value)).map_err(|fault| fault.of(self.db.path()))
    }

    /// The entry in which this key was first used.
    ///
    /// # Errors
    /// `MirrorError` if the known keys are not what was written, or if the mirror cannot be read.
    pub(super) fn first_use(&self, key: &Hash) -> Result<Option<u64>> {
        let slot = digest_key(&key.0);
        self.db.trust(Table::Keys, slot..=slot)?;
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT first_idx FROM keys WHERE key = ?1")
            .and_then(|mut select| select.query_row([key.0], |row| row.get(0)).optional());
        self.db.sql(result)
    }

    /// Compares every row of the seen values with the state. Takes time in proportion to the size of the mirror;
    /// `false` if `stopped` ended it, which says nothing about the rows.
    ///
    /// # Errors
    /// `MirrorError` if a row is missing, is superfluous, or does not match the state.
    pub(super) fn check_seen(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        let (seen, connection) = self.db.seen();
        seen.check(connection, stopped).map_err(|fault| fault.of(self.db.path()))
    }

    /// Compares this many blocks of seen values, and the rows above them, with the state, from the cursor to at most
    /// the end of the last run. Returns the cursor for the next call.
    ///
    /// # Errors
    /// `MirrorError` if a row is missing or does not match the state.
    pub(super) fn scrub_seen(&self, from: Cursor, blocks: u64) -> Result<Cursor> {
        let (seen, connection) = self.db.seen();
        seen.scrub(connection, from, blocks).map_err(|fault| fault.of(self.db.path()))
    }
}

impl EntryMemory<&mut Db> {
    /// Deletes everything, in the open transaction, because all entries are to be checked again.
    pub(super) fn forget(&mut self) -> Result<()> {
        let (seen, connection) = self.db.seen_mut();
        seen.clear(connection).map_err(|fault| fault.of(self.db.path()))?;
        self.db.clear(Table::Keys)?;
        self.db.clear(Table::ApproverKeys)
    }
}

impl Memory for EntryMemory<&mut Db> {
    type Error = MirrorError;

    fn remember(&mut self, sightings: &mut [Sighting]) -> Result<Vec<Repeat>> {
        let (seen, connection) = self.db.seen_mut();
        seen.remember(connection, sightings).map_err(|fault| fault.of(self.db.path()))
    }

    fn key(&mut self, key: &Hash) -> Result<Option<KnownKey>> {
        let slot = digest_key(&key.0);
        self.db.trust(Table::Keys, slot..=slot)?;
        let result = self
            .db
            .connection()
            .prepare_cached(
                "SELECT first_idx, approver, credential, backup_eligible, last_count, last_count_idx, digest
                 FROM keys WHERE key = ?1",
            )
            .and_then(|mut select| {
                select.query_row([key.0], |row| Ok((known_key(row)?, row.get::<_, Vec<u8>>(6)?))).optional()
            });
        match self.db.sql(result)? {
            Some((known, stored)) if digest(key, &known).0.as_slice() != stored => {
                Err(MirrorError::wrong_memory(self.db.path(), known.first_index))
            }
            found => Ok(found.map(|(known, _)| known)),
        }
    }

    fn set_key(&mut self, key: &Hash, known: &KnownKey) -> Result<()> {
        let slot = digest_key(&key.0);
        self.db
            .change(
                Table::Keys,
                slot..=slot,
                ("SELECT * FROM keys WHERE key = ?1", &[&key.0]),
                (
                    "INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING *",
                    &[
                        &key.0,
                        &int(known.first_index),
                        &known.approver,
                        &known.credential.0,
                        &known.backup_eligible.map_or(UNKNOWN, i64::from),
                        &known.last_count.map(|(count, _)| count),
                        &known.last_count.map(|(_, index)| int(index)),
                        &digest(key, known).0,
                    ],
                ),
            )
            .map(drop)
    }

    fn note_approver_key(&mut self, approver: &str, key: &Hash) -> Result<bool> {
        let slot = approver_slot(approver);
        self.db.trust(Table::ApproverKeys, slot..=slot)?;
        let sql =
            "SELECT EXISTS (SELECT 1 FROM approver_keys WHERE slot = ?1 AND approver = ?2 AND key <> ?3)";
        let result =
            self.db.connection().prepare_cached(sql).and_then(|mut select| {
                select.query_row(params![int(slot), approver, key.0], |row| row.get(0))
            });
        let other = self.db.sql(result)?;
        let sql = "INSERT OR IGNORE INTO approver_keys VALUES (?1, ?2, ?3) RETURNING *";
        let new = self.db.add(Table::ApproverKeys, slot..=slot, sql, &[&int(slot), &approver, &key.0])?;
        Ok(other && new > 0)
    }
}

fn known_key(row: &Row<'_>) -> rusqlite::Result<KnownKey> {
    let count: Option<u32> = row.get(4)?;
    let at: Option<u64> = row.get(5)?;
    Ok(KnownKey {
        first_index: row.get(0)?,
        approver: row.get(1)?,
        credential: Hash(row.get(2)?),
        backup_eligible: match row.get(3)? {
            UNKNOWN => None,
            eligible => Some(eligible != 0),
        },
        last_count: count.zip(at),
    })
}

/// A digest of all columns of a row of `keys`.
fn digest(key: &Hash, known: &KnownKey) -> Hash {
    let (count, at) = known.last_count.unwrap_or_default();
    let eligible =
        known.backup_eligible.map_or("unknown", |eligible| if eligible { "true" } else { "false" });
    let text = format!(
        "{key} {} {} {eligible} {count} {at} {}",
        known.first_index, known.credential, known.approver
    );
    sha256(text.as_bytes())
}
