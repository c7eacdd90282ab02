//! The receipt checked against the caller's expectation: decision, id, approver and key, payload, action,
//! reveal, email, age; and what no receipt can show.

use super::receipt_case::Case;
use super::trust::{Expectation, TrustPolicy};
use super::verdict::Verdict;
use crate::core::check::Check;
use crate::core::email::EmailHash;
use crate::core::entry::{Decision, Entry};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::limits;
use crate::core::payload::{self, PayloadError};
use crate::core::receipt::Receipt;
use crate::core::reveal::{Reveal, check_reveal};
use crate::core::text::{self, quoted};
use crate::core::time::UnixMillis;
use crate::core::tlog_policy::QuorumResult;
use std::borrow::Cow;

/// Fills in the lines from `decision` on. `passkey` is the key whose signature verified.
pub(super) fn check(
    verdict: &mut Verdict,
    case: &Case<'_>,
    entry: &Entry,
    passkey: Option<Hash>,
    cosigned: Option<&QuorumResult>,
) {
    let Case { receipt, trust, expected, now } = *case;
    check_names(verdict, entry, expected);
    check_approver_key(verdict, entry, passkey, trust);
    let reveal = check_reveal_line(verdict, receipt, entry);
    check_payload(verdict, entry, expected);
    check_action(verdict, entry, expected, reveal.as_ref());
    check_email(verdict, expected, reveal.as_ref(), receipt.reveal.is_some());
    check_age(verdict, entry, expected, now, cosigned);
}

fn check_names(verdict: &mut Verdict, entry: &Entry, expected: &Expectation<'_>) {
    let (is, asked) = (entry.decision, expected.decision);
    if is == asked {
        verdict.pass(Check::Decision, is.as_str());
    } else {
        verdict.fail(
            Check::Decision,
            None,
            format!("{}, where {} was expected", is.as_str(), asked.as_str()),
        );
    }
    let mut compare = |check: Check, is: &str, asked: &[&str], option: &str| {
        if asked.is_empty() {
            verdict.leave(check, format!("it is {}; none was expected ({option})", quoted(is)));
        } else if asked.contains(&is) {
            verdict.pass(check, format!("it is {}, as expected", quoted(is)));
        } else {
            let asked: Vec<String> = asked.iter().take(8).map(|name| quoted(name)).collect();
            let why = format!("it is {}, where {} was expected", quoted(is), asked.join(" or "));
            verdict.fail(check, None, why);
        }
    };
    compare(Check::Id, &entry.id, expected.id.as_slice(), "--expect-id");
    compare(Check::Approver, &entry.approver, expected.approvers, "--approver");
}

fn check_approver_key(verdict: &mut Verdict, entry: &Entry, passkey: Option<Hash>, trust: &TrustPolicy) {
    let check = Check::ApproverKey;
    if entry.decision != Decision::Approved {
        return verdict.leave(check, format!("no passkey signs what was {}", entry.decision.as_str()));
    }
    let approver = quoted(&entry.approver);
    match (trust.pinned_keys.get(&entry.approver), passkey) {
        (Some(pinned), Some(key)) if pinned.contains(&key) => {
            verdict.pass(check, format!("pinned: key {key} is one of those of {approver}"));
        }
        (Some(_), Some(key)) => {
            let why = format!("key {key} is not one of those pinned for {approver}");
            verdict.fail(check, Code::KeyNotPinned, why);
        }
        (Some(_), None) => {
            let why = format!("no valid signature, and {approver} has pinned keys");
            verdict.fail(check, Code::KeyNotPinned, why);
        }
        (None, Some(key)) if trust.pinned_keys.values().any(|pinned| pinned.contains(&key)) => {
            let why = format!("key {key} is pinned for somebody else, and not for {approver}");
            verdict.fail(check, Code::KeyNotPinned, why);
        }
        (None, Some(key)) => {
            let why = format!(
                "first seen: only the log claims that key {key} belongs to {approver} (pin the key to check it)"
            );
            verdict.leave(check, why);
        }
        (None, None) => verdict.leave(check, "no valid signature"),
    }
}

fn check_payload(verdict: &mut Verdict, entry: &Entry, expected: &Expectation<'_>) {
    let Some(payload) = expected.payload else {
        let why = "none was given to compare (--payload): this shows that something was approved, not what";
        return match expected.action {
            Some(_) if payload::covers_action(&entry.payload_encoding) => {
                verdict.miss(
                    Check::Payload,
                    "the action text is signed together with the payload: give that too (--payload)",
                );
            }
            _ => verdict.leave(Check::Payload, why),
        };
    };
    match payload::hash(&entry.payload_encoding, payload, expected.action) {
        Ok(hash) if Some(hash) == entry.payload_hash => {
            verdict.pass(
                Check::Payload,
                format!("the given payload is the one that was approved ({})", entry.payload_encoding),
            );
        }
        Ok(_) => {
            let what = if payload::covers_action(&entry.payload_encoding) {
                "payload and action text do"
            } else {
                "payload does"
            };
            let edited = entry
                .payload_hash
                .and_then(|wanted| payload::explain_edit(&entry.payload_encoding, payload, wanted));
            let edited = edited.map_or(String::new(), |what| format!(": {what}"));
            let why = format!("the given {what} not hash to the payload hash that was signed{edited}");
            verdict.fail(Check::Payload, Code::PayloadMismatch, why);
        }
        Err(PayloadError::NeedsAction) => {
            verdict.miss(
                Check::Payload,
                "the action text is signed together with the payload: give it too (--action)",
            );
        }
        Err(PayloadError::UnknownEncoding) => {
            verdict.miss(Check::Payload, "the entry's payloadEncoding is unknown")
        }
        Err(why) => {
            let why = text::escape(&why.to_string());
            verdict.miss(Check::Payload, why.clone());
            verdict.usage = Some(why);
        }
    }
}

/// Whether the action text is signed, and whether it is the expected one.
fn check_action(verdict: &mut Verdict, entry: &Entry, expected: &Expectation<'_>, reveal: Option<&Reveal>) {
    let check = Check::Action;
    let covered = payload::covers_action(&entry.payload_encoding);
    match expected.action {
        None if covered => verdict.leave(check, "the action text is signed; none was given to compare (--action)"),
        None => verdict.leave(check, "the action text is not signed: the passkey covers the payload alone"),
        Some(_) if covered && verdict.holds(Check::Payload) => {
            verdict.pass(check, "the given action text is signed, together with the payload");
        }
        Some(_) if covered => {
            verdict.miss(check, "the action text is signed together with the payload, and shows only with it");
        }
        Some(asked) => match reveal {
            Some(reveal) if reveal.action != asked => {
                let why = format!("the reveal says {}, and {} was expected", quoted(&reveal.action), quoted(asked));
                verdict.fail(check, Code::PayloadMismatch, why);
            }
            Some(_) => verdict.miss(
                check,
                "the log says so in the reveal, but this log's passkeys sign the payload alone: leave --action out, or ask why",
            ),
            None => verdict.miss(
                check,
                "this log's passkeys sign the payload alone, so nothing shows the action: leave --action out, or ask why",
            ),
        },
    }
}

fn check_reveal_line(verdict: &mut Verdict, receipt: &Receipt, entry: &Entry) -> Option<Reveal> {
    let Some(reveal) = &receipt.reveal else {
        let why = match entry.reveal_commitment {
            Some(_) => "the entry commits to a reveal, which is not in the receipt",
            None => "there is none",
        };
        verdict.leave(Check::Reveal, why);
        return None;
    };
    match check_reveal(reveal, entry) {
        Ok(reveal) => {
            verdict.pass(
                Check::Reveal,
                "it is the one that the entry commits to, and its payload the one that was signed",
            );
            Some(reveal)
        }
        Err((code, why)) => {
            verdict.fail(Check::Reveal, code, text::escape(&why));
            None
        }
    }
}

fn check_email(verdict: &mut Verdict, expected: &Expectation<'_>, reveal: Option<&Reveal>, revealed: bool) {
    let check = Check::Email;
    let Some(address) = expected.email else {
        return verdict.leave(check, "none was given to compare (--email)");
    };
    match reveal.map(|reveal| reveal.email.as_deref()) {
        None if revealed => verdict.miss(check, "the reveal failed its check, so its address proves nothing"),
        None => verdict.miss(
            check,
            "there is no reveal, and only a reveal names an address: leave --email out, or get the reveal",
        ),
        Some(None) => verdict.miss(check, "the reveal names no address: leave --email out"),
        // The email hash takes seconds to compute, so it is computed only for entries that are proved to be
        // in the log.
        Some(Some(_)) if !verdict.holds(Check::Inclusion) => {
            verdict.miss(check, "not evaluated, as nothing shows that this is in the log");
        }
        Some(Some(json)) => match EmailHash::read(json) {
            Err(why) => verdict.fail(check, Code::RevealMismatch, why.to_string()),
            Ok(email) if email.matches(address) => {
                verdict.pass(check, "the log attests the given address; no passkey does");
            }
            Ok(_) => verdict.fail(
                check,
                Code::EmailMismatch,
                "the given address is not the one that the log attests",
            ),
        },
    }
}

/// The decision's age rests on the log's word. If witnesses must have cosigned, their cosignatures must be
/// recent too: a recent decision cannot be in a tree that they cosigned long before.
fn check_age(
    verdict: &mut Verdict,
    entry: &Entry,
    expected: &Expectation<'_>,
    now: UnixMillis,
    cosigned: Option<&QuorumResult>,
) {
    let decided = entry.decided_at;
    let Some(most) = expected.max_age else {
        return verdict.leave(Check::Age, format!("decided {decided}; no limit was given (--max-age)"));
    };
    // A decision that is ahead of the clock by less than clocks differ was made just now.
    let age = now.since(entry.decided_at).unwrap_or_default();
    // A saturated bound is at the end of time, and no time is later.
    if entry.decided_at > now.saturating_add(limits::CLOCK_SKEW) {
        verdict.fail(Check::Age, None, format!("decided {decided}, which is ahead of the clock"));
    } else if age > most {
        let why =
            format!("decided {decided}, {} ago; the limit is {}", text::duration(age), text::duration(most));
        verdict.fail(Check::Age, None, why);
    } else if cosigned.is_some_and(|cosigned| cosigned.quorum && cosigned.fresh_quorum == Some(false)) {
        let why = format!("the cosignatures that make the quorum are older than {}", text::duration(most));
        verdict.fail(Check::Age, Code::HeadStale, why);
    } else {
        verdict.pass(Check::Age, format!("decided {decided}, {} ago", text::duration(age)));
    }
}

/// Adds what even a clean receipt does not show. Always called.
pub(super) fn say_not_proven(verdict: &mut Verdict, expected: &Expectation<'_>) {
    let mut not_proven: Vec<Cow<'static, str>> =
        vec!["what the approver saw on the screen: the passkey signs a hash".into()];
    if verdict.decision.is_some_and(|decision| decision != Decision::Approved.as_str()) {
        not_proven.push("that a person made this decision: only approvals are signed".into());
    } else if !verdict.holds(Check::ApproverKey) {
        not_proven.push(
            "who holds the passkey: its key is not pinned, so only the log claims that it is the approver's"
                .into(),
        );
    }
    if expected.payload.is_none() {
        not_proven.push("that it is for the payload that you are about to use: none was given".into());
    }
    not_proven.push(
        "that this approval was not used before: remember the nonces that you acted on; the passkey \
                     signs the nonce, but id, approver and times are only the log's claim"
            .into(),
    );
    not_proven.push("that the action ran".into());
    if !verdict.holds(Check::Witnesses) {
        not_proven.push("that the log shows everybody the same: no witnesses vouch for it".into());
    }
    not_proven.append(&mut verdict.not_proven);
    verdict.not_proven = not_proven;
}
