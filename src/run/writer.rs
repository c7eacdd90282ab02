//! Takes checked bundles in order and makes them durable, one transaction a batch.
//!
//! The cursors move in the same transaction as the rows that they cover, so after a crash at any moment the
//! mirror is at the end of some batch. Counts of findings, bytes and entries saturate: all of them only end or
//! flush a batch.

use super::fault::Fault;
use super::verifier::{Bundle, TileCheck, WIDTH};
use crate::audit::across::{Memory as _, Repeat, Sighting, check_key_use, remember_key_use, repeat_finding};
use crate::audit::entries::{CheckedEntry, has_value};
use crate::audit::finding::Finding;
use crate::audit::tally::Tally;
use crate::core::check::Check;
use crate::core::entry::Decision;
use crate::core::finding::{Code, Severity};
use crate::core::hash::Hash;
use crate::core::time::UnixMillis;
use crate::core::tree::CompactRange;
use crate::mirror::state::{Decisions, State};
use crate::mirror::{Mirror, MirrorError};
use std::collections::BTreeMap;

/// Entries in a batch: so many that one sync to disk costs little for each.
const BATCH_ENTRIES: u64 = 8192;

/// Bytes of leaves in a batch: bounds memory if leaves are long.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What the bundles prove when they come from the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each was proved against the signed root: stored, verified and checked at once.
    Proved,
    /// Nothing is proved before the last: stored only.
    Unproved,
    /// They were in the mirror already: checked only.
    Mirrored,
}

/// Takes bundles in order and makes them durable.
pub(super) struct Writer<'m> {
    mirror: &'m mut Mirror,
    mode: Mode,
    now: UnixMillis,
    state: State,
    /// The tree of all leaves taken so far.
    frontier: CompactRange,
    tally: Tally,
    batch: Vec<Bundle>,
    batch_bytes: usize,
    batch_entries: u64,
    batch_findings: u64,
    /// Findings that stood at the beginning, and those recorded since.
    findings: u64,
}

impl<'m> Writer<'m> {
    /// Begins where the mirror is. Findings get the time `now`.
    ///
    /// # Errors
    /// The mirror cannot be read, or its tree does not fit its state.
    pub(super) fn new(mirror: &'m mut Mirror, mode: Mode, now: UnixMillis) -> Result<Writer<'m>, Fault> {
        let state = mirror.state().clone();
        let frontier = frontier_of(&state, mirror)?;
        let tally = state.tally();
        let findings = mirror.findings().count()?;
        Ok(Writer {
            mirror,
            mode,
            now,
            state,
            frontier,
            tally,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_entries: 0,
            batch_findings: 0,
            findings,
        })
    }

    /// The tree of all leaves taken so far.
    pub(super) fn frontier(&self) -> &CompactRange {
        &self.frontier
    }

    /// Findings that stood at the beginning, and those made since, whether recorded yet or not.
    pub(super) fn findings(&self) -> u64 {
        self.findings.saturating_add(self.batch_findings)
    }

    /// Takes the next bundle. It is kept in memory until [`Self::flush`].
    ///
    /// # Errors
    /// The tree cannot grow that far.
    pub(super) fn take(&mut self, bundle: Bundle) -> Result<(), Fault> {
        if self.mode != Mode::Mirrored {
            append(&mut self.frontier, &bundle)?;
        }
        let bytes: usize = bundle.leaves.iter().map(Vec::len).sum();
        self.batch_bytes = self.batch_bytes.saturating_add(bytes);
        self.batch_entries = self.batch_entries.saturating_add(bundle.leaves.len() as u64);
        let findings: usize = bundle.checked.iter().map(|entry| entry.findings.len()).sum();
        self.batch_findings = self.batch_findings.saturating_add(findings as u64);
        self.batch.push(bundle);
        Ok(())
    }

    /// Whether enough was taken to be worth a transaction.
    pub(super) fn is_full(&self) -> bool {
        self.batch_entries >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES
    }

    /// Makes what was taken durable, if it is worth a transaction.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(super) fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.is_full() { self.flush() } else { Ok(()) }
    }

    /// Whether a bundle begins with other leaves than those that were proved and mirrored before. Only
    /// the first bundle of a pass begins so early, and the mirror's own leaves of it were hashed again before.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub(super) fn contradicts(&self, bundle: &Bundle) -> Result<bool, Fault> {
        if bundle.first >= self.state.verified {
            return Ok(false);
        }
        let ours = self.mirror.leaves().range(bundle.first, self.state.verified)?;
        Ok(ours.iter().zip(&bundle.leaves).any(|(ours, theirs)| ours != theirs))
    }

    /// How many bundles wait to be made durable.
    pub(super) fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// The tree after the first `bundles` of those that wait.
    ///
    /// # Errors
    /// The tree cannot grow that far, or does not fit the mirror's state.
    pub(super) fn frontier_after(&self, bundles: usize) -> Result<CompactRange, Fault> {
        let mut frontier = frontier_of(&self.state, self.mirror)?;
        self.batch.iter().take(bundles).try_for_each(|bundle| append(&mut frontier, bundle))?;
        Ok(frontier)
    }

    /// Drops all that wait but the first `bundles`.
    ///
    /// # Errors
    /// As [`Self::frontier_after`].
    pub(super) fn keep_first(&mut self, bundles: usize) -> Result<(), Fault> {
        self.frontier = self.frontier_after(bundles)?;
        self.batch.truncate(bundles);
        Ok(())
    }

    /// Makes everything taken so far durable.
    ///
    /// # Errors
    /// The mirror cannot be read or written, or entries before the batch were not checked.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        let batch = std::mem::take(&mut self.batch);
        (self.batch_bytes, self.batch_entries, self.batch_findings) = (0, 0, 0);
        if batch.is_empty() {
            return Ok(());
        }
        let first = batch.first().map_or(0, |bundle| bundle.first);
        if self.mode != Mode::Unproved && first > self.state.checked {
            // The last line of defence: the cursor says that all entries before it were checked.
            let what = format!(
                "entries {} to {first} would count as checked without having been read",
                self.state.checked
            );
            return Err(Fault::Disagreement(what));
        }
        self.mirror.begin()?;
        let mut state = self.state.clone();
        let end = batch.last().map_or(0, |b| b.first.saturating_add(b.leaves.len() as u64));
        if self.mode != Mode::Mirrored {
            self.store(&batch, &state)?;
            state.downloaded = end;
        }
        if self.mode == Mode::Proved {
            state.set_frontier(&self.frontier);
        }
        if self.mode != Mode::Unproved {
            self.record(&batch, &mut state.decisions)?;
            state.checked = end;
            state.set_tally(&self.tally);
        }
        self.mirror.commit(state)?;
        self.state = self.mirror.state().clone();
        Ok(())
    }

    fn store(&mut self, batch: &[Bundle], state: &State) -> Result<(), Fault> {
        for bundle in batch {
            for (offset, leaf) in (0u64..).zip(&bundle.leaves) {
                let index = bundle.first.saturating_add(offset);
                if index >= state.downloaded {
                    self.mirror.leaves_mut().put(index, leaf)?;
                }
            }
            if bundle.leaves.len() as u64 == WIDTH {
                put_nodes(self.mirror, bundle.first / WIDTH, &bundle.root)?;
            }
        }
        Ok(())
    }

    /// After a hole in the log: the bundle is proved, so what is wrong with its entries is recorded.
    /// What depends on the entries before it is not checked, and the cursors stay.
    ///
    /// # Errors
    /// The mirror cannot be read or written.
    pub(super) fn take_findings_only(&mut self, bundle: &Bundle) -> Result<(), Fault> {
        self.flush()?;
        self.mirror.begin()?;
        for finding in bundle.checked.iter().flat_map(|entry| &entry.findings) {
            self.put_finding(finding)?;
        }
        if let TileCheck::Doubt(doubt) = &bundle.tile {
            self.put_finding(&doubt.finding())?;
        }
        let state = self.mirror.state().clone();
        self.mirror.commit(state)?;
        Ok(())
    }

    fn put_finding(&mut self, finding: &Finding) -> Result<(), Fault> {
        self.findings = self.findings.saturating_add(u64::from(finding.severity > Severity::Info));
        Ok(self.mirror.findings_mut().put(finding, self.now)?)
    }

    /// Columns, findings, and the checks across entries, in log order.
    fn record(&mut self, batch: &[Bundle], decisions: &mut Decisions) -> Result<(), Fault> {
        let entries = || batch.iter().flat_map(|bundle| &bundle.checked);
        let mut sightings: Vec<Sighting> =
            entries().flat_map(|entry| entry.sightings.iter().copied()).collect();
        let seen = sightings.clone();
        let repeats = self.mirror.memory_mut().remember(&mut sightings)?;
        for sighting in &seen {
            self.tally.add(sighting.kind.check(), 1, 0, 0);
        }
        for bundle in batch {
            self.tally.merge(&bundle.tally);
            match &bundle.tile {
                TileCheck::NotCompared => {}
                TileCheck::Same => self.tally.record(Check::Tiles, true),
                TileCheck::Doubt(doubt) => {
                    self.tally.record(Check::Tiles, false);
                    self.put_finding(&doubt.finding())?;
                }
            }
        }
        let ids: BTreeMap<u64, &str> = match repeats.is_empty() {
            true => BTreeMap::new(),
            false => entries().filter_map(|e| Some((e.index, e.columns.id.as_deref()?))).collect(),
        };
        for repeat in &repeats {
            self.confirm_repeat(repeat)?;
            let index = repeat.sighting.index;
            self.tally.fail_instead(repeat.sighting.kind.check());
            let finding = repeat_finding(repeat, ids.get(&index).copied());
            self.put_finding(&finding)?;
        }
        for entry in entries() {
            self.record_entry(entry, decisions)?;
        }
        Ok(())
    }

    /// A repetition rests on what the mirror remembers, so the leaf of the first entry must have the value, too.
    fn confirm_repeat(&self, repeat: &Repeat) -> Result<(), Fault> {
        let first = Sighting { index: repeat.first, ..repeat.sighting };
        let leaves = self.mirror.leaves().range(repeat.first, repeat.first.saturating_add(1))?;
        match leaves.first() {
            Some(leaf) if has_value(leaf, &first, &self.state.origin) => Ok(()),
            _ => Err(Fault::Mirror(MirrorError::wrong_memory(self.mirror.path(), repeat.first))),
        }
    }

    fn record_entry(&mut self, entry: &CheckedEntry, decisions: &mut Decisions) -> Result<(), Fault> {
        self.mirror.entries_mut().put(entry.index, &entry.columns)?;
        let count = match entry.columns.decision {
            Some(Decision::Approved) => &mut decisions.approved,
            Some(Decision::Rejected) => &mut decisions.rejected,
            Some(Decision::Expired) => &mut decisions.expired,
            None => &mut decisions.unreadable,
        };
        *count = count.saturating_add(1);
        for finding in &entry.findings {
            self.put_finding(finding)?;
        }
        let id = entry.columns.id.as_deref();
        if let Some(used) = &entry.key_use {
            let findings = check_key_use(&mut self.mirror.memory_mut(), used, entry.index, id)?;
            let held = |code: Code| !findings.iter().any(|finding| finding.code == code);
            self.tally.record(Check::KeyOwnership, held(Code::KeyShared));
            let history =
                [Code::CredentialRelabelled, Code::BackupEligibilityChanged, Code::SignCountRegression];
            self.tally.record(Check::KeyHistory, history.into_iter().all(held));
            for finding in &findings {
                self.put_finding(finding)?;
            }
        }
        if let Some(used) = &entry.stray_key_use {
            remember_key_use(&mut self.mirror.memory_mut(), used, entry.index)?;
        }
        // Compared with heads once they are known to be of this tree: see `decided`.
        self.tally.add(Check::DecidedBeforeHead, 0, 0, u64::from(entry.columns.times.is_some()));
        Ok(())
    }
}

fn frontier_of(state: &State, mirror: &Mirror) -> Result<CompactRange, MirrorError> {
    let damaged =
        || MirrorError::Damaged(mirror.path().to_owned(), "its frontier does not fit its cursor".to_owned());
    state.frontier().ok_or_else(damaged)
}

/// Extends a tree by a bundle's leaves that are new to it.
fn append(frontier: &mut CompactRange, bundle: &Bundle) -> Result<(), Fault> {
    let whole = bundle.first == frontier.end() && bundle.hashes.len() as u64 == WIDTH;
    let overflow = |_| Fault::Disagreement("the tree cannot grow that far".to_owned());
    if whole {
        return frontier.append_subtree(8, bundle.root).map_err(overflow);
    }
    for (offset, hash) in (0u64..).zip(&bundle.hashes) {
        // The first bundle may begin with leaves that are in the tree already.
        if bundle.first.saturating_add(offset) == frontier.end() {
            frontier.append_leaf(*hash).map_err(overflow)?;
        }
    }
    Ok(())
}

/// Stores the root of bundle `n`, and of every larger perfect subtree that it completes.
fn put_nodes(mirror: &mut Mirror, n: u64, root: &Hash) -> Result<(), Fault> {
    mirror.leaves_mut().put_node(1, n, root)?;
    let (mut level, mut n) = (1u8, n);
    while n % WIDTH == WIDTH - 1 && level < 7 {
        let parent = n / WIDTH;
        let mut folded = CompactRange::new(0);
        for child in parent.saturating_mul(WIDTH)..=n {
            let missing =
                || MirrorError::Damaged(mirror.path().to_owned(), format!("node {child} is missing"));
            let hash = mirror.leaves().node(level, child)?.ok_or_else(missing)?;
            folded.append_subtree(0, hash).map_err(|_| missing())?;
        }
        level = level.saturating_add(1);
        mirror.leaves_mut().put_node(level, parent, &folded.root())?;
        n = parent;
    }
    Ok(())
}
