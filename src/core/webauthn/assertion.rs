//! The checks of one assertion, in the order of specification section 9 (WebAuthn Level 3
//! section 7.2).
//!
//! Every check reports an outcome, those not made included, and one entry can have several findings:
//! a wrong origin does not hide a wrong signature.

use super::authenticator_data::{AuthenticatorData, Flags};
use super::client_data::ClientData;
use super::cose::ParsedKey;
use super::key_cache::KeyCache;
use super::outcome::Outcome;
use crate::core::check::Check;
use crate::core::crypto::{Disagreement, PublicKey, SignatureError};
use crate::core::encoding::encode_base64url;
use crate::core::finding::Code;
use crate::core::hash::{Hash, sha256, sha256_pair};
use crate::core::limits::{
    AUTHENTICATOR_DATA_LEN, CREDENTIAL_ID_LEN, MAX_CLIENT_DATA, MAX_COSE_KEY, MAX_SIGNATURE,
};
use crate::core::text::quoted;

/// What the user pinned about the service whose approvals these are. Nothing in here comes from the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelyingParty {
    /// The relying party id; `None` leaves the `rp-id` check unmade.
    pub rp_id: Option<String>,
    /// The allowed origins, compared byte for byte; `None` leaves the `origin` check unmade.
    pub allowed_origins: Option<Vec<String>>,
    /// Whether assertions from inside a frame of another origin are allowed.
    pub allow_cross_origin: bool,
    /// The origins that may be on top of such a frame, where the client data names one.
    pub allowed_top_origins: Vec<String>,
    /// Whether the person must have been verified; profile v1 always asks for it. Where `false`, the
    /// `user-verified` check is not made.
    pub require_user_verification: bool,
}

/// One assertion, as the entry has it, decoded from base64url.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The exact bytes of clientDataJSON.
    pub client_data_json: &'a [u8],
    /// The exact bytes of the authenticator data.
    pub authenticator_data: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The credential's COSE_Key.
    pub public_key: &'a [u8],
    /// The credential id.
    pub credential_id: &'a [u8],
    /// What must have been signed: nonce ‖ payload hash.
    /// `None` where nonce or hash could not be decoded: then the check is not made.
    pub challenge: Option<&'a [u8]>,
    /// The relying party id that the entry names.
    pub rp_id: &'a str,
}

/// What the authenticator said, for checks across one key's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthenticatorFacts {
    /// The BE flag: constant for one key.
    pub backup_eligible: bool,
    /// The signature counter; 0 where the authenticator has none.
    pub sign_count: u32,
}

/// What was checked, what was found, and the facts that checks across entries need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssertionResult {
    /// The findings, in the order of the specification.
    pub findings: Vec<(Code, String)>,
    outcomes: [Outcome; Check::OF_ASSERTION.len()],
    /// The key's [`PublicKey::identity`], where the key is valid.
    pub key_identity: Option<Hash>,
    /// Whether the signature was checked and holds; other checks may have failed all the same.
    pub signature_valid: bool,
    /// Whether the key made the signature over the bytes as they are given, also where one of them is of a size that
    /// leaves the check `signature` unmade: then the key was used, whatever the assertion is worth.
    pub key_used: bool,
    /// Present where the authenticator data parsed. Believe it only where `signature_valid`.
    pub authenticator: Option<AuthenticatorFacts>,
    /// SHA-256(authenticatorData ‖ clientDataJSON): the same assertion twice is a replay.
    pub assertion_hash: Hash,
}

impl AssertionResult {
    /// What became of a check. One that is not of assertions was not made.
    pub fn outcome(&self, check: Check) -> Outcome {
        let of = |(of, outcome)| (of == check).then_some(outcome);
        self.outcomes().find_map(of).unwrap_or(Outcome::NotChecked)
    }

    /// Every check with its outcome, in the order of the specification.
    pub fn outcomes(&self) -> impl Iterator<Item = (Check, Outcome)> {
        Check::OF_ASSERTION.into_iter().zip(self.outcomes)
    }

    /// Whether no check failed. Checks that were not made do not count against it.
    pub fn nothing_failed(&self) -> bool {
        !self.outcomes.contains(&Outcome::Failed)
    }

    fn set(&mut self, check: Check, outcome: Outcome) {
        for (_, slot) in Check::OF_ASSERTION.iter().zip(&mut self.outcomes).filter(|(of, _)| **of == check) {
            *slot = outcome;
        }
    }

    fn fail(&mut self, check: Check, code: Code, message: impl Into<String>) {
        self.set(check, Outcome::Failed);
        self.findings.push((code, message.into()));
    }

    fn require(&mut self, check: Check, holds: bool, code: Code, message: impl FnOnce() -> String) {
        if holds { self.set(check, Outcome::Passed) } else { self.fail(check, code, message()) }
    }
}

/// Checks one assertion: specification section 9, steps 1 to 13. Whatever a step finds, the later ones
/// are made too, as far as their input parsed.
///
/// # Errors
/// Two implementations differ about the key or the signature. That is no finding about the log.
pub fn check_assertion(
    assertion: &Assertion<'_>,
    policy: &RelyingParty,
    keys: &mut KeyCache,
) -> Result<AssertionResult, Disagreement> {
    let mut result = AssertionResult {
        findings: Vec::new(),
        outcomes: [Outcome::NotChecked; Check::OF_ASSERTION.len()],
        key_identity: None,
        signature_valid: false,
        key_used: false,
        authenticator: None,
        assertion_hash: sha256_pair(assertion.authenticator_data, assertion.client_data_json),
    };
    let sizes = check_sizes(&mut result, assertion); // step 1
    if sizes.client_data {
        check_client_data(&mut result, assertion, policy); // steps 2 to 6
    }
    // Step 11 compares keys, so the key is parsed before it; its own findings come after.
    let key = if sizes.public_key { Some(keys.parse_noting(assertion.public_key)?) } else { None };
    let valid_key = key.as_ref().and_then(|parsed| parsed.key.as_ref().ok());
    if sizes.authenticator_data {
        check_authenticator_data(&mut result, assertion, policy, valid_key, keys)?; // steps 7 to 11
    } else {
        check_rp_id(&mut result, assertion, policy, None);
    }
    if let Some(key) = &key {
        check_key(&mut result, key); // step 12
    }
    // Nothing that is longer is a signature of a key of this profile.
    if let Some(key) = valid_key.filter(|_| sizes.signature) {
        let verified = verify_signature(assertion, key)?;
        result.key_used = verified.is_ok();
        if sizes.client_data && sizes.authenticator_data {
            check_signature(&mut result, verified, key); // step 13
        }
    }
    Ok(result)
}

/// Which of the inputs are of a size to be looked at.
struct Sizes {
    client_data: bool,
    authenticator_data: bool,
    signature: bool,
    public_key: bool,
}

fn check_sizes(result: &mut AssertionResult, assertion: &Assertion<'_>) -> Sizes {
    result.set(Check::Sizes, Outcome::Passed);
    let mut check = |what: &str, length: usize, from: usize, to: usize| {
        let fits = (from..=to).contains(&length);
        if !fits {
            let message = format!("{what} has {length} bytes; {from} to {to} are allowed");
            result.fail(Check::Sizes, Code::EncodingInvalid, message);
        }
        fits
    };
    let (least, most) = (*AUTHENTICATOR_DATA_LEN.start(), *AUTHENTICATOR_DATA_LEN.end());
    let sizes = Sizes {
        client_data: check("clientDataJSON", assertion.client_data_json.len(), 0, MAX_CLIENT_DATA),
        authenticator_data: check("authenticatorData", assertion.authenticator_data.len(), least, most),
        signature: check("signature", assertion.signature.len(), 0, MAX_SIGNATURE),
        public_key: check("publicKey", assertion.public_key.len(), 0, MAX_COSE_KEY),
    };
    check(
        "credential id",
        assertion.credential_id.len(),
        *CREDENTIAL_ID_LEN.start(),
        *CREDENTIAL_ID_LEN.end(),
    );
    sizes
}

fn check_client_data(result: &mut AssertionResult, assertion: &Assertion<'_>, policy: &RelyingParty) {
    let client = match ClientData::parse(assertion.client_data_json) {
        Ok(client) => client,
        Err(error) => return result.fail(Check::ClientData, Code::ClientDataMalformed, error.to_string()),
    };
    result.set(Check::ClientData, Outcome::Passed);
    result.require(Check::ClientDataType, client.ceremony == "webauthn.get", Code::ClientDataType, || {
        format!("type is {}, not \"webauthn.get\"", quoted(&client.ceremony))
    });
    if let Some(challenge) = assertion.challenge {
        let expected = encode_base64url(challenge);
        result.require(Check::Challenge, client.challenge == expected, Code::ChallengeMismatch, || {
            format!(
                "challenge is {}; nonce and payload hash make {}",
                quoted(&client.challenge),
                quoted(&expected)
            )
        });
    }
    if let Some(allowed) = &policy.allowed_origins {
        result.require(Check::Origin, allowed.contains(&client.origin), Code::OriginNotAllowed, || {
            format!("origin is {}", quoted(&client.origin))
        });
    }
    check_cross_origin(result, &client, policy);
}

fn check_cross_origin(result: &mut AssertionResult, client: &ClientData, policy: &RelyingParty) {
    let crossed = client.cross_origin == Some(true);
    result.require(Check::CrossOrigin, !crossed || policy.allow_cross_origin, Code::CrossOrigin, || {
        "crossOrigin is true: signed inside a frame of another origin".to_owned()
    });
    let Some(top) = &client.top_origin else { return };
    if !crossed {
        let message = format!("topOrigin {} without crossOrigin", quoted(top));
        result.fail(Check::CrossOrigin, Code::TopOriginNotAllowed, message);
    } else if !policy.allowed_top_origins.contains(top) {
        result.fail(Check::CrossOrigin, Code::TopOriginNotAllowed, format!("topOrigin is {}", quoted(top)));
    }
}

fn check_authenticator_data(
    result: &mut AssertionResult,
    assertion: &Assertion<'_>,
    policy: &RelyingParty,
    key: Option<&PublicKey>,
    keys: &mut KeyCache,
) -> Result<(), Disagreement> {
    let data = match AuthenticatorData::parse(assertion.authenticator_data) {
        Ok(data) => data,
        Err(error) => {
            check_rp_id(result, assertion, policy, None);
            result.fail(Check::AuthenticatorData, Code::AuthDataMalformed, error.to_string());
            return Ok(());
        }
    };
    let facts =
        AuthenticatorFacts { backup_eligible: data.flags.backup_eligible(), sign_count: data.sign_count };
    result.authenticator = Some(facts);
    check_rp_id(result, assertion, policy, Some(data.rp_id_hash));
    check_flags(result, data.flags, policy);
    result.set(Check::AuthenticatorData, Outcome::Passed);
    if let Some(attested) = data.attested {
        if is_entrys_key(attested.public_key, assertion.public_key, key, keys)? {
            let message = "attested data, of the entry's key, in an assertion".to_owned();
            result.findings.push((Code::AttestedDataPresent, message));
        } else {
            let message = "attested data of a key that is not the entry's";
            result.fail(Check::AuthenticatorData, Code::AuthDataMalformed, message);
        }
    }
    Ok(())
}

/// Step 7. The entry's own word is compared even where there is no authenticator data to look at, but
/// its agreement alone is no pass.
fn check_rp_id(
    result: &mut AssertionResult,
    assertion: &Assertion<'_>,
    policy: &RelyingParty,
    rp_id_hash: Option<Hash>,
) {
    let Some(pinned) = &policy.rp_id else { return };
    if assertion.rp_id != pinned {
        let message = format!("the entry names {}, not {}", quoted(assertion.rp_id), quoted(pinned));
        result.fail(Check::RpId, Code::RpIdMismatch, message);
    } else if let Some(hash) = rp_id_hash {
        result.require(Check::RpId, hash == sha256(pinned.as_bytes()), Code::RpIdMismatch, || {
            format!("rpIdHash {hash} is not that of {}", quoted(pinned))
        });
    }
}

/// Steps 8 to 10.
fn check_flags(result: &mut AssertionResult, flags: Flags, policy: &RelyingParty) {
    let message = |text: &'static str| move || text.to_owned();
    let present = message("the user-present flag is not set");
    result.require(Check::UserPresent, flags.user_present(), Code::UserNotPresent, present);
    if policy.require_user_verification {
        let verified = message("the user-verified flag is not set");
        result.require(Check::UserVerified, flags.user_verified(), Code::UserNotVerified, verified);
    }
    let backup = message("the backed-up flag is set, the backup-eligible flag is not");
    result.require(Check::BackupFlags, flags.backup_consistent(), Code::BackupFlags, backup);
}

/// Whether attested data carries the entry's key, in the same bytes or in another encoding of it.
fn is_entrys_key(
    attested: &[u8],
    entrys: &[u8],
    key: Option<&PublicKey>,
    keys: &mut KeyCache,
) -> Result<bool, Disagreement> {
    match key {
        _ if attested == entrys => Ok(true),
        Some(key) if attested.len() <= MAX_COSE_KEY => Ok(keys.parse(attested)?.as_ref() == Ok(key)),
        _ => Ok(false),
    }
}

fn check_key(result: &mut AssertionResult, parsed: &ParsedKey) {
    if parsed.has_named_kty && !matches!(&parsed.key, Err(finding) if finding.code != Code::SignatureInvalid)
    {
        let message = "the key's kty is its name, as some authenticators write it, where its number belongs";
        result.findings.push((Code::KeyEncodingOdd, message.to_owned()));
    }
    match &parsed.key {
        Ok(key) => {
            result.key_identity = Some(key.identity());
            result.set(Check::Key, Outcome::Passed);
        }
        Err(finding) if finding.code == Code::SignatureInvalid => {
            result.set(Check::Key, Outcome::Passed);
            result.fail(Check::Signature, finding.code, finding.why.clone());
        }
        Err(finding) => result.fail(Check::Key, finding.code, finding.why.clone()),
    }
}

/// Inner: whether the key made the signature, over the bytes as they are.
fn verify_signature(
    assertion: &Assertion<'_>,
    key: &PublicKey,
) -> Result<Result<(), SignatureError>, Disagreement> {
    // The hash covers the received bytes, a byte order mark included.
    let client_data_hash = sha256(assertion.client_data_json);
    let signed = [assertion.authenticator_data, client_data_hash.as_bytes()].concat();
    match key.verify(&signed, assertion.signature) {
        Err(SignatureError::Disagreement(disagreement)) => Err(disagreement),
        verified => Ok(verified),
    }
}

fn check_signature(result: &mut AssertionResult, verified: Result<(), SignatureError>, key: &PublicKey) {
    match verified {
        Ok(()) => {
            result.signature_valid = true;
            result.set(Check::Signature, Outcome::Passed);
        }
        Err(SignatureError::Malformed(why)) => result.fail(Check::Signature, Code::SignatureMalformed, why),
        // It ended the check before, and is held against nobody.
        Err(SignatureError::Disagreement(_)) => {}
        Err(SignatureError::Invalid) => {
            let message = format!("this {} key did not make the signature", key.algorithm().as_str());
            result.fail(Check::Signature, Code::SignatureInvalid, message);
        }
    }
}
