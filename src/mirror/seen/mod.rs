//! The ids, nonces and assertions that were seen, and the entry in which each was first seen: the memory behind
//! [`crate::audit::across::Memory::remember`], for logs of tens of millions of entries.
//!
//! SQLite has no checksums. If a disk loses a write, a page is as it was before, and nothing in it shows that: a
//! nonce on that page is unknown, and its replay passes. Rows are therefore used only after they were verified.
//! Values are kept in *runs*, which are sorted and never changed once written.
//!
//! - A *block* has 335 records: a fingerprint, and the index of the entry that had it first.
//! - A *fence* covers up to 64 blocks: the first fingerprint and the SHA-256 of each, and a Bloom filter over all
//!   records.
//! - A *header* covers the fences of the run: the first fingerprint and the SHA-256 of each.
//! - The state has the SHA-256 of the header of each run ([`RunRef`]). The state itself is digested, and `.mark`
//!   reveals an old one.
//!
//! A value is absent from a run if it sorts before the first record, if the filter of the only fence that could
//! contain it says so, or if the only block that could contain it does not. Each of these is read from a row whose
//! digest is in the row above, so presence and absence are as authentic as the state. A look-up reads up to three
//! rows per run.
//!
//! A batch becomes a run; runs of about the same size are merged ([`mod@merge`]), so that there are few of them and
//! nothing is ever inserted in the middle. All of this is part of the caller's transaction: the committed rows are
//! those that the committed state names.

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
use fault::{Result, StoreFault};
use key::{Key, key_of};
use layout::{SHAPE, Shape};
use merge::{Source, merge, plan};
use run::{Caches, SortedRun};
use rusqlite::Connection;

/// The runs of an open mirror. They become part of the state when a transaction is committed.
pub(super) struct Seen {
    shape: Shape,
    /// The runs, ascending by number.
    runs: Vec<RunRef>,
    caches: Caches,
}

impl Seen {
    /// Starts with the runs of the state. Reads nothing.
    pub fn new(runs: &[RunRef]) -> Seen {
        Seen { shape: SHAPE, runs: runs.to_vec(), caches: Caches::new() }
    }

    /// The runs, for the state.
    pub fn runs(&self) -> &[RunRef] {
        &self.runs
    }

    /// Goes back to the runs of the state, after a transaction was rolled back.
    pub fn reset(&mut self, runs: &[RunRef]) {
        self.runs = runs.to_vec();
    }

    /// Deletes everything, in the open transaction.
    pub fn clear(&mut self, db: &Connection) -> Result<()> {
        rows::delete_all(db)?;
        self.runs.clear();
        Ok(())
    }

    /// Remembers values, in the open transaction, and returns those that were already known.
    pub fn remember(&mut self, db: &Connection, sightings: &mut [Sighting]) -> Result<Vec<Repeat>> {
        // Sorted by index within a fingerprint, so that the first of two equal values counts as first.
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

    /// The entries that had these sorted values first.
    fn find(&self, db: &Connection, keys: &[Key]) -> Result<Vec<Option<u64>>> {
        let mut found = vec![None; keys.len()];
        for run in &self.runs {
            if found.iter().all(Option::is_some) {
                break;
            }
            SortedRun::open_cached(db, self.shape, run, &self.caches)?.find(
                &self.caches,
                keys,
                &mut found,
            )?;
        }
        Ok(found)
    }

    /// Adds sorted values that are in no run. If it fails, the caller must roll the transaction back.
    fn insert(&mut self, db: &Connection, fresh: &[Record]) -> Result<()> {
        let most = usize::try_from(self.shape.largest).unwrap_or(usize::MAX);
        for fresh in fresh.chunks(most) {
            self.runs = self.with(db, fresh)?;
        }
        Ok(())
    }

    /// The runs after these values were added, as a new run or as part of a merged one.
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
                return Err(StoreFault::Wrong("no run can be added".to_owned()));
            }
            let total =
                group.iter().filter_map(|number| sizes.get(*number)).fold(0, |a, b| b.saturating_add(a));
            let merged: Vec<&RunRef> = group.iter().filter_map(|number| self.runs.get(*number)).collect();
            let mut sources = Vec::new();
            if merged.len() < group.len() {
                sources.push(Source::Batch(fresh.iter()));
            }
            for run in &merged {
                sources.push(Source::run(SortedRun::open(db, self.shape, run)?));
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
