//! The mirror's single row of state: cursors, frontier, counts.

use super::seal::{self, Node, Table};
use super::seen::{Cursor, RunRef};
use crate::audit::tally::{Count, Tally};
use crate::core::check::Check;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::time::UnixMillis;
use crate::core::tree::CompactRange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything in the mirror that changes with a transaction and does not have its own row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Random name of this mirror.
    pub mirror: String,
    /// Number of transactions so far.
    pub generation: u64,
    /// The log's origin.
    pub origin: String,
    /// The vkey the mirror was created with.
    pub log_key: String,
    /// Leaves `[0, downloaded)` are stored.
    pub downloaded: u64,
    /// Leaves `[0, verified)` are proved to be what a signed head commits to.
    #[serde(rename = "rooted")]
    pub verified: u64,
    /// Entries `[0, checked)` were checked.
    pub checked: u64,
    /// Hashes of the compact range of `[0, verified)`, as hex.
    frontier: Vec<String>,
    /// Fingerprint of the policy under which the entries were checked.
    pub entry_policy: String,
    /// The tree size for which the served Merkle tiles above level 0 were compared.
    pub tiles_compared: u64,
    /// Where the next verification of old leaves begins.
    pub scrubbed: u64,
    /// The time of an STH up to which the log's head list was read; 0 if it was not read.
    #[serde(default)]
    pub listed_until: UnixMillis,
    /// The runs of values seen in checked entries. Everything that is read from the runs is verified against this.
    #[serde(default)]
    seen: Vec<RunRef>,
    /// Where the next verification of these runs begins.
    #[serde(default)]
    pub seen_scrubbed: Cursor,
    /// When the JSON API first lacked entries that a signed head commits to; 0: never.
    #[serde(default)]
    pub entries_missing_since: UnixMillis,
    /// The size of that head.
    #[serde(default)]
    pub entries_missing_below: u64,
    /// When missing or wrong data was first excused because the directory changed while it was read; 0:
    /// never, or everything has been there since.
    #[serde(default)]
    pub changing_since: UnixMillis,
    /// The same for runs with `--heads-only`.
    #[serde(default)]
    pub changing_since_heads_only: UnixMillis,
    /// The largest size and the latest time of the STHs that were compared with all others. An STH beyond both need
    /// not be compared. `None`: an earlier version compared them, with another bound.
    #[serde(default)]
    pub sths_until: Option<(u64, UnixMillis)>,
    /// The times of entries `[0, covered)` were compared with some STH that covers them.
    #[serde(default)]
    pub covered: u64,
    /// The times of entries `[0, judged)` were compared with the earliest of all STHs that cover them and that the
    /// mirrored leaves confirm. Less than `covered` if an earlier STH has become known since.
    #[serde(default)]
    pub judged: u64,
    /// Checked entries by decision; `unreadable` counts leaves that are not entries.
    pub decisions: Decisions,
    /// Check name → passed, failed, not checked; over the entries `[0, checked)`.
    tally: BTreeMap<String, [u64; 3]>,
    /// Table → its seal as hex: see [`super::seal`]. Since format 5.
    #[serde(default)]
    seals: BTreeMap<String, String>,
    /// Table → the first key of the next verification of old rows. Since format 5.
    #[serde(default)]
    rotation: BTreeMap<String, u64>,
    /// What could not be restored when the mirror was rebuilt; kept until heads from others were imported.
    #[serde(default)]
    pub lost: Vec<String>,
}

/// Checked entries by decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decisions {
    /// `approved`.
    pub approved: u64,
    /// `rejected`.
    pub rejected: u64,
    /// `expired`.
    pub expired: u64,
    /// Leaves that could not be read as entries.
    pub unreadable: u64,
}

impl State {
    pub(super) fn new(mirror: String, key: &LogKey) -> State {
        State {
            mirror,
            generation: 0,
            origin: key.origin().to_owned(),
            log_key: key.verifier().to_string(),
            downloaded: 0,
            verified: 0,
            checked: 0,
            frontier: Vec::new(),
            entry_policy: String::new(),
            tiles_compared: 0,
            scrubbed: 0,
            listed_until: UnixMillis::EPOCH,
            seen: Vec::new(),
            seen_scrubbed: Cursor::default(),
            entries_missing_since: UnixMillis::EPOCH,
            entries_missing_below: 0,
            changing_since: UnixMillis::EPOCH,
            changing_since_heads_only: UnixMillis::EPOCH,
            sths_until: Some((0, UnixMillis::EPOCH)),
            covered: 0,
            judged: 0,
            decisions: Decisions::default(),
            tally: BTreeMap::new(),
            seals: BTreeMap::new(),
            rotation: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    /// The compact range of the verified leaves; `None` if the row is damaged.
    pub fn frontier(&self) -> Option<CompactRange> {
        let hashes = self.frontier.iter().map(|hex| Hash::from_hex(hex)).collect::<Option<Vec<Hash>>>()?;
        CompactRange::from_parts(0, self.verified, hashes)
    }

    /// Moves the verified cursor to the end of `frontier`.
    pub fn set_frontier(&mut self, frontier: &CompactRange) {
        self.verified = frontier.end();
        self.frontier = frontier.hashes().iter().map(Hash::to_string).collect();
    }

    /// The runs of seen values.
    pub(super) fn seen_runs(&self) -> &[RunRef] {
        &self.seen
    }

    pub(super) fn set_seen_runs(&mut self, runs: &[RunRef]) {
        self.seen = runs.to_vec();
    }

    /// The first key of a table for the next verification of old rows.
    pub(super) fn rotation(&self, table: Table) -> u64 {
        self.rotation.get(table.name()).copied().unwrap_or(0)
    }

    pub(super) fn set_rotation(&mut self, table: Table, from: u64) {
        self.rotation.insert(table.name().to_owned(), from);
    }

    /// The number of seen values.
    pub(super) fn seen_records(&self) -> u64 {
        self.seen.iter().fold(0, |sum, run| sum.saturating_add(run.records()))
    }

    /// The state of a mirror that is rebuilt: the old one, or a new one if that could not be read (generation 0).
    pub(super) fn again(old: Option<State>, new: State) -> State {
        old.map_or(new, |old| State { listed_until: UnixMillis::EPOCH, tiles_compared: 0, ..old })
    }

    /// Sets the cursors for a mirror that has the leaves of `tree`, and nothing derived from them yet.
    pub(super) fn start_at(&mut self, tree: &CompactRange) {
        self.set_frontier(tree);
        self.downloaded = self.verified;
        self.forget_checks();
        self.entry_policy.clear();
        (self.scrubbed, self.rotation) = (0, BTreeMap::new());
        (self.entries_missing_since, self.entries_missing_below) = (UnixMillis::EPOCH, 0);
        (self.seen, self.seen_scrubbed) = (Vec::new(), Cursor::default());
    }

    /// The roots of the sealed tables; `None` if the row is damaged.
    pub(super) fn seals(&self) -> Option<BTreeMap<Table, Node>> {
        seal::read_roots(&self.seals)
    }

    pub(super) fn set_seals(&mut self, roots: &BTreeMap<Table, Node>) {
        self.seals = seal::write_roots(roots);
    }

    /// Resets the checks: no entry counts as checked any more.
    pub(super) fn forget_checks(&mut self) {
        self.checked = 0;
        (self.covered, self.judged) = (0, 0);
        self.decisions = Decisions::default();
        // The counts of tiles stay, because tiles are compared only when leaves are fetched.
        let tiles = self.tally().get(Check::Tiles);
        self.tally.clear();
        let mut tally = Tally::default();
        tally.add(Check::Tiles, tiles.passed, tiles.failed, tiles.not_checked);
        self.set_tally(&tally);
    }

    /// The counts of checks over all checked entries.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (name, [passed, failed, not_checked]) in &self.tally {
            if let Some(check) = Check::from_text(name) {
                tally.add(check, *passed, *failed, *not_checked);
            }
        }
        tally
    }

    /// Replaces the counts of checks. Counts of checks that only another version of this program makes stay.
    pub fn set_tally(&mut self, tally: &Tally) {
        self.tally.retain(|name, _| Check::from_text(name).is_none());
        let counts =
            |(check, c): (Check, Count)| (check.as_str().to_owned(), [c.passed, c.failed, c.not_checked]);
        self.tally.extend(tally.iter().map(counts));
    }
}
