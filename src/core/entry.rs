//! Log entries: parses a leaf's bytes into an [`Entry`] and findings (specification section 2).
//!
//! The tree commits to the received bytes, so those are checked: an entry is parsed from them and written again in
//! canonical form, and both must be the same bytes. Signatures are verified by [`crate::core::webauthn`], not here.

use crate::core::encoding::{decode_base64url, decode_hex_exact};
use crate::core::finding::Code;
use crate::core::jcs::{canonicalize, write_canonical_string};
use crate::core::limits;
use crate::core::object::{self, or_null, present};
use crate::core::time::UnixMillis;
use serde::Deserialize;
use std::borrow::Cow;

/// `type` of an entry.
pub const ENTRY_TYPE: &str = "approval-log-entry/v1";

/// The decision that an entry records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// A person approved, with a passkey.
    Approved,
    /// A person rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

impl Decision {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
            Decision::Expired => "expired",
        }
    }

    /// The decision with this name.
    pub fn from_text(text: &str) -> Option<Decision> {
        match text {
            "approved" => Some(Decision::Approved),
            "rejected" => Some(Decision::Rejected),
            "expired" => Some(Decision::Expired),
            _ => None,
        }
    }
}

/// The members of an entry as in the leaf. This is the only place with the names of the wire format.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EntryJson<'a> {
    /// [`ENTRY_TYPE`].
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    /// The log's origin.
    #[serde(borrow)]
    pub origin: Cow<'a, str>,
    /// Unique in the log.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// See [`Decision`].
    #[serde(borrow)]
    pub decision: Cow<'a, str>,
    /// Unix milliseconds.
    pub requested_at: UnixMillis,
    /// Unix milliseconds.
    pub decided_at: UnixMillis,
    /// Unix milliseconds.
    pub expires_at: UnixMillis,
    /// Who was asked.
    #[serde(borrow)]
    pub approver: Cow<'a, str>,
    /// WebAuthn relying party id.
    #[serde(borrow)]
    pub rp_id: Cow<'a, str>,
    /// The passkey; only in an approval. The member is required, and may be `null`.
    #[serde(borrow, deserialize_with = "or_null")]
    pub credential: Option<CredentialJson<'a>>,
    /// base64url.
    #[serde(borrow)]
    pub nonce: Cow<'a, str>,
    /// How the payload was encoded before it was hashed.
    #[serde(borrow)]
    pub payload_encoding: Cow<'a, str>,
    /// Hex.
    #[serde(borrow)]
    pub payload_hash: Cow<'a, str>,
    /// Only in an approval. The member is required, and may be `null`.
    #[serde(borrow, deserialize_with = "or_null")]
    pub assertion: Option<AssertionJson<'a>>,
    /// Hex or `null`. The member is required.
    #[serde(borrow, deserialize_with = "present")]
    pub reveal_commitment: Option<Cow<'a, str>>,
}

/// The passkey that signed.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialJson<'a> {
    /// base64url credential id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// base64url COSE_Key.
    #[serde(borrow)]
    pub public_key: Cow<'a, str>,
}

/// The assertion by the passkey.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AssertionJson<'a> {
    /// base64url.
    #[serde(borrow)]
    pub authenticator_data: Cow<'a, str>,
    /// base64url.
    #[serde(borrow, rename = "clientDataJSON")]
    pub client_data_json: Cow<'a, str>,
    /// base64url.
    #[serde(borrow)]
    pub signature: Cow<'a, str>,
}

impl EntryJson<'_> {
    /// The canonical form (RFC 8785). The members are known, so their order is written out here; a test compares it with
    /// the general canonicalizer.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        member(&mut out, "{\"approver\":", &self.approver);
        match &self.assertion {
            Some(assertion) => {
                member(&mut out, ",\"assertion\":{\"authenticatorData\":", &assertion.authenticator_data);
                member(&mut out, ",\"clientDataJSON\":", &assertion.client_data_json);
                member(&mut out, ",\"signature\":", &assertion.signature);
                out.push(b'}');
            }
            None => out.extend_from_slice(b",\"assertion\":null"),
        }
        match &self.credential {
            Some(credential) => {
                member(&mut out, ",\"credential\":{\"id\":", &credential.id);
                member(&mut out, ",\"publicKey\":", &credential.public_key);
                out.push(b'}');
            }
            None => out.extend_from_slice(b",\"credential\":null"),
        }
        moment(&mut out, ",\"decidedAt\":", self.decided_at);
        member(&mut out, ",\"decision\":", &self.decision);
        moment(&mut out, ",\"expiresAt\":", self.expires_at);
        member(&mut out, ",\"id\":", &self.id);
        member(&mut out, ",\"nonce\":", &self.nonce);
        member(&mut out, ",\"origin\":", &self.origin);
        member(&mut out, ",\"payloadEncoding\":", &self.payload_encoding);
        member(&mut out, ",\"payloadHash\":", &self.payload_hash);
        moment(&mut out, ",\"requestedAt\":", self.requested_at);
        match &self.reveal_commitment {
            Some(commitment) => member(&mut out, ",\"revealCommitment\":", commitment),
            None => out.extend_from_slice(b",\"revealCommitment\":null"),
        }
        member(&mut out, ",\"rpId\":", &self.rp_id);
        member(&mut out, ",\"type\":", &self.r#type);
        out.push(b'}');
        out
    }
}

fn member(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    write_canonical_string(out, text);
}

fn moment(out: &mut Vec<u8>, name: &str, value: UnixMillis) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.get().to_string().as_bytes());
}

/// An entry whose members were parsed and decoded. Whether it *should* be in the log is decided by its findings and by
/// later checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Unique in the log, 1–64 of `[0-9A-Za-z._-]`.
    pub id: String,
    /// The decision.
    pub decision: Decision,
    /// When the approver was asked.
    pub requested_at: UnixMillis,
    /// When the decision was made.
    pub decided_at: UnixMillis,
    /// Until when it could be made.
    pub expires_at: UnixMillis,
    /// Who was asked.
    pub approver: String,
    /// The WebAuthn relying party id that the entry names.
    pub rp_id: String,
    /// How the payload was encoded before it was hashed.
    pub payload_encoding: String,
    /// The nonce's bytes; `None` if it could not be decoded (then there is a finding).
    pub nonce: Option<Vec<u8>>,
    /// SHA-256 of the payload; `None` if it could not be decoded (then there is a finding).
    pub payload_hash: Option<[u8; 32]>,
    /// Commitment to a reveal, if there is one.
    pub reveal_commitment: Option<[u8; 32]>,
    /// The credential and assertion of an approval; `None` if they are missing or a part could not be decoded.
    pub assertion: Option<EntryAssertion>,
    /// The credential and assertion of an entry that is not an approval and should have none. They say nothing about the
    /// entry, but a passkey may have been used for them.
    pub unexpected_assertion: Option<EntryAssertion>,
}

impl Entry {
    /// The id, if it is valid. In a hostile log it can be 65,000 bytes long.
    pub fn valid_id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| is_id(id))
    }

    /// The approver, if the name has an allowed length.
    pub fn valid_approver(&self) -> Option<&str> {
        Some(self.approver.as_str()).filter(|name| is_approver(name))
    }
}

/// The credential and assertion of an entry, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryAssertion {
    /// Credential id.
    pub credential_id: Vec<u8>,
    /// COSE_Key, not yet parsed.
    pub public_key: Vec<u8>,
    /// Authenticator data, not yet parsed.
    pub authenticator_data: Vec<u8>,
    /// clientDataJSON, not yet parsed.
    pub client_data_json: Vec<u8>,
    /// Signature.
    pub signature: Vec<u8>,
}

/// The result of parsing a leaf.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeafReading {
    /// The entry, if the leaf is one.
    pub entry: Option<Entry>,
    /// What is wrong with the leaf, in the order of specification sections 2 and 10.
    pub findings: Vec<(Code, String)>,
}

/// Parses a leaf of the log with this origin.
pub fn read_leaf(leaf: &[u8], origin: &str) -> LeafReading {
    let mut findings = Vec::new();
    let entry = match object::from_slice::<EntryJson<'_>>(leaf) {
        Ok(json) => {
            if json.to_canonical() != leaf {
                findings.push((Code::LeafNotCanonical, "the leaf is not its own canonical form".to_owned()));
            }
            interpret(&json, Some(origin), &mut findings)
        }
        Err(error) => read_other_form(leaf, origin, &error.to_string(), &mut findings),
    };
    LeafReading { entry, findings }
}

/// A parsed entry whose origin was not checked, because the log that it should belong to is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OriginUncheckedReading {
    reading: LeafReading,
    origin: String,
}

impl OriginUncheckedReading {
    /// Interprets an entry whose canonical form is the leaf, so that nothing is parsed twice.
    pub(crate) fn read(json: &EntryJson<'_>) -> OriginUncheckedReading {
        let mut findings = Vec::new();
        let entry = interpret(json, None, &mut findings);
        OriginUncheckedReading {
            reading: LeafReading { entry, findings },
            origin: json.origin.clone().into_owned(),
        }
    }

    /// Checks the origin. The result is that of [`read_leaf`], except for the order of the findings.
    pub fn check_origin(mut self, origin: &str) -> LeafReading {
        self.reading.findings.extend(check_origin(&self.origin, origin));
        self.reading
    }
}

fn check_origin(named: &str, origin: &str) -> Option<(Code, String)> {
    let other = || format!("the entry names the log {}", crate::core::text::quoted(named));
    (named != origin).then(|| (Code::OriginMismatch, other()))
}

/// Parses a leaf that is not an entry as it is. If its canonical form is one (`1e3` for `1000`), the leaf is not
/// canonical; otherwise it is malformed.
fn read_other_form(
    leaf: &[u8],
    origin: &str,
    error: &str,
    findings: &mut Vec<(Code, String)>,
) -> Option<Entry> {
    let canonical = canonicalize(leaf, limits::MAX_JSON_DEPTH);
    if let Ok(bytes) = &canonical
        && let Ok(json) = object::from_slice::<EntryJson<'_>>(bytes)
    {
        findings.push((Code::LeafNotCanonical, "the leaf is not its own canonical form".to_owned()));
        return interpret(&json, Some(origin), findings);
    }
    findings.push((
        Code::LeafMalformed,
        format!("the leaf is not an entry: {}", crate::core::text::quoted(error)),
    ));
    None
}

/// The rules of specification section 2, member by member.
fn interpret(
    json: &EntryJson<'_>,
    origin: Option<&str>,
    findings: &mut Vec<(Code, String)>,
) -> Option<Entry> {
    let decision = Decision::from_text(&json.decision);
    for (ok, why) in [
        (json.r#type == ENTRY_TYPE, "type is not \"approval-log-entry/v1\""),
        (is_id(&json.id), "id is not 1 to 64 of 0-9 A-Z a-z . _ -"),
        (decision.is_some(), "decision is not one of approved, rejected, expired"),
        (is_approver(&json.approver), "approver is not 1 to 128 bytes"),
        (
            matches!(&*json.payload_encoding, "jcs-payload" | "jcs-action-payload" | "raw-payload"),
            "payloadEncoding is not one of jcs-payload, jcs-action-payload, raw-payload",
        ),
        (
            json.requested_at.max(json.decided_at).max(json.expires_at).get() <= limits::MAX_INTEGER,
            "a time is larger than 2^53 - 1",
        ),
    ] {
        if !ok {
            findings.push((Code::LeafMalformed, why.to_owned()));
        }
    }
    findings.extend(origin.and_then(|origin| check_origin(&json.origin, origin)));
    let decision = decision.filter(|_| json.r#type == ENTRY_TYPE)?;
    check_times(json, decision, findings);
    check_presence(json, decision, findings);
    Some(decode(json, decision, findings))
}

/// Whether this is a valid entry id: 1 to 64 of `[0-9A-Za-z._-]` (specification section 2).
pub fn is_id(id: &str) -> bool {
    (1..=limits::MAX_ID).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_approver(name: &str) -> bool {
    (1..=limits::MAX_APPROVER).contains(&name.len())
}

fn check_times(json: &EntryJson<'_>, decision: Decision, findings: &mut Vec<(Code, String)>) {
    let ordered = json.requested_at <= json.decided_at && json.decided_at <= json.expires_at;
    if !ordered {
        findings.push((Code::TimeOrder, "not requestedAt <= decidedAt <= expiresAt".to_owned()));
    } else if decision == Decision::Expired && json.decided_at != json.expires_at {
        findings.push((Code::TimeOrder, "expired, but decidedAt is not expiresAt".to_owned()));
    }
}

fn check_presence(json: &EntryJson<'_>, decision: Decision, findings: &mut Vec<(Code, String)>) {
    let (credential, assertion) = (json.credential.is_some(), json.assertion.is_some());
    if decision == Decision::Approved {
        if !(credential && assertion) {
            findings.push((Code::AssertionMissing, "approved without credential or assertion".to_owned()));
        }
    } else if credential || assertion {
        let decision = decision.as_str();
        findings.push((Code::AssertionUnexpected, format!("{decision}, yet with a credential or assertion")));
    }
}

/// Decodes every encoded member. Each member that cannot be decoded is a separate finding.
fn decode(json: &EntryJson<'_>, decision: Decision, findings: &mut Vec<(Code, String)>) -> Entry {
    let mut invalid = |what: &str| {
        findings.push((Code::EncodingInvalid, format!("{what} is not in its exact encoding or size")));
    };
    let nonce = decode_base64url(&json.nonce).filter(|nonce| limits::NONCE_LEN.contains(&nonce.len()));
    if nonce.is_none() {
        invalid("nonce");
    }
    let payload_hash = decode_hex_exact::<32>(&json.payload_hash);
    if payload_hash.is_none() {
        invalid("payloadHash");
    }
    let reveal_commitment = json.reveal_commitment.as_deref().and_then(decode_hex_exact::<32>);
    if json.reveal_commitment.is_some() && reveal_commitment.is_none() {
        invalid("revealCommitment");
    }
    let (assertion, unexpected_assertion) = match decision {
        Decision::Approved => (decode_assertion(json, invalid), None),
        // Its presence is the finding; its encoding is not another one.
        Decision::Rejected | Decision::Expired => (None, decode_assertion(json, |_| ())),
    };
    Entry {
        id: json.id.clone().into_owned(),
        decision,
        requested_at: json.requested_at,
        decided_at: json.decided_at,
        expires_at: json.expires_at,
        approver: json.approver.clone().into_owned(),
        rp_id: json.rp_id.clone().into_owned(),
        payload_encoding: json.payload_encoding.clone().into_owned(),
        nonce,
        payload_hash,
        reveal_commitment,
        assertion,
        unexpected_assertion,
    }
}

/// Decodes credential and assertion, and calls `invalid` for each part that cannot be decoded.
fn decode_assertion(json: &EntryJson<'_>, mut invalid: impl FnMut(&str)) -> Option<EntryAssertion> {
    let (credential, assertion) = (json.credential.as_ref()?, json.assertion.as_ref()?);
    let mut part = |what: &str, text: &str| {
        let bytes = decode_base64url(text);
        if bytes.is_none() {
            invalid(what);
        }
        bytes
    };
    let credential_id = part("credential.id", &credential.id);
    let public_key = part("credential.publicKey", &credential.public_key);
    let authenticator_data = part("assertion.authenticatorData", &assertion.authenticator_data);
    let client_data_json = part("assertion.clientDataJSON", &assertion.client_data_json);
    let signature = part("assertion.signature", &assertion.signature);
    Some(EntryAssertion {
        credential_id: credential_id?,
        public_key: public_key?,
        authenticator_data: authenticator_data?,
        client_data_json: client_data_json?,
        signature: signature?,
    })
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
