//! What a caller who checks a receipt provides: a trust policy and an expectation.
//!
//! Nothing here ever comes from a receipt.

use crate::core::crypto::Disagreement;
use crate::core::encoding::decode_base64url;
use crate::core::entry::Decision;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::payload::Payload;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::{CosePublicKey, RelyingParty};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the relying program trusts.
///
/// A field that is left out is not checked, and the verdict says so: without a log key, a relying party id and an
/// allowed origin, the verdict is `incomplete` at best.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    /// The logs' public keys. The one whose origin the receipt's checkpoint names must have signed it.
    pub log_keys: Vec<LogKey>,
    /// Relying party id and web origins.
    pub relying_party: RelyingParty,
    /// Approver → identities of the only keys that may sign for them. Others are not pinned.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// Which witnesses must have cosigned the checkpoint. The list of logs in the policy is ignored: put those keys
    /// into `log_keys`.
    pub witnesses: Option<TlogPolicy>,
}

impl TrustPolicy {
    /// Trusts approvals for this relying party id (such as `approvals.example`), made on this web origin (such as
    /// `https://approvals.example`), in the log with this key. All other fields can be set afterwards.
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

    /// Pins a key. From now on, only pinned keys may sign for this approver, and this key may sign only for approvers
    /// who have it pinned. See [`key_identity`] for the format of `key`.
    ///
    /// # Errors
    /// [`PinError`] if `key` is not a key or a key identity.
    pub fn pin(&mut self, approver: &str, key: &str) -> Result<(), PinError> {
        self.pinned_keys.entry(approver.to_owned()).or_default().push(key_identity(key)?);
        Ok(())
    }
}

/// Why a text does not name a passkey to pin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PinError {
    /// It is neither base64url nor 64 hex digits.
    Encoding,
    /// It is base64url but not a COSE key that can be parsed; the string says why.
    Key(String),
    /// Two implementations parse it differently. This is a fault of this program, not of the text.
    Disagreement(Disagreement),
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PinError::Encoding => f.write_str("neither base64url nor 64 hex digits"),
            PinError::Key(why) => write!(f, "neither a COSE key in base64url ({why}) nor 64 hex digits"),
            PinError::Disagreement(disagreement) => disagreement.fmt(f),
        }
    }
}

impl std::error::Error for PinError {}

/// The identity of a passkey to be pinned. The text is a COSE_Key as base64url, or the identity itself as 64 hex
/// digits, as reports show it.
///
/// # Errors
/// [`PinError`] if the text is neither.
pub fn key_identity(text: &str) -> Result<Hash, PinError> {
    if let Some(identity) = Hash::from_hex(text) {
        return Ok(identity);
    }
    let cose = decode_base64url(text).ok_or(PinError::Encoding)?;
    match CosePublicKey::parse(&cose) {
        Ok(Ok(key)) => Ok(key.identity()),
        Ok(Err(finding)) => Err(PinError::Key(finding.why)),
        Err(disagreement) => Err(PinError::Disagreement(disagreement)),
    }
}

/// What the caller expects of the receipt. [`Expectation::default`] accepts any approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation<'a> {
    /// The expected decision.
    pub decision: Decision,
    /// The caller's own payload: the arguments that are about to be used.
    pub payload: Option<Payload<'a>>,
    /// The action text.
    pub action: Option<&'a str>,
    /// The approver's address.
    pub email: Option<&'a str>,
    /// The names of accepted approvers; empty accepts any.
    pub approvers: &'a [&'a str],
    /// The entry's id.
    pub id: Option<&'a str>,
    /// The maximum age of the decision. If witnesses are required, it also applies to their
    /// cosignatures; without witnesses, the age rests on the log's word alone.
    pub max_age: Option<Duration>,
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
