//! What a gate asks for: the body of `POST /api/confirmations`.
//!
//! A body that parses has one payload that every program reads as the same (I-JSON), and its hash in the encoding that the
//! service signs.

use countersign::core::hash::{Hash, sha256};
use countersign::core::jcs::canonicalize;
use countersign::core::limits::MAX_APPROVER;
use countersign::core::payload::{self, Payload, covers_action};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest body. A person has to read what is in it.
pub const MAX_BODY: usize = 64 * 1024;

/// The longest action text in bytes.
const MAX_ACTION: usize = 2_000;

/// Nesting of a payload, as [`payload::hash`] allows it.
const DEPTH: usize = 127;

/// The members of the body. Further ones are ignored, as by any service that grows.
#[derive(Deserialize)]
struct Body<'a> {
    username: String,
    action: String,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A request for an approval.
#[derive(Clone, Debug)]
pub struct Ask {
    pub username: String,
    pub action: String,
    /// Canonical JSON.
    pub payload: String,
    pub payload_hash: [u8; 32],
}

impl Ask {
    /// Parses a body. `encoding` is how the payload is hashed.
    ///
    /// # Errors
    /// What is wrong with it, for the answer with 400.
    pub fn read(body: &[u8], encoding: &str) -> Result<Ask, String> {
        // A struct is read from an array too.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err("not a JSON object".to_owned());
        }
        let Body { username, action, payload } =
            serde_json::from_slice(body).map_err(|why| format!("not a request for an approval: {why}"))?;
        if !(1..=MAX_APPROVER).contains(&username.len()) || username.chars().any(char::is_control) {
            return Err(format!("username has 1 to {MAX_APPROVER} bytes, without control characters"));
        }
        if !(1..=MAX_ACTION).contains(&action.len()) {
            return Err(format!("action has 1 to {MAX_ACTION} bytes"));
        }
        let raw = payload.get().as_bytes();
        let signed_action = covers_action(encoding).then_some(action.as_str());
        let payload_hash =
            payload::hash(encoding, Payload::Bytes(raw), signed_action).map_err(|why| why.to_string())?;
        let payload = canonicalize(raw, DEPTH).map_err(|why| why.to_string())?;
        let payload = String::from_utf8(payload).map_err(|why| why.to_string())?;
        Ok(Ask { username, action, payload, payload_hash })
    }

    /// The same for two bodies that ask for the same. The name has no control characters, so nothing else gives these bytes.
    pub fn fingerprint(&self) -> Hash {
        let parts = [self.username.as_str(), &self.action.len().to_string(), &self.action, &self.payload];
        sha256(parts.join("\0").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str) -> Result<Ask, String> {
        let body = format!(r#"{{"username":"alex","action":"Deploy","payload":{payload},"more":1}}"#);
        Ask::read(body.as_bytes(), "jcs-payload")
    }

    #[test]
    fn the_payload_is_hashed_in_canonical_form() {
        let ask = read(r#"{"b": 1.0, "a": "A"}"#).unwrap();
        assert_eq!(ask.payload, r#"{"a":"A","b":1}"#);
        assert_eq!(ask.payload_hash, sha256(ask.payload.as_bytes()).0);
        let body = br#"{"username":"alex","action":"Deploy","payload":[1e2]}"#;
        let ask = Ask::read(body, "jcs-action-payload").unwrap();
        assert_eq!(ask.payload_hash, sha256(br#"{"action":"Deploy","payload":[100]}"#).0);
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        for payload in [r#"{"a":1,"a":2}"#, r#""\ud800""#, "9007199254740993", "1e999", "", "nul", &deep] {
            assert!(read(payload).is_err(), "{payload}");
        }
        for body in [
            r#"{"username":"","action":"a","payload":1}"#,
            r#"{"username":"a\nb","action":"a","payload":1}"#,
            r#"{"username":"a","action":"","payload":1}"#,
            r#"{"username":"a","username":"b","action":"a","payload":1}"#,
            r#"{"username":"a","action":"a"}"#,
            r#"{"username":1,"action":"a","payload":1}"#,
            r#"["a","a",1]"#,
            "[]",
            "",
        ] {
            assert!(Ask::read(body.as_bytes(), "jcs-payload").is_err(), "{body}");
        }
        let long = format!(r#"{{"username":"{}","action":"a","payload":1}}"#, "a".repeat(129));
        assert!(Ask::read(long.as_bytes(), "jcs-payload").is_err());
    }

    #[test]
    fn only_the_same_request_has_the_same_fingerprint() {
        let of = |body: &str| Ask::read(body.as_bytes(), "jcs-payload").unwrap().fingerprint();
        let first = of(r#"{"username":"a","action":"b","payload":{"c":1,"d":2}}"#);
        assert_eq!(first, of(r#"{"payload":{"d":2.0,"c":1},"action":"b","username":"a"}"#));
        for other in [
            r#"{"username":"x","action":"b","payload":{"c":1,"d":2}}"#,
            r#"{"username":"a","action":"x","payload":{"c":1,"d":2}}"#,
            r#"{"username":"a","action":"b","payload":{"c":1,"d":3}}"#,
        ] {
            assert_ne!(first, of(other), "{other}");
        }
    }
}
