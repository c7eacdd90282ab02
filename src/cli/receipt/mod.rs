//! `countersign receipt`: receipts are put together, verified as they will be handed out, and written.
//!
//! The bytes that are written are the bytes that were verified, with the same function and the same trust
//! options that `countersign verify` has. What fails is not written: a file that exists may be relied on.
//! What was not asked of the receipt here (the caller's payload, its age) is for `verify`.

mod usage;

use super::args::{Common, ReceiptOptions};
use super::audit::{NO_LOG_KEY, open_log, unix_ms};
use super::config::{self, Settings};
use super::failure::Failure;
use super::output::{self, Answer};
use super::progress::Bar;
use super::verify::save_evidence;
use crate::audit::conclusion::Conclusion;
use crate::audit::receipt::verify_receipt_with;
use crate::audit::trust::{Expectation, TrustPolicy};
use crate::audit::verdict::{CheckLine, CheckResult, Verdict};
use crate::core::entry::{Decision, Entry, read_leaf};
use crate::core::evidence::Kind;
use crate::core::head::LogKey;
use crate::core::webauthn::KeyCache;
use crate::mirror::Mirror;
use crate::run::Progress as _;
use crate::run::receipts::mirrored::Mirrored;
use crate::run::receipts::served::{self, Wanted};
use crate::run::receipts::{Made, NoReceipt};
use std::collections::BTreeMap;
use std::path::Path;
use usage::Form;

/// Writes the receipts that are asked for.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn run(common: Common, options: &ReceiptOptions, answer: &mut Answer) -> Result<u8, Failure> {
    let form = Form::typed(common.format)?;
    let settings = config::resolve(Common { format: None, ..common }, options.shared())?;
    usage::check(options)?;
    let Some(key) = settings.one_log_key()? else {
        output::error(NO_LOG_KEY);
        return Ok(Conclusion::Incomplete.exit_code());
    };
    let mut issuer = ReceiptIssuer {
        settings: &settings,
        key,
        trust: settings.trust(),
        form,
        from_log: options.from_log,
        now: unix_ms(),
        keys: KeyCache::new(),
    };
    let conclusion = match (&options.which.all_of, &options.out) {
        (Some(approver), Some(folder)) => issuer.all_of(approver, folder)?,
        _ => issuer.one(options, answer)?,
    };
    Ok(conclusion.exit_code())
}

/// What receipts are made and judged with.
struct ReceiptIssuer<'a> {
    settings: &'a Settings,
    key: &'a LogKey,
    trust: TrustPolicy,
    form: Form,
    from_log: bool,
    now: u64,
    keys: KeyCache,
}

/// A receipt that may be handed out.
struct Verified {
    conclusion: Conclusion,
    text: String,
    /// For a file's name: nothing in it can lead elsewhere.
    name: String,
    /// What whoever asked for it should know.
    said: Vec<String>,
}

/// The mirror, or what it means that there is none.
fn open_mirror(settings: &Settings, key: &LogKey) -> Result<Result<Mirror, NoReceipt>, Failure> {
    match Mirror::open(settings.require_db()?, key) {
        Ok(mirror) => Ok(Ok(mirror)),
        Err(error) if error.is_usage() => Err(error.to_string().into()),
        Err(error) => Ok(Err(error.into())),
    }
}

impl ReceiptIssuer<'_> {
    /// One receipt, to a file or to stdout.
    fn one(&mut self, options: &ReceiptOptions, answer: &mut Answer) -> Result<Conclusion, Failure> {
        let verified = if options.from_log { self.served(options)? } else { self.mirrored(options)? };
        let verified = match verified {
            Ok(verified) => verified,
            Err(none) => {
                output::error(&format!("no receipt was written: {none}"));
                let saved =
                    none.evidence.as_ref().map(|(kind, file)| save_evidence(self.settings, *kind, file));
                return Ok(match saved {
                    None => none.conclusion,
                    Some(Ok(path)) => {
                        output::note(&format!("the proof is in {path}"));
                        none.conclusion
                    }
                    Some(Err(_)) => Conclusion::LocalFault,
                });
            }
        };
        warn(&verified.said);
        match &options.out {
            Some(path) => output::replace_file(path, verified.text.as_bytes())
                .map_err(|error| Failure::not_written(output::name(path), &error))?,
            None => answer.print(&verified.text),
        }
        Ok(verified.conclusion)
    }

    fn mirrored(&mut self, options: &ReceiptOptions) -> Result<Result<Verified, NoReceipt>, Failure> {
        let key = self.key;
        let make = |mirror: Mirror| {
            let mut mirrored = Mirrored::new(&mirror, key)?;
            let index = match (&options.which.id, options.which.index) {
                (Some(id), _) => mirrored.find(id)?,
                (None, index) => index.unwrap_or_default(),
            };
            mirrored.make(index)
        };
        let made = open_mirror(self.settings, key)?.and_then(make);
        Ok(made.and_then(|made| self.verify(made)))
    }

    fn served(&mut self, options: &ReceiptOptions) -> Result<Result<Verified, NoReceipt>, Failure> {
        let (source, note) = open_log(self.settings, self.settings.require_log()?)?;
        warn(&note.into_iter().collect::<Vec<_>>());
        let wanted = match (&options.which.id, options.which.index) {
            (Some(id), _) if source.api().is_some() => Wanted::Id(id),
            (Some(id), _) => match self.place_of(id)? {
                Ok(index) => Wanted::Both(id, index),
                Err(none) => return Ok(Err(none)),
            },
            (None, index) => Wanted::Index(index.unwrap_or_default()),
        };
        let mut ask = || {
            let made = served::make(source.as_ref(), wanted, self.key)?;
            made.agree(self.key)?;
            let compared = self.compared(made)?;
            self.verify(compared)
        };
        Ok(match ask() {
            // Once more before it is held against the log: it may have grown between two answers, and a
            // transfer can be changed without a sign of it.
            Err(none) if none.conclusion == Conclusion::Invalid => served::settle_source(source.as_ref())
                .and_then(|()| served::confirmed(source.as_ref(), ask())),
            first => first,
        })
    }

    /// Where an id is in a tiled log, which has no way to ask: the mirror knows.
    fn place_of(&self, id: &str) -> Result<Result<u64, NoReceipt>, Failure> {
        if self.settings.db.is_none() {
            let why = "a tiled log cannot be asked by id: give the entry's --index, or the mirror with --db, which knows it";
            return Err(why.into());
        }
        let find = |mirror: Mirror| Mirrored::new(&mirror, self.key)?.find(id);
        Ok(open_mirror(self.settings, self.key)?.and_then(find))
    }

    /// What the log gave, held against the mirror where one is given. Opened only now: while it is open
    /// no audit can use it, and a log may take its time to answer.
    fn compared(&self, mut made: Made) -> Result<Made, NoReceipt> {
        match self.settings.db.as_deref().map(|db| Mirror::open(db, self.key)) {
            None => made
                .notes
                .push("the log's heads were not compared with a mirror, as none was given (--db)".to_owned()),
            Some(Ok(mirror)) => made.notes.extend(Mirrored::new(&mirror, self.key)?.compare(&made)?),
            Some(Err(error)) => made.notes.push(format!("not compared with the mirror: {error}")),
        }
        Ok(made)
    }

    /// Every approval of one approver, a file each.
    fn all_of(&mut self, approver: &str, folder: &Path) -> Result<Conclusion, Failure> {
        let mirror = match open_mirror(self.settings, self.key)? {
            Ok(mirror) => mirror,
            Err(none) => return Ok(say(&none)),
        };
        let found = Mirrored::new(&mirror, self.key).map_err(NoReceipt::from);
        let found = found.and_then(|mirrored| Ok((mirrored.approved_by(approver)?, mirrored)));
        let (indices, mut mirrored) = match found {
            Ok(found) => found,
            Err(none) => return Ok(say(&none)),
        };
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::not_written(output::name(folder), &error))?;
        let bar = Bar::new(!self.settings.quiet && output::stderr_is_terminal(), self.settings.verbose);
        bar.begin("writing receipts", indices.len() as u64);
        let (mut written, mut worst): (u64, Conclusion) = (0, Conclusion::Clean);
        let mut said = Said::default();
        for index in &indices {
            let conclusion = match mirrored.make(*index).and_then(|made| self.verify(made)) {
                Ok(verified) => {
                    said.add(*index, &verified.said);
                    self.write_into(folder, *index, &verified)
                }
                Err(none) => {
                    output::error(&format!("entry {index}, not written: {none}"));
                    none.conclusion
                }
            };
            written = written.saturating_add(u64::from(conclusion <= Conclusion::Incomplete));
            worst = worst.max(conclusion);
            bar.advance(1);
            // The disk, the mirror, or a log that contradicts itself: what follows would fail as this did.
            if conclusion >= Conclusion::Violation {
                break;
            }
        }
        bar.end();
        warn(&said.lines());
        if !(self.settings.quiet && worst == Conclusion::Clean) {
            let missing = (indices.len() as u64).saturating_sub(written);
            output::note(&format!("{written} receipts written to {}, {missing} not", output::name(folder)));
        }
        Ok(worst)
    }

    fn write_into(&self, folder: &Path, index: u64, verified: &Verified) -> Conclusion {
        let path = folder.join(format!("{index}-{}.{}", verified.name, self.form.extension()));
        match output::replace_file(&path, verified.text.as_bytes()) {
            Ok(()) => verified.conclusion,
            Err(error) => not_written(&path, &error),
        }
    }

    /// Verifies the very bytes that are to be written.
    fn verify(&mut self, made: Made) -> Result<Verified, NoReceipt> {
        let Made { receipt, notes, .. } = made;
        let Some(text) = self.form.write(&receipt) else {
            let index = receipt.index;
            let why = format!("what the log has as entry {index} is nothing that a receipt can hold");
            return Err(NoReceipt::new(Conclusion::Invalid, why));
        };
        let entry = read_leaf(&receipt.leaf, self.key.origin()).entry;
        let decision = entry.as_ref().map_or(Decision::Approved, |entry| entry.decision);
        let expected = Expectation { decision, ..Expectation::default() };
        let mut judge = |text: &str| {
            verify_receipt_with(text.as_bytes(), &self.trust, &expected, self.now, &mut self.keys)
        };
        let mut verdict = judge(&text);
        // A tlog-proof has no STH and no reveal. What is wrong with those is wrong with the log all the same.
        if let Some(whole) = receipt.to_json().filter(|whole| *whole != text) {
            let of_all = judge(&whole);
            if of_all.conclusion() > verdict.conclusion() {
                verdict = of_all;
            }
        }
        let conclusion = verdict.conclusion();
        if conclusion > Conclusion::Incomplete {
            return Err(self.refusal(&verdict));
        }
        let name = entry.as_ref().and_then(Entry::valid_id).unwrap_or("unnamed").to_owned();
        let mut said = notes;
        said.extend(lines(&verdict, |line| line.result == CheckResult::Warning));
        let missing = |line: &CheckLine| line.required && line.result == CheckResult::NotChecked;
        said.extend(lines(&verdict, missing).map(|line| format!("not checked: {line}")));
        Ok(Verified { conclusion, text, name, said })
    }

    /// Why what was verified is not handed out.
    fn refusal(&self, verdict: &Verdict) -> NoReceipt {
        let failed = |line: &CheckLine| line.result == CheckResult::Failed;
        let why: Vec<String> = verdict.faults.iter().cloned().chain(lines(verdict, failed)).collect();
        let none = NoReceipt::new(verdict.conclusion(), why.join("; "));
        // Witnesses cosign later than a log signs. What the log serves now may well be cosigned.
        let only_witnesses =
            verdict.checks.iter().filter(|line| failed(line)).all(|line| line.name == "witnesses");
        if none.conclusion == Conclusion::Invalid && only_witnesses && !self.from_log {
            let why = format!(
                "{none}. The mirror keeps a checkpoint as it first saw it: --from-log gets the cosignatures that it \
                 has now"
            );
            return NoReceipt::new(Conclusion::Incomplete, why);
        }
        let evidence = verdict.evidence.as_ref().map(|file| (Kind::SameSizeFork, file.clone()));
        NoReceipt { evidence, ..none }
    }
}

/// What is to be said of many receipts: once, and of how many.
#[derive(Default)]
struct Said(BTreeMap<String, (u64, u64)>);

impl Said {
    fn add(&mut self, index: u64, said: &[String]) {
        for line in said {
            let (_, count) = self.0.entry(line.clone()).or_insert((index, 0));
            *count = count.saturating_add(1);
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |(said, (first, count)): (&String, &(u64, u64))| match count.saturating_sub(1) {
            0 => format!("entry {first}: {said}"),
            more => format!("entry {first} and {more} more: {said}"),
        };
        self.0.iter().map(line).collect()
    }
}

/// Some of the checks, each as one line.
fn lines(verdict: &Verdict, which: impl Fn(&CheckLine) -> bool) -> impl Iterator<Item = String> {
    verdict.checks.iter().filter(move |line| which(line)).map(|line| {
        let code = line.code.map_or(String::new(), |code| format!("{code}: "));
        format!("{}: {code}{}", line.name, line.message)
    })
}

fn warn(said: &[String]) {
    for line in said {
        output::note(&format!("warning: {line}"));
    }
}

fn say(none: &NoReceipt) -> Conclusion {
    output::error(&none.to_string());
    none.conclusion
}

fn not_written(path: &Path, error: &std::io::Error) -> Conclusion {
    output::error(&Failure::not_written(output::name(path), error).to_string());
    Conclusion::LocalFault
}
