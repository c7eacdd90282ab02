//! How far the histories of heads that others keep were read.

use super::write::int;
use super::{Mirror, Result};
use crate::core::hash::{Hash, sha256};
use rusqlite::{OptionalExtension as _, params};

/// How far one peer's history was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerProgress {
    /// The latest time at which the peer, by its own word, first saw a head that is kept here: Unix milliseconds.
    pub since: Option<u64>,
    /// When all of its history was read last: Unix milliseconds.
    pub whole: u64,
}

fn digest(peer: &str, since: i64, whole: i64) -> Hash {
    sha256(format!("{peer}\0{since}\0{whole}").as_bytes())
}

impl Mirror {
    /// How far a peer's history was read. `None` where it never was, or where the row is damaged: then all of
    /// it is read again, and nothing is passed over.
    pub fn peer(&self, peer: &str) -> Result<Option<PeerProgress>> {
        let result = self
            .db
            .query_row("SELECT since, whole, digest FROM peers WHERE peer = ?1", [peer], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional();
        let whole = self.sql(result)?;
        let sound =
            whole.filter(|(since, whole, stored)| digest(peer, *since, *whole).0.as_slice() == stored);
        Ok(sound.map(|(since, whole, _)| PeerProgress {
            since: u64::try_from(since).ok().filter(|since| *since > 0),
            whole: u64::try_from(whole).unwrap_or(0),
        }))
    }

    /// Records how far a peer's history was read: only once what was read is kept.
    pub fn put_peer(&mut self, peer: &str, progress: &PeerProgress) -> Result<()> {
        let (since, whole) = (int(progress.since.unwrap_or(0)), int(progress.whole));
        let result = self.db.execute(
            "INSERT OR REPLACE INTO peers VALUES (?1, ?2, ?3, ?4)",
            params![peer, since, whole, digest(peer, since, whole).0],
        );
        self.sql(result).map(drop)
    }
}
