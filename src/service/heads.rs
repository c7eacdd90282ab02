//! Signed heads: those that are kept, and those that others have seen.

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

/// A history longer than this is not read: about 300,000 STHs, or 1,000 checkpoints with 32 ML-DSA-44 cosignatures.
const MAX_IMPORT: usize = 128 * 1024 * 1024;

/// Heads that are verified before they are kept.
const KEPT_AT_ONCE: usize = 1000;

/// Refused heads that are named one by one; of the others only the number is said.
const MAX_REFUSED: usize = 100;

/// Every head that the mirror keeps, as a line.
///
/// # Errors
/// [`Error`]: which mirror or log is not said, or the mirror cannot be read.
pub fn kept(settings: &Settings) -> Result<Vec<HeadLine>, Error> {
    let (db, key) = mirror_of(settings)?;
    let read = || {
        let heads = Mirror::open(db, key)?.heads().all(key)?;
        Ok(heads.into_iter().map(|stored| HeadLine::new(&stored)).collect())
    };
    read().map_err(|error| failed(&error))
}

/// Adds the heads in a file or at a URL to the mirror, and holds them against all that it keeps.
///
/// # Errors
/// [`Error`]: usage, or a fault on this side. A document that cannot be had leaves the import incomplete.
pub fn import(settings: &Settings, file: &Path, clock: &dyn Clock) -> Result<Imported, Error> {
    let (db, key) = mirror_of(settings)?;
    // Before the mirror is opened, which nobody else can use from then on.
    let bytes = match fetch_or_read(settings, file)? {
        Ok(bytes) => bytes,
        Err(cause) => return Ok(Imported { incomplete: vec![cause], ..Imported::default() }),
    };
    let mut mirror = Mirror::open(db, key).map_err(|error| failed(&error))?;
    compare(settings, &mut mirror, key, &bytes, clock)
}

fn mirror_of(settings: &Settings) -> Result<(&Path, &LogKey), Error> {
    let db = settings.require_db()?;
    let key = settings.one_log_key()?.ok_or("which log? Give its public key with --log-key")?;
    Ok((db, key))
}

fn failed(error: &MirrorError) -> Error {
    Error::new(!error.is_usage(), error.to_string())
}

/// What is to be imported: a file's bytes, or a document's, or why the document could not be had.
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
        OpenError::Url { url, cause } => format!("{url} is no URL to import from: {cause}").into(),
        error => http::opening(&error, OpenError::to_string),
    })?;
    room_to_read()?;
    let fetched = document.fetch(MAX_IMPORT);
    if let (Err(_), Some(what)) = (&fetched, document.resource_exhaustion()) {
        return Err(Error::Local(format!("{url} could not be asked: {what}")));
    }
    Ok(fetched.map_err(|error| {
        let refused = matches!(error, FetchError::Rejected { .. } | FetchError::Refused { .. });
        let hint = " (the secrets of the config are for the log alone, and were not sent: give those of this URL as \
                    options)";
        format!("{}{}", error.describe_for_heads(), if refused && left_out { hint } else { "" })
    }))
}

/// How an import went.
#[derive(Default)]
pub struct Imported {
    /// Heads that were read.
    pub read: u64,
    /// Those that were not kept before.
    pub new: u64,
    /// How many were refused.
    pub refusals: u64,
    /// Why the first of them were.
    pub refused: Vec<String>,
    /// Violations that stand.
    pub contradictions: Vec<String>,
    /// What these heads are otherwise wrong in.
    pub invalid: Vec<String>,
    /// What could not be compared.
    pub incomplete: Vec<String>,
}

impl Imported {
    /// What it comes to.
    pub fn verdict(&self) -> Conclusion {
        match () {
            () if !self.contradictions.is_empty() => Conclusion::Violation,
            () if !(self.refused.is_empty() && self.invalid.is_empty()) => Conclusion::Invalid,
            // A head that could not be compared yet is kept, and is no pass.
            () if !self.incomplete.is_empty() => Conclusion::Incomplete,
            () => Conclusion::Clean,
        }
    }

    fn refuse(&mut self, error: &HeadError) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(format!("head {}: {}", self.read, text::reason(&error.to_string())));
        }
    }

    fn keep(&mut self, run: &mut Run<'_>, heads: &mut Vec<Head>) -> Result<(), Error> {
        self.new = self.new.saturating_add(run.keep_all(heads, &Provenance::Imported).map_err(local)?);
        heads.clear();
        Ok(())
    }
}

/// Adds heads, each verified with the pinned key, and holds each against all that are kept and
/// against the mirrored tree. A head that does not verify is refused and is nobody's fault but the
/// file's; the exit code is then 1, because not everything in the file was what it says.
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
        now: (started.unix_ms, started.text.clone()),
        stop: Stop::default(),
    };
    let mut imported = Imported::default();
    let mut run = Run::new(None, mirror, &policy, &options, &Silent);
    let (mut heads, mut disagreement) = (Vec::new(), None);
    for (raw, _) in read_heads(bytes).map_err(|why| format!("the file: {why}"))? {
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
            // Not those of earlier audits, which are not about these heads.
            Severity::Invalid if last_seen == started.text => imported.invalid.push(line),
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
