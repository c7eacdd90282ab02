//! What somebody who checks one receipt brings: whom they trust, and what they expect.
//!
//! Nothing in here ever comes from a receipt.

use crate::core::encoding::decode_base64url;
use crate::core::entry::Decision;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::payload::Payload;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::{CosePublicKey, RelyingParty};
use std::collections::BTreeMap;

/// Whom the relying program trusts.
///
/// What is left out is not checked, and the verdict says so: without a log key, a relying party id and an
/// allowed origin it is `incomplete` at best.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    /// The logs' public keys. The one whose origin the receipt's checkpoint names must have signed it.
    pub log_keys: Vec<LogKey>,
    /// Relying party id and web origins.
    pub relying_party: RelyingParty,
    /// Approver → identities of the only keys that may sign for them. Others are not pinned.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// Which witnesses must have cosigned the checkpoint. Its list of logs is not looked at: put those keys
    /// into `log_keys`.
    pub witnesses: Option<TlogPolicy>,
}

impl TrustPolicy {
    /// Trust in approvals for this relying party id (such as `approvals.example`), made on this web origin
    /// (such as `https://approvals.example`), in the log with this key. All further fields may be set after.
    pub fn new(log_key: LogKey, rp_id: &str, origin: &str) -> TrustPolicy {
        TrustPolicy {
            log_keys: vec![log_key],
            relying_party: RelyingParty {
                rp_id: Some(rp_id.to_owned()),
                allowed_origins: Some(vec![origin.to_owned()]),
                allow_cross_origin: false,
                allowed_top_origins: Vec::new(),
                require_user_verification: true,
            },
            pinned_keys: BTreeMap::new(),
            witnesses: None,
        }
    }

    /// Pins a key: from now on only pinned ones may sign for this approver, and this one for nobody who
    /// has it not pinned. See [`key_identity`] for the text.
    ///
    /// # Errors
    /// The text is no key.
    pub fn pin(&mut self, approver: &str, key: &str) -> Result<(), String> {
        self.pinned_keys.entry(approver.to_owned()).or_default().push(key_identity(key)?);
        Ok(())
    }
}

/// The identity of a passkey that is to be pinned: a COSE_Key as base64url, or the identity itself as 64
/// hex digits, as reports show it.
///
/// # Errors
/// Why the text is neither, in one sentence.
pub fn key_identity(text: &str) -> Result<Hash, String> {
    if let Some(identity) = Hash::from_hex(text) {
        return Ok(identity);
    }
    let cose = decode_base64url(text).ok_or("neither base64url nor 64 hex digits")?;
    match CosePublicKey::parse(&cose) {
        Ok(Ok(key)) => Ok(key.identity()),
        Ok(Err(finding)) => {
            Err(format!("neither a COSE key in base64url ({}) nor 64 hex digits", finding.why))
        }
        Err(disagreement) => Err(disagreement.to_string()),
    }
}

/// What the approval must be of. [`Expectation::default`] asks for an approval, of whatever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation<'a> {
    /// The decision.
    pub decision: Decision,
    /// The caller's own payload: the arguments that are about to be used.
    pub payload: Option<Payload<'a>>,
    /// The action text.
    pub action: Option<&'a str>,
    /// The approver's address.
    pub email: Option<&'a str>,
    /// The names of which the approver must have one; none: whoever it was.
    pub approvers: &'a [&'a str],
    /// The entry's id.
    pub id: Option<&'a str>,
    /// The most milliseconds that the decision may be old; with witnesses, also their cosignatures, without
    /// which the age is the log's word alone.
    pub max_age: Option<u64>,
}

impl Default for Expectation<'_> {
    fn default() -> Self {
        Expectation {
            decision: Decision::Approved,
            payload: None,
            action: None,
            email: None,
            approvers: &[],
            id: None,
            max_age: None,
        }
    }
}
