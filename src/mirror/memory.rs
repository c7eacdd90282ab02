//! What the checks across entries remember ([`crate::audit::across::Memory`]): what was seen, which [`super::seen`]
//! keeps, and two tables of passkeys.

use super::Mirror;
use super::error::{MirrorError, Result};
use super::seal::{Table, approver_slot, digest_key};
use super::values::int;
use crate::audit::across::{KnownKey, Memory, Repeat, Sighting};
use crate::core::hash::{Hash, sha256};
use rusqlite::{OptionalExtension as _, Row, params};

/// Backup eligibility where no authenticator data of the key parsed so far: the column is not NULL.
const UNKNOWN: i64 = 2;

impl Memory for Mirror {
    type Error = MirrorError;

    fn remember(&mut self, sightings: &mut [Sighting]) -> Result<Vec<Repeat>> {
        self.seen.remember(&self.db, sightings).map_err(|fault| fault.of(&self.path))
    }

    fn key(&mut self, key: &Hash) -> Result<Option<KnownKey>> {
        let slot = digest_key(&key.0);
        self.trust(Table::Keys, slot..=slot)?;
        let result = self
            .db
            .prepare_cached(
                "SELECT first_idx, approver, credential, backup_eligible, last_count, last_count_idx, digest
                 FROM keys WHERE key = ?1",
            )
            .and_then(|mut select| {
                select.query_row([key.0], |row| Ok((known_key(row)?, row.get::<_, Vec<u8>>(6)?))).optional()
            });
        match self.sql(result)? {
            Some((known, stored)) if digest(key, &known).0.as_slice() != stored => {
                Err(self.wrong_memory(known.first_index))
            }
            found => Ok(found.map(|(known, _)| known)),
        }
    }

    fn set_key(&mut self, key: &Hash, known: &KnownKey) -> Result<()> {
        let slot = digest_key(&key.0);
        self.change(
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
        self.trust(Table::ApproverKeys, slot..=slot)?;
        let sql =
            "SELECT EXISTS (SELECT 1 FROM approver_keys WHERE slot = ?1 AND approver = ?2 AND key <> ?3)";
        let result = self
            .db
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row(params![int(slot), approver, key.0], |row| row.get(0)));
        let other = self.sql(result)?;
        let sql = "INSERT OR IGNORE INTO approver_keys VALUES (?1, ?2, ?3) RETURNING *";
        let new = self.add(Table::ApproverKeys, slot..=slot, sql, &[&int(slot), &approver, &key.0])?;
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

impl Mirror {
    /// The fault of a memory that says something else than the entry it is of.
    pub fn wrong_memory(&self, index: u64) -> MirrorError {
        MirrorError::WrongMemory(
            self.path.clone(),
            format!("it says of entry {index} what that does not say"),
        )
    }
}
