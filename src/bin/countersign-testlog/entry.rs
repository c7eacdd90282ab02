//! Entries: as drafts, and entry *i* of a log. It depends only on the seed and *i*, so that a longer log with the same seed continues a shorter one.
//!
//! Times saturate at 2^64 − 1 ms, beyond any number of entries that a test can make.

use super::assertion::{self, SignedAssertion, Site};
use super::keys::Passkey;
use super::passkeys::PasskeySet;
use super::seed::Seed;
use crate::error::TestlogError;
use countersign::core::encoding::{encode_base64url, encode_hex};
use countersign::core::entry::{AssertionJson, CredentialJson, Decision, ENTRY_TYPE, EntryJson};
use countersign::core::hash::sha256;
use countersign::core::time::UnixMillis;
use std::sync::Arc;
use std::time::Duration;

/// The time of the first entry: 2026-01-01.
const START: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// Time between decisions, in milliseconds. A million decisions take 17 days.
const INTERVAL_MS: u64 = 1_500;

/// How long a request is open, in milliseconds.
const OPEN_MS: u64 = 300_000;

/// Time between the last entry of a head and its signature.
const HEAD_DELAY: Duration = Duration::from_secs(2);

/// Generates entries.
#[derive(Clone)]
pub struct EntryGenerator {
    pub seed: Seed,
    pub origin: String,
    pub site: Site,
    pub passkeys: Arc<PasskeySet>,
    pub rejected_percent: u8,
    pub expired_percent: u8,
}

/// The time of the head for exactly `size` entries, which is later than all of them.
pub fn head_time(size: u64) -> UnixMillis {
    START.saturating_add(Duration::from_millis(size.saturating_mul(INTERVAL_MS))).saturating_add(HEAD_DELAY)
}

/// An entry before it is written.
#[derive(Clone)]
pub struct EntryDraft {
    pub id: String,
    pub decision: Decision,
    pub requested_at: UnixMillis,
    pub decided_at: UnixMillis,
    pub expires_at: UnixMillis,
    pub approver: String,
    pub nonce: Vec<u8>,
    pub payload_encoding: &'static str,
    pub payload_hash: [u8; 32],
    /// Only in an approval.
    pub signed: Option<SignedBy>,
}

/// An assertion, and the passkey that made it.
#[derive(Clone)]
pub struct SignedBy {
    pub credential_id: Vec<u8>,
    pub cose: Vec<u8>,
    pub assertion: SignedAssertion,
}

impl EntryDraft {
    /// What the passkey of an approval signs.
    pub fn challenge(&self) -> Vec<u8> {
        [self.nonce.as_slice(), &self.payload_hash].concat()
    }

    /// The same entry with an assertion of this passkey, as [`assertion::make`] makes it.
    ///
    /// # Errors
    /// The passkey could not sign.
    pub fn signed(
        mut self,
        site: &Site,
        passkey: &Passkey,
        index: u64,
        other_keys: bool,
    ) -> Result<EntryDraft, TestlogError> {
        let assertion = assertion::make(site, passkey, &self.challenge(), index, other_keys)?;
        let (credential_id, cose) = (passkey.credential_id.clone(), passkey.cose.clone());
        self.signed = Some(SignedBy { credential_id, cose, assertion });
        Ok(self)
    }

    /// The leaf in the log with this origin.
    pub fn leaf(&self, origin: &str, rp_id: &str) -> Vec<u8> {
        let json = EntryJson {
            r#type: ENTRY_TYPE.into(),
            origin: origin.into(),
            id: self.id.as_str().into(),
            decision: self.decision.as_str().into(),
            requested_at: self.requested_at,
            decided_at: self.decided_at,
            expires_at: self.expires_at,
            approver: self.approver.as_str().into(),
            rp_id: rp_id.into(),
            credential: self.signed.as_ref().map(|signed| CredentialJson {
                id: encode_base64url(&signed.credential_id).into(),
                public_key: encode_base64url(&signed.cose).into(),
            }),
            nonce: encode_base64url(&self.nonce).into(),
            payload_encoding: self.payload_encoding.into(),
            payload_hash: encode_hex(&self.payload_hash).into(),
            assertion: self.signed.as_ref().map(|signed| AssertionJson {
                authenticator_data: encode_base64url(&signed.assertion.authenticator_data).into(),
                client_data_json: encode_base64url(&signed.assertion.client_data_json).into(),
                signature: encode_base64url(&signed.assertion.signature).into(),
            }),
            reveal_commitment: None,
        };
        json.to_canonical()
    }
}

impl EntryGenerator {
    /// A generator of other entries by the same people and passkeys, equally valid at the same indices.
    pub fn other(&self, label: &str) -> EntryGenerator {
        EntryGenerator { seed: self.seed.other(label), ..self.clone() }
    }

    /// The leaf at `index`.
    ///
    /// # Errors
    /// The passkey could not sign.
    pub fn leaf(&self, index: u64) -> Result<Vec<u8>, TestlogError> {
        let seed = &self.seed;
        let decision = self.decision(index);
        let passkey = self.passkeys.signer_of(seed, index);
        let (payload_encoding, payload_hash) = self.payload(index);
        let [requested_at, decided_at, expires_at] = self.times(index, decision);
        let mut draft = EntryDraft {
            id: seed.uuid("id", index),
            decision,
            requested_at,
            decided_at,
            expires_at,
            approver: passkey.approver.clone(),
            nonce: seed.bytes("nonce", index)[..16].to_vec(),
            payload_encoding,
            payload_hash,
            signed: None,
        };
        if decision == Decision::Approved {
            let other_keys = seed.below("other keys", index, 6) == 0;
            draft = draft.signed(&self.site, passkey, index, other_keys)?;
        }
        Ok(draft.leaf(&self.origin, &self.site.rp_id))
    }

    fn decision(&self, index: u64) -> Decision {
        let (rejected, expired) = (u64::from(self.rejected_percent), u64::from(self.expired_percent));
        match self.seed.below("decision", index, 100) {
            n if n < rejected => Decision::Rejected,
            n if n < rejected + expired => Decision::Expired,
            _ => Decision::Approved,
        }
    }

    /// The times at which it was requested, was decided and expires.
    fn times(&self, index: u64, decision: Decision) -> [UnixMillis; 3] {
        let jitter = self.seed.below("decided at", index, INTERVAL_MS);
        let after = index.saturating_mul(INTERVAL_MS).saturating_add(jitter);
        let decided = START.saturating_add(Duration::from_millis(after));
        let thought = match decision {
            Decision::Expired => OPEN_MS,
            Decision::Approved | Decision::Rejected => {
                3_000 + self.seed.below("thought", index, OPEN_MS - 3_000)
            }
        };
        let requested = decided.saturating_sub(Duration::from_millis(thought));
        [requested, decided, requested.saturating_add(Duration::from_millis(OPEN_MS))]
    }

    /// The encoding of the payload and its hash in that encoding.
    fn payload(&self, index: u64) -> (&'static str, [u8; 32]) {
        let amount = self.seed.below("amount", index, 100_000);
        let payload = format!("{{\"amount_usd\":{amount},\"invoice\":{index}}}");
        match self.seed.below("payload encoding", index, 2) {
            0 => ("jcs-payload", sha256(payload.as_bytes()).0),
            _ => {
                let both = format!("{{\"action\":\"Pay invoice {index}\",\"payload\":{payload}}}");
                ("jcs-action-payload", sha256(both.as_bytes()).0)
            }
        }
    }
}
