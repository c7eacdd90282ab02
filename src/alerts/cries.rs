//! Faults of a mirror that cannot be opened. The outbox is in the mirror, so these are told without it; what was told
//! stands in a small file beside the mirror, so that each fault is told once over each channel, also by a cron job
//! that starts anew every time, and so that its end is told, too.
//!
//! Where not even that file can be written, it is told once by each process.

use super::message::{self, Alert, Kind, Log};
use super::{Desk, Fate, LOCAL_FAULT, Result, recovered};
use crate::core::finding::Severity;
use crate::core::text::escape;
use crate::mirror::{Mirror, Outgoing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A mirror that somebody else has open for a moment is no news: only one that is in use so often in a row is.
const IN_USE_TIMES: u64 = 3;

/// What is the matter with a mirror that cannot be opened.
#[derive(Clone, Copy, Debug)]
pub struct Fault<'a> {
    /// For people.
    pub message: &'a str,
    /// Somebody else has it open, which is normal for a moment.
    pub in_use: bool,
}

/// What was told of a mirror that could not be opened.
#[derive(Clone, Serialize, Deserialize, Default)]
struct Cry {
    fault: String,
    /// The key of the alert.
    key: String,
    /// How often in a row it was so.
    times: u64,
    /// Channels that took it.
    told: BTreeSet<String>,
}

/// What was told of one mirror.
pub struct Cries {
    path: PathBuf,
    /// The same as in the file, for where there can be none.
    last: Mutex<Option<Cry>>,
}

impl Cries {
    /// About the mirror at this place.
    pub fn beside(mirror: &Path) -> Cries {
        let mut name = mirror.as_os_str().to_owned();
        name.push(".cried");
        Cries { path: PathBuf::from(name), last: Mutex::new(None) }
    }

    fn read(&self) -> Option<Cry> {
        // What cannot be read was not told, as far as anybody knows.
        let file = fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        file.or_else(|| self.last.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn write(&self, cry: &Cry) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(cry.clone());
        let replace = || -> io::Result<()> {
            let temporary = self.path.with_extension("cried.new");
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(cry)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)
        };
        // Then this process remembers it.
        let _ = replace();
    }

    fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = fs::remove_file(&self.path);
    }
}

impl Desk {
    /// Tells of a fault on this side over every channel, once, without the outbox. A channel that fails is
    /// tried again when the fault is still there the next time.
    pub fn cry(&self, cries: &Cries, log: &Log, fault: Fault<'_>, now: u64) {
        let message = escape(fault.message);
        let mut cry = cries.read().filter(|cry| cry.fault == message).unwrap_or_default();
        if cry.key.is_empty() {
            let process = u64::from(std::process::id());
            cry.key = message::key("no mirror", Kind::Local, &[(&log.name, now, process)]);
            cry.fault.clone_from(&message);
        }
        cry.times = cry.times.saturating_add(1);
        // Before it is sent: whoever is told twice can tell by the key.
        cries.write(&cry);
        if fault.in_use && cry.times < IN_USE_TIMES {
            return;
        }
        let log = Log { name: escape(&log.name), origin: escape(&log.origin) };
        let mut alert = Alert::new(Kind::Local, cry.key.clone(), log, Severity::Warning, LOCAL_FAULT, now);
        alert.message = message;
        for channel in &self.config.channels {
            if !cry.told.contains(&channel.name) && channel.send(&alert, now) == Fate::Delivered {
                cry.told.insert(channel.name.clone());
                cries.write(&cry);
            }
        }
    }

    /// The mirror is open: what was told of the last time that it was not, is over. Goes through the outbox.
    ///
    /// # Errors
    /// Of the mirror. It is told the next time then.
    pub fn calm(&self, cries: &Cries, mirror: &mut Mirror, log: &Log, now: u64) -> Result<()> {
        let Some(cry) = cries.read() else { return Ok(()) };
        if !cry.told.is_empty() {
            let key = message::key("no mirror", Kind::Recovered, &[(&cry.key, 0, 0)]);
            let log = Log { name: escape(&log.name), origin: escape(&log.origin) };
            let mut alert =
                Alert::new(Kind::Recovered, key.clone(), log, Severity::Warning, LOCAL_FAULT, now);
            alert.message = recovered(LOCAL_FAULT, "");
            let alert = Outgoing {
                key,
                kind: alert.kind.as_str().to_owned(),
                severity: Severity::Warning,
                payload: alert.to_json(),
                channels: cry.told.into_iter().collect(),
            };
            mirror.transact(|mirror, _| mirror.enqueue(&alert, now))?;
            mirror.acknowledge()?;
        }
        cries.forget();
        Ok(())
    }
}
