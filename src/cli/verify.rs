//! `countersign verify`: verifies receipts offline. It needs no database, no network and no async runtime.

use super::args::VerifyOptions;
use super::output::{self, Answer};
use super::progress::EntryCounter;
use super::style;
use crate::audit::conclusion::Conclusion;
use crate::audit::verdict::{CheckResult, Verdict};
use crate::config::{Expected, Format, Settings};
use crate::core::evidence::EvidenceKind;
use crate::report::receipt::{ReceiptReport, brief, json, not_proven, text as full};
use crate::service::receipt_files::{NONE, Named, Receipts};
use crate::service::verify::{ReceiptVerifier, expectation, read_payload};
use crate::service::{Error, cores, now, save_evidence};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// The number of receipts that are read, checked and printed together: enough to keep all cores busy.
const BATCH: usize = 1024;

/// The most bytes of such a batch. It bounds the memory, however long the receipts are.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Verifies the named receipts and prints a report on each.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if a named file cannot be read.
pub fn run(settings: &Settings, options: VerifyOptions, answer: &mut Answer) -> Result<u8, Error> {
    let expected = Expected::from(options.expected).or(settings.expected.clone());
    let stdin = |path: &PathBuf| path == Path::new("-");
    if expected.payload.as_ref().is_some_and(stdin) && options.receipts.iter().any(stdin) {
        return Err("receipt and payload cannot both come from stdin".into());
    }
    let receipts = Receipts::open(&options.receipts)?;
    let action = expected.action.as_deref();
    let payload = expected.payload.as_deref().map(|path| read_payload(path, action)).transpose()?;
    let approvers: Vec<&str> = expected.approver.iter().map(String::as_str).collect();
    let job = Job {
        settings,
        verifier: ReceiptVerifier::new(
            settings.trust(),
            expectation(&expected, &approvers, payload.as_ref())?,
            now(),
            settings.workers.map_or_else(cores, usize::from),
        ),
        payload: expected.payload.as_deref(),
    };
    job.run(receipts, answer)
}

struct Job<'a> {
    settings: &'a Settings,
    verifier: ReceiptVerifier<'a>,
    payload: Option<&'a Path>,
}

impl Job<'_> {
    fn run(&self, mut receipts: Receipts, answer: &mut Answer) -> Result<u8, Error> {
        let mut counts = Counts::default();
        let mut progress = None;
        loop {
            let batch = receipts.next(BATCH, BATCH_BYTES);
            if batch.is_empty() && receipts.is_done() {
                break;
            }
            if receipts.many {
                // No progress is drawn if the reports themselves go to the terminal.
                let shown = output::stdout_is_terminal() || self.settings.quiet;
                let draw = output::stderr_is_terminal() && !shown;
                progress.get_or_insert_with(|| EntryCounter::new(draw, "receipts")).advance(batch.len());
            }
            for (named, verdict) in batch.iter().zip(self.verifier.check(&batch)) {
                // A fork is reported, whatever else is wrong.
                if let Some(why) =
                    verdict.usage.as_ref().filter(|_| verdict.conclusion() < Conclusion::Violation)
                {
                    let path = self.payload.map_or_else(String::new, |path| format!("{path:?}: "));
                    return Err(format!("--payload {path}{why} (checking {})", named.source).into());
                }
                counts.add(self.print(named, &verdict, receipts.many, answer), &verdict);
            }
        }
        drop(progress);
        self.conclude(&receipts, &counts, answer)
    }

    /// Prints the summary of all receipts, and returns the exit code.
    fn conclude(&self, receipts: &Receipts, counts: &Counts, answer: &mut Answer) -> Result<u8, Error> {
        let (quiet, others) = (self.settings.quiet, receipts.passed_over);
        let any = counts.worst().is_some();
        if any && receipts.many && self.settings.format == Format::Text && !quiet {
            answer.print(&not_proven(&counts.not_proven));
        }
        if receipts.many && (!quiet || others > 0) {
            let others = match others {
                0 => String::new(),
                others => format!("; {others} other file(s) or folder(s) there were not looked at"),
            };
            output::note(&format!("{counts}{others}"));
        }
        for failure in &receipts.unread {
            output::error(&failure.to_string());
        }
        match counts.worst() {
            _ if receipts.unread.iter().any(|failure| matches!(failure, Error::Local(_))) => {
                Ok(Conclusion::LocalFault.exit_code())
            }
            Some(worst) if worst >= Conclusion::Violation || receipts.unread.is_empty() => {
                Ok(worst.exit_code())
            }
            _ if !receipts.unread.is_empty() => Err("not all of the named receipts could be read".into()),
            _ => {
                // There was no receipt, or only files that are passed over. This is neither a pass nor wrong usage.
                output::error(NONE);
                Ok(Conclusion::Incomplete.exit_code())
            }
        }
    }

    fn print(&self, named: &Named, verdict: &Verdict, many: bool, answer: &mut Answer) -> Conclusion {
        let mut conclusion = ReceiptReport::conclude(verdict, self.settings.deny_warnings);
        let saved =
            verdict.evidence.as_deref().map(|file| save(self.settings, EvidenceKind::SameSizeFork, file));
        let evidence = saved.and_then(|saved| {
            // A proof that could not be saved outweighs the fork that is reported: the disk must be fixed first.
            saved.inspect_err(|_| conclusion = Conclusion::LocalFault).ok()
        });
        let report =
            ReceiptReport { verdict, conclusion, source: &named.source, evidence: evidence.as_deref() };
        let warned = verdict.checks.iter().any(|line| line.result == CheckResult::Warning);
        match self.settings.format {
            Format::Json => answer.print_encoded(json(&report)),
            Format::Text if self.settings.quiet && conclusion == Conclusion::Clean && !warned => {}
            Format::Text if many => answer.print(&brief(&report, style::of(self.settings))),
            Format::Text => answer.print(&full(&report, style::of(self.settings))),
        }
        conclusion
    }
}

/// Saves a misbehaviour file and returns its name. If that fails, prints the error.
///
/// # Errors
/// Returns [`Error::Local`] if the file could not be written.
pub fn save(settings: &Settings, kind: EvidenceKind, file: &[u8]) -> Result<String, Error> {
    save_evidence(settings, kind, file).inspect_err(|error| output::error(&error.to_string()))
}

/// How often each conclusion was reached, and what no receipt proves.
#[derive(Default)]
struct Counts {
    reached: BTreeMap<Conclusion, u64>,
    not_proven: BTreeSet<String>,
}

/// The most distinct messages that are kept: hostile receipts can have any number of anchors.
const MAX_SENTENCES: usize = 32;

impl Counts {
    fn add(&mut self, conclusion: Conclusion, verdict: &Verdict) {
        let count = self.reached.entry(conclusion).or_default();
        // At most one for each receipt.
        *count = count.saturating_add(1);
        for sentence in &verdict.not_proven {
            if self.not_proven.len() < MAX_SENTENCES && !self.not_proven.contains(sentence.as_ref()) {
                self.not_proven.insert(sentence.to_string());
            }
        }
    }

    fn worst(&self) -> Option<Conclusion> {
        self.reached.keys().next_back().copied()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.reached.values().sum();
        let parts: Vec<String> =
            self.reached.iter().map(|(what, count)| format!("{count} {}", what.as_str())).collect();
        write!(f, "{total} receipts{}{}", if total > 0 { ": " } else { "" }, parts.join(", "))
    }
}
