//! Makes receipts, from the mirror or from the log, and verifies them before they are handed out.
//!
//! The bytes that are handed out are the bytes that were verified, with the same function and the same trust options as
//! `countersign verify`. A receipt that fails is not handed out, because someone may rely on a file that exists. The
//! caller's payload and the age of the receipt are not checked here; `countersign verify` can check them.

use super::Error;
use super::log::{OpenLog, open_log};
use crate::audit::conclusion::Conclusion;
use crate::audit::receipt::verify_receipt_with;
use crate::audit::trust::{Expectation, TrustPolicy};
use crate::audit::verdict::{CheckLine, CheckResult, Verdict};
use crate::config::Settings;
use crate::core::check::Check;
use crate::core::entry::{Decision, Entry, read_leaf};
use crate::core::evidence::EvidenceKind;
use crate::core::head::LogKey;
use crate::core::receipt::Receipt;
use crate::core::time::UnixMillis;
use crate::core::webauthn::KeyCache;
use crate::mirror::Mirror;
use crate::run::receipts::compared;
use crate::run::receipts::mirrored::Mirrored;
use crate::run::receipts::served::{self, Wanted};
use crate::run::receipts::{Made, NoReceipt};

/// The format of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptFormat {
    /// `approval-receipt/v1`.
    Json,
    /// A C2SP tlog-proof.
    TlogProof,
}

impl ReceiptFormat {
    /// The file extension.
    pub fn extension(self) -> &'static str {
        match self {
            ReceiptFormat::Json => "json",
            ReceiptFormat::TlogProof => "tlog-proof",
        }
    }

    /// Formats the receipt. Returns `None` if this format cannot hold it, such as a leaf that is not JSON.
    pub fn write(self, receipt: &Receipt) -> Option<String> {
        match self {
            ReceiptFormat::Json => receipt.to_json(),
            ReceiptFormat::TlogProof => receipt.to_tlog_proof(),
        }
    }
}

/// Selects the entry of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptSelection<'a> {
    /// The approval with this id.
    Id(&'a str),
    /// The entry with this index, from 0.
    Index(u64),
}

/// A receipt that may be handed out.
pub struct Verified {
    /// The conclusion of its verification: clean or incomplete.
    pub conclusion: Conclusion,
    /// The receipt.
    pub text: String,
    /// The stem of a file name. It cannot lead to another directory.
    pub name: String,
    /// Messages for the user.
    pub said: Vec<String>,
}

/// A verified receipt, or why there is none.
pub type Issued = Result<Verified, NoReceipt>;

/// Makes receipts and verifies them.
pub struct ReceiptIssuer<'a> {
    settings: &'a Settings,
    key: &'a LogKey,
    trust: TrustPolicy,
    form: ReceiptFormat,
    from_log: bool,
    now: UnixMillis,
    keys: KeyCache,
}

/// All approvals by one approver, with the mirror that they come from.
pub struct Approvals<'a> {
    mirrored: Mirrored<'a>,
    indices: Vec<u64>,
}

/// Opens the mirror. The inner error is that of a mirror that cannot be read.
fn open_mirror(settings: &Settings, key: &LogKey) -> Result<Result<Mirror, NoReceipt>, Error> {
    match Mirror::open(settings.require_db()?, key) {
        Ok(mirror) => Ok(Ok(mirror)),
        Err(error) if error.is_usage() => Err(error.to_string().into()),
        Err(error) => Ok(Err(error.into())),
    }
}

impl<'a> ReceiptIssuer<'a> {
    /// Makes receipts of the log with this key. With `from_log` they come from the log, otherwise from the mirror.
    /// `now` is the time at which they are verified.
    pub fn new(
        settings: &'a Settings,
        key: &'a LogKey,
        form: ReceiptFormat,
        from_log: bool,
        now: UnixMillis,
    ) -> ReceiptIssuer<'a> {
        let (trust, keys) = (settings.trust(), KeyCache::new());
        ReceiptIssuer { settings, key, trust, form, from_log, now, keys }
    }

    /// Makes one receipt from the mirror.
    ///
    /// # Errors
    /// Returns [`Error`] on wrong usage.
    pub fn mirrored(&mut self, which: ReceiptSelection<'_>) -> Result<Issued, Error> {
        let key = self.key;
        let make = |mirror: Mirror| {
            let mut mirrored = Mirrored::new(&mirror, key)?;
            let index = match which {
                ReceiptSelection::Id(id) => mirrored.find(id)?,
                ReceiptSelection::Index(index) => index,
            };
            mirrored.make(index)
        };
        let made = open_mirror(self.settings, key)?.and_then(make);
        Ok(made.and_then(|made| self.verify(made)))
    }

    /// Opens the log. [`OpenLog::note`] says whether secrets of the config were not sent to it.
    ///
    /// # Errors
    /// Returns [`Error`] on wrong usage, or if this machine cannot open the log.
    pub fn open_log(&self) -> Result<OpenLog, Error> {
        open_log(self.settings, self.settings.require_log()?)
    }

    /// Makes one receipt from the log.
    ///
    /// # Errors
    /// Returns [`Error`] on wrong usage.
    pub fn served(&mut self, log: &OpenLog, which: ReceiptSelection<'_>) -> Result<Issued, Error> {
        let source = log.source.as_ref();
        let wanted = match which {
            ReceiptSelection::Id(id) if source.api().is_some() => Wanted::Id(id),
            ReceiptSelection::Id(id) => match self.place_of(id)? {
                Ok(index) => Wanted::Both(id, index),
                Err(none) => return Ok(Err(none)),
            },
            ReceiptSelection::Index(index) => Wanted::Index(index),
        };
        let mut ask = || {
            let made = served::make(source, wanted, self.key)?;
            made.agree(self.key)?;
            let compared = self.compared(made)?;
            self.verify(compared)
        };
        Ok(match ask() {
            // Ask once more before the failure counts against the log: the log may have grown between two answers, and
            // a transfer can be corrupted without notice.
            Err(none) if none.conclusion == Conclusion::Invalid => {
                served::settle_source(source).and_then(|()| served::confirmed(source, ask()))
            }
            first => first,
        })
    }

    /// Looks up the index of an id in the mirror: a tiled log cannot be asked by id.
    fn place_of(&self, id: &str) -> Result<Result<u64, NoReceipt>, Error> {
        if self.settings.db.is_none() {
            let why = "a tiled log cannot be asked by id: give the entry's --index, or the mirror with --db, which knows it";
            return Err(why.into());
        }
        let find = |mirror: Mirror| Mirrored::new(&mirror, self.key)?.find(id);
        Ok(open_mirror(self.settings, self.key)?.and_then(find))
    }

    /// Compares what the log served with the mirror, if one is given. The mirror is opened only after the log has
    /// answered, which may take long, because no audit can use an open mirror.
    fn compared(&self, mut made: Made) -> Result<Made, NoReceipt> {
        match self.settings.db.as_deref().map(|db| Mirror::open(db, self.key)) {
            None => made
                .notes
                .push("the log's heads were not compared with a mirror, as none was given (--db)".to_owned()),
            Some(Ok(mirror)) => {
                made.notes.extend(compared::compare(&Mirrored::new(&mirror, self.key)?, &made)?)
            }
            Some(Err(error)) => made.notes.push(format!("not compared with the mirror: {error}")),
        }
        Ok(made)
    }

    /// Opens the mirror, to make many receipts from it.
    ///
    /// # Errors
    /// Returns [`Error`] on wrong usage.
    pub fn open_mirror(&self) -> Result<Result<Mirror, NoReceipt>, Error> {
        open_mirror(self.settings, self.key)
    }

    /// Finds all approvals by this approver.
    ///
    /// # Errors
    /// Returns [`NoReceipt`] if there are none, or if the mirror cannot be read.
    pub fn approved_by<'m>(&self, mirror: &'m Mirror, approver: &str) -> Result<Approvals<'m>, NoReceipt>
    where
        'a: 'm,
    {
        let mirrored = Mirrored::new(mirror, self.key)?;
        let indices = mirrored.approved_by(approver)?;
        Ok(Approvals { mirrored, indices })
    }

    /// Makes the receipt of one of these approvals.
    ///
    /// # Errors
    /// Returns [`NoReceipt`] if it cannot be made or does not verify.
    pub fn one_of(&mut self, approvals: &mut Approvals<'_>, index: u64) -> Issued {
        approvals.mirrored.make(index).and_then(|made| self.verify(made))
    }

    /// Verifies exactly the bytes that are to be written.
    fn verify(&mut self, made: Made) -> Result<Verified, NoReceipt> {
        let Made { receipt, notes, .. } = made;
        let Some(text) = self.form.write(&receipt) else {
            let index = receipt.index;
            let why = format!("what the log has as entry {index} does not fit into a receipt");
            return Err(NoReceipt::new(Conclusion::Invalid, why));
        };
        let entry = read_leaf(&receipt.leaf, self.key.origin()).entry;
        let decision = entry.as_ref().map_or(Decision::Approved, |entry| entry.decision);
        let expected = Expectation { decision, ..Expectation::default() };
        let mut judge = |text: &str| {
            verify_receipt_with(text.as_bytes(), &self.trust, &expected, self.now, &mut self.keys)
        };
        let mut verdict = judge(&text);
        // A tlog-proof has no STH and no reveal. A fault in those is still a fault of the log.
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

    /// Explains why a receipt that failed verification is not handed out.
    fn refusal(&self, verdict: &Verdict) -> NoReceipt {
        let failed = |line: &CheckLine| line.result == CheckResult::Failed;
        let why: Vec<String> = verdict.faults.iter().cloned().chain(lines(verdict, failed)).collect();
        let none = NoReceipt::new(verdict.conclusion(), why.join("; "));
        // Witnesses cosign after the log has signed. The log may serve the cosignatures by now.
        let only_witnesses =
            verdict.checks.iter().filter(|line| failed(line)).all(|line| line.check == Check::Witnesses);
        if none.conclusion == Conclusion::Invalid && only_witnesses && !self.from_log {
            let why = format!(
                "{none}. The mirror keeps a checkpoint as it first saw it: get the present cosignatures with \
                 --from-log"
            );
            return NoReceipt::new(Conclusion::Incomplete, why);
        }
        let evidence = verdict.evidence.as_ref().map(|file| (EvidenceKind::SameSizeFork, file.clone()));
        NoReceipt { evidence, ..none }
    }
}

impl Approvals<'_> {
    /// Their indices in the log.
    pub fn indices(&self) -> Vec<u64> {
        self.indices.clone()
    }
}

/// Formats the selected checks, each as one line.
fn lines(verdict: &Verdict, which: impl Fn(&CheckLine) -> bool) -> impl Iterator<Item = String> {
    verdict.checks.iter().filter(move |line| which(line)).map(|line| {
        let code = line.code.map_or(String::new(), |code| format!("{code}: "));
        format!("{}: {code}{}", line.check, line.message)
    })
}
