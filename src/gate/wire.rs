//! The names of the service's wire, in both directions (gate specification section 1).
//!
//! What an answer says is a claim. It parses only if it is one I-JSON object with the members that the gate relies on,
//! each of its type and at most once; other members, the assertion among them, are not looked at.

use super::request::Request;
use crate::core::jcs::{Json, write_canonical_string};
use crate::core::limits::MAX_INTEGER;
use crate::core::text::{quoted, reason};
use crate::core::time::UnixMillis;
use jiff::Timestamp;
use std::fmt;

/// The longest answer in bytes. An assertion of the largest allowed size takes a third of it.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Nesting of an answer, whose further members are the service's own.
const MAX_DEPTH: usize = 32;

/// The longest link in bytes that is shown and kept.
const MAX_URL: usize = 2048;

/// The longest id, hash or status in bytes that a message repeats or a row keeps. Longer ones are no such thing.
const MAX_WORD: usize = 256;

/// The header with the API key.
pub const API_KEY_HEADER: &str = "x-api-key";

/// The header that makes a request that is sent twice one request.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// Paths below the service's base URL, without a leading slash.
pub mod path {
    use crate::core::api::path::is_segment;
    use crate::core::entry::is_id;

    /// Where a confirmation is asked for.
    pub const CONFIRMATIONS: &str = "api/confirmations";

    /// Where the service says what became of a confirmation, at the latest `wait` seconds later. `None` if the id has
    /// not the grammar of the log's ids, or would be read as a directory.
    pub fn confirmation(id: &str, wait: u64) -> Option<String> {
        is_confirmation_id(id).then(|| format!("{CONFIRMATIONS}/{id}?wait={wait}"))
    }

    /// Whether an id may go into a URL, a file name and a row (gate specification section 5.3).
    pub fn is_confirmation_id(id: &str) -> bool {
        is_id(id) && is_segment(id)
    }
}

/// Why an answer is none. The text is escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerError(String);

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AnswerError {}

/// The body that asks for a confirmation. It holds the canonical payload as it is.
pub fn write_request(request: &Request) -> Vec<u8> {
    let mut body = b"{\"action\":".to_vec();
    write_canonical_string(&mut body, request.action());
    body.extend_from_slice(b",\"payload\":");
    body.extend_from_slice(request.payload().as_bytes());
    body.extend_from_slice(b",\"username\":");
    write_canonical_string(&mut body, request.username());
    body.push(b'}');
    body
}

/// The answer to a request for a confirmation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// What the service calls it. Its grammar is not checked yet.
    pub id: String,
    /// Where the person decides.
    pub url: String,
    /// What the service hashed, as hex; not compared yet.
    pub payload_hash: String,
    /// When nobody can decide any more.
    pub expires_at: UnixMillis,
}

impl Confirmation {
    /// Parses an answer.
    ///
    /// # Errors
    /// [`AnswerError`]: a member is missing or is nothing of its kind.
    pub fn read(bytes: &[u8]) -> Result<Confirmation, AnswerError> {
        let answer = object(bytes)?;
        let url = required(&answer, "url", MAX_URL)?;
        let lower = url.to_ascii_lowercase();
        if !(lower.starts_with("https://") || lower.starts_with("http://")) {
            return Err(AnswerError(format!("url is {}, not a link", quoted(&url))));
        }
        let Some(expires_at) = answer.get("expiresAt").and_then(time) else {
            return Err(AnswerError(
                "expiresAt is neither Unix milliseconds nor a time of RFC 3339".to_owned(),
            ));
        };
        Ok(Confirmation {
            id: required(&answer, "id", MAX_WORD)?,
            url,
            payload_hash: required(&answer, "payloadHash", MAX_WORD)?,
            expires_at,
        })
    }
}

/// What the service says became of a confirmation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// Nobody has decided.
    Pending,
    /// It says that the person approved.
    Approved,
    /// It says that the person rejected.
    Rejected,
    /// It says that nobody decided in time.
    Expired,
    /// Something else, which is no approval.
    Unknown(String),
}

/// The answer to a look at a confirmation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusAnswer {
    /// What became of it.
    pub status: Status,
    /// The id that the answer is of, if it names one.
    pub id: Option<String>,
    /// The payload hash that the answer is of, if it names one.
    pub payload_hash: Option<String>,
}

impl StatusAnswer {
    /// Parses an answer.
    ///
    /// # Errors
    /// [`AnswerError`]: it has no status, or a member is nothing of its kind.
    pub fn read(bytes: &[u8]) -> Result<StatusAnswer, AnswerError> {
        let answer = object(bytes)?;
        let status = match required(&answer, "status", MAX_WORD)?.as_str() {
            "pending" => Status::Pending,
            "approved" => Status::Approved,
            "rejected" => Status::Rejected,
            "expired" => Status::Expired,
            other => Status::Unknown(other.to_owned()),
        };
        Ok(StatusAnswer {
            status,
            id: optional(&answer, "id", MAX_WORD)?,
            payload_hash: optional(&answer, "payloadHash", MAX_WORD)?,
        })
    }
}

/// What an error answer says, for a message; escaped. `None` if it says nothing that can be shown.
pub fn read_error(bytes: &[u8]) -> Option<String> {
    let answer = object(bytes).ok()?;
    let said = ["error", "message"].into_iter().find_map(|name| answer.get(name)?.as_str())?;
    (!said.is_empty()).then(|| reason(said))
}

fn object(bytes: &[u8]) -> Result<Json, AnswerError> {
    if bytes.len() > MAX_ANSWER {
        return Err(AnswerError(format!("it is longer than {MAX_ANSWER} bytes")));
    }
    match Json::parse(bytes, MAX_DEPTH) {
        Ok(json @ Json::Object(_)) => Ok(json),
        Ok(_) => Err(AnswerError("it is not a JSON object".to_owned())),
        Err(why) => Err(AnswerError(reason(&why.to_string()))),
    }
}

/// A member that must be a text. `null` counts as missing.
fn required(answer: &Json, name: &str, most: usize) -> Result<String, AnswerError> {
    optional(answer, name, most)?.ok_or_else(|| AnswerError(format!("it has no {name}")))
}

fn optional(answer: &Json, name: &str, most: usize) -> Result<Option<String>, AnswerError> {
    match answer.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if (1..=most).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(AnswerError(format!("{name} is not a text of 1 to {most} bytes"))),
    }
}

/// A time as Unix milliseconds, or as RFC 3339 with any offset.
fn time(value: &Json) -> Option<UnixMillis> {
    let time = match value {
        Json::String(text) => u64::try_from(text.parse::<Timestamp>().ok()?.as_millisecond()).ok()?,
        value => value.as_integer()?,
    };
    (time <= MAX_INTEGER).then_some(UnixMillis::new(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"c-1","url":"https://a.example/c-1","payloadHash":"00","expiresAt":1782000300000,
        "more":{"assertion":[1,{"a":null}]}}"#;

    #[test]
    fn the_payload_is_sent_as_it_was_fixed() {
        let request = Request::new("al\"ex", "Deploy\n", b"{\"b\": 1.0, \"a\": []}").unwrap();
        let body = String::from_utf8(write_request(&request)).unwrap();
        assert_eq!(body, r#"{"action":"Deploy\n","payload":{"a":[],"b":1},"username":"al\"ex"}"#);
    }

    #[test]
    fn a_confirmation_has_four_members_that_count() {
        let read = Confirmation::read(GOOD.as_bytes()).unwrap();
        assert_eq!((read.id.as_str(), read.expires_at.get()), ("c-1", 1_782_000_300_000));
        for (time, expected) in [
            ("1782000300000", Some(1_782_000_300_000)),
            ("1.7820003e12", Some(1_782_000_300_000)),
            ("\"2026-06-21T00:05:00Z\"", Some(1_782_000_300_000)),
            ("\"2026-06-21T02:05:00.000+02:00\"", Some(1_782_000_300_000)),
            ("\"2026-06-21 00:05\"", None),
            ("\"2026-06-21T00:05:00\"", None),
            ("\"soon\"", None),
            ("\"1782000300000\"", None),
            ("\"1900-01-01T00:00:00Z\"", None),
            ("-1", None),
            ("1.5", None),
            ("9007199254740993", None),
            ("null", None),
            ("true", None),
        ] {
            let text = GOOD.replace("1782000300000", time);
            assert_eq!(
                Confirmation::read(text.as_bytes()).ok().map(|read| read.expires_at.get()),
                expected,
                "{time}"
            );
        }
    }

    #[test]
    fn hostile_confirmations_are_no_answer() {
        let long = |length: usize| format!("\"{}\"", "a".repeat(length));
        let cases = [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            "<html>".to_owned(),
            format!("{GOOD}{GOOD}"),
            GOOD.replace("\"more\"", "\"id\""),
            GOOD.replace("\"more\"", "\"\\u0069d\""),
            GOOD.replace("\"a\":null", "\"a\":1,\"a\":2"),
            GOOD.replace("\"c-1\"", "7"),
            GOOD.replace("\"c-1\"", "\"\""),
            GOOD.replace("\"c-1\"", "null"),
            GOOD.replace("\"c-1\"", &long(257)),
            GOOD.replace("\"00\"", "{}"),
            GOOD.replace("payloadHash", "payload_hash"),
            GOOD.replace("https://a.example/c-1", "javascript:alert(1)"),
            GOOD.replace("https://a.example/c-1", ""),
            GOOD.replace("\"https://a.example/c-1\"", &long(MAX_URL + 1)),
            GOOD.replace("expiresAt", "expires"),
            GOOD.replace("[1,", &format!("{}1{},[", "[".repeat(40), "]".repeat(40))),
            GOOD.replace("\"a\":null", &format!("\"a\":{}", long(MAX_ANSWER))),
            GOOD.replace("c-1", "\\ud800"),
        ];
        for text in cases {
            let read = Confirmation::read(text.as_bytes());
            assert!(read.is_err(), "{text}: {read:?}");
            assert!(read.unwrap_err().to_string().len() < 600);
        }
    }

    #[test]
    fn only_one_word_is_an_approval() {
        let status = |text: &str| StatusAnswer::read(text.as_bytes()).map(|read| read.status).ok();
        assert_eq!(status(r#"{"status":"approved"}"#), Some(Status::Approved));
        assert_eq!(status(r#"{"status":"pending","id":null}"#), Some(Status::Pending));
        for word in ["Approved", "approved ", "APPROVED", "yes", "approved\\u0000"] {
            let read = status(&format!("{{\"status\":\"{word}\"}}"));
            assert!(matches!(read, Some(Status::Unknown(_))), "{word}: {read:?}");
        }
        for text in [
            "{}",
            r#"{"status":null}"#,
            r#"{"status":true}"#,
            r#"{"status":["approved"]}"#,
            r#"{"status":"rejected","status":"approved"}"#,
            r#"{"status":"approved","id":7}"#,
            r#"{"status":"approved","payloadHash":false}"#,
            r#"{"status":"approved"} x"#,
        ] {
            assert_eq!(status(text), None, "{text}");
        }
    }

    #[test]
    fn ids_cannot_lead_elsewhere() {
        assert_eq!(path::confirmation("a.b_c-D", 25).unwrap(), "api/confirmations/a.b_c-D?wait=25");
        for id in ["", ".", "..", "a/b", "a?b", "%2e", "a b", "é", &"a".repeat(65)] {
            assert_eq!(path::confirmation(id, 1), None, "{id:?}");
        }
    }

    #[test]
    fn what_an_error_says_is_safe_to_show() {
        assert_eq!(read_error(br#"{"error":"no\u001b[2J"}"#).unwrap(), "no\\u{1b}[2J");
        assert_eq!(read_error(br#"{"message":"no"}"#).unwrap(), "no");
        for none in ["", "<html>", "{}", r#"{"error":{"code":7}}"#, r#"{"error":""}"#] {
            assert_eq!(read_error(none.as_bytes()), None, "{none}");
        }
    }
}
