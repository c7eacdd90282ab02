//! `countersign heads`: the history of signed heads, and heads that others have seen.

use super::args::{Format, HeadsCommand};
use super::audit::{Started, room_to_read};
use super::config::Settings;
use super::failure::Failure;
use super::output::{self, Answer};
use crate::audit::conclusion::Conclusion;
use crate::core::finding::Severity;
use crate::core::head::{Head, HeadError, LogKey};
use crate::core::text;
use crate::mirror::{HeadLine, Mirror, MirrorError, Provenance, StoredFinding, read_heads};
use crate::run::{Fault, Options, Run, Silent};
use crate::source::{Document, FetchError, OpenError, Stop};
use serde_json::json;
use std::path::Path;

/// A history longer than this is not read: about 300,000 STHs, or 1,000 checkpoints with 32 ML-DSA-44 cosignatures.
const MAX_IMPORT: usize = 128 * 1024 * 1024;

/// Heads that are verified before they are kept.
const KEPT_AT_ONCE: usize = 1000;

/// Refused heads that are named one by one; of the others only the number is said.
const MAX_REFUSED: usize = 100;

/// Runs one of the commands.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(settings: &Settings, command: &HeadsCommand, answer: &mut Answer) -> Result<u8, Failure> {
    let db = settings.require_db()?;
    let Some(key) = settings.one_log_key()? else {
        return Err("which log? Give its public key with --log-key".into());
    };
    // Before the mirror is opened, which nobody else can use from then on.
    let to_import = match command {
        HeadsCommand::Import { file, .. } => match fetch_or_read(settings, file)? {
            Ok(bytes) => bytes,
            Err(cause) => {
                let imported = Imported { incomplete: vec![cause], ..Imported::default() };
                return Ok(say(&imported, settings, answer));
            }
        },
        HeadsCommand::List { .. } | HeadsCommand::Export { .. } => Vec::new(),
    };
    let mut mirror = match Mirror::open(db, key) {
        Ok(mirror) => mirror,
        Err(error) => return Err(failure(&error)),
    };
    match command {
        HeadsCommand::List { .. } if settings.format != Format::Json => {
            answer.print(&list(&mirror, key).map_err(|error| failure(&error))?);
        }
        HeadsCommand::List { .. } | HeadsCommand::Export { .. } => {
            answer.print(&export(&mirror, key).map_err(|error| failure(&error))?);
        }
        HeadsCommand::Import { .. } => {
            return Ok(say(&import(settings, &mut mirror, key, &to_import)?, settings, answer));
        }
    }
    Ok(0)
}

fn failure(error: &MirrorError) -> Failure {
    Failure::new(!error.is_usage(), error.to_string())
}

fn export(mirror: &Mirror, key: &LogKey) -> Result<String, MirrorError> {
    let mut lines = String::new();
    for stored in mirror.heads(key)? {
        lines.push_str(&HeadLine::new(&stored).to_line());
    }
    Ok(lines)
}

fn list(mirror: &Mirror, key: &LogKey) -> Result<String, MirrorError> {
    let mut text =
        format!("{:>12}  {:<10} {:<24} {:<12} {:<8} root\n", "size", "format", "dated", "status", "from");
    for stored in mirror.heads(key)? {
        let line = HeadLine::new(&stored);
        let time = line.time.map_or("-".to_owned(), text::time);
        text.push_str(&format!(
            "{:>12}  {:<10} {time:<24} {:<12} {:<8} {}\n",
            line.size, line.format, line.status, line.provenance, line.root
        ));
    }
    Ok(text)
}

/// What is to be imported: a file's bytes, or a document's, or why the document could not be had.
fn fetch_or_read(settings: &Settings, file: &Path) -> Result<Result<Vec<u8>, String>, Failure> {
    let url = file.to_str().filter(|text| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https"))
    });
    let Some(url) = url else {
        return Ok(Ok(output::read_file(file, MAX_IMPORT)?));
    };
    let (options, left_out) = settings.net.options_for(url, settings.log.as_deref())?;
    let document = Document::new(url, &options).map_err(|error| match error {
        OpenError::Url { url, cause } => format!("{url} is no URL to import from: {cause}").into(),
        error => Failure::opening(&error, OpenError::to_string),
    })?;
    room_to_read()?;
    let fetched = document.fetch(MAX_IMPORT);
    if let (Err(_), Some(what)) = (&fetched, document.lacked()) {
        return Err(Failure::Local(format!("{url} could not be asked: {what}")));
    }
    Ok(fetched.map_err(|error| {
        let refused = matches!(error, FetchError::Rejected { .. } | FetchError::Refused { .. });
        let hint = " (the secrets of the config are for the log alone, and were not sent: give those of this URL as \
                    options)";
        format!("{}{}", error.of_heads(), if refused && left_out { hint } else { "" })
    }))
}

/// How an import went.
#[derive(Default)]
struct Imported {
    read: u64,
    new: u64,
    /// How many were refused, and why the first of them.
    refusals: u64,
    refused: Vec<String>,
    /// Violations that stand.
    contradictions: Vec<String>,
    /// What these heads are otherwise wrong in.
    invalid: Vec<String>,
    /// What could not be compared.
    incomplete: Vec<String>,
}

impl Imported {
    fn refuse(&mut self, error: &HeadError) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(format!("head {}: {}", self.read, text::reason(&error.to_string())));
        }
    }

    fn keep(&mut self, run: &mut Run<'_>, heads: &mut Vec<Head>) -> Result<(), Failure> {
        self.new = self.new.saturating_add(run.keep_all(heads, &Provenance::Imported).map_err(local)?);
        heads.clear();
        Ok(())
    }
}

/// Adds heads, each verified with the pinned key, and holds each against all that are kept and
/// against the mirrored tree. A head that does not verify is refused and is nobody's fault but the
/// file's; the exit code is then 1, because not everything in the file was what it says.
fn import(settings: &Settings, mirror: &mut Mirror, key: &LogKey, bytes: &[u8]) -> Result<Imported, Failure> {
    let started = Started::now();
    let policy = settings.policy(key.clone());
    let db = mirror.path().to_owned();
    let options = Options {
        full: false,
        heads_only: false,
        workers: 1,
        evidence_dir: settings.evidence_dir_for(&db),
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
        return Err(Failure::Local(what));
    }
    if imported.read == 0 {
        imported.incomplete.push("there are no heads in it: was the export broken?".to_owned());
    }
    let summary = run.compare_imported();
    if let Some(fault) = summary.faults.first() {
        return Err(Failure::Local(fault.clone()));
    }
    let findings = mirror.findings(false).map_err(Fault::from);
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

fn local(fault: Fault) -> Failure {
    Failure::Local(fault.to_string())
}

fn say(imported: &Imported, settings: &Settings, answer: &mut Answer) -> u8 {
    let Imported { read, new, refusals, refused, contradictions, invalid, incomplete } = imported;
    let verdict = match () {
        () if !contradictions.is_empty() => Conclusion::Violation,
        () if !(refused.is_empty() && invalid.is_empty()) => Conclusion::Invalid,
        // A head that could not be compared yet is kept, and is no pass.
        () if !incomplete.is_empty() => Conclusion::Incomplete,
        () => Conclusion::Clean,
    };
    if settings.format == Format::Json {
        let json = json!({
            "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "heads import",
            "verdict": verdict.as_str(), "exitCode": verdict.exit_code(), "read": read, "new": new,
            "refusals": refusals, "refused": refused, "contradictions": contradictions, "invalid": invalid, "incomplete": incomplete,
        });
        answer.print(&format!("{json}\n"));
        return verdict.exit_code();
    }
    let mut text = format!(
        "{read} heads read, {new} new, {refusals} refused, {} contradictions\n",
        contradictions.len()
    );
    let more = refusals.saturating_sub(refused.len() as u64);
    let refused = refused.iter().map(|why| format!("refused {why}"));
    let refused = refused.chain((more > 0).then(|| format!("and {more} more refused")));
    for line in refused.chain([contradictions, invalid, incomplete].into_iter().flatten().cloned()) {
        text.push_str(&format!("  {line}\n"));
    }
    answer.print(&text);
    verdict.exit_code()
}
