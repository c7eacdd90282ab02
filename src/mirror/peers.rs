//! How far the head histories of peers were read.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::seal::Table;
use super::values::int;
use crate::core::hash::{Hash, sha256};
use crate::core::time::UnixMillis;
use rusqlite::OptionalExtension as _;
use std::ops::Deref;

/// How far one peer's history was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerProgress {
    /// The latest time at which the peer says that it first saw a head that is kept here.
    pub since: Option<UnixMillis>,
    /// When the whole history was last read; 0: never.
    pub whole: UnixMillis,
    /// How many times in a row the peer could not be compared with.
    pub failures: u64,
}

fn digest(peer: &str, [since, whole, failures]: [i64; 3]) -> Hash {
    sha256(format!("{peer}\0{since}\0{whole}\0{failures}").as_bytes())
}

/// The store of how far the head histories of peers were read.
pub struct PeerStore<D> {
    db: D,
}

impl<D: Deref<Target = Db>> PeerStore<D> {
    pub(super) fn new(db: D) -> PeerStore<D> {
        PeerStore { db }
    }

    /// How far a peer's history was read. `None` if it never was, or if the row is damaged: all of it is then read
    /// again, so that no head is missed.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn progress(&self, peer: &str) -> Result<Option<PeerProgress>> {
        match self.db.trust(Table::PeerStore, 0..=0) {
            Err(MirrorError::Damaged(..)) => return Ok(None),
            trusted => trusted?,
        }
        let result = self
            .db
            .connection()
            .query_row("SELECT since, whole, failures, digest FROM peers WHERE peer = ?1", [peer], |row| {
                Ok(([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?], row.get::<_, Vec<u8>>(3)?))
            })
            .optional();
        let row = self.db.sql(result)?.filter(|(row, stored)| digest(peer, *row).0.as_slice() == stored);
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(row.map(|([since, whole, failures], _)| PeerProgress {
            since: Some(number(since)).filter(|since| *since > 0).map(UnixMillis::new),
            whole: UnixMillis::new(number(whole)),
            failures: number(failures),
        }))
    }
}

impl PeerStore<&mut Db> {
    /// Records how far a peer's history was read, and how often it failed. Called only after the heads that were read
    /// are kept.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put(&mut self, peer: &str, progress: &PeerProgress) -> Result<()> {
        let since = progress.since.unwrap_or_default();
        let row = [since.get(), progress.whole.get(), progress.failures].map(int);
        let [since, whole, failures] = row;
        if let Err(MirrorError::Damaged(..)) = self.db.trust(Table::PeerStore, 0..=0) {
            // Nothing is then known about any peer, and all histories are read again.
            let result = self.db.connection().execute("DELETE FROM peers", []);
            self.db.sql(result)?;
            self.db.seal_again(Table::PeerStore)?;
        }
        self.db
            .change(
                Table::PeerStore,
                0..=0,
                ("SELECT * FROM peers WHERE peer = ?1", &[&peer]),
                (
                    "INSERT OR REPLACE INTO peers VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *",
                    &[&peer, &since, &whole, &failures, &digest(peer, row).0],
                ),
            )
            .map(drop)
    }
}
