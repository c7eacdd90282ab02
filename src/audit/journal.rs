//! A gate's journal against the log (gate specification section 4): what the approval service said, and what was acted
//! on, must be in the log.
//!
//! # What is found
//!
//! - [`Code::ApprovalOmitted`]: the service said that a person approved, and the log does not have that.
//! - [`Code::ActionWithoutApproval`]: a gate acted on a receipt of the log, and the log does not have its nonce.
//! - [`Code::ApprovalUnasked`]: the log has an approval that the journal never asked for.
//!
//! # What is not
//!
//! Anything against somebody who can write the journal. That a log does not have an entry is known only of a tree whose
//! root it signed, so the caller looks entries up in one that is checked as a whole. An approval whose time of asking lies
//! before the first row of the journal is not judged: nobody knows what was asked then. That time is the log's word.
//!
//! The journal is read after the log. A row is durable before anybody is asked, so it is there before its entry is.

use super::finding::Finding;
use super::subject::Subject;
use crate::core::entry::Decision;
use crate::core::finding::Code;
use crate::core::limits;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use std::collections::BTreeSet;

/// What others can check.
const EVIDENCE: &str = "\"countersign gate export\" writes what the journal has of it";

/// Where a gate's journal is read from, once the log was.
pub trait ReadJournal: Sync {
    /// Reads the journal now.
    ///
    /// # Errors
    /// Why it cannot be used, which is a fault on our side.
    fn read(&self) -> Result<JournalRows, String>;
}

/// What is judged of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JournalRows {
    /// The rows about this log, in the order in which they were asked for.
    pub rows: Vec<JournalRow>,
    /// The number of rows about other logs, which are not judged.
    pub of_others: u64,
    /// The earliest time of asking in the journal, in whatever log; `None` if it has no row. The journal was there then.
    pub since: Option<UnixMillis>,
    /// Whose approvals are all asked for with this journal.
    pub complete_for: BTreeSet<String>,
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalRow {
    /// The idempotency key.
    pub key: String,
    /// Who was asked.
    pub username: String,
    /// When the request was fixed.
    pub asked_at: UnixMillis,
    /// Until when it may have been sent.
    pub post_until: UnixMillis,
    /// The confirmation's id; `None` while the outcome of the request is unknown.
    pub id: Option<String>,
    /// When the gate learnt that the service says that the person approved.
    pub approved_at: Option<UnixMillis>,
    /// The approval that was used.
    pub used: Option<Used>,
}

/// An approval that was used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Used {
    /// The nonce, as base64url.
    pub nonce: String,
    /// The size of the tree of which the receipt has a signed head; `None` if this program cannot read the receipt.
    pub tree_size: Option<u64>,
    /// When it was used.
    pub at: UnixMillis,
    /// How the action ended.
    pub ending: Ending,
}

/// How an action ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It did what it should.
    Ok,
    /// It failed.
    Failed,
    /// Nobody said how.
    Unknown,
}

/// The first entry with an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Its index.
    pub index: u64,
    /// Its decision.
    pub decision: Decision,
}

/// An approval in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedApproval {
    /// The index of the entry.
    pub index: u64,
    /// Its id, if it has a readable one.
    pub id: Option<String>,
    /// Who approved, according to the entry.
    pub approver: String,
    /// When it was asked for, according to the entry.
    pub requested_at: UnixMillis,
}

/// What came of one judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// Log and journal agree.
    Holds,
    /// It is too early to say.
    NotYet,
    /// They do not agree.
    Found(Box<Finding>),
}

/// Whether the log has what the service said that a person approved; `None` if it said nothing of the kind. `logged` is
/// the entry with that id.
pub fn omission(row: &JournalRow, logged: Option<Logged>, now: UnixMillis) -> Option<Judged> {
    let (id, approved_at) = (row.id.as_deref()?, row.approved_at?);
    let has = match logged {
        Some(Logged { decision: Decision::Approved, .. }) => return Some(Judged::Holds),
        // A time to come is a slip of a clock.
        _ if now.since(approved_at).is_none_or(|since| since < limits::LAG) => return Some(Judged::NotYet),
        Some(Logged { index, decision }) => format!("has it as {}, in entry {index}", decision.as_str()),
        None => "does not have it".to_owned(),
    };
    let message = format!(
        "the approval service answered approved for {} at {approved_at}, and the log {has}; key {} of the journal: \
         {EVIDENCE}",
        quoted(id),
        quoted(&row.key)
    );
    Some(found(Code::ApprovalOmitted, id, Subject::Confirmation { id: id.to_owned() }, message))
}

/// Whether the log has the approval that was used; `None` if none was. `size` is how many entries of it are known, and
/// `has_nonce` whether one of them has the nonce.
pub fn unlogged_use(row: &JournalRow, has_nonce: bool, size: u64) -> Option<Judged> {
    let (id, used) = (row.id.as_deref()?, row.used.as_ref()?);
    if has_nonce {
        return Some(Judged::Holds);
    }
    let Some(tree_size) = used.tree_size.filter(|tree_size| *tree_size <= size) else {
        return Some(Judged::NotYet);
    };
    let message = format!(
        "key {} of the journal used the approval {} at {}, and the log does not have its nonce {}, though its receipt has \
         a head of the log of size {tree_size}: {EVIDENCE}, with the receipt",
        quoted(&row.key),
        quoted(id),
        used.at,
        escape(&used.nonce)
    );
    Some(found(Code::ActionWithoutApproval, id, Subject::Nonce { nonce: used.nonce.clone() }, message))
}

fn found(code: Code, id: &str, subject: Subject, message: String) -> Judged {
    let finding = Finding::of_log(code, subject, message);
    Judged::Found(Box::new(Finding { id: Some(escape(id)), ..finding }))
}

/// What was asked for with a journal, to look approvals up.
pub struct Questions<'a> {
    journal: &'a JournalRows,
    ids: BTreeSet<&'a str>,
    nonces: BTreeSet<&'a str>,
}

impl<'a> Questions<'a> {
    /// Indexes the journal.
    pub fn new(journal: &'a JournalRows) -> Questions<'a> {
        let rows = &journal.rows;
        Questions {
            journal,
            ids: rows.iter().filter_map(|row| row.id.as_deref()).collect(),
            nonces: rows.iter().filter_map(|row| Some(row.used.as_ref()?.nonce.as_str())).collect(),
        }
    }

    /// Whether the journal says who is asked with it alone.
    pub fn are_all_of(&self, approver: &str) -> bool {
        self.journal.complete_for.contains(approver)
    }

    /// The finding, if the journal should have asked for this approval and did not. `nonce` reads the entry's nonce as
    /// base64url, which is needed only where no row has its id.
    ///
    /// # Errors
    /// Those of `nonce`.
    pub fn unasked<E>(
        &self,
        approval: &LoggedApproval,
        nonce: impl FnOnce() -> Result<Option<String>, E>,
    ) -> Result<Option<Finding>, E> {
        let LoggedApproval { index, id, approver, requested_at } = approval;
        let is_later = self.journal.since.is_some_and(|since| *requested_at > since);
        let has_id = id.as_deref().is_some_and(|id| self.ids.contains(id));
        if !self.are_all_of(approver) || !is_later || has_id || self.may_have_been_asked(approval) {
            return Ok(None);
        }
        if nonce()?.is_some_and(|nonce| self.nonces.contains(nonce.as_str())) {
            return Ok(None);
        }
        let message = format!(
            "{} approved this, asked at {requested_at}, and the journal, which is to have all that {} is asked, never \
             asked for it",
            quoted(approver),
            quoted(approver)
        );
        Ok(Some(Finding::of_entry(Code::ApprovalUnasked, *index, id.as_deref(), message)))
    }

    /// Whether it can be the answer to a request whose outcome the gate never learnt. Clocks may differ.
    fn may_have_been_asked(&self, approval: &LoggedApproval) -> bool {
        self.journal.rows.iter().any(|row| {
            let from = row.asked_at.saturating_sub(limits::CLOCK_SKEW);
            let to = row.post_until.saturating_add(limits::CLOCK_SKEW);
            row.id.is_none()
                && row.username == approval.approver
                && (from..=to).contains(&approval.requested_at)
        })
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
