//! `countersign heads`: the history of signed heads, and heads that others have seen.

use super::args::{Format, HeadsCommand};
use super::audit::Started;
use super::config::Settings;
use super::output;
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
const MOST_REFUSED: usize = 100;

/// Runs one of the commands.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(settings: &Settings, command: &HeadsCommand) -> Result<u8, String> {
    let db = settings.require_db()?;
    let Some(key) = settings.one_log_key()? else {
        return Err("which log? Give its public key with --log-key".to_owned());
    };
    // Before the mirror is opened, which nobody else can use from then on.
    let to_import = match command {
        HeadsCommand::Import { file, .. } => match fetch_or_read(settings, file)? {
            Ok(bytes) => bytes,
            Err(cause) => {
                return Ok(say_imported(
                    settings,
                    &Imported { incomplete: vec![cause], ..Imported::default() },
                ));
            }
        },
        HeadsCommand::List { .. } | HeadsCommand::Export { .. } => Vec::new(),
    };
    let mut mirror = match Mirror::open(db, key) {
        Ok(mirror) => mirror,
        Err(error) if error.is_usage() => return Err(error.to_string()),
        Err(error) => return Ok(fault(&error)),
    };
    let result = match command {
        HeadsCommand::List { .. } => list(settings, &mirror, key),
        HeadsCommand::Export { .. } => export(&mirror, key),
        HeadsCommand::Import { .. } => return import(settings, &mut mirror, key, &to_import),
    };
    Ok(result.unwrap_or_else(|error| fault(&error)))
}

fn fault(error: &MirrorError) -> u8 {
    output::error(&error.to_string());
    Conclusion::LocalFault.exit_code()
}

fn export(mirror: &Mirror, key: &LogKey) -> Result<u8, MirrorError> {
    let mut lines = String::new();
    for stored in mirror.heads(key)? {
        lines.push_str(&HeadLine::new(&stored).to_line());
    }
    output::print(&lines);
    Ok(0)
}

fn list(settings: &Settings, mirror: &Mirror, key: &LogKey) -> Result<u8, MirrorError> {
    if settings.format == Format::Json {
        return export(mirror, key);
    }
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
    output::print(&text);
    Ok(0)
}

/// What is to be imported: a file's bytes, or a document's, or why the document could not be had.
fn fetch_or_read(settings: &Settings, file: &Path) -> Result<Result<Vec<u8>, String>, String> {
    let url = file.to_str().filter(|text| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https"))
    });
    let Some(url) = url else {
        return output::read_file(file, MAX_IMPORT).map(Ok);
    };
    let (options, left_out) = settings.net.options_for(url, settings.log.as_deref())?;
    let document = Document::new(url, &options).map_err(|error| match error {
        OpenError::Url { url, cause } => format!("{url} is no URL to import from: {cause}"),
        error => error.to_string(),
    })?;
    Ok(document.fetch(MAX_IMPORT).map_err(|error| {
        let refused = matches!(error, FetchError::Refused { .. });
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
        if self.refused.len() < MOST_REFUSED {
            self.refused.push(format!("head {}: {}", self.read, text::quoted(&error.to_string())));
        }
    }

    fn keep(&mut self, run: &mut Run<'_>, heads: &mut Vec<Head>) -> Result<(), Fault> {
        self.new = self.new.saturating_add(run.keep_all(heads, &Provenance::Imported)?);
        heads.clear();
        Ok(())
    }
}

/// Adds heads, each verified with the pinned key, and holds each against all that are kept and
/// against the mirrored tree. A head that does not verify is refused and is nobody's fault but the
/// file's; the exit code is then 1, because not everything in the file was what it says.
fn import(settings: &Settings, mirror: &mut Mirror, key: &LogKey, bytes: &[u8]) -> Result<u8, String> {
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
        if heads.len() >= KEPT_AT_ONCE
            && let Err(error) = imported.keep(&mut run, &mut heads)
        {
            return Ok(stop(&error.to_string()));
        }
    }
    if let Err(error) = imported.keep(&mut run, &mut heads) {
        return Ok(stop(&error.to_string()));
    }
    if let Some(what) = disagreement {
        return Ok(stop(&what));
    }
    if imported.read == 0 {
        imported.incomplete.push("there are no heads in it: was the export broken?".to_owned());
    }
    let summary = run.compare_imported();
    if let Some(fault) = summary.faults.first() {
        return Ok(stop(fault));
    }
    let findings = match mirror.findings(false) {
        Ok(findings) => findings,
        Err(error) => return Ok(stop(&error.to_string())),
    };
    for StoredFinding { finding, last_seen, .. } in findings {
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
    Ok(say_imported(settings, &imported))
}

fn stop(message: &str) -> u8 {
    output::error(message);
    Conclusion::LocalFault.exit_code()
}

fn say_imported(settings: &Settings, imported: &Imported) -> u8 {
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
        output::print(&format!("{json}\n"));
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
    output::print(&text);
    verdict.exit_code()
}
