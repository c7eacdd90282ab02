//! Signed heads: fetched, verified, kept, and held against every head kept (specification
//! sections 3 and 10).

use super::{Fault, Run};
use crate::audit::heads::{contradictions, disorder};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::evidence::Kind;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadError, HeadFormat};
use crate::core::{limits, text};
use crate::mirror::{HeadStatus, Provenance, StoredHead};
use crate::source::{FetchError, LogSource, ServedHead};

/// Heads that are kept, or whose comparison is made durable, at once: one sync to disk for many.
const COMPARED_AT_ONCE: usize = 1000;

/// What asking for one kind of head came to.
enum Served {
    Head(Head),
    /// A finding was made.
    Bad,
    /// The log serves none of this kind, which it may.
    None,
    /// Could not tell; said in `incomplete`.
    Unknown,
}

impl Run<'_> {
    /// Fetches and keeps the served heads. Gives those to bring the mirror up to: distinct trees,
    /// the largest first. Where no head was ever seen and there is none, no log was found, and none is accused.
    pub(crate) fn collect_heads(&mut self) -> Result<Vec<Head>, Fault> {
        let Some(source) = self.source else {
            return Ok(Vec::new());
        };
        let mut served = Vec::new();
        let mut unknown = false;
        let ServedHead { checkpoint, sth } = self.served_heads(source);
        // One answer that holds both formats failed once, and is said once.
        let sth =
            if sth.is_err() && sth.as_ref().err() == checkpoint.as_ref().err() { Ok(None) } else { sth };
        let failed = checkpoint.is_err() && sth == Ok(None);
        if let Err(error @ FetchError::NotFound { .. }) = &checkpoint
            && failed
            && self.mirror.head_count()? == 0
        {
            self.summary.incomplete.push(format!("no log was found there: {error}"));
            (self.summary.no_head, self.summary.unreachable) = (true, true);
            return Ok(served);
        }
        for (format, answer) in [(HeadFormat::Checkpoint, checkpoint.map(Some)), (HeadFormat::Sth, sth)] {
            match self.served_head(format, answer)? {
                Served::Head(head) => {
                    self.end_head_findings(format)?;
                    served.push(head);
                }
                Served::None if failed => {}
                Served::None => self.end_head_findings(format)?,
                Served::Unknown => unknown = true,
                Served::Bad => {}
            }
        }
        if served.is_empty() {
            // Unreachable is "could not tell"; anything else is a log without a head of its own.
            self.summary.no_head = true;
            self.summary.unreachable = unknown;
            if !unknown {
                let note = "the log serves no head that verifies: nothing else was judged";
                self.summary.notes.push(note.to_owned());
            }
            return Ok(served);
        }
        for head in &served {
            self.keep(head, &Provenance::Served)?;
        }
        self.summary.tally.add(Check::HeadAgainstHeads, served.len() as u64, 0, 0);
        self.check_rollback(&served)?;
        self.check_times(&served)?;
        let cosigned = self.check_witnesses(&served)?;
        self.check_age(&served, cosigned)?;
        self.collect_listed()?;
        self.compare_kept()?;
        Ok(candidates(served))
    }

    /// Whether a head came here so lately that another answer of the log may still be behind it.
    pub(super) fn is_recent(&self, stored: &StoredHead) -> bool {
        let seen = text::parse_time(&stored.first_seen).unwrap_or(0);
        self.options.now.0.saturating_sub(limits::LAG_MS) < seen
    }

    /// The served heads. What does not verify is asked for once more before it is a finding: a transfer
    /// can be cut short without a sign of it.
    fn served_heads(&self, source: &dyn LogSource) -> ServedHead {
        let key = &self.policy.log_key;
        let doubtful = |format, bytes: &[u8]| {
            matches!(
                Head::verify_as(format, bytes, key),
                Err(HeadError::Malformed(_) | HeadError::NotSigned(_))
            )
        };
        let doubts = |served: &ServedHead| {
            let of_checkpoint = |b: &Vec<u8>| doubtful(HeadFormat::Checkpoint, b) || self.is_forged(b);
            let of_sth = |b: &Option<Vec<u8>>| b.as_ref().is_some_and(|b| doubtful(HeadFormat::Sth, b));
            (served.checkpoint.as_ref().is_ok_and(of_checkpoint), served.sth.as_ref().is_ok_and(of_sth))
        };
        let first = source.head();
        if doubts(&first) == (false, false) {
            return first;
        }
        if let Err(error) = source.settle() {
            return ServedHead { checkpoint: Err(error.clone()), sth: Err(error) };
        }
        let again = source.head();
        let (checkpoint, sth) = doubts(&again);
        match if checkpoint || sth { source.confirm() } else { Ok(()) } {
            Ok(()) => again,
            Err(error) => ServedHead {
                checkpoint: if checkpoint { Err(error.clone()) } else { again.checkpoint },
                sth: if sth { Err(error) } else { again.sth },
            },
        }
    }

    fn served_head(
        &mut self,
        format: HeadFormat,
        answer: Result<Option<Vec<u8>>, FetchError>,
    ) -> Result<Served, Fault> {
        match answer {
            Ok(Some(bytes)) => self.verify_served(&bytes, format),
            Ok(None) => Ok(Served::None),
            Err(error) => self.head_not_served(format, error),
        }
    }

    fn head_not_served(&mut self, format: HeadFormat, error: FetchError) -> Result<Served, Fault> {
        let (subject, what) = (Subject::Served(format), format.as_str());
        match error {
            FetchError::NotFound { .. } | FetchError::Lacking { .. } => {
                self.find_of_log(Code::Gap, subject, format!("the log serves no {what}: {error}"))?;
                Ok(Served::Bad)
            }
            FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => {
                self.find_of_log(Code::HeadMalformed, subject, format!("the {what} served: {error}"))?;
                Ok(Served::Bad)
            }
            error => {
                self.summary.incomplete.push(format!("the log's {what} could not be read: {error}"));
                Ok(Served::Unknown)
            }
        }
    }

    fn verify_served(&mut self, bytes: &[u8], format: HeadFormat) -> Result<Served, Fault> {
        let verified = Head::verify_as(format, bytes, &self.policy.log_key);
        let (subject, what) = (Subject::Served(format), format.as_str());
        self.summary.tally.record(Check::HeadSignature, verified.is_ok());
        match verified {
            Ok(head) => Ok(Served::Head(head)),
            Err(HeadError::Disagreement(what)) => Err(Fault::Disagreement(what)),
            Err(HeadError::Malformed(why)) => {
                let message = format!("the {what} served: {}", text::reason(&why));
                self.find_of_log(Code::HeadMalformed, subject, message)?;
                Ok(Served::Bad)
            }
            Err(HeadError::NotSigned(why)) => {
                let message = format!("the {what} served: {}", text::reason(&why));
                self.find_of_log(Code::HeadSignatureInvalid, subject, message)?;
                Ok(Served::Bad)
            }
        }
    }

    /// A head of this format verified just now, so earlier findings that it did not are over.
    fn end_head_findings(&mut self, format: HeadFormat) -> Result<(), Fault> {
        let codes = [Code::HeadMalformed, Code::HeadSignatureInvalid, Code::Gap];
        for stored in self.mirror.findings(false)? {
            if codes.contains(&stored.finding.code) && stored.finding.subject == Subject::Served(format) {
                self.end_finding(&stored.finding)?;
            }
        }
        Ok(())
    }

    fn check_times(&mut self, served: &[Head]) -> Result<(), Fault> {
        let before = self.summary.tally.get(Check::HeadTime).failed;
        let latest = self.latest_time();
        let in_time = served.iter().filter_map(Head::timestamp).filter(|time| *time <= latest).count();
        self.summary.tally.add(Check::HeadTime, in_time as u64, 0, 0);
        served.iter().try_for_each(|head| self.check_time(head))?;
        match self.summary.tally.get(Check::HeadTime).failed > before {
            true => Ok(()),
            false => self.end_findings_of(Code::HeadInFuture),
        }
    }

    /// No head that the log shows may be dated ahead, wherever it shows it. Only those that it serves as
    /// its newest are counted where all is well.
    pub(super) fn check_time(&mut self, head: &Head) -> Result<(), Fault> {
        let ahead = head.timestamp().filter(|time| *time > self.latest_time());
        let Some(time) = ahead else { return Ok(()) };
        self.summary.tally.record(Check::HeadTime, false);
        let message = format!("the STH of size {} is dated {}", head.size(), text::time(time));
        self.find_of_log(Code::HeadInFuture, Subject::Whole, message)
    }

    /// The latest time that is not in the future, by a clock that may be a little wrong.
    pub(super) fn latest_time(&self) -> u64 {
        self.options.now.0.saturating_add(limits::CLOCK_SKEW_MS)
    }

    pub(super) fn end_findings_of(&mut self, code: Code) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            if stored.finding.code == code {
                self.end_finding(&stored.finding)?;
            }
        }
        Ok(())
    }

    pub(super) fn end_finding_about(&mut self, code: Code, subject: &Subject) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            if stored.finding.code == code && stored.finding.subject == *subject {
                self.end_finding(&stored.finding)?;
            }
        }
        Ok(())
    }

    /// Keeps a head, durably, before anything else can fail. `true` where it is new.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn keep(&mut self, head: &Head, provenance: &Provenance) -> Result<bool, Fault> {
        Ok(self.keep_all(std::slice::from_ref(head), provenance)? > 0)
    }

    /// Keeps many heads, durably; gives how many are new.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn keep_all(&mut self, heads: &[Head], provenance: &Provenance) -> Result<u64, Fault> {
        let now = &self.options.now.1;
        let mut new: u64 = 0;
        for batch in heads.chunks(COMPARED_AT_ONCE) {
            let kept = self.mirror.transact(|mirror, _| {
                batch.iter().try_fold(0u64, |new, head| {
                    Ok(new.saturating_add(u64::from(mirror.put_head(head, provenance, now)?)))
                })
            })?;
            new = new.saturating_add(kept);
        }
        self.summary.heads_new = self.summary.heads_new.saturating_add(new);
        if new > 0 && *provenance == Provenance::Imported && !self.mirror.state().lost.is_empty() {
            self.mirror.transact(|_, state| {
                state.lost.clear();
                Ok(())
            })?;
        }
        Ok(new)
    }

    /// Holds each head that was not yet compared against all the others: what two signatures prove
    /// without the tree. A head counts as compared only once what came of it is kept, so neither a
    /// crash nor a full disk can make a contradiction be forgotten.
    pub(crate) fn compare_kept(&mut self) -> Result<(), Fault> {
        let heads = self.mirror.uncompared_heads(&self.policy.log_key)?;
        let heads: Vec<Head> = heads.into_iter().map(|stored| stored.head).collect();
        self.compare(&heads)
    }

    /// Holds these kept heads against all kept ones.
    pub(super) fn compare(&mut self, heads: &[Head]) -> Result<(), Fault> {
        let key = self.policy.log_key.clone();
        for batch in heads.chunks(COMPARED_AT_ONCE) {
            let sths: Vec<&Head> = batch.iter().filter(|head| head.timestamp().is_some()).collect();
            let times: Vec<(u64, u64)> =
                sths.iter().filter_map(|head| Some((head.size(), head.timestamp()?))).collect();
            let against = self.mirror.sths_against(&times, &key)?;
            let against = sths.into_iter().zip(against);
            self.compare_times(
                against.flat_map(|(head, others)| others.into_iter().map(move |o| (head, o))),
            )?;
            for head in batch {
                for other in self.mirror.forks_of(head.size(), &head.root(), &key)? {
                    for kind in contradictions(head, &other.head) {
                        self.report_contradiction(kind, head, &other.head, None)?;
                    }
                }
            }
            self.mirror.transact(|mirror, state| {
                batch.iter().try_for_each(|head| mirror.set_compared(state, head))
            })?;
        }
        Ok(())
    }

    /// Holds the times of STHs against each other: what is beyond the bound is a contradiction; of what is within
    /// it, the widest is told.
    fn compare_times<'h>(
        &mut self,
        pairs: impl Iterator<Item = (&'h Head, StoredHead)>,
    ) -> Result<(), Fault> {
        let mut widest: Option<(u64, Head, Head)> = None;
        for (head, other) in pairs {
            for kind in contradictions(head, &other.head) {
                self.report_contradiction(kind, head, &other.head, None)?;
            }
            let by = disorder(head, &other.head);
            if by <= limits::SIGNERS_CLOCKS_MS && by > widest.as_ref().map_or(0, |(by, ..)| *by) {
                widest = Some((by, head.clone(), other.head));
            }
        }
        widest.map_or(Ok(()), |(_, a, b)| self.report_disorder(&a, &b))
    }

    /// Two signers whose clocks differ: one finding for the log, for each pair of heads would only say it again.
    pub(super) fn report_disorder(&mut self, a: &Head, b: &Head) -> Result<(), Fault> {
        let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
        let message = format!(
            "the STH of size {} is dated {}, {} ms later than one of the larger size {}: the clocks of the log's signers \
             differ",
            smaller.size(),
            text::time(smaller.timestamp().unwrap_or_default()),
            disorder(a, b),
            larger.size()
        );
        self.find_of_log(Code::SthTimeDisorder, Subject::Whole, message)
    }

    /// Marks a head.
    pub(crate) fn mark_head(&mut self, head: &Head, status: HeadStatus) -> Result<(), Fault> {
        Ok(self.mirror.transact(|mirror, _| mirror.set_head_status(head, status))?)
    }
}

/// Distinct trees among the served heads, the largest first.
fn candidates(served: Vec<Head>) -> Vec<Head> {
    let mut distinct: Vec<Head> = Vec::new();
    for head in served {
        if !distinct.iter().any(|other| other.size() == head.size() && other.root() == head.root()) {
            distinct.push(head);
        }
    }
    distinct.sort_by_key(|head| std::cmp::Reverse(head.size()));
    distinct
}

/// The finding code of a contradiction.
pub(crate) fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::SameSizeFork => Code::SameSizeFork,
        Kind::InconsistentHeads => Code::InconsistentHeads,
        Kind::SthTimeContradiction => Code::SthTimeContradiction,
    }
}
