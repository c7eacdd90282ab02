//! Signed heads: exports those that the mirror keeps, and imports those that others have seen.

use super::clock::{Clock, Started};
use super::log::room_to_read;
use super::{Error, files, http, places};
use crate::audit::conclusion::Conclusion;
use crate::config::Settings;
use crate::core::finding::Severity;
use crate::core::head::{Head, HeadError, LogKey};
use crate::core::text;
use crate::mirror::{HeadLine, Mirror, MirrorError, Provenance, StoredFinding, read_heads};
use crate::run::{Fault, Options, Run, Silent};
use crate::source::{Document, FetchError, OpenError, RequestCounters, Stop};
use std::path::Path;

/// The most bytes that are read of a history: about 300,000 STHs, or 1,000 checkpoints with 32 ML-DSA-44 cosignatures.
const MAX_IMPORT: usize = 128 * 1024 * 1024;

/// The number of heads that are verified before they are stored together.
const KEPT_AT_ONCE: usize = 1000;

/// The most refused heads that are reported one by one. The others are only counted.
const MAX_REFUSED: usize = 100;

/// Returns every head that the mirror keeps, each as a line.
///
/// # Errors
/// Returns [`Error`] if the settings name no mirror or no log key, or if the mirror cannot be read.
pub fn kept(settings: &Settings) -> Result<Vec<HeadLine>, Error> {
    let (db, key) = mirror_of(settings)?;
    let read = || {
        let heads = Mirror::open(db, key)?.heads().all(key)?;
        Ok(heads.into_iter().map(|stored| HeadLine::new(&stored)).collect())
    };
    read().map_err(|error| failed(&error))
}

/// Adds the heads in a file or at a URL to the mirror, and compares them with all heads that it keeps.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault. If the document at a URL cannot be fetched, the import is
/// incomplete instead.
pub fn import(settings: &Settings, file: &Path, clock: &dyn Clock) -> Result<Imported, Error> {
    let (db, key) = mirror_of(settings)?;
    // The document is read before the mirror is opened, because no other process can use an open mirror.
    let bytes = match fetch_or_read(settings, file)? {
        Ok(bytes) => bytes,
        Err(cause) => return Ok(Imported { incomplete: vec![cause], ..Imported::default() }),
    };
    let mut mirror = Mirror::open(db, key).map_err(|error| failed(&error))?;
    compare(settings, &mut mirror, key, &bytes, clock)
}

fn mirror_of(settings: &Settings) -> Result<(&Path, &LogKey), Error> {
    let db = settings.require_db()?;
    let key = settings.one_log_key()?.ok_or("missing --log-key VKEY: give the log's public key")?;
    Ok((db, key))
}

fn failed(error: &MirrorError) -> Error {
    Error::new(!error.is_usage(), error.to_string())
}

/// Returns the bytes of the file or of the document at the URL, or why the document could not be fetched.
fn fetch_or_read(settings: &Settings, file: &Path) -> Result<Result<Vec<u8>, String>, Error> {
    let url = file.to_str().filter(|text| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https"))
    });
    let Some(url) = url else {
        return Ok(Ok(files::read_file(file, MAX_IMPORT)?));
    };
    let (options, left_out) =
        http::options_for(&settings.net, url, settings.log.as_deref(), &RequestCounters::default())?;
    let document = Document::new(url, &options).map_err(|error| match error {
        OpenError::Url { url, cause } => format!("{url} is not a URL to import from: {cause}").into(),
        error => http::opening(&error, OpenError::to_string),
    })?;
    room_to_read()?;
    let fetched = document.fetch(MAX_IMPORT);
    if let (Err(_), Some(what)) = (&fetched, document.resource_exhaustion()) {
        return Err(Error::Local(format!("{url} could not be fetched: {what}")));
    }
    Ok(fetched.map_err(|error| {
        let refused = matches!(error, FetchError::Rejected { .. } | FetchError::Refused { .. });
        let hint = " (the secrets of the config are only for the log, and were not sent: give those for this URL \
                    as options)";
        format!("{}{}", error.describe_for_heads(), if refused && left_out { hint } else { "" })
    }))
}

/// The result of an import.
#[derive(Default)]
pub struct Imported {
    /// The number of heads read.
    pub read: u64,
    /// The number of heads that the mirror did not have before.
    pub new: u64,
    /// The number of refused heads.
    pub refusals: u64,
    /// Why heads were refused, one message for each of the first hundred.
    pub refused: Vec<String>,
    /// The standing violations in the mirror.
    pub contradictions: Vec<String>,
    /// Other faults of these heads.
    pub invalid: Vec<String>,
    /// Why heads could not be fetched or compared.
    pub incomplete: Vec<String>,
}

impl Imported {
    /// The conclusion: the most severe of what the import met.
    pub fn verdict(&self) -> Conclusion {
        match () {
            () if !self.contradictions.is_empty() => Conclusion::Violation,
            () if !(self.refused.is_empty() && self.invalid.is_empty()) => Conclusion::Invalid,
            // A head that could not be compared yet is kept, but does not pass.
            () if !self.incomplete.is_empty() => Conclusion::Incomplete,
            () => Conclusion::Clean,
        }
    }

    fn refuse(&mut self, error: &HeadError) {
        // No file has so many heads.
        self.refusals = self.refusals.saturating_add(1);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(format!("head {}: {}", self.read, text::reason(&error.to_string())));
        }
    }

    fn keep(&mut self, run: &mut Run<'_>, heads: &mut Vec<Head>) -> Result<(), Error> {
        // No file has so many heads.
        self.new = self.new.saturating_add(run.keep_all(heads, &Provenance::Imported).map_err(local)?);
        heads.clear();
        Ok(())
    }
}

/// Verifies each head with the pinned key, adds it, and compares it with all kept heads and with the mirrored tree. A
/// head that does not verify is refused. It is a fault of the file and not evidence against the log; the exit code is
/// then 1.
fn compare(
    settings: &Settings,
    mirror: &mut Mirror,
    key: &LogKey,
    bytes: &[u8],
    clock: &dyn Clock,
) -> Result<Imported, Error> {
    let started = Started::now(clock);
    let policy = settings.policy(key.clone());
    let db = mirror.path().to_owned();
    let options = Options {
        full: false,
        heads_only: false,
        workers: 1,
        evidence_dir: places::evidence_dir(settings, &db),
        max_entries: settings.max_entries,
        max_findings: settings.max_findings,
        now: started.at,
        stop: Stop::default(),
    };
    let mut imported = Imported::default();
    let mut run = Run::new(None, mirror, &policy, &options, &Silent);
    let (mut heads, mut disagreement) = (Vec::new(), None);
    for (raw, _) in read_heads(bytes).map_err(|why| format!("the file: {why}"))? {
        // No file has so many heads.
        imported.read = imported.read.saturating_add(1);
        match Head::verify(raw.as_bytes(), key) {
            Ok(head) => heads.push(head),
            Err(HeadError::Disagreement(what)) => disagreement = Some(what),
            Err(error) => imported.refuse(&error),
        }
        if heads.len() >= KEPT_AT_ONCE {
            imported.keep(&mut run, &mut heads)?;
        }
    }
    imported.keep(&mut run, &mut heads)?;
    if let Some(what) = disagreement {
        return Err(Error::Local(what));
    }
    if imported.read == 0 {
        imported.incomplete.push("there are no heads in it: was the export broken?".to_owned());
    }
    let summary = run.compare_imported();
    if let Some(fault) = summary.faults.first() {
        return Err(Error::Local(fault.clone()));
    }
    let findings = mirror.findings().standing().map_err(Fault::from);
    for StoredFinding { finding, last_seen, .. } in findings.map_err(local)? {
        let evidence = finding
            .evidence
            .as_deref()
            .map_or(String::new(), |path| format!(" Proof: {}", text::escape(path)));
        let line = format!("{}: {}{evidence}", finding.code, finding.message);
        match finding.severity {
            Severity::Violation => imported.contradictions.push(line),
            // Findings of earlier audits are not about these heads.
            Severity::Invalid if last_seen == started.at => imported.invalid.push(line),
            _ => {}
        }
    }
    imported.incomplete.extend(summary.incomplete);
    imported.incomplete.extend(summary.follows);
    Ok(imported)
}

fn local(fault: Fault) -> Error {
    Error::Local(fault.to_string())
}
