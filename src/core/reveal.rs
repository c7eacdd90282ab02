//! Public reveals (specification section 6): the data behind a commitment in an entry.
//!
//! A reveal that passes proves that the entry committed to exactly this action, payload and blind, and that the payload is
//! the one whose hash the passkey signed. It does not prove that the approver saw it. It proves nothing about the email in
//! it: only the log attests that, and [`crate::core::email`] compares it with an address.

use crate::core::entry::Entry;
use crate::core::finding::Code;
use crate::core::hash::sha256_pair;
use crate::core::jcs::canonicalize;
use crate::core::limits::MAX_PAYLOAD_DEPTH;
use crate::core::object;
use crate::core::payload::revealed_hash;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// `type` of a reveal; followed by a NUL, the domain separator of its commitment.
pub const REVEAL_TYPE: &str = "approval-log-reveal/v1";

/// The payload may be as deep as [`MAX_PAYLOAD_DEPTH`], inside the object that is the reveal.
const MAX_DEPTH: usize = MAX_PAYLOAD_DEPTH + 1;

const DOMAIN: &[u8] = b"approval-log-reveal/v1\0";

/// All members of a reveal. Those without a fixed form are kept as raw text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevealJson<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(rename = "blind")]
    _blind: IgnoredAny,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    email: &'a RawValue,
}

/// A reveal that the entry commits to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reveal {
    /// The action text. Signed by the passkey only where the entry's encoding covers it.
    pub action: String,
    /// The hash of the approver's address, as canonical JSON and not parsed; `None` if there is none.
    pub email: Option<Vec<u8>>,
}

/// Checks a reveal against its entry.
///
/// # Errors
/// The finding: `reveal-mismatch`, or `payload-mismatch` if the log committed to a payload that is not the approved one.
pub fn check_reveal(reveal: &[u8], entry: &Entry) -> Result<Reveal, (Code, String)> {
    let mismatch = |why: &str| Err((Code::RevealMismatch, why.to_owned()));
    let Some(commitment) = entry.reveal_commitment else {
        return mismatch("a reveal, but the entry commits to none");
    };
    let canonical = match canonicalize(reveal, MAX_DEPTH) {
        Ok(canonical) => canonical,
        Err(error) => return mismatch(&format!("the reveal: {error}")),
    };
    if sha256_pair(DOMAIN, &canonical).0 != commitment {
        return mismatch("the reveal is not what the entry commits to");
    }
    let Ok(json) = object::from_slice::<RevealJson<'_>>(&canonical) else {
        return mismatch("the reveal does not have the members of a reveal");
    };
    if json.r#type != REVEAL_TYPE {
        return mismatch("its type is not that of a reveal");
    }
    let hash = revealed_hash(&entry.payload_encoding, &json.action, json.payload.get().as_bytes());
    if hash.is_none() || hash != entry.payload_hash {
        let why = "the revealed payload does not hash to the payload hash that was signed";
        return Err((Code::PayloadMismatch, why.to_owned()));
    }
    let email = json.email.get().as_bytes().to_vec();
    Ok(Reveal { action: json.action.into_owned(), email: (email != b"null").then_some(email) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::entry::Decision;
    use crate::core::hash::sha256;
    use crate::core::time::UnixMillis;

    fn entry(encoding: &str, payload: &[u8], reveal: &str) -> Entry {
        let canonical = canonicalize(reveal.as_bytes(), 40).unwrap();
        Entry {
            id: "a".to_owned(),
            decision: Decision::Rejected,
            requested_at: UnixMillis::EPOCH,
            decided_at: UnixMillis::EPOCH,
            expires_at: UnixMillis::EPOCH,
            approver: "alex".to_owned(),
            rp_id: "approvals.example".to_owned(),
            payload_encoding: encoding.to_owned(),
            nonce: None,
            payload_hash: Some(sha256(payload).0),
            reveal_commitment: Some(sha256_pair(DOMAIN, &canonical).0),
            assertion: None,
            unexpected_assertion: None,
        }
    }

    fn reveal(payload: &str) -> String {
        format!(
            r#"{{"type":"approval-log-reveal/v1","blind":"AA","action":"Deploy","payload":{payload},"email":null}}"#
        )
    }

    #[test]
    fn reveals_must_match_commitment_and_payload() {
        let (object, raw) = (reveal(r#"{"b":1,"a":2.0}"#), reveal("\"YWI\""));
        for (encoding, payload, reveal) in [
            ("jcs-payload", br#"{"a":2,"b":1}"#.as_slice(), &object),
            ("jcs-action-payload", br#"{"action":"Deploy","payload":{"a":2,"b":1}}"#, &object),
            ("raw-payload", b"ab", &raw),
        ] {
            let good = check_reveal(reveal.as_bytes(), &entry(encoding, payload, reveal));
            assert_eq!(good, Ok(Reveal { action: "Deploy".to_owned(), email: None }), "{encoding}");
            let other = entry(encoding, b"other", reveal);
            let (code, _) = check_reveal(reveal.as_bytes(), &other).unwrap_err();
            assert_eq!(code, Code::PayloadMismatch, "{encoding}");
            for bad in [
                reveal.replace("Deploy", "Delete"),
                reveal.replace("AA", "AQ"),
                "{}".to_owned(),
                "x".to_owned(),
            ] {
                let (code, _) = check_reveal(bad.as_bytes(), &entry(encoding, payload, reveal)).unwrap_err();
                assert_eq!(code, Code::RevealMismatch, "{bad}");
            }
        }
        let uncommitted = Entry { reveal_commitment: None, ..entry("jcs-payload", b"1", &object) };
        assert_eq!(check_reveal(object.as_bytes(), &uncommitted).unwrap_err().0, Code::RevealMismatch);
    }

    #[test]
    fn commitments_to_other_json_are_refused() {
        let good = reveal("1");
        for bad in [
            good.replace("\"email\":null", "\"more\":null"),
            good.replace("\"email\":null", "\"email\":null,\"more\":1"),
            good.replace("reveal/v1", "reveal/v2"),
            good.replace("\"Deploy\"", "7"),
            "[]".to_owned(),
        ] {
            let (code, _) = check_reveal(bad.as_bytes(), &entry("jcs-payload", b"1", &bad)).unwrap_err();
            assert_eq!(code, Code::RevealMismatch, "{bad}");
        }
        assert_eq!(
            check_reveal(good.as_bytes(), &entry("raw-payload", b"1", &good)).unwrap_err().0,
            Code::PayloadMismatch
        );
    }
}
