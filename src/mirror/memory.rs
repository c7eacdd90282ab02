//! What the checks across entries remember ([`crate::audit::across::Memory`]): what was seen, which [`super::seen`]
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

/// Backup eligibility where no authenticator data of the key parsed so far: the column is not NULL.
const UNKNOWN: i64 = 2;

/// What the checks across entries remember.
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
    /// The mirror is damaged, or cannot be read.
    pub fn has_signed(&self, approver: &str) -> Result<bool> {
        let slot = approver_slot(approver);
        self.db.trust(Table::ApproverKeys, slot..=slot)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM approver_keys WHERE slot = ?1 AND approver = ?2)";
        let result = self.db.connection().query_row(sql, params![int(slot), approver], |row| row.get(0));
        self.db.sql(result)
    }

    /// The first checked entry with this id, out of what the checks across entries remember: one look,
    /// however long the log. Whether that entry has the id is for its leaf to say.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be read.
    pub fn first_with_id(&self, id: &str) -> Result<Option<u64>> {
        let (seen, connection) = self.db.seen();
        let fingerprint = Unique::Id.fingerprint(id.as_bytes());
        seen.first(connection, fingerprint).map_err(|fault| fault.of(self.db.path()))
    }

    /// The entry in which this key was first used.
    ///
    /// # Errors
    /// What is known of keys is not what was written, or the mirror cannot be read.
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

    /// Holds every row of what was seen against the state. Time in proportion to the mirror; `false` where `stopped`
    /// ended it, and nothing is known.
    ///
    /// # Errors
    /// A row is missing, is too many, or is not what the state says.
    pub(super) fn check_seen(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        let (seen, connection) = self.db.seen();
        seen.check(connection, stopped).map_err(|fault| fault.of(self.db.path()))
    }

    /// Holds so many blocks of what was seen, and what is above them, against the state: from the cursor on, up to the
    /// end of the last run. Gives the cursor for the next time.
    ///
    /// # Errors
    /// A row is missing, or is not what the state says.
    pub(super) fn scrub_seen(&self, from: Cursor, blocks: u64) -> Result<Cursor> {
        let (seen, connection) = self.db.seen();
        seen.scrub(connection, from, blocks).map_err(|fault| fault.of(self.db.path()))
    }
}

impl EntryMemory<&mut Db> {
    /// Forgets everything, in the open transaction: all entries are checked again.
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

/// Over everything that a row of `keys` says.
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
