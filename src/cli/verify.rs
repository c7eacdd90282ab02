//! `countersign verify`: receipts, offline. No database, no network, no async runtime.

use super::args::{DecisionOption, ExpectedOptions, Format, VerifyOptions};
use super::audit::unix_ms;
use super::config::{Settings, duration};
use super::failure::Failure;
use super::output::{self, Answer};
use super::progress::Count;
use super::receipts::{NONE, Named, Receipts};
use super::style;
use crate::audit::conclusion::Conclusion;
use crate::audit::receipt::{no_receipt, verify_receipt_with};
use crate::audit::trust::{Expectation, TrustPolicy};
use crate::audit::verdict::{CheckResult, Verdict};
use crate::core::entry::Decision;
use crate::core::evidence::Kind;
use crate::core::hash::sha256;
use crate::core::limits::MAX_JSON_PAYLOAD;
use crate::core::payload::{Payload, PayloadHashes};
use crate::core::webauthn::KeyCache;
use crate::report::receipt::{ReceiptReport, brief, json, not_proven, text as full};
use crate::source::user_file::is_local;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

/// Receipts that are read, checked and printed together: many enough to keep all cores busy.
const BATCH: usize = 1024;

/// The same in bytes: few enough for little memory, however long the receipts are.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Verifies what is named and prints a report of each.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(settings: &Settings, options: VerifyOptions, answer: &mut Answer) -> Result<u8, Failure> {
    let expected = options.expected.or(settings.expected.clone());
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
        trust: settings.trust(),
        expected: expectation(&expected, &approvers, payload.as_ref())?,
        payload: expected.payload.as_deref(),
        now: unix_ms(),
        workers: settings.workers.map_or_else(super::audit::cores, usize::from),
        long: Mutex::new(()),
    };
    job.run(receipts, answer)
}

/// Reads and hashes the caller's payload, once for all receipts: short ones whole, of long ones as they
/// are read.
fn read_payload(path: &Path, action: Option<&str>) -> Result<PayloadHashes, Failure> {
    let fail = |error: io::Error| {
        Failure::new(is_local(&error), format!("cannot read the payload {path:?}: {error}"))
    };
    let mut reader: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(fail)?),
    };
    let mut start = Vec::new();
    let bound = (MAX_JSON_PAYLOAD as u64).saturating_add(1);
    reader.by_ref().take(bound).read_to_end(&mut start).map_err(fail)?;
    if start.len() <= MAX_JSON_PAYLOAD {
        return Ok(PayloadHashes::of(&start, action));
    }
    let mut hash = Sha256::new();
    while !start.is_empty() {
        hash.update(&start);
        start.clear();
        reader.by_ref().take(1024 * 1024).read_to_end(&mut start).map_err(fail)?;
    }
    Ok(PayloadHashes::of_long(hash.finalize().into()))
}

fn expectation<'a>(
    options: &'a ExpectedOptions,
    approvers: &'a [&'a str],
    payload: Option<&'a PayloadHashes>,
) -> Result<Expectation<'a>, String> {
    Ok(Expectation {
        decision: match options.decision {
            None | Some(DecisionOption::Approved) => Decision::Approved,
            Some(DecisionOption::Rejected) => Decision::Rejected,
            Some(DecisionOption::Expired) => Decision::Expired,
        },
        payload: payload.map(Payload::Hashed),
        action: options.action.as_deref(),
        email: options.email.as_deref(),
        approvers,
        id: options.expect_id.as_deref(),
        max_age: max_age(options)?,
    })
}

/// Receipts longer than this are checked one at a time: parsed, they take a score of times their length,
/// and all cores at once would take that each. Ordinary ones have a few thousand bytes.
const LONG: usize = 32 * 1024;

fn max_age(options: &ExpectedOptions) -> Result<Option<u64>, String> {
    let age = options.max_age.as_deref().map(duration).transpose();
    age.map_err(|why| format!("--max-age: {why}"))
}

struct Job<'a> {
    settings: &'a Settings,
    trust: TrustPolicy,
    expected: Expectation<'a>,
    payload: Option<&'a Path>,
    now: u64,
    workers: usize,
    /// Held while a long receipt is checked.
    long: Mutex<()>,
}

impl Job<'_> {
    fn run(&self, mut receipts: Receipts, answer: &mut Answer) -> Result<u8, Failure> {
        let mut counts = Counts::default();
        let mut progress = None;
        loop {
            let batch = receipts.next(BATCH, BATCH_BYTES);
            if batch.is_empty() && receipts.is_done() {
                break;
            }
            if receipts.many {
                // Reports that go to the terminal are progress enough.
                let shown = output::stdout_is_terminal() || self.settings.quiet;
                let draw = output::stderr_is_terminal() && !shown;
                progress.get_or_insert_with(|| Count::new(draw, "receipts")).advance(batch.len());
            }
            for (named, verdict) in batch.iter().zip(self.check(&batch)) {
                // A fork is told, whatever else is wrong.
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

    /// What is to be said of all of them together, and the exit code.
    fn conclude(&self, receipts: &Receipts, counts: &Counts, answer: &mut Answer) -> Result<u8, Failure> {
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
            _ if receipts.unread.iter().any(|failure| matches!(failure, Failure::Local(_))) => {
                Ok(Conclusion::LocalFault.exit_code())
            }
            Some(worst) if worst >= Conclusion::Violation || receipts.unread.is_empty() => {
                Ok(worst.exit_code())
            }
            _ if !receipts.unread.is_empty() => Err("not everything that was named could be read".into()),
            _ => {
                // Nothing was there, or nothing but what is passed over: no pass, and no slip of usage.
                output::error(NONE);
                Ok(Conclusion::Incomplete.exit_code())
            }
        }
    }

    /// Checks a batch on all cores; verdicts in the order of the receipts.
    fn check(&self, batch: &[Named]) -> Vec<Verdict> {
        let share = batch.len().div_ceil(self.workers.max(1)).max(1);
        if share >= batch.len() {
            return self.check_some(batch);
        }
        std::thread::scope(|scope| {
            let start = |part| {
                let work = move || self.check_some(part);
                (part, std::thread::Builder::new().spawn_scoped(scope, work))
            };
            let parts: Vec<_> = batch.chunks(share).map(start).collect();
            let verdicts = |(part, thread): (&[Named], io::Result<ScopedJoinHandle<'_, _>>)| match thread {
                // A panic in a worker is a bug of ours, and is caught where all are.
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // Without a thread it takes longer, and comes to the same.
                Err(_) => self.check_some(part),
            };
            parts.into_iter().flat_map(verdicts).collect()
        })
    }

    fn check_some(&self, receipts: &[Named]) -> Vec<Verdict> {
        let mut keys = KeyCache::new();
        let check = |named: &Named| match &named.text {
            Err(why) => no_receipt(why, &self.expected),
            Ok(bytes) => {
                let long = bytes.len() > LONG;
                let _turn = long.then(|| self.long.lock().unwrap_or_else(PoisonError::into_inner));
                verify_receipt_with(bytes, &self.trust, &self.expected, self.now, &mut keys)
            }
        };
        receipts.iter().map(check).collect()
    }

    fn print(&self, named: &Named, verdict: &Verdict, many: bool, answer: &mut Answer) -> Conclusion {
        let mut conclusion = ReceiptReport::conclude(verdict, self.settings.deny_warnings);
        let saved =
            verdict.evidence.as_deref().map(|file| save_evidence(self.settings, Kind::SameSizeFork, file));
        let evidence = saved.and_then(|saved| {
            // A proof that is not kept is more than a fork that is told: the disk needs a look first.
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

/// Saves a misbehaviour file, and gives its name. Where that fails it is said, and the receipt itself remains as the
/// proof.
///
/// # Errors
/// It was not saved.
pub fn save_evidence(settings: &Settings, kind: Kind, file: &[u8]) -> Result<String, Failure> {
    let digest: String = sha256(file).to_string().chars().take(16).collect();
    let folder = settings.evidence_dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let path = folder.join(format!("misbehaviour-{}-{digest}.json", kind.as_str()));
    let written = std::fs::create_dir_all(&folder).and_then(|()| output::replace_file(&path, file));
    let name = output::name(&path);
    let failure = |error| Failure::not_written(format_args!("the misbehaviour file {name}"), &error);
    written.map_err(failure).inspect_err(|failure| output::error(&failure.to_string()))?;
    Ok(name)
}

/// How often each conclusion was reached, and what none of the receipts shows.
#[derive(Default)]
struct Counts {
    reached: BTreeMap<Conclusion, u64>,
    not_proven: BTreeSet<String>,
}

/// Different sentences that are kept: hostile receipts can have any number of anchors.
const MAX_SENTENCES: usize = 32;

impl Counts {
    fn add(&mut self, conclusion: Conclusion, verdict: &Verdict) {
        let count = self.reached.entry(conclusion).or_default();
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
