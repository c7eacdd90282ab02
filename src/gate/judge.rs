//! Whether a verification bundle is the approval of what was asked (gate specification section 2, step 5, and section 5).
//!
//! The service's word that somebody approved is not looked at. An approval is what verifies as a receipt against the
//! caller's own trust policy, for the gate's own payload, action, username and id, and is not an earlier one. Everything
//! else is a refusal; whatever is in the bundle, it cannot change what is expected.

use super::reason::{Reason, Refusal};
use super::request::Request;
use super::row::{Accepted, Asked};
use crate::audit::conclusion::Conclusion;
use crate::audit::receipt::verify_receipt_with;
use crate::audit::trust::{Expectation, TrustPolicy};
use crate::audit::verdict::{CheckLine, CheckResult, Verdict};
use crate::core::check::Check;
use crate::core::entry::{Entry, read_leaf};
use crate::core::hash::Hash;
use crate::core::payload::Payload;
use crate::core::receipt::{Receipt, ReceiptForm};
use crate::core::reveal::check_reveal;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::core::webauthn::{CosePublicKey, KeyCache};
use std::time::Duration;

/// How far the clocks of service and gate may differ: an approval that is older than its request by more
/// is an earlier one under a new id (gate specification section 5.3).
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// What to do after an approval of something else.
const AFTER_A_MISMATCH: &str =
    "to ask anew, use another --key; if this happens again, ask whoever runs the approval service";

/// What the caller demands beyond a clean receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demands {
    /// A key of the person is pinned.
    pub pinned_key: bool,
    /// The passkey signed the action text together with the payload.
    pub signed_action: bool,
}

/// What a bundle is held against.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// What the service called it.
    pub asked: &'a Asked,
    /// When it was asked.
    pub asked_at: UnixMillis,
    /// What the caller trusts.
    pub trust: &'a TrustPolicy,
    /// The origin of the log.
    pub origin: &'a str,
    /// What the caller demands.
    pub demands: Demands,
    /// The time.
    pub now: UnixMillis,
}

/// An approval that verified. It is not consumed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The receipt, as it was verified.
    pub receipt: Vec<u8>,
    /// What the passkey signed besides the payload, base64url.
    pub nonce: String,
    /// The identity of the passkey.
    pub credential: Hash,
    /// Whether that key is pinned for the person.
    pub key_pinned: bool,
    /// Whether the passkey signed the action text.
    pub action_signed: bool,
    /// Who approved.
    pub approver: String,
    /// When it was requested, as the log says.
    pub requested_at: UnixMillis,
    /// When it was decided, as the log says.
    pub decided_at: UnixMillis,
}

/// What a bundle is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// The approval that was asked for.
    Approved(Box<Checked>),
    /// Nothing that an action may run on.
    Refused(Refusal),
    /// The log grew while it answered: the next answer may be whole.
    FetchAgain(Refusal),
    /// The log signed two histories. This is the proof.
    Violation(Refusal, Vec<u8>),
}

/// Judges a bundle.
pub fn judge(bundle: &[u8], case: &Case<'_>) -> Judged {
    let Case { request, asked, trust, .. } = *case;
    let approvers = [request.username()];
    let expected = Expectation {
        payload: Some(Payload::Hashed(request.hashes())),
        // Where the passkey signs the payload alone, no receipt could show the action; see `other_action`.
        action: (asked.encoding == Accepted::JcsActionPayload).then(|| request.action()),
        approvers: &approvers,
        id: Some(&asked.id),
        ..Expectation::default()
    };
    let verdict = verify_receipt_with(bundle, trust, &expected, case.now, &mut KeyCache::new());
    if let Some(evidence) = &verdict.evidence {
        let why = "the log signed two histories: do not act on anything that it says";
        return Judged::Violation(Refusal::new(Reason::Violation, why), evidence.clone());
    }
    if let Some(fault) = verdict.faults.first() {
        return Judged::Refused(Refusal::new(Reason::LocalFault, escape(fault)));
    }
    match compare(bundle, case, &verdict) {
        Ok(checked) => Judged::Approved(Box::new(checked)),
        Err(refusal) if is_of_two_trees(bundle, &verdict) => Judged::FetchAgain(refusal),
        Err(refusal) => Judged::Refused(refusal),
    }
}

/// The checks in their order: first what a person was asked, then whether they answered.
fn compare(bundle: &[u8], case: &Case<'_>, verdict: &Verdict) -> Result<Checked, Refusal> {
    let mismatch = |why: String| Err(Refusal::new(Reason::Mismatch, format!("{why}; {AFTER_A_MISMATCH}")));
    let unverified = |why: String| Refusal::new(Reason::Unverified, why);
    let Ok(receipt) = Receipt::parse(bundle) else { return Err(unverified(first_failure(verdict))) };
    let Some(entry) = read_leaf(&receipt.leaf, case.origin).entry else {
        return Err(unverified(first_failure(verdict)));
    };
    for check in [Check::Payload, Check::Action, Check::Approver, Check::Id] {
        if let Some(line) = verdict.check(check).filter(|line| line.result == CheckResult::Failed) {
            return mismatch(format!("what was approved is not what was asked: {}", said(line)));
        }
    }
    if entry.payload_encoding != case.asked.encoding.as_str() {
        let (is, accepted) = (quoted(&entry.payload_encoding), case.asked.encoding.as_str());
        return mismatch(format!("the log has the payload as {is}, and the service hashed it as {accepted}"));
    }
    if verdict.conclusion() != Conclusion::Clean {
        return Err(unverified(first_failure(verdict)));
    }
    if let Some(why) = other_action(&receipt, &entry, case).or_else(|| other_time(&entry, case)) {
        return mismatch(why);
    }
    let checked = checked(bundle, &entry, case, verdict)
        .ok_or_else(|| unverified("the receipt has no passkey that can be named".to_owned()))?;
    if case.demands.pinned_key && !checked.key_pinned {
        return Err(no_pinned_passkey(case.request.username()));
    }
    if case.demands.signed_action && !checked.action_signed {
        return Err(action_not_signed());
    }
    Ok(checked)
}

/// Nobody pinned a passkey of the person.
pub fn no_pinned_passkey(username: &str) -> Refusal {
    let why = format!(
        "no passkey is pinned for {}: add it under [approvers] in the config, or leave --require-pinned-key out",
        quoted(username)
    );
    Refusal::new(Reason::Unverified, why)
}

/// The service has people sign the payload without the action text.
pub fn action_not_signed() -> Refusal {
    let why = "the passkey signs the payload without the action text: leave --require-signed-action out, or use a service that \
               has both signed";
    Refusal::new(Reason::Unverified, why)
}

/// Where the action text is not signed, a reveal may still say that it was another one (gate specification section 5.2).
fn other_action(receipt: &Receipt, entry: &Entry, case: &Case<'_>) -> Option<String> {
    let reveal = check_reveal(receipt.reveal.as_deref()?, entry).ok()?;
    (reveal.action != case.request.action()).then(|| {
        let (is, asked) = (quoted(&reveal.action), quoted(case.request.action()));
        format!("what was approved is not what was asked: the action was {is}, and {asked} was asked")
    })
}

/// An approval from before the request, or from after its end, is another one (gate specification section 5.3).
fn other_time(entry: &Entry, case: &Case<'_>) -> Option<String> {
    let since = case.asked_at.saturating_sub(MAX_SKEW);
    for (what, time) in [("requested", entry.requested_at), ("decided", entry.decided_at)] {
        if time < since {
            return Some(format!(
                "it was {what} at {time}, before it was asked at {}: an earlier approval, or a clock that is wrong",
                case.asked_at
            ));
        }
    }
    (entry.decided_at > case.asked.expires_at).then(|| {
        let (decided, expired) = (entry.decided_at, case.asked.expires_at);
        format!("it was decided at {decided}, and could be decided until {expired}")
    })
}

/// Collects what is kept of a clean receipt. The signature verified, so this key made it.
fn checked(bundle: &[u8], entry: &Entry, case: &Case<'_>, verdict: &Verdict) -> Option<Checked> {
    let key = CosePublicKey::parse(&entry.assertion.as_ref()?.public_key).ok()?.ok()?;
    let passed = |check| verdict.check(check).is_some_and(|line| line.result == CheckResult::Passed);
    Some(Checked {
        receipt: bundle.to_vec(),
        nonce: verdict.nonce.clone()?,
        credential: key.identity(),
        key_pinned: passed(Check::ApproverKey),
        action_signed: case.asked.encoding == Accepted::JcsActionPayload && passed(Check::Action),
        approver: case.request.username().to_owned(),
        requested_at: entry.requested_at,
        decided_at: entry.decided_at,
    })
}

/// Whether nothing is wrong but that the two heads in the bundle are of two trees, as where an honest log grew between
/// its reading of them.
fn is_of_two_trees(bundle: &[u8], verdict: &Verdict) -> bool {
    let is_missing = |line: &&CheckLine| line.required && line.result == CheckResult::NotChecked;
    verdict.conclusion() == Conclusion::Incomplete
        && verdict
            .checks
            .iter()
            .filter(is_missing)
            .all(|line| matches!(line.check, Check::Checkpoint | Check::Sth))
        && Receipt::parse(bundle).is_ok_and(|receipt| receipt.form == ReceiptForm::Bundle)
}

/// What is wrong with a receipt that is not clean: the first check that failed, or else that was needed and not made.
fn first_failure(verdict: &Verdict) -> String {
    let failed = |line: &&CheckLine| line.result == CheckResult::Failed;
    let missing = |line: &&CheckLine| line.required && line.result == CheckResult::NotChecked;
    let line = verdict.checks.iter().find(failed).or_else(|| verdict.checks.iter().find(missing));
    let why = line.map(said).or_else(|| verdict.usage.clone());
    format!("the receipt does not verify: {}", why.unwrap_or_else(|| "it is not clean".to_owned()))
}

fn said(line: &CheckLine) -> String {
    format!("{}: {}", line.check, line.message)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
