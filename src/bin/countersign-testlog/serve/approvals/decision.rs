//! A decision becomes an entry of the log.

use super::super::super::args::Decider;
use super::super::super::entry::{EntryDraft, SignedBy};
use super::super::super::output;
use super::super::super::passkeys::of_person;
use super::super::lies::ServiceLie;
use super::super::served_log;
use super::super::signing::now;
use super::confirmation::{Confirmation, Status};
use super::lying::{self, Told};
use super::{Approvals, verify};
use crate::error::TestlogError;
use countersign::core::entry::Decision;
use std::sync::{Arc, PoisonError};

/// Why a decision was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// It was decided before, or has expired.
    TooLate,
    /// The assertion does not verify.
    Unverified(String),
    /// The log does not take the entry.
    Fault(TestlogError),
}

impl From<TestlogError> for NotTaken {
    fn from(why: TestlogError) -> NotTaken {
        NotTaken::Fault(why)
    }
}

impl Approvals {
    /// Approves, with this assertion.
    pub fn approve(&self, confirmation: &Confirmation, signed: SignedBy) -> Result<(), NotTaken> {
        let draft = self.draft(confirmation, Decision::Approved, Some(signed))?;
        self.log_approval(confirmation, draft)
    }

    fn log_approval(&self, confirmation: &Confirmation, draft: EntryDraft) -> Result<(), NotTaken> {
        verify::approval(&self.site, &draft).map_err(NotTaken::Unverified)?;
        self.log(confirmation, Status::Approved, draft)
    }

    /// Rejects.
    pub fn reject(&self, confirmation: &Confirmation) -> Result<(), NotTaken> {
        let draft = self.draft(confirmation, Decision::Rejected, None)?;
        self.log(confirmation, Status::Rejected, draft)
    }

    /// Approves with the software passkey of the person who was asked.
    fn approve_alone(&self, confirmation: &Confirmation) -> Result<(), NotTaken> {
        let passkey = of_person(&self.seed, &confirmation.ask.username)?;
        let draft = self.draft(confirmation, Decision::Approved, None)?;
        let draft = draft.signed(&self.site, &passkey, 0, false)?;
        self.log_approval(confirmation, draft)
    }

    fn draft(
        &self,
        confirmation: &Confirmation,
        decision: Decision,
        signed: Option<SignedBy>,
    ) -> Result<EntryDraft, NotTaken> {
        let (requested_at, expires_at) = (confirmation.requested_at, confirmation.expires_at);
        let decided_at = match decision {
            Decision::Expired => expires_at,
            // A clock that was set back does not make a decision older than the request.
            Decision::Approved | Decision::Rejected => now().max(requested_at),
        };
        if decided_at > expires_at || confirmation.status() != Status::Pending {
            return Err(NotTaken::TooLate);
        }
        Ok(EntryDraft {
            id: confirmation.id.clone(),
            decision,
            requested_at,
            decided_at,
            expires_at,
            approver: confirmation.ask.username.clone(),
            nonce: confirmation.nonce.clone(),
            payload_encoding: self.payload_encoding,
            payload_hash: confirmation.ask.payload_hash,
            signed,
        })
    }

    /// Puts an entry into the log, or what a lying service makes of it.
    fn log(&self, confirmation: &Confirmation, status: Status, draft: EntryDraft) -> Result<(), NotTaken> {
        if self.lies(ServiceLie::NeverDecides) {
            return Ok(());
        }
        let told = match status {
            Status::Approved => lying::told(self, draft)?,
            Status::Pending | Status::Rejected | Status::Expired => Told::honest(draft),
        };
        let record = || {
            let leaves: Vec<Vec<u8>> =
                told.entries.iter().map(|entry| entry.leaf(&self.log_origin, &self.site.rp_id)).collect();
            served_log::append(&self.served_log, &leaves)?;
            if let Some(bundle) = told.bundle {
                let mut shown = self.shown_bundles.lock().unwrap_or_else(PoisonError::into_inner);
                shown.insert(confirmation.id.clone(), bundle);
            }
            Ok(())
        };
        if confirmation.decide(status, record)? { Ok(()) } else { Err(NotTaken::TooLate) }
    }

    /// Decides a new confirmation as `--decide` says, and lets it expire.
    pub fn attend(self: &Arc<Approvals>, confirmation: &Arc<Confirmation>) {
        let (approvals, confirmation) = (Arc::clone(self), Arc::clone(confirmation));
        tokio::spawn(async move {
            if approvals.decider != Decider::Never && approvals.decide_after < approvals.open_for {
                tokio::time::sleep(approvals.decide_after).await;
                let decided = match approvals.decider {
                    Decider::Approve => approvals.approve_alone(&confirmation),
                    Decider::Reject | Decider::Never => approvals.reject(&confirmation),
                };
                complain(decided);
            }
            let left = confirmation.expires_at.since(now()).unwrap_or_default();
            if confirmation.decided(left).await == Status::Pending {
                complain(
                    approvals
                        .draft(&confirmation, Decision::Expired, None)
                        .and_then(|draft| approvals.log(&confirmation, Status::Expired, draft)),
                );
            }
        });
    }
}

/// Says what went wrong where nobody waits for an answer. That somebody else was faster is not wrong.
fn complain(decided: Result<(), NotTaken>) {
    match decided {
        Ok(()) | Err(NotTaken::TooLate) => {}
        Err(NotTaken::Unverified(why)) => {
            output::note(&format!("countersign-testlog: a software passkey: {why}"));
        }
        Err(NotTaken::Fault(why)) => output::note(&format!("countersign-testlog: the log: {why}")),
    }
}
