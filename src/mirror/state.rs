//! The mirror's one row of state: cursors, frontier, counts.

use super::seal::{self, Node, Table};
use super::seen::{Cursor, RunRef};
use crate::audit::tally::Tally;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::tree::CompactRange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything about the mirror that changes with a transaction and is not a row of its own.
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
    /// Leaves `[0, verified)` are what a signed head commits to.
    #[serde(rename = "rooted")]
    pub verified: u64,
    /// Entries `[0, checked)` were checked.
    pub checked: u64,
    /// Hashes of the compact range of `[0, verified)`, as hex.
    frontier: Vec<String>,
    /// Fingerprint of the policy that the entries were checked under.
    pub entry_policy: String,
    /// The served Merkle tiles above level 0 were compared for a tree of this many leaves.
    pub tiles_compared: u64,
    /// Where the next look at old leaves begins.
    pub scrubbed: u64,
    /// The log's own list of its heads was read up to here, in its cursor; 0: not at all.
    #[serde(default)]
    pub listed_until: u64,
    /// The runs of what was seen in checked entries: whatever is read of them is held against this.
    #[serde(default)]
    pub(super) seen: Vec<RunRef>,
    /// Where the next look at these runs begins.
    #[serde(default)]
    pub seen_scrubbed: Cursor,
    /// When entries that a signed head commits to were first not there behind the JSON API, in Unix milliseconds; 0:
    /// never.
    #[serde(default)]
    pub entries_missing_since: u64,
    /// The size of that head.
    #[serde(default)]
    pub entries_missing_below: u64,
    /// When a directory that changed while it was read was first forgiven what was missing or wrong in it, in Unix
    /// milliseconds; 0: never, or all was there since.
    #[serde(default)]
    pub changing_since: u64,
    /// The same of runs with `--heads-only`.
    #[serde(default)]
    pub changing_since_heads_only: u64,
    /// The largest size and the latest time of the STHs that were held against all others, so that one that is beyond
    /// both need not be; `None`: an earlier version did it, under another bound.
    #[serde(default)]
    pub sths_until: Option<(u64, u64)>,
    /// The times of entries `[0, covered)` were held against some STH that covers them.
    #[serde(default)]
    pub covered: u64,
    /// Of entries `[0, judged)`, against the earliest of all STHs that cover them and are borne out by the mirror. Less
    /// than `covered` where an earlier one became known since.
    #[serde(default)]
    pub judged: u64,
    /// Checked entries by decision; `unreadable` for leaves that are no entry.
    pub decisions: Decisions,
    /// Check name → passed, failed, not checked; over the entries `[0, checked)`.
    tally: BTreeMap<String, [u64; 3]>,
    /// Table → what must be true of its rows, as hex: see [`super::seal`]. Since format 5.
    #[serde(default)]
    seals: BTreeMap<String, String>,
    /// Table → the first key that the next look at old rows begins with. Since format 5.
    #[serde(default)]
    pub(super) rotation: BTreeMap<String, u64>,
    /// What could not be made again when the mirror was; until heads that others keep were brought in.
    #[serde(default)]
    pub lost: Vec<String>,
}

/// Checked entries by what was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decisions {
    /// `approved`.
    pub approved: u64,
    /// `rejected`.
    pub rejected: u64,
    /// `expired`.
    pub expired: u64,
    /// No entry that could be read.
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
            listed_until: 0,
            seen: Vec::new(),
            seen_scrubbed: Cursor::default(),
            entries_missing_since: 0,
            entries_missing_below: 0,
            changing_since: 0,
            changing_since_heads_only: 0,
            sths_until: Some((0, 0)),
            covered: 0,
            judged: 0,
            decisions: Decisions::default(),
            tally: BTreeMap::new(),
            seals: BTreeMap::new(),
            rotation: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    /// The compact range of the verified leaves; `None` where the row is damaged.
    pub fn frontier(&self) -> Option<CompactRange> {
        let hashes = self.frontier.iter().map(|hex| Hash::from_hex(hex)).collect::<Option<Vec<Hash>>>()?;
        CompactRange::from_parts(0, self.verified, hashes)
    }

    /// Moves the verified cursor: the tree now ends where `frontier` ends.
    pub fn set_frontier(&mut self, frontier: &CompactRange) {
        self.verified = frontier.end();
        self.frontier = frontier.hashes().iter().map(Hash::to_string).collect();
    }

    /// How many values were seen.
    pub(super) fn seen_records(&self) -> u64 {
        self.seen.iter().fold(0, |sum, run| sum.saturating_add(run.records()))
    }

    /// The state of a mirror that is made again: as it was, or, where that could not be read (generation 0), new.
    pub(super) fn again(old: Option<State>, new: State) -> State {
        old.map_or(new, |old| State { listed_until: 0, tiles_compared: 0, ..old })
    }

    /// The leaves of `tree` are there, and nothing was made of them yet.
    pub(super) fn start_at(&mut self, tree: &CompactRange) {
        self.set_frontier(tree);
        self.downloaded = self.verified;
        self.forget_checks();
        self.entry_policy.clear();
        (self.scrubbed, self.rotation) = (0, BTreeMap::new());
        (self.entries_missing_since, self.entries_missing_below) = (0, 0);
        (self.seen, self.seen_scrubbed) = (Vec::new(), Cursor::default());
    }

    /// The roots of the sealed tables; `None` where the row is damaged.
    pub(super) fn seals(&self) -> Option<BTreeMap<Table, Node>> {
        seal::read_roots(&self.seals)
    }

    pub(super) fn set_seals(&mut self, roots: &BTreeMap<Table, Node>) {
        self.seals = seal::write_roots(roots);
    }

    /// No entry counts as checked any more.
    pub(super) fn forget_checks(&mut self) {
        self.checked = 0;
        (self.covered, self.judged) = (0, 0);
        self.decisions = Decisions::default();
        // Tiles are compared when leaves are fetched, and not again.
        let tiles = self.tally().get("tiles");
        let mut tally = Tally::default();
        tally.add("tiles", tiles.passed, tiles.failed, tiles.not_checked);
        self.set_tally(&tally);
    }

    /// The counts of checks over all checked entries.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (name, [passed, failed, not_checked]) in &self.tally {
            tally.add(name, *passed, *failed, *not_checked);
        }
        tally
    }

    /// Replaces the counts of checks.
    pub fn set_tally(&mut self, tally: &Tally) {
        self.tally =
            tally.iter().map(|(name, c)| (name.to_owned(), [c.passed, c.failed, c.not_checked])).collect();
    }
}
