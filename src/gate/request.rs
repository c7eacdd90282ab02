//! What a person is asked, with its bytes fixed (gate specification section 2, step 1).
//!
//! The payload is read once, checked as I-JSON and put into canonical form. These bytes, and no others, are sent,
//! compared and given to the action: nothing that comes later parses the caller's text again.

use super::row::Accepted;
use crate::core::hash::{Hash, sha256};
use crate::core::limits::MAX_APPROVER;
use crate::core::payload::{self, Payload, PayloadError, PayloadHashes};
use crate::core::text::escape;
use std::fmt;

/// The longest action text in bytes: a person is to read it on a screen before they sign.
pub const MAX_ACTION: usize = 4096;

/// The longest idempotency key in bytes. Frameworks use identifiers of a thread and of a call in it.
pub const MAX_KEY: usize = 255;

/// Why nobody can be asked this. The fault is in what the caller gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestError {
    /// The name is empty, too long, or has invisible characters.
    Username,
    /// The action text is empty or too long.
    Action,
    /// The payload is not strict JSON.
    Payload(PayloadError),
    /// The idempotency key is empty, too long, or has invisible characters.
    Key,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Username => {
                write!(f, "--username: a name has 1 to {MAX_APPROVER} bytes, all of them visible characters")
            }
            RequestError::Action => write!(f, "--action: an action text has 1 to {MAX_ACTION} bytes"),
            RequestError::Payload(PayloadError::NotJson(why)) => {
                write!(f, "--payload: {}", escape(&why.to_string()))
            }
            RequestError::Payload(why) => write!(f, "--payload: {}", escape(&why.to_string())),
            RequestError::Key => {
                write!(
                    f,
                    "--key: an idempotency key has 1 to {MAX_KEY} bytes, all of them visible characters"
                )
            }
        }
    }
}

impl std::error::Error for RequestError {}

/// What is asked of whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    username: String,
    action: String,
    payload: String,
    hashes: PayloadHashes,
    payload_hash: Hash,
    action_payload_hash: Hash,
}

impl Request {
    /// Fixes the bytes.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn new(username: &str, action: &str, payload: &[u8]) -> Result<Request, RequestError> {
        if !is_visible(username, MAX_APPROVER) {
            return Err(RequestError::Username);
        }
        if !(1..=MAX_ACTION).contains(&action.len()) {
            return Err(RequestError::Action);
        }
        let payload = payload::canonical(payload).map_err(RequestError::Payload)?;
        // The canonical bytes are hashed, so that no reading of the caller's text can differ from what the action gets.
        let hashes = PayloadHashes::of(&payload, Some(action));
        let hash = |encoding: Accepted| {
            let hash = payload::hash(encoding.as_str(), Payload::Hashed(&hashes), Some(action));
            hash.map(Hash).map_err(RequestError::Payload)
        };
        let (payload_hash, action_payload_hash) =
            (hash(Accepted::JcsPayload)?, hash(Accepted::JcsActionPayload)?);
        // Canonical JSON is UTF-8. Otherwise nothing may be asked.
        let payload =
            String::from_utf8(payload).map_err(|_| RequestError::Payload(PayloadError::UnknownEncoding))?;
        Ok(Request {
            username: username.to_owned(),
            action: action.to_owned(),
            payload,
            hashes,
            payload_hash,
            action_payload_hash,
        })
    }

    /// Who is asked.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// What the person is told that it does.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The payload in canonical form: what is approved, and what the action gets.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// The hashes that a receipt is compared with.
    pub fn hashes(&self) -> &PayloadHashes {
        &self.hashes
    }

    /// SHA-256 of the canonical payload alone. It stands for the payload in the journal.
    pub fn payload_hash(&self) -> Hash {
        self.payload_hash
    }

    /// SHA-256 in this encoding.
    pub fn hash(&self, encoding: Accepted) -> Hash {
        match encoding {
            Accepted::JcsPayload => self.payload_hash,
            Accepted::JcsActionPayload => self.action_payload_hash,
        }
    }

    /// The encoding in which this request has the hash that the service named; `None` for the hash of something else
    /// (gate specification section 5.2). The text must be the exact encoding, lowercase hex.
    pub fn encoding_of(&self, payload_hash: &str) -> Option<Accepted> {
        let encodings = [Accepted::JcsPayload, Accepted::JcsActionPayload];
        encodings.into_iter().find(|encoding| self.hash(*encoding).to_string() == payload_hash)
    }
}

/// Checks an idempotency key.
///
/// # Errors
/// [`RequestError::Key`].
pub fn check_key(key: &str) -> Result<(), RequestError> {
    is_visible(key, MAX_KEY).then_some(()).ok_or(RequestError::Key)
}

/// The value of the header `Idempotency-Key`. The key itself may name a conversation or a customer, and is not the
/// service's business.
pub fn idempotency_header(key: &str) -> String {
    sha256(key.as_bytes()).to_string()
}

/// Whether a name has a length that is allowed, and nothing in it that a terminal would hide: names are compared
/// byte for byte, and one that looks like another must not be taken for it.
fn is_visible(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && escape(text) == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(payload: &str) -> Result<Request, RequestError> {
        Request::new("alex", "Deploy", payload.as_bytes())
    }

    #[test]
    fn one_payload_has_one_form_and_two_hashes() {
        let request = request(" {\"b\":1.0,\n\"a\":\"\\u0041\"}").unwrap();
        assert_eq!(request.payload(), r#"{"a":"A","b":1}"#);
        let expect = |text: &str| sha256(text.as_bytes()).to_string();
        for (text, encoding) in [
            (r#"{"a":"A","b":1}"#, Some(Accepted::JcsPayload)),
            (r#"{"action":"Deploy","payload":{"a":"A","b":1}}"#, Some(Accepted::JcsActionPayload)),
            (" {\"b\":1.0,\n\"a\":\"\\u0041\"}", None),
            (r#"{"action":"Delete","payload":{"a":"A","b":1}}"#, None),
        ] {
            assert_eq!(request.encoding_of(&expect(text)), encoding, "{text}");
            assert_eq!(request.encoding_of(&expect(text).to_uppercase()), None, "{text}");
        }
    }

    #[test]
    fn what_two_programs_could_read_differently_is_not_asked() {
        for payload in ["", "{", r#"{"a":1,"a":2}"#, "9007199254740993", r#""\ud800""#, "NaN", "{} {}"] {
            assert!(matches!(request(payload), Err(RequestError::Payload(_))), "{payload}");
        }
    }

    #[test]
    fn names_are_visible_and_short() {
        let ask = |username: &str, action: &str| Request::new(username, action, b"{}").map(drop);
        assert_eq!(ask("alex@corp.example", "Löschen\n\"x\""), Ok(()));
        for username in ["", "alex\n", "al\u{200b}ex", "\u{202e}xela", &"a".repeat(129)] {
            assert_eq!(ask(username, "x"), Err(RequestError::Username), "{username:?}");
        }
        assert_eq!(ask("alex", ""), Err(RequestError::Action));
        assert_eq!(ask("alex", &"x".repeat(MAX_ACTION + 1)), Err(RequestError::Action));
        assert_eq!(check_key("thread-7/call 3"), Ok(()));
        for key in ["", "a\tb", &"k".repeat(256)] {
            assert_eq!(check_key(key), Err(RequestError::Key), "{key:?}");
        }
        assert_eq!(idempotency_header("k").len(), 64);
    }
}
