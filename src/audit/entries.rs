//! Everything that one entry shows by itself (specification sections 2 and 9).
//!
//! A pure function of the leaf's bytes and the policy, so worker threads can check entries in any order.
//! Checks that need the earlier entries are in [`super::across`].

use crate::audit::across::{KeyUse, Sighting, Unique};
use crate::audit::finding::Finding;
use crate::audit::policy::Policy;
use crate::audit::tally::Tally;
use crate::core::check::Check;
use crate::core::crypto::Disagreement;
use crate::core::entry::{Decision, Entry, EntryAssertion, read_leaf};
use crate::core::finding::Code;
use crate::core::hash::{Hash, sha256, sha256_pair};
use crate::core::limits;
use crate::core::time::UnixMillis;
use crate::core::webauthn::{
    Assertion, AssertionResult, CheckOutcome, KeyCache, RelyingParty, check_assertion,
};

/// The fields of a checked leaf, for plain SQL. `None` where the leaf has no readable value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns {
    /// Entry id.
    pub id: Option<String>,
    /// `approved`, `rejected`, `expired`.
    pub decision: Option<Decision>,
    /// When it was requested and decided, and until when it could be.
    pub times: Option<[UnixMillis; 3]>,
    /// The approver who was asked.
    pub approver: Option<String>,
    /// Relying party id.
    pub rp_id: Option<String>,
    /// Identity of the passkey.
    pub key: Option<Hash>,
    /// Signature counter.
    pub sign_count: Option<u32>,
    /// How the payload was encoded before it was hashed.
    pub payload_encoding: Option<String>,
    /// Payload hash.
    pub payload_hash: Option<[u8; 32]>,
}

/// One entry, checked by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedEntry {
    /// Position in the log.
    pub index: u64,
    /// What it says.
    pub columns: Columns,
    /// What is wrong with it, in the order of the specification.
    pub findings: Vec<Finding>,
    /// Its values that must be unique in the log.
    pub sightings: Vec<Sighting>,
    /// Its use of a passkey, if the passkey made the signature, even if the assertion fails other checks.
    pub key_use: Option<KeyUse>,
    /// The same for an entry that is not an approval. The use is remembered, but the entry is not judged by
    /// it.
    pub stray_key_use: Option<KeyUse>,
}

impl CheckedEntry {
    /// Adds a finding. There is one finding per code: a second reason is appended to the message of the
    /// first.
    fn add(&mut self, code: Code, id: Option<&str>, message: &str) {
        match self.findings.iter_mut().find(|finding| finding.code == code) {
            Some(finding) => {
                finding.message.push_str("; ");
                finding.message.push_str(message);
            }
            None => self.findings.push(Finding::of_entry(code, self.index, id, message)),
        }
    }
}

/// Checks one leaf.
///
/// # Errors
/// [`Disagreement`] if two implementations of a signature algorithm give different results. This is a fault
/// on our side; nobody may be accused.
pub fn check_leaf(
    leaf: &[u8],
    index: u64,
    policy: &Policy,
    keys: &mut KeyCache,
    tally: &mut Tally,
) -> Result<CheckedEntry, Disagreement> {
    let reading = read_leaf(leaf, policy.log_key.origin());
    let id = reading.entry.as_ref().and_then(|entry| entry.valid_id()).map(str::to_owned);
    let mut checked = CheckedEntry {
        index,
        columns: Columns::default(),
        findings: Vec::new(),
        sightings: Vec::new(),
        key_use: None,
        stray_key_use: None,
    };
    for check in Check::OF_LEAF {
        let applies = reading.entry.is_some() || check == Check::LeafForm;
        let failed = reading.findings.iter().any(|(code, _)| code.checks().contains(&check));
        tally.add(check, u64::from(applies && !failed), u64::from(failed), u64::from(!applies && !failed));
    }
    for (code, message) in reading.findings {
        checked.add(code, id.as_deref(), &message);
    }
    if let Some(entry) = reading.entry {
        check_entry(&entry, &mut checked, policy, keys, tally)?;
    }
    Ok(checked)
}

fn check_entry(
    entry: &Entry,
    checked: &mut CheckedEntry,
    policy: &Policy,
    keys: &mut KeyCache,
    tally: &mut Tally,
) -> Result<(), Disagreement> {
    let index = checked.index;
    checked.sightings = sightings(entry, index);
    checked.columns = columns(entry);
    if entry.decision != Decision::Approved {
        checked.stray_key_use = stray_key_use(entry, policy, keys)?;
        return Ok(());
    }
    let Some(signed) = &entry.assertion else {
        for check in Check::OF_ASSERTION {
            tally.add(check, 0, 0, 1);
        }
        return Ok(());
    };
    let result = check_signed(entry, signed, &policy.relying_party, keys)?;
    for (check, outcome) in result.outcomes() {
        let [passed, failed, not_checked] = match outcome {
            CheckOutcome::Passed => [1, 0, 0],
            CheckOutcome::Failed => [0, 1, 0],
            CheckOutcome::NotChecked => [0, 0, 1],
        };
        tally.add(check, passed, failed, not_checked);
    }
    for (code, message) in &result.findings {
        checked.add(*code, entry.valid_id(), message);
    }
    checked.columns.key = result.key_identity;
    checked.columns.sign_count = result.authenticator.map(|facts| facts.sign_count);
    checked.key_use = key_use(entry, signed, &result);
    check_pinned(entry, checked, policy, tally);
    Ok(())
}

/// The values of an entry that must be unique in the log.
fn sightings(entry: &Entry, index: u64) -> Vec<Sighting> {
    let assertion = entry.assertion.as_ref().map(|s| sha256_pair(&s.authenticator_data, &s.client_data_json));
    [
        (Unique::Id, Some(entry.id.as_bytes())),
        (Unique::Nonce, entry.nonce.as_deref()),
        (Unique::Assertion, assertion.as_ref().map(|hash| hash.0.as_slice())),
    ]
    .into_iter()
    .filter_map(|(kind, value)| Some(Sighting { kind, fingerprint: kind.fingerprint(value?), index }))
    .collect()
}

/// Whether a leaf contains the value that an earlier sighting recorded for it. A remembered value is never
/// held against the log before it was confirmed by the leaf itself.
pub fn has_value(leaf: &[u8], sighting: &Sighting, origin: &str) -> bool {
    let of = |entry: &Entry| sightings(entry, sighting.index).contains(sighting);
    read_leaf(leaf, origin).entry.as_ref().is_some_and(of)
}

/// The checks on the assertion of an approval.
pub(super) fn check_signed(
    entry: &Entry,
    signed: &EntryAssertion,
    party: &RelyingParty,
    keys: &mut KeyCache,
) -> Result<AssertionResult, Disagreement> {
    let challenge = match (&entry.nonce, &entry.payload_hash) {
        (Some(nonce), Some(hash)) => Some([nonce.as_slice(), hash.as_slice()].concat()),
        _ => None,
    };
    let assertion = Assertion {
        client_data_json: &signed.client_data_json,
        authenticator_data: &signed.authenticator_data,
        signature: &signed.signature,
        public_key: &signed.public_key,
        credential_id: &signed.credential_id,
        challenge: challenge.as_deref(),
        rp_id: &entry.rp_id,
    };
    check_assertion(&assertion, party, keys)
}

fn key_use(entry: &Entry, signed: &EntryAssertion, result: &AssertionResult) -> Option<KeyUse> {
    let key = result.key_identity.filter(|_| result.key_used)?;
    Some(KeyUse {
        key,
        approver: entry.valid_approver()?.to_owned(),
        credential: sha256(&signed.credential_id),
        // If the authenticator data is malformed, only the fact that the key signed it is used.
        facts: result
            .authenticator
            .filter(|_| result.outcome(Check::AuthenticatorData) == CheckOutcome::Passed),
    })
}

/// The passkey that signed an assertion in an entry that is not an approval. Nothing else of the assertion is
/// judged or used.
fn stray_key_use(
    entry: &Entry,
    policy: &Policy,
    keys: &mut KeyCache,
) -> Result<Option<KeyUse>, Disagreement> {
    let Some(signed) = &entry.unexpected_assertion else { return Ok(None) };
    let result = check_signed(entry, signed, &policy.relying_party, keys)?;
    Ok(key_use(entry, signed, &result).map(|used| KeyUse { facts: None, ..used }))
}

/// Pinned keys are an allow-list: an approver with pinned keys may sign with no other key.
fn check_pinned(entry: &Entry, checked: &mut CheckedEntry, policy: &Policy, tally: &mut Tally) {
    let Some(pinned) = policy.pinned_keys.get(&entry.approver) else {
        tally.add(Check::PinnedKeys, 0, 0, 1);
        return;
    };
    let held = checked.columns.key.is_some_and(|key| pinned.contains(&key));
    tally.record(Check::PinnedKeys, held);
    if !held {
        let message = "the key that signed is not one of those pinned for this approver";
        checked.add(Code::KeyNotPinned, entry.valid_id(), message);
    }
}

fn columns(entry: &Entry) -> Columns {
    Columns {
        id: entry.valid_id().map(str::to_owned),
        decision: Some(entry.decision),
        times: Some([entry.requested_at, entry.decided_at, entry.expires_at]),
        approver: entry.valid_approver().map(str::to_owned),
        rp_id: Some(entry.rp_id.clone()).filter(|rp_id| rp_id.len() <= limits::MAX_RP_ID),
        key: None,
        sign_count: None,
        payload_encoding: Some(entry.payload_encoding.clone()).filter(|text| text.len() <= limits::MAX_ID),
        payload_hash: entry.payload_hash,
    }
}
