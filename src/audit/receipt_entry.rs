//! What a receipt's entry shows by itself (specification sections 2 and 9), check by check.

use super::entries::check_signed;
use super::trust::TrustPolicy;
use super::verdict::Verdict;
use crate::core::check::Check;
use crate::core::encoding::encode_base64url;
use crate::core::entry::{Decision, Entry, EntryAssertion, LeafReading};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::limits;
use crate::core::text;
use crate::core::webauthn::{CheckOutcome, KeyCache};

/// Checks the entry; returns it with the identity of the passkey that signed, if its signature verified. `pinned`
/// says whether the entry was parsed for the log of a key that the caller provided.
pub(super) fn check(
    verdict: &mut Verdict,
    reading: LeafReading,
    pinned: bool,
    trust: &TrustPolicy,
    keys: &mut KeyCache,
) -> Option<(Entry, Option<Hash>)> {
    for of in Check::OF_LEAF {
        let check = if of == Check::LeafForm { Check::Leaf } else { of };
        let found: Vec<&(Code, String)> =
            reading.findings.iter().filter(|(code, _)| code.checks().contains(&of)).collect();
        match found.first() {
            Some((code, _)) => verdict.fail(check, *code, joined(found.iter().map(|(_, why)| why.as_str()))),
            None if check == Check::Leaf || reading.entry.is_some() => verdict.pass(check, holds(check)),
            None => {}
        }
    }
    if !pinned && verdict.holds(Check::EntryOrigin) {
        verdict.leave(
            Check::EntryOrigin,
            "it names the checkpoint's log, but none of the given keys is that log's",
        );
    }
    let entry = reading.entry?;
    verdict.id = entry.valid_id().map(text::escape);
    verdict.decision = Some(entry.decision.as_str());
    verdict.approver = entry.valid_approver().map(text::escape);
    verdict.nonce = entry.nonce.as_deref().map(encode_base64url);
    let passkey = match &entry.assertion {
        _ if entry.decision != Decision::Approved => {
            let why = format!(
                "an entry with decision {} has no assertion: nobody signs it",
                entry.decision.as_str()
            );
            for check in Check::OF_ASSERTION {
                let not_judged = if check == Check::RpId { ", and its rpId is not judged" } else { "" };
                verdict.leave(check, format!("{why}{not_judged}"));
            }
            None
        }
        Some(signed) => check_assertion(verdict, &entry, signed, trust, keys),
        None => {
            for check in Check::OF_ASSERTION {
                verdict.leave(check, "there is no assertion to check");
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

/// What a passed check establishes for one entry.
fn holds(check: Check) -> &'static str {
    match check {
        Check::Leaf => "one entry in canonical form",
        Check::EntryOrigin => "the entry names this log",
        Check::AssertionPresence => "an approval, and only an approval, carries an assertion",
        Check::Sizes => "every part of the assertion has a possible size",
        Check::RpId => "it was signed for the pinned relying party",
        Check::AuthenticatorData => "the authenticator data has the form that its flags announce",
        Check::Key => "the public key is a valid key of a known algorithm",
        Check::Signature => "this key made the signature",
        check => check.claim(),
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
            verdict.leave(Check::Signature, "could not be decided");
            verdict.faults.push(disagreement.to_string());
            return None;
        }
    };
    for (check, outcome) in result.outcomes() {
        let found: Vec<&(Code, String)> =
            result.findings.iter().filter(|(code, _)| code.checks().contains(&check)).collect();
        let why = || joined(found.iter().map(|(_, why)| why.as_str()));
        match (outcome, found.first()) {
            (CheckOutcome::Failed, first) => verdict.fail(check, first.map(|(code, _)| *code), why()),
            (CheckOutcome::Passed, Some((code, _))) => verdict.warn(check, *code, why()),
            (CheckOutcome::Passed, None) => verdict.pass(check, holds(check)),
            (CheckOutcome::NotChecked, _) => match check {
                Check::RpId if trust.relying_party.rp_id.is_none() => {
                    verdict.miss(check, "the relying party id was not given (--rp-id)");
                }
                Check::Origin if trust.relying_party.allowed_origins.is_none() => {
                    verdict.miss(check, "no allowed web origin was given (--allow-origin)");
                }
                _ => verdict.leave(check, "its input did not parse, or the policy does not require it"),
            },
        }
    }
    result.key_identity.filter(|_| result.signature_valid)
}

/// An entry cannot be decided later than a head that contains it (specification section 10, `decided-after-head`).
pub(super) fn check_decided(verdict: &mut Verdict, entry: &Entry, sth: Option<&Head>) {
    let Some(time) = sth
        .and_then(Head::timestamp)
        .filter(|_| verdict.holds(Check::Inclusion) && verdict.holds(Check::Sth))
    else {
        return;
    };
    // A saturated bound is at the end of time, and no time is later.
    if entry.decided_at > time.saturating_add(limits::DECIDED_AFTER_HEAD) && verdict.holds(Check::EntryTimes)
    {
        let message = format!("decided at {}, later than the head that already has it", entry.decided_at);
        verdict.warn(Check::EntryTimes, Code::DecidedAfterHead, message);
    }
}
