//! Signed heads: fetched, verified, kept, and held against every head kept (specification
//! sections 3 and 10).

use super::{Fault, Run};
use crate::audit::heads::contradictions;
use crate::core::evidence::Kind;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadError, HeadFormat};
use crate::core::{limits, text};
use crate::mirror::{HeadStatus, Provenance};
use crate::source::{FetchError, LogSource};

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
    /// the largest first.
    pub(crate) fn collect_heads(&mut self) -> Result<Vec<Head>, Fault> {
        let Some(source) = self.source else {
            return Ok(Vec::new());
        };
        let mut served = Vec::new();
        let mut unknown = false;
        for format in [HeadFormat::Checkpoint, HeadFormat::Sth] {
            match self.served_head(source, format)? {
                Served::Head(head) => {
                    self.end_head_findings(format)?;
                    served.push(head);
                }
                Served::None => self.end_head_findings(format)?,
                Served::Unknown => unknown = true,
                Served::Bad => {}
            }
        }
        if served.is_empty() {
            // Unreachable is "could not tell"; anything else is a log without a head of its own.
            self.summary.no_head = true;
            if !unknown {
                let note = "the log serves no head that verifies: nothing else was judged";
                self.summary.notes.push(note.to_owned());
            }
            return Ok(served);
        }
        for head in &served {
            self.keep(head, &Provenance::Served)?;
        }
        self.compare_kept()?;
        self.summary.tally.add("head-against-heads", served.len() as u64, 0, 0);
        self.check_rollback(&served)?;
        self.check_times(&served)?;
        self.check_age(&served)?;
        Ok(candidates(served))
    }

    /// The head of one format. What does not verify is asked for once more before it is a finding:
    /// a transfer can be cut short without a sign of it.
    fn served_head(&mut self, source: &dyn LogSource, format: HeadFormat) -> Result<Served, Fault> {
        let fetch = || match format {
            HeadFormat::Checkpoint => source.checkpoint().map(Some),
            HeadFormat::Sth => source.sth(),
        };
        let mut answer = fetch();
        if let Ok(Some(bytes)) = &answer
            && let Err(HeadError::Malformed(_) | HeadError::NotSigned(_)) =
                Head::verify_as(format, bytes, &self.policy.log_key)
        {
            answer = fetch();
        }
        match answer {
            Ok(Some(bytes)) => self.verify_served(&bytes, format),
            Ok(None) => Ok(Served::None),
            Err(error) => self.head_not_served(format.as_str(), error),
        }
    }

    fn head_not_served(&mut self, subject: &str, error: FetchError) -> Result<Served, Fault> {
        match error {
            FetchError::NotFound { .. } => {
                self.find_of_log(Code::Gap, subject, format!("the log serves no {subject}: {error}"))?;
                Ok(Served::Bad)
            }
            FetchError::TooLarge { .. } => {
                self.find_of_log(Code::HeadMalformed, subject, format!("the {subject} served: {error}"))?;
                Ok(Served::Bad)
            }
            error => {
                self.summary.incomplete.push(format!("the log's {subject} could not be read: {error}"));
                Ok(Served::Unknown)
            }
        }
    }

    fn verify_served(&mut self, bytes: &[u8], format: HeadFormat) -> Result<Served, Fault> {
        let verified = Head::verify_as(format, bytes, &self.policy.log_key);
        let subject = format.as_str();
        self.summary.tally.record("head-signature", verified.is_ok());
        match verified {
            Ok(head) => Ok(Served::Head(head)),
            Err(HeadError::Disagreement(what)) => Err(Fault::Disagreement(what)),
            Err(HeadError::Malformed(why)) => {
                let message = format!("the {subject} served: {}", text::quoted(&why));
                self.find_of_log(Code::HeadMalformed, subject, message)?;
                Ok(Served::Bad)
            }
            Err(HeadError::NotSigned(why)) => {
                let message = format!("the {subject} served: {}", text::quoted(&why));
                self.find_of_log(Code::HeadSignatureInvalid, subject, message)?;
                Ok(Served::Bad)
            }
        }
    }

    /// A head of this format verified just now, so earlier findings that it did not are over.
    fn end_head_findings(&mut self, format: HeadFormat) -> Result<(), Fault> {
        let codes = [Code::HeadMalformed, Code::HeadSignatureInvalid, Code::Gap];
        for stored in self.mirror.findings(false)? {
            if codes.contains(&stored.finding.code) && stored.finding.subject == format.as_str() {
                self.end_finding(&stored.finding)?;
            }
        }
        Ok(())
    }

    /// The log must not go back behind what it signed (specification section 10): neither its
    /// newest head behind any head kept, nor one format behind what that format showed us.
    fn check_rollback(&mut self, served: &[Head]) -> Result<(), Fault> {
        let newest = served.iter().map(Head::size).max().unwrap_or(0);
        let key = self.policy.log_key.clone();
        let mut back: Option<(&'static str, u64, u64)> = None;
        if let Some(kept) = self.mirror.largest_head(None, false, &key)?
            && newest < kept.head.size()
        {
            back = Some(("newest head", newest, kept.head.size()));
        }
        for head in served {
            if let Some(kept) = self.mirror.largest_head(Some(head.format()), true, &key)?
                && head.size() < kept.head.size()
                && back.is_none()
            {
                back = Some((head.format().as_str(), head.size(), kept.head.size()));
            }
        }
        self.summary.tally.record("head-rollback", back.is_none());
        match back {
            Some((what, now, before)) => {
                let message = format!(
                    "the log now serves a {what} of size {now}; it signed one of size {before} before"
                );
                self.find_of_log(Code::HeadRollback, "", message)
            }
            None => self.end_findings_of(Code::HeadRollback),
        }
    }

    fn check_times(&mut self, served: &[Head]) -> Result<(), Fault> {
        let latest = self.options.now.0.saturating_add(limits::CLOCK_SKEW_MS);
        let mut ahead = None;
        for head in served {
            let Some(time) = head.timestamp() else { continue };
            self.summary.tally.record("head-time", time <= latest);
            if time > latest {
                ahead = Some((head.size(), time));
            }
        }
        match ahead {
            Some((size, time)) => {
                let message = format!("the STH of size {size} is dated {}", text::time(time));
                self.find_of_log(Code::HeadInFuture, "", message)
            }
            None => self.end_findings_of(Code::HeadInFuture),
        }
    }

    /// Only an STH has a time; where an age limit is asked for and there is none, that is said.
    fn check_age(&mut self, served: &[Head]) -> Result<(), Fault> {
        let Some(limit) = self.policy.max_head_age else {
            self.summary.tally.add("head-age", 0, 0, 1);
            // Nobody asks for it any more.
            return self.end_findings_of(Code::HeadStale);
        };
        let Some(time) = served.iter().filter_map(Head::timestamp).max() else {
            self.summary.tally.add("head-age", 0, 0, 1);
            let cause =
                "--max-head-age was asked for, but the log serves no STH, and a checkpoint has no time";
            self.summary.incomplete.push(cause.to_owned());
            return Ok(());
        };
        let age = self.options.now.0.saturating_sub(time);
        self.summary.tally.record("head-age", age <= limit);
        if age > limit {
            let message = format!(
                "the newest STH is dated {}, {} ago; the limit is {}",
                text::time(time),
                text::duration(age),
                text::duration(limit)
            );
            return self.find_of_log(Code::HeadStale, "", message);
        }
        self.end_findings_of(Code::HeadStale)
    }

    fn end_findings_of(&mut self, code: Code) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            if stored.finding.code == code {
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
        let now = &self.options.now.1;
        let new = self.mirror.transact(|mirror, _| mirror.put_head(head, provenance, now))?;
        if new {
            self.summary.heads_new = self.summary.heads_new.saturating_add(1);
        }
        Ok(new)
    }

    /// Holds each head that was not yet compared against all the others: what two signatures prove
    /// without the tree. A head counts as compared only once what came of it is kept, so neither a
    /// crash nor a full disk can make a contradiction be forgotten.
    pub(crate) fn compare_kept(&mut self) -> Result<(), Fault> {
        let key = self.policy.log_key.clone();
        for head in self.mirror.uncompared_heads(&key)?.into_iter().map(|stored| stored.head) {
            let mut against = self.mirror.heads_of_size(head.size(), &key)?;
            if let Some(time) = head.timestamp() {
                against.extend(self.mirror.sths_against(head.size(), time, &key)?);
            }
            for other in against {
                for kind in contradictions(&head, &other.head) {
                    self.report_contradiction(kind, &head, &other.head, None)?;
                }
            }
            self.mirror.transact(|mirror, _| mirror.set_compared(&head))?;
        }
        Ok(())
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
