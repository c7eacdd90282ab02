//! Public reveals (specification section 6): what a commitment in an entry turns out to hold.
//!
//! A reveal that passes proves that the entry committed to exactly this action, payload and blind,
//! and that the payload is the one whose hash the passkey signed. It does not prove that the approver
//! saw it, and nothing about the email in it: that is attested by the log, and checked by whoever has
//! an address to compare.

use crate::core::encoding::decode_base64url;
use crate::core::entry::Entry;
use crate::core::finding::Code;
use crate::core::hash::{sha256, sha256_pair};
use crate::core::jcs::Json;
use crate::core::limits::MAX_PAYLOAD_DEPTH;

/// `type` of a reveal, and with a NUL the domain separator of its commitment.
pub const REVEAL_TYPE: &str = "approval-log-reveal/v1";

const DOMAIN: &[u8] = b"approval-log-reveal/v1\0";

/// All members of a reveal.
const MEMBERS: [&str; 5] = ["type", "blind", "action", "payload", "email"];

/// Checks a reveal against the entry that it is said to be of.
///
/// # Errors
/// The finding: `reveal-mismatch`, or `payload-mismatch` where the log committed to a payload that is
/// not the one approved.
pub fn check_reveal(reveal: &[u8], entry: &Entry) -> Result<(), (Code, String)> {
    let mismatch = |why: &str| Err((Code::RevealMismatch, why.to_owned()));
    let Some(commitment) = entry.reveal_commitment else {
        return mismatch("a reveal, but the entry commits to none");
    };
    // The payload may be so deep, inside the object that is the reveal.
    let json = match Json::parse(reveal, MAX_PAYLOAD_DEPTH.saturating_add(1)) {
        Ok(json) => json,
        Err(error) => return mismatch(&format!("the reveal is {error}")),
    };
    if sha256_pair(DOMAIN, &json.to_canonical()).0 != commitment {
        return mismatch("the reveal is not what the entry commits to");
    }
    let members = json.as_object().unwrap_or_default();
    let closed = members.len() == MEMBERS.len() && MEMBERS.iter().all(|name| json.get(name).is_some());
    let (Some(action), Some(payload)) = (json.get("action"), json.get("payload")) else {
        return mismatch("the reveal has not the members of one");
    };
    if !closed || json.get("type").and_then(Json::as_str) != Some(REVEAL_TYPE) || action.as_str().is_none() {
        return mismatch("the reveal has not the members of one");
    }
    match payload_hash(&entry.payload_encoding, action, payload) {
        Some(hash) if Some(hash) == entry.payload_hash => Ok(()),
        _ => Err((
            Code::PayloadMismatch,
            "the revealed payload does not hash to the payload hash that was signed".to_owned(),
        )),
    }
}

/// SHA-256 of a payload by its encoding (specification section 2); `None` where it cannot be encoded so.
fn payload_hash(encoding: &str, action: &Json, payload: &Json) -> Option<[u8; 32]> {
    let bytes = match encoding {
        "jcs-payload" => payload.to_canonical(),
        "jcs-action-payload" => {
            let members = [("action".to_owned(), action.clone()), ("payload".to_owned(), payload.clone())];
            Json::Object(members.to_vec()).to_canonical()
        }
        "raw-payload" => decode_base64url(payload.as_str()?)?,
        _ => return None,
    };
    Some(sha256(&bytes).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::entry::Decision;

    fn entry(encoding: &str, payload: &[u8], reveal: &str) -> Entry {
        let canonical = Json::parse(reveal.as_bytes(), 40).unwrap().to_canonical();
        Entry {
            id: "a".to_owned(),
            decision: Decision::Rejected,
            requested_at: 0,
            decided_at: 0,
            expires_at: 0,
            approver: "alex".to_owned(),
            rp_id: "approvals.example".to_owned(),
            payload_encoding: encoding.to_owned(),
            nonce: None,
            payload_hash: Some(sha256(payload).0),
            reveal_commitment: Some(sha256_pair(DOMAIN, &canonical).0),
            signed: None,
        }
    }

    fn reveal(payload: &str) -> String {
        format!(
            r#"{{"type":"approval-log-reveal/v1","blind":"AA","action":"Deploy","payload":{payload},"email":null}}"#
        )
    }

    #[test]
    fn a_reveal_is_held_against_commitment_and_payload() {
        let (object, raw) = (reveal(r#"{"b":1,"a":2.0}"#), reveal("\"YWI\""));
        for (encoding, payload, reveal) in [
            ("jcs-payload", br#"{"a":2,"b":1}"#.as_slice(), &object),
            ("jcs-action-payload", br#"{"action":"Deploy","payload":{"a":2,"b":1}}"#, &object),
            ("raw-payload", b"ab", &raw),
        ] {
            assert_eq!(
                check_reveal(reveal.as_bytes(), &entry(encoding, payload, reveal)),
                Ok(()),
                "{encoding}"
            );
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
    fn what_was_committed_to_must_be_a_reveal() {
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
