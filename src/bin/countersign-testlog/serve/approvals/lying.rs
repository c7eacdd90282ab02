//! What a lying service makes of an approval: which entries it logs, and what the log answers about its id.
//!
//! The service signs with software passkeys wherever a lie takes another signature than the one it got.

use super::super::super::entry::EntryDraft;
use super::super::super::heads::LogSigner;
use super::super::super::keys::Passkey;
use super::super::super::passkeys::of_person;
use super::super::super::seed::{random, uuid};
use super::super::answer;
use super::super::history::History;
use super::super::lies::ServiceLie;
use super::super::signing::HeadSigner;
use super::super::view::LogView;
use super::{Approvals, ShownBundle};
use crate::error::TestlogError;
use countersign::core::api::VerificationBundle;
use countersign::core::entry::Decision;
use countersign::core::hash::sha256;
use countersign::core::time::UnixMillis;
use std::time::Duration;

/// How much older an old approval is.
const EARLIER: Duration = Duration::from_secs(60 * 60);

/// How long after its expiry a confirmation is approved.
const AFTER: Duration = Duration::from_secs(1);

/// The origin of a log that nobody asked about.
const OTHER_LOG: &str = "log.approvals.example/another";

/// The entries that enter the log, and what it answers about the id of the confirmation.
pub struct Told {
    pub entries: Vec<EntryDraft>,
    pub bundle: Option<ShownBundle>,
}

impl Told {
    /// The truth.
    pub fn honest(draft: EntryDraft) -> Told {
        Told { entries: vec![draft], bundle: None }
    }
}

/// The hash of another payload.
pub fn another_hash(hash: &[u8; 32]) -> [u8; 32] {
    sha256(hash).0
}

/// What becomes of an approval under the lies of this service, in their order.
///
/// # Errors
/// A software passkey does not sign.
pub fn told(service: &Approvals, honest: EntryDraft) -> Result<Told, TestlogError> {
    let mut told = Told::honest(honest);
    for lie in &service.lies {
        told = apply(service, *lie, told)?;
    }
    Ok(told)
}

fn apply(service: &Approvals, lie: ServiceLie, told: Told) -> Result<Told, TestlogError> {
    let Some(draft) = told.entries.last().cloned() else { return Ok(told) };
    let passkey_of = |name: &str| of_person(&service.seed, name);
    Ok(match lie {
        ServiceLie::OwnPasskey => {
            let own = of_person(&service.seed.other("the service's own passkeys"), &draft.approver)?;
            Told { entries: vec![signed_again(service, draft, &own)?], ..told }
        }
        ServiceLie::OtherPayload => {
            let payload_hash = another_hash(&draft.payload_hash);
            let passkey = passkey_of(&draft.approver)?;
            let draft = signed_again(service, EntryDraft { payload_hash, ..draft }, &passkey)?;
            Told { entries: vec![draft], ..told }
        }
        ServiceLie::OtherPerson => {
            let approver = if draft.approver == "mallory" { "eve" } else { "mallory" };
            let passkey = passkey_of(approver)?;
            let draft = EntryDraft { approver: approver.to_owned(), ..draft };
            Told { entries: vec![signed_again(service, draft, &passkey)?], ..told }
        }
        ServiceLie::OtherId => {
            let id = uuid(random()?);
            let bundle = Some(ShownBundle::OfId(id.clone()));
            Told { entries: vec![EntryDraft { id, ..draft }], bundle }
        }
        ServiceLie::NotLogged => Told { entries: Vec::new(), ..told },
        ServiceLie::OldApproval => {
            let old = old_approval(service, &draft)?;
            let again = EntryDraft { id: draft.id, ..old.clone() };
            Told { entries: vec![old, again], ..told }
        }
        ServiceLie::OldBundle => {
            let old = old_approval(service, &draft)?;
            let bundle = Some(ShownBundle::OfId(old.id.clone()));
            Told { entries: vec![old], bundle }
        }
        ServiceLie::OtherLog => {
            let bundle = in_another_log(service, &draft)?;
            Told { entries: Vec::new(), bundle: Some(ShownBundle::Whole(Box::new(bundle))) }
        }
        ServiceLie::AfterExpiry => {
            let decided_at = draft.expires_at.saturating_add(AFTER);
            let expires_at = decided_at.saturating_add(AFTER);
            Told { entries: vec![EntryDraft { decided_at, expires_at, ..draft }], ..told }
        }
        ServiceLie::ChangesMind => {
            let rejected = EntryDraft { decision: Decision::Rejected, signed: None, ..draft };
            Told { entries: vec![rejected], ..told }
        }
        ServiceLie::EntryTwice => {
            let twin = EntryDraft { id: uuid(random()?), ..draft.clone() };
            Told { entries: vec![draft, twin], ..told }
        }
        ServiceLie::OtherHash
        | ServiceLie::NeverDecides
        | ServiceLie::NeverAnswers(_)
        | ServiceLie::NonceTwice
        | ServiceLie::UnknownStatus
        | ServiceLie::Redirect(_) => told,
    })
}

fn signed_again(
    service: &Approvals,
    draft: EntryDraft,
    passkey: &Passkey,
) -> Result<EntryDraft, TestlogError> {
    draft.signed(&service.site, passkey, 0, false)
}

/// An approval of the same by the same person, an hour earlier, under an id and a nonce of its own.
fn old_approval(service: &Approvals, draft: &EntryDraft) -> Result<EntryDraft, TestlogError> {
    let old = EntryDraft {
        id: uuid(random()?),
        nonce: random::<32>()?.to_vec(),
        requested_at: draft.requested_at.saturating_sub(EARLIER),
        decided_at: draft.decided_at.saturating_sub(EARLIER),
        expires_at: draft.expires_at.saturating_sub(EARLIER),
        ..draft.clone()
    };
    signed_again(service, old, &of_person(&service.seed, &draft.approver)?)
}

/// The bundle of the approval in a log that has nothing else.
fn in_another_log(service: &Approvals, draft: &EntryDraft) -> Result<VerificationBundle, TestlogError> {
    let signer = LogSigner::new(&service.seed.other("another log"), OTHER_LOG);
    let signer = HeadSigner { signer, ahead: 0, disagrees: false };
    let mut history = History::default();
    history.push(&draft.leaf(OTHER_LOG, &service.site.rp_id))?;
    let root = history.root(history.len()).ok_or("the log has no root")?;
    let head = signer.sign(history.len(), root, signer.time_after(UnixMillis::EPOCH));
    let view = LogView::new(history, head, Some(signer));
    answer::bundle(&view, 0).ok_or_else(|| "the log has no bundle".into())
}
