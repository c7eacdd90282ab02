//! What ids, nonces and assertions were seen, and where first: the memory behind
//! [`crate::audit::across::Memory::remember`], for logs of tens of millions of entries.
//!
//! SQLite has no checksums. If a disk loses one write, a page is what it was before, and nothing in it says so: a nonce
//! that stood there is unknown, and its replay passes. So nothing is believed here for having been read. Values are kept
//! in *runs*: sorted, and never changed once written.
//!
//! - A *block* is 335 records: a fingerprint, and the index of the entry that had it first.
//! - A *fence* is over up to 64 blocks: of each the first fingerprint and the SHA-256, and a Bloom filter over all records.
//! - A *header* is over the fences of the run: of each the first fingerprint and the SHA-256.
//! - The state has of each run the SHA-256 of the header ([`RunRef`]). It is digested itself, and `.mark` tells when it is
//!   an old one.
//!
//! A value is absent from a run if it sorts before the first record, or if the filter of the one fence that could have it
//! says so, or if the one block that could have it has it not. Each of these is read off a row that has the digest which
//! the row above says, so a presence and an absence are as authentic as the state. A look-up costs up to three rows a run.
//!
//! A batch becomes a run; runs of about one size are merged ([`merge`]), so that there are few of them and nothing is
//! ever inserted in the middle. All of it is part of the caller's transaction: with the state that is committed, the rows
//! are those that it names.

mod block;
mod cache;
mod check;
mod fault;
mod filter;
mod key;
mod layout;
mod merge;
mod rows;
mod run;
mod run_ref;
#[cfg(test)]
mod tests;

pub use check::Cursor;
pub use run_ref::RunRef;

use crate::audit::across::{Fingerprint, Repeat, Sighting};
use block::Record;
use fault::{Fault, Result};
use key::{Key, key_of};
use layout::{SHAPE, Shape};
use merge::{Source, merge, plan};
use run::{Caches, Run};
use rusqlite::Connection;

/// The runs of an open mirror. They become those of the state when a transaction is committed.
pub(super) struct Seen {
    shape: Shape,
    /// By number.
    runs: Vec<RunRef>,
    caches: Caches,
}

impl Seen {
    /// With the runs of the state. Nothing is read.
    pub fn new(runs: &[RunRef]) -> Seen {
        Seen { shape: SHAPE, runs: runs.to_vec(), caches: Caches::new() }
    }

    /// The runs, for the state.
    pub fn runs(&self) -> &[RunRef] {
        &self.runs
    }

    /// Back to the runs of the state: a transaction was given up.
    pub fn reset(&mut self, runs: &[RunRef]) {
        self.runs = runs.to_vec();
    }

    /// Forgets everything, in the open transaction.
    pub fn clear(&mut self, db: &Connection) -> Result<()> {
        rows::delete_all(db)?;
        self.runs.clear();
        Ok(())
    }

    /// Remembers values, in the open transaction, and gives those that were known already.
    pub fn remember(&mut self, db: &Connection, sightings: &mut [Sighting]) -> Result<Vec<Repeat>> {
        // By index within a fingerprint, so that the first of two is the one that counts as first.
        sightings.sort_unstable_by_key(|sighting| (sighting.fingerprint, sighting.index));
        let groups = || sightings.chunk_by(|a, b| a.fingerprint == b.fingerprint);
        let firsts = groups().filter_map(|group| group.first());
        let firsts: Vec<Record> =
            firsts.map(|first| Record { key: key_of(first.fingerprint), index: first.index }).collect();
        let keys: Vec<Key> = firsts.iter().map(|first| first.key).collect();
        let known = self.find(db, &keys)?;
        let mut fresh = Vec::new();
        let mut repeats = Vec::new();
        for ((group, first), known) in groups().zip(firsts).zip(known) {
            if known.is_none() {
                fresh.push(first);
            }
            let first = known.unwrap_or(first.index);
            let later = group.iter().filter(|sighting| sighting.index != first);
            repeats.extend(later.map(|sighting| Repeat { sighting: *sighting, first }));
        }
        self.insert(db, &fresh)?;
        repeats.sort_unstable_by_key(|repeat| repeat.sighting.index);
        Ok(repeats)
    }

    /// The entry that had this value first.
    pub fn first(&self, db: &Connection, fingerprint: Fingerprint) -> Result<Option<u64>> {
        let found = self.find(db, &[key_of(fingerprint)])?;
        Ok(found.first().copied().flatten())
    }

    /// The entries that had these values first; the values are sorted.
    fn find(&self, db: &Connection, keys: &[Key]) -> Result<Vec<Option<u64>>> {
        let mut found = vec![None; keys.len()];
        for run in &self.runs {
            if found.iter().all(Option::is_some) {
                break;
            }
            Run::open_cached(db, self.shape, run, &self.caches)?.find(&self.caches, keys, &mut found)?;
        }
        Ok(found)
    }

    /// Adds values that are in no run; they are sorted. Where it fails, the transaction is to be given up.
    fn insert(&mut self, db: &Connection, fresh: &[Record]) -> Result<()> {
        let most = usize::try_from(self.shape.largest).unwrap_or(usize::MAX);
        for fresh in fresh.chunks(most) {
            self.runs = self.with(db, fresh)?;
        }
        Ok(())
    }

    /// The runs after these values were added: they become a run, or part of one that is merged.
    fn with(&self, db: &Connection, fresh: &[Record]) -> Result<Vec<RunRef>> {
        let mut sizes: Vec<u64> = self.runs.iter().map(|run| run.records()).collect();
        sizes.push(u64::try_from(fresh.len()).unwrap_or(u64::MAX));
        let mut runs = Vec::new();
        let mut last = self.runs.last().map_or(0, |run| run.id());
        for group in plan(self.shape, &sizes) {
            if let [only] = group.as_slice()
                && let Some(run) = self.runs.get(*only)
            {
                runs.push(run.clone());
                continue;
            }
            // Row ids are signed.
            last = last.saturating_add(1);
            if i32::try_from(last).is_err() {
                return Err(Fault::Wrong("no run can be added".to_owned()));
            }
            let total =
                group.iter().filter_map(|number| sizes.get(*number)).fold(0, |a, b| b.saturating_add(a));
            let merged: Vec<&RunRef> = group.iter().filter_map(|number| self.runs.get(*number)).collect();
            let mut sources = Vec::new();
            if merged.len() < group.len() {
                sources.push(Source::Batch(fresh.iter()));
            }
            for run in &merged {
                sources.push(Source::run(Run::open(db, self.shape, run)?));
            }
            runs.push(merge(db, self.shape, last, total, sources)?);
            for run in merged {
                rows::delete_run(db, run.id())?;
            }
        }
        runs.sort_unstable_by_key(|run| run.id());
        Ok(runs)
    }

    /// See [`check::all`].
    pub fn check(&self, db: &Connection, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        check::all(db, self.shape, &self.runs, stopped)
    }

    /// See [`check::some`].
    pub fn scrub(&self, db: &Connection, from: Cursor, blocks: u64) -> Result<Cursor> {
        check::some(db, self.shape, &self.runs, from, blocks)
    }
}
