//! What a receipt's entry shows by itself (specification sections 2 and 9), line by line.

use super::entries::{LEAF_CHECKS, check_signed};
use super::trust::TrustPolicy;
use super::verdict::Verdict;
use crate::core::encoding::encode_base64url;
use crate::core::entry::{Decision, Entry, EntryAssertion, LeafReading};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::limits;
use crate::core::text;
use crate::core::webauthn::{Check, CheckOutcome, KeyCache};

/// Checks the entry; gives it with the identity of the passkey that signed, where its signature holds.
/// `pinned` says whether it was read as one of a log whose key the caller brought.
pub(super) fn check(
    verdict: &mut Verdict,
    reading: LeafReading,
    pinned: bool,
    trust: &TrustPolicy,
    keys: &mut KeyCache,
) -> Option<(Entry, Option<Hash>)> {
    for (name, codes) in LEAF_CHECKS {
        let name = if name == "leaf-form" { "leaf" } else { name };
        let found: Vec<&(Code, String)> =
            reading.findings.iter().filter(|(code, _)| codes.contains(code)).collect();
        match found.first() {
            Some((code, _)) => verdict.fail(name, *code, joined(found.iter().map(|(_, why)| why.as_str()))),
            None if name == "leaf" || reading.entry.is_some() => verdict.pass(name, holds(name)),
            None => {}
        }
    }
    if !pinned && verdict.holds("entry-origin") {
        verdict.leave("entry-origin", "it names the checkpoint's log, which no key given here vouches for");
    }
    let entry = reading.entry?;
    verdict.id = entry.valid_id().map(text::escape);
    verdict.decision = Some(entry.decision.as_str());
    verdict.approver = entry.valid_approver().map(text::escape);
    verdict.nonce = entry.nonce.as_deref().map(encode_base64url);
    let passkey = match &entry.assertion {
        _ if entry.decision != Decision::Approved => {
            let why =
                format!("an entry that says {} has no assertion: nobody signs it", entry.decision.as_str());
            for check in Check::ALL {
                let not_judged = if check == Check::RpId { ", and its rpId is not judged" } else { "" };
                verdict.leave(check.as_str(), format!("{why}{not_judged}"));
            }
            None
        }
        Some(signed) => check_assertion(verdict, &entry, signed, trust, keys),
        None => {
            for check in Check::ALL {
                verdict.leave(check.as_str(), "there is no assertion to check");
            }
            None
        }
    };
    Some((entry, passkey))
}

fn joined<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    let messages: Vec<&str> = messages.collect();
    text::escape(&messages.join("; "))
}

fn holds(name: &str) -> &'static str {
    match name {
        "leaf" => "one entry in canonical form",
        "entry-origin" => "the entry names this log",
        "entry-times" => "requested, decided and expiry times are in order",
        "assertion-presence" => "an approval, and only an approval, carries an assertion",
        _ => "every value is in its one exact encoding and size",
    }
}

/// The thirteen checks of specification section 9.
fn check_assertion(
    verdict: &mut Verdict,
    entry: &Entry,
    signed: &EntryAssertion,
    trust: &TrustPolicy,
    keys: &mut KeyCache,
) -> Option<Hash> {
    let result = match check_signed(entry, signed, &trust.relying_party, keys) {
        Ok(result) => result,
        Err(disagreement) => {
            verdict.leave("signature", "could not be decided");
            verdict.faults.push(disagreement.to_string());
            return None;
        }
    };
    for (check, outcome) in result.outcomes() {
        let found: Vec<&(Code, String)> =
            result.findings.iter().filter(|(code, _)| check_of(*code) == Some(check)).collect();
        let name = check.as_str();
        let why = || joined(found.iter().map(|(_, why)| why.as_str()));
        match (outcome, found.first()) {
            (CheckOutcome::Failed, first) => verdict.fail(name, first.map(|(code, _)| *code), why()),
            (CheckOutcome::Passed, Some((code, _))) => verdict.warn(name, *code, why()),
            (CheckOutcome::Passed, None) => verdict.pass(name, check.holds()),
            (CheckOutcome::NotChecked, _) => match check {
                Check::RpId if trust.relying_party.rp_id.is_none() => {
                    verdict.miss(name, "the relying party id was not given (--rp-id)");
                }
                Check::Origin if trust.relying_party.allowed_origins.is_none() => {
                    verdict.miss(name, "no allowed web origin was given (--allow-origin)");
                }
                _ => verdict.leave(name, "what it needs did not parse, or the policy does not ask for it"),
            },
        }
    }
    result.key_identity.filter(|_| result.signature_valid)
}

/// The check that a finding of an assertion belongs to.
fn check_of(code: Code) -> Option<Check> {
    Some(match code {
        Code::EncodingInvalid => Check::Sizes,
        Code::ClientDataMalformed => Check::ClientData,
        Code::ClientDataType => Check::ClientDataType,
        Code::ChallengeMismatch => Check::Challenge,
        Code::OriginNotAllowed => Check::Origin,
        Code::CrossOrigin | Code::TopOriginNotAllowed => Check::CrossOrigin,
        Code::RpIdMismatch => Check::RpId,
        Code::UserNotPresent => Check::UserPresent,
        Code::UserNotVerified => Check::UserVerified,
        Code::BackupFlags => Check::BackupFlags,
        Code::AuthDataMalformed | Code::AttestedDataPresent => Check::AuthenticatorData,
        Code::KeyMalformed | Code::KeyUnsupported | Code::KeyEncodingOdd => Check::Key,
        Code::SignatureMalformed | Code::SignatureInvalid => Check::Signature,
        _ => return None,
    })
}

/// An entry cannot be decided after a head that has it (specification section 10, `decided-after-head`).
pub(super) fn check_decided(verdict: &mut Verdict, entry: &Entry, sth: Option<&Head>) {
    let Some(time) =
        sth.and_then(Head::timestamp).filter(|_| verdict.holds("inclusion") && verdict.holds("sth"))
    else {
        return;
    };
    if entry.decided_at > time.saturating_add(limits::DECIDED_AFTER_HEAD_MS) && verdict.holds("entry-times") {
        let message =
            format!("decided at {}, later than the head that already has it", text::time(entry.decided_at));
        verdict.warn("entry-times", Code::DecidedAfterHead, message);
    }
}
