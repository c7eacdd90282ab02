//! `countersign mirror check`: is everything in the mirror what was written?
//!
//! An audit verifies what it reads, and part of the rest in rotation. This check verifies everything, part by part,
//! and continues after a damaged part, so that it reports all damage.

use super::error::{MirrorError, Result, io_error, sql_error};
use super::folded::Folded;
use super::handle::Mirror;
use super::seal::{MAX_KEY, Table};
use crate::core::head::LogKey;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The number of leaves that are hashed at a time: those of an entry bundle.
const AT_ONCE: u64 = 256;

/// How soon a check of the whole file notices that it was stopped.
const STOP_WITHIN: Duration = Duration::from_millis(50);

/// The number of ranges that [`Mirror::check_some`] verifies in each table that grows with the log: at most 256
/// entries each.
const RANGES_AT_ONCE: u32 = 16;

/// The number of blocks of seen values that [`Mirror::check_some`] verifies: 335 values each.
const BLOCKS_AT_ONCE: u64 = 16;

/// One part of a mirror.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The name of a table; or `file`, the structure of the whole file.
    pub name: &'static str,
    /// The number of its rows according to the state.
    pub rows: u64,
    /// Why it is not what was written; `None` if it is.
    pub wrong: Option<String>,
}

/// The result of checking a mirror.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Every part.
    pub parts: Vec<Part>,
    /// The number of entries that the next audit checks again, because the results of their checks are missing.
    pub unchecked: u64,
}

impl Checked {
    /// Whether every part is what was written.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.wrong.is_none())
    }
}

impl Part {
    fn new(name: &'static str, rows: u64, checked: Result<()>) -> Result<Part> {
        let wrong = match checked {
            Ok(()) => None,
            Err(
                MirrorError::Damaged(_, why) | MirrorError::WrongMemory(_, why) | MirrorError::Io(_, why),
            ) => Some(why),
            Err(error) => return Err(error),
        };
        Ok(Part { name, rows, wrong })
    }
}

impl Mirror {
    /// Checks every part. `None` if `stopped` ended the check.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be read at all. A part that is not what was written is not an error; see
    /// [`Part::wrong`].
    pub fn check_parts(&self, key: &LogKey, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Option<Checked>> {
        let mut whole = true;
        let file = self.check_integrity(stopped).map(|done| whole = done);
        let mut parts = vec![Part::new("file", 0, file)?];
        if !whole {
            return Ok(None);
        }
        let mut leaves = self.check_leaves(stopped).map(|done| whole = done);
        if whole && leaves.is_ok() && self.db().trust(Table::Heads, 0..=MAX_KEY).is_ok() {
            leaves = self.check_head_of_tree();
        }
        parts.push(Part::new("leaves", self.state().verified, leaves)?);
        for table in Table::ALL {
            if !whole || stopped() {
                return Ok(None);
            }
            let mut checked = self.db().trust(table, 0..=MAX_KEY);
            if checked.is_ok() {
                checked = match table {
                    Table::Heads => self.heads().all(key).map(drop),
                    Table::Findings => {
                        self.findings().standing().and_then(|_| self.findings().ended()).map(drop)
                    }
                    _ => Ok(()),
                };
            }
            parts.push(Part::new(table.name(), self.db().sealed_rows(table), checked)?);
        }
        let seen = self.memory().check_seen(stopped).map(|done| whole = done);
        parts.push(Part::new("seen", self.state().seen_records(), seen)?);
        let unchecked = self.state().verified.saturating_sub(self.state().checked);
        Ok(whole.then_some(Checked { parts, unchecked }))
    }

    /// Hashes all leaves and compares them with the nodes, and the nodes with the frontier. `false` if it was
    /// stopped.
    fn check_leaves(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        let verified = self.state().verified;
        let wrong = |what: String| self.db().damaged(what);
        let frontier = self.state().frontier().ok_or_else(|| wrong("its frontier is wrong".to_owned()))?;
        let mut tree = Folded::default();
        while tree.leaves().end() < verified {
            if stopped() {
                return Ok(false);
            }
            let begin = tree.leaves().end();
            let end = begin.saturating_add(AT_ONCE).min(verified);
            let leaves = self.leaves().range(begin, end)?;
            if leaves.len() as u64 != end.saturating_sub(begin) {
                return Err(wrong(format!("of the entries {begin} to {end}, some are missing")));
            }
            for leaf in &leaves {
                for (level, n, hash) in tree.append(leaf) {
                    if self.leaves().node(level, n)? != Some(hash) {
                        return Err(wrong(format!(
                            "node {n} of level {level} is not what its entries hash to"
                        )));
                    }
                }
            }
        }
        match verified == 0 || tree.leaves().root() == frontier.root() {
            true => Ok(true),
            false => Err(wrong(format!("the {verified} entries do not have the root that was proved"))),
        }
    }

    /// Runs SQLite's own check of the whole file. Takes time in proportion to the size of the mirror; `false` if
    /// `stopped` ended it, which says nothing about the mirror.
    ///
    /// # Errors
    /// `MirrorError` if SQLite found damage or cannot read the file.
    pub fn check_integrity(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        if stopped() {
            return Ok(false);
        }
        let interrupt = self.db().connection().get_interrupt_handle();
        let (done, waiting) = channel::<()>();
        let listen = move || {
            while waiting.recv_timeout(STOP_WITHIN) == Err(RecvTimeoutError::Timeout) {
                if stopped() {
                    interrupt.interrupt();
                }
            }
        };
        let answer = std::thread::scope(|scope| {
            let listening = std::thread::Builder::new().spawn_scoped(scope, listen);
            let answer = listening.map(|_| {
                self.db()
                    .connection()
                    .query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
            });
            drop(done);
            answer
        });
        match answer.map_err(|error| io_error(self.path(), &error))? {
            Ok(answer) if answer == "ok" => Ok(true),
            Ok(answer) => Err(self.db().damaged(answer)),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
                Ok(false)
            }
            Err(error) => Err(sql_error(self.path(), error)),
        }
    }

    /// Verifies the small tables, the next few ranges of each table that grows with the log, and the next few blocks
    /// of seen values, so that data that no look-up reads is verified in rotation.
    ///
    /// # Errors
    /// `MirrorError` if a table is not what was written, or cannot be read.
    pub fn check_some(&mut self) -> Result<()> {
        let mut rotation = Vec::new();
        for table in Table::ALL {
            if !table.grows() {
                self.db().trust(table, 0..=MAX_KEY)?;
                continue;
            }
            let from = self.state().rotation(table);
            let (mut visited, mut next) = (0, 0);
            self.db().trusted_ranges(table, from..=MAX_KEY, false, &|_| true, &mut |keys| {
                visited = RANGES_AT_ONCE.min(visited).saturating_add(1);
                next = keys.end().saturating_add(1);
                Ok(visited >= RANGES_AT_ONCE)
            })?;
            rotation.push((table, if visited < RANGES_AT_ONCE { 0 } else { next }));
        }
        let scrubbed = self.memory().scrub_seen(self.state().seen_scrubbed, BLOCKS_AT_ONCE)?;
        self.transact(|_, state| {
            rotation.into_iter().for_each(|(table, from)| state.set_rotation(table, from));
            state.seen_scrubbed = scrubbed;
            Ok(())
        })
    }

    /// Verifies every row of every sealed table.
    ///
    /// # Errors
    /// `MirrorError` if a table is not what was written, or cannot be read.
    pub fn check_tables(&self) -> Result<()> {
        Table::ALL.into_iter().try_for_each(|table| self.db().trust(table, 0..=MAX_KEY))
    }
}
