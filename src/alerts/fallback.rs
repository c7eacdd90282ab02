//! Where the mirror cannot be used, the outbox in it cannot be either: what is then told is kept in a note beside
//! the mirror, so that it is told once, however often the monitor or cron starts anew, and that it is over is told
//! to whom it was told.
//!
//! The note is written before anything is sent, and after each yes: a crash in between sends again under the same
//! key. Where it cannot be written, as on a disk that is gone, memory must do, and a restart tells again, under a key
//! that is the same for that fault all day.
//!
//! That another process has the mirror is told only when it is found so [`TIMES_IN_USE`] times in a row: an audit by
//! hand or a receipt in the wrong moment is no fault.

use super::deliver::{FEWEST_TRIES, backoff, is_ahead};
use super::message::{Alert, Kind, Log, key};
use super::{Delivery, Dispatcher, LOCAL_FAULT, Result};
use crate::core::finding::Severity;
use crate::core::hash::sha256;
use crate::core::text::escape;
use crate::mirror::{Mirror, Outgoing, beside, place_of, read_beside, replace};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// So often in a row the mirror must be found in use.
pub const TIMES_IN_USE: u32 = 3;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// A longer note is none of ours.
const MAX_NOTE: usize = 64 * 1024;

/// Why the mirror cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble<'a> {
    /// Another process has it: what that left in its lock, where it can be told.
    InUse(&'a str),
    /// Anything else, in words for people.
    Fault(&'a str),
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Note {
    /// Who has the mirror; `None`: another fault.
    holder: Option<String>,
    /// When it began, in Unix milliseconds.
    at: u64,
    /// Tells it from every other.
    number: u64,
    /// What is the matter, escaped.
    message: String,
    /// How often in a row.
    times: u32,
    /// The channels that took it.
    told: Vec<String>,
    /// The others are not asked before.
    not_before: u64,
    /// How often they were asked in vain.
    #[serde(default)]
    failures: u64,
}

/// The note of one mirror.
pub struct FallbackStore {
    mirror: PathBuf,
    /// Where the file cannot be written.
    memory: Mutex<Option<Note>>,
}

impl FallbackStore {
    /// `<mirror>.fault`.
    pub fn of(mirror: &Path) -> FallbackStore {
        FallbackStore { mirror: mirror.to_owned(), memory: Mutex::default() }
    }

    /// Where the mirror is now, and where the note is: links may be changed while a monitor runs.
    fn places(&self) -> (PathBuf, PathBuf) {
        let mirror = place_of(&self.mirror);
        let note = beside(&mirror, ".fault");
        (mirror, note)
    }

    fn read(&self) -> Option<Note> {
        let read = || {
            let text = read_beside(&self.places().1, MAX_NOTE).ok()?;
            serde_json::from_slice(&text).ok()
        };
        read().or_else(|| self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The number of a fault whose note cannot be kept: the same all day, whoever starts anew.
    fn number_of_today(&self, note: &Note) -> u64 {
        let day = note.at.checked_div(DAY).unwrap_or_default();
        let text = format!("{}\0{}\0{day}", self.mirror.display(), note.message);
        let hash = sha256(text.as_bytes()).0;
        hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Whether it is in the file.
    fn write(&self, note: &Note) -> bool {
        let (mirror, path) = self.places();
        let text = serde_json::to_string(note).map_err(std::io::Error::from);
        let written = text.and_then(|text| replace(&path, &mirror, text.as_bytes()));
        let kept = if written.is_err() { Some(note.clone()) } else { None };
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        written.is_ok()
    }

    fn remove(&self) {
        // One that cannot be removed says of the next fault that it was told; nothing can be written there either.
        let _ = fs::remove_file(self.places().1);
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Note {
    fn begun(holder: Option<&str>, message: &str, now: u64) -> Note {
        Note {
            holder: holder.map(escape),
            at: now,
            number: fastrand::u64(..),
            message: escape(message),
            times: 0,
            told: Vec::new(),
            not_before: 0,
            failures: 0,
        }
    }

    fn key(&self, kind: Kind, log: &Log) -> String {
        key("no mirror", kind, &[(&log.name, 0, self.number)])
    }
}

impl Dispatcher {
    /// Tells, where it was not told, that the mirror cannot be used. Call it after every audit that could not.
    /// Gives the channels that did not take it, and why. Begins nothing more once `stopped` says so.
    pub fn without_mirror(
        &self,
        fallback: &FallbackStore,
        log: &Log,
        trouble: Trouble<'_>,
        now: u64,
        stopped: &dyn Fn() -> bool,
    ) -> Vec<(String, String)> {
        let (holder, message) = match trouble {
            Trouble::InUse(holder) => (Some(holder), "the mirror is in use by another process all the time"),
            Trouble::Fault(message) => (None, message),
        };
        let mut note = match fallback.read() {
            // That one stands until the mirror is opened.
            Some(note) if note.holder.is_none() => note,
            Some(note) if note.holder.as_deref() == holder => note,
            _ => Note::begun(holder, message, now),
        };
        note.times = note.times.saturating_add(1);
        let waits = note.holder.is_some() && note.times < TIMES_IN_USE;
        if waits || is_ahead(note.not_before, now) || self.have_all(&note, now) {
            fallback.write(&note);
            return Vec::new();
        }
        // One that was told is never told under another number.
        if !fallback.write(&note) && note.told.is_empty() && note.failures == 0 {
            note.number = fallback.number_of_today(&note);
        }
        self.send_note(fallback, &mut note, log, now, stopped)
    }

    /// Whether each channel took it, or was tried for as long as it asks for.
    fn have_all(&self, note: &Note, now: u64) -> bool {
        self.config.channels.iter().all(|channel| {
            let over = now.saturating_sub(note.at) > channel.retry_for && note.failures >= FEWEST_TRIES;
            note.told.contains(&channel.name) || over
        })
    }

    fn send_note(
        &self,
        fallback: &FallbackStore,
        note: &mut Note,
        log: &Log,
        now: u64,
        stopped: &dyn Fn() -> bool,
    ) -> Vec<(String, String)> {
        let next = now.saturating_add(backoff(note.failures));
        let mut failed = Vec::new();
        let log = Log { name: escape(&log.name), origin: escape(&log.origin) };
        let key = note.key(Kind::Local, &log);
        let mut alert = Alert::new(Kind::Local, key, log, Severity::Warning, LOCAL_FAULT, note.at);
        alert.message = note.message.clone();
        for channel in &self.config.channels {
            if note.told.contains(&channel.name) {
                continue;
            }
            if stopped() {
                break;
            }
            match self.send(channel, &alert, now) {
                Delivery::Delivered => note.told.push(channel.name.clone()),
                Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::Lacking(why) => {
                    // Ever more rarely, once for all that failed together.
                    if failed.is_empty() {
                        note.failures = note.failures.saturating_add(1);
                    }
                    note.not_before = next;
                    failed.push((channel.name.clone(), why));
                }
            }
            fallback.write(note);
        }
        failed
    }

    /// The mirror was opened: that it is well again goes into its outbox, to whom it was told that it was not.
    /// Who holds the mirror himself does not say so of others whom he keeps waiting.
    ///
    /// # Errors
    /// Of the mirror.
    pub fn with_mirror(
        &self,
        fallback: &FallbackStore,
        mirror: &mut Mirror,
        log: &str,
        now: u64,
    ) -> Result<()> {
        let Some(note) = fallback.read() else { return Ok(()) };
        if note.holder.as_deref() == Some(crate::mirror::holder_id()) {
            return Ok(());
        }
        if !note.told.is_empty() {
            let log = Log { name: escape(log), origin: escape(&mirror.state().origin) };
            let key = note.key(Kind::Recovered, &log);
            let mut alert =
                Alert::new(Kind::Recovered, key.clone(), log, Severity::Warning, LOCAL_FAULT, now);
            alert.message = format!("the mirror can be used again; it could not: {}", note.message);
            let (kind, payload) = (Kind::Recovered.as_str().to_owned(), alert.to_json());
            let outgoing =
                Outgoing { key, kind, severity: Severity::Warning, payload, channels: note.told.clone() };
            mirror.transact(|mirror, _| mirror.enqueue(&outgoing, now))?;
            mirror.acknowledge()?;
        }
        // After the commit: in between, it is enqueued again under its key, which adds nothing.
        fallback.remove();
        Ok(())
    }
}
