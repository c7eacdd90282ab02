//! If the mirror cannot be used, its outbox cannot be either. A note beside the mirror then records the
//! notifications that were sent, so that each is sent once, however often the monitor or cron restarts, and so
//! that those who were notified of the fault are notified of its end.
//!
//! The note is written before anything is sent, and after each acceptance: after a crash in between, the alert
//! is sent again under the same key. If the note cannot be written, as on a failed disk, it is kept in memory,
//! and a restart notifies again, under a key that is the same for that fault all day.
//!
//! That another process holds the mirror is reported only after it was found so [`TIMES_IN_USE`] times in a
//! row: a manual audit or a receipt at the wrong moment is not a fault.
//!
//! Counters and times saturate: a saturated value is above every bound that it is compared with.

use super::deliver::{MIN_ATTEMPTS, backoff, is_ahead};
use super::kind::AlertKind;
use super::message::{Alert, LogName, key};
use super::{Delivery, Dispatcher, LOCAL_FAULT, Result, payload};
use crate::core::finding::Severity;
use crate::core::hash::sha256;
use crate::core::text::escape;
use crate::core::time::UnixMillis;
use crate::mirror::{Mirror, Outgoing, beside, place_of, read_beside, replace};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often in a row the mirror must be found in use.
pub const TIMES_IN_USE: u32 = 3;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A longer note is not ours.
const MAX_NOTE: usize = 64 * 1024;

/// Why the mirror cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MirrorUnavailable<'a> {
    /// Another process holds it: the content of its lock, if readable.
    InUse(&'a str),
    /// Any other fault, as a user-facing message.
    Fault(&'a str),
}

/// The note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct FallbackNote {
    /// Who holds the mirror; `None` for any other fault.
    holder: Option<String>,
    /// When the fault began.
    at: UnixMillis,
    /// Identifies this fault.
    number: u64,
    /// What is wrong, escaped.
    message: String,
    /// How often in a row it was found.
    times: u32,
    /// The channels that accepted the alert.
    #[serde(rename = "told")]
    accepted: Vec<String>,
    /// The other channels are not tried before this time.
    not_before: UnixMillis,
    /// How often they failed.
    #[serde(default)]
    failures: u64,
}

/// The note of one mirror.
pub struct FallbackStore {
    mirror: PathBuf,
    /// The note, if the file cannot be written.
    memory: Mutex<Option<FallbackNote>>,
}

impl FallbackStore {
    /// The note in `<mirror>.fault`.
    pub fn of(mirror: &Path) -> FallbackStore {
        FallbackStore { mirror: mirror.to_owned(), memory: Mutex::default() }
    }

    /// The paths of the mirror and of the note. Links may change while a monitor runs.
    fn places(&self) -> (PathBuf, PathBuf) {
        let mirror = place_of(&self.mirror);
        let note = beside(&mirror, ".fault");
        (mirror, note)
    }

    fn read(&self) -> Option<FallbackNote> {
        let read = || {
            let text = read_beside(&self.places().1, MAX_NOTE).ok()?;
            serde_json::from_slice(&text).ok()
        };
        read().or_else(|| self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The number of a fault whose note cannot be written: the same all day, across restarts.
    fn number_of_today(&self, note: &FallbackNote) -> u64 {
        let day = note.at.second().get().checked_div(DAY.as_secs()).unwrap_or_default();
        let text = format!("{}\0{}\0{day}", self.mirror.display(), note.message);
        let hash = sha256(text.as_bytes()).0;
        hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Writes the note. Returns whether it is in the file.
    fn write(&self, note: &FallbackNote) -> bool {
        let (mirror, path) = self.places();
        let text = serde_json::to_string(note).map_err(std::io::Error::from);
        let written = text.and_then(|text| replace(&path, &mirror, text.as_bytes()));
        let kept = if written.is_err() { Some(note.clone()) } else { None };
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        written.is_ok()
    }

    fn remove(&self) {
        // A note that cannot be removed would silence the next fault; but then nothing can be written there
        // either.
        let _ = fs::remove_file(self.places().1);
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl FallbackNote {
    fn begun(holder: Option<&str>, message: &str, now: UnixMillis) -> FallbackNote {
        FallbackNote {
            holder: holder.map(escape),
            at: now,
            number: fastrand::u64(..),
            message: escape(message),
            times: 0,
            accepted: Vec::new(),
            not_before: UnixMillis::EPOCH,
            failures: 0,
        }
    }

    fn key(&self, kind: AlertKind, log: &LogName) -> String {
        key("no mirror", kind, &[(&log.name, 0, self.number)])
    }
}

impl Dispatcher {
    /// Notifies, once, that the mirror cannot be used. Call it after every audit that could not use it. Returns
    /// the channels that did not accept the alert, and why. Sends no further alert once `stopped` returns true.
    pub fn notify_without_mirror(
        &self,
        fallback: &FallbackStore,
        log: &LogName,
        cause: MirrorUnavailable<'_>,
        now: UnixMillis,
        stopped: &dyn Fn() -> bool,
    ) -> Vec<(String, String)> {
        let (holder, message) = match cause {
            MirrorUnavailable::InUse(holder) => {
                (Some(holder), "the mirror is in use by another process all the time")
            }
            MirrorUnavailable::Fault(message) => (None, message),
        };
        let mut note = match fallback.read() {
            // Such a fault lasts until the mirror is opened.
            Some(note) if note.holder.is_none() => note,
            Some(note) if note.holder.as_deref() == holder => note,
            _ => FallbackNote::begun(holder, message, now),
        };
        note.times = note.times.saturating_add(1);
        let waits = note.holder.is_some() && note.times < TIMES_IN_USE;
        if waits || is_ahead(note.not_before, now) || self.have_all(&note, now) {
            fallback.write(&note);
            return Vec::new();
        }
        // A fault that was reported is never reported under another number.
        if !fallback.write(&note) && note.accepted.is_empty() && note.failures == 0 {
            note.number = fallback.number_of_today(&note);
        }
        self.send_note(fallback, &mut note, log, now, stopped)
    }

    /// Whether each channel accepted the alert, or was tried for as long as it asks for.
    fn have_all(&self, note: &FallbackNote, now: UnixMillis) -> bool {
        self.config.channels.iter().all(|channel| {
            let over = now.since(note.at) > Some(channel.retry_for) && note.failures >= MIN_ATTEMPTS;
            note.accepted.contains(&channel.name) || over
        })
    }

    fn send_note(
        &self,
        fallback: &FallbackStore,
        note: &mut FallbackNote,
        log: &LogName,
        now: UnixMillis,
        stopped: &dyn Fn() -> bool,
    ) -> Vec<(String, String)> {
        let next = now.saturating_add(backoff(note.failures));
        let mut failed = Vec::new();
        let log = LogName { name: escape(&log.name), origin: escape(&log.origin) };
        let key = note.key(AlertKind::Local, &log);
        let mut alert = Alert::new(AlertKind::Local, key, log, Severity::Warning, LOCAL_FAULT, note.at);
        alert.message = note.message.clone();
        for channel in &self.config.channels {
            if note.accepted.contains(&channel.name) {
                continue;
            }
            if stopped() {
                break;
            }
            match self.send(channel, &alert, now) {
                Delivery::Delivered => note.accepted.push(channel.name.clone()),
                Delivery::Refused(why) | Delivery::Retryable(why) | Delivery::ResourceExhausted(why) => {
                    // Backs off, once for all channels that failed together.
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

    /// The mirror was opened: puts an alert that it works again into its outbox, for the channels that were
    /// notified of the fault. A process that holds the mirror itself does not report the end of the fault that
    /// it causes to others.
    ///
    /// # Errors
    /// The mirror cannot be used.
    pub fn mirror_opened(
        &self,
        fallback: &FallbackStore,
        mirror: &mut Mirror,
        log: &str,
        now: UnixMillis,
    ) -> Result<()> {
        let Some(note) = fallback.read() else { return Ok(()) };
        if note.holder.as_deref() == Some(crate::mirror::holder_id()) {
            return Ok(());
        }
        if !note.accepted.is_empty() {
            let log = LogName { name: escape(log), origin: escape(&mirror.state().origin) };
            let key = note.key(AlertKind::Recovered, &log);
            let mut alert =
                Alert::new(AlertKind::Recovered, key.clone(), log, Severity::Warning, LOCAL_FAULT, now);
            alert.message = format!("the mirror can be used again; the fault was: {}", note.message);
            let (kind, payload) = (AlertKind::Recovered.as_str().to_owned(), payload(mirror, &alert)?);
            let outgoing =
                Outgoing { key, kind, severity: Severity::Warning, payload, channels: note.accepted.clone() };
            mirror.transact(|mirror, _| mirror.outbox_mut().enqueue(&outgoing, now))?;
            mirror.acknowledge()?;
        }
        // After the commit. After a crash in between, the alert is enqueued again under its key, which adds
        // nothing.
        fallback.remove();
        Ok(())
    }
}
