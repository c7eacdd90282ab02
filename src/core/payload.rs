//! Hashes the caller's own payload in the encoding that the entry names (specification section 2).
//!
//! This proves nothing alone. Comparing the hash with the one that a passkey signed shows whether *this* payload was
//! approved. The payload always comes from the caller, never from the receipt.
//!
//! A text that two programs could read as two payloads is refused, not repaired (RFC 7493): repeated members, lone
//! surrogates, numbers outside the double range, and integers that no double represents exactly, such as
//! 9007199254740993. A number with a fraction or an exponent is the nearest double, as in RFC 8785: `0.1` and
//! `0.10000000000000000999` are the same number, and an approval of one is an approval of the other.

use crate::core::encoding::decode_base64url;
use crate::core::hash::sha256;
use crate::core::jcs::{self, JsonError};
use crate::core::limits::MAX_JSON_PAYLOAD;
use crate::core::text;
use std::fmt;

/// Nesting of a caller's JSON: the limit of the parser (see [`jcs::Json::parse`]).
const DEPTH: usize = 127;

/// A payload from the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// Its exact bytes.
    Bytes(&'a [u8]),
    /// Hashes computed once for many receipts. The action text is the one that was hashed with the payload.
    Hashed(&'a PayloadHashes),
}

/// The hashes of a payload in every encoding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayloadHashes {
    raw: [u8; 32],
    /// The raw hashes of texts that an editor may have changed into this payload, with the change.
    possible_originals: Vec<([u8; 32], &'static str)>,
    payload: Result<[u8; 32], PayloadError>,
    with_action: Result<[u8; 32], PayloadError>,
}

impl PayloadHashes {
    /// Hashes a payload, both alone and with an action text.
    pub fn of(payload: &[u8], action: Option<&str>) -> PayloadHashes {
        let payload_of = |encoding| hash(encoding, Payload::Bytes(payload), action);
        let with_action = payload_of("jcs-action-payload");
        PayloadHashes {
            raw: sha256(payload).0,
            possible_originals: possible_originals(payload),
            payload: payload_of("jcs-payload"),
            with_action,
        }
    }

    /// A payload that is too long to hold in memory, by the SHA-256 of its exact bytes. This is enough only for
    /// `raw-payload`: JSON is hashed in its canonical form.
    pub fn from_raw_hash(raw: [u8; 32]) -> PayloadHashes {
        let too_long = || Err(PayloadError::TooLong);
        PayloadHashes { raw, possible_originals: Vec::new(), payload: too_long(), with_action: too_long() }
    }
}

/// Why a payload has no hash. The fault is in the caller's file or arguments, never in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PayloadError {
    /// The entry's encoding is one for JSON, and this is not strict JSON.
    NotJson(JsonError),
    /// An integer written without fraction or exponent that is beyond 2^53.
    LargeInteger(String),
    /// Longer than JSON payloads may be.
    TooLong,
    /// The encoding hashes the action text together with the payload, and no action was given.
    NeedsAction,
    /// Not an encoding of this profile.
    UnknownEncoding,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::NotJson(why) => write!(f, "the payload: {why}"),
            PayloadError::LargeInteger(digits) => write!(
                f,
                "the payload has the integer {digits}, which is beyond 2^53: programs read such numbers as different \
                 ones. Write it as a string"
            ),
            PayloadError::TooLong => {
                write!(f, "the payload is longer than the {MAX_JSON_PAYLOAD} bytes that JSON may have here")
            }
            PayloadError::NeedsAction => f.write_str("the action text is signed too, and was not given"),
            PayloadError::UnknownEncoding => f.write_str("the entry's payloadEncoding is unknown"),
        }
    }
}

impl std::error::Error for PayloadError {}

/// Whether an encoding makes the signature cover the action text.
pub fn covers_action(encoding: &str) -> bool {
    encoding == "jcs-action-payload"
}

/// SHA-256 of a caller's payload in an entry's encoding.
///
/// # Errors
/// [`PayloadError`].
pub fn hash(encoding: &str, payload: Payload<'_>, action: Option<&str>) -> Result<[u8; 32], PayloadError> {
    match (encoding, payload) {
        ("raw-payload", Payload::Bytes(bytes)) => Ok(sha256(bytes).0),
        ("raw-payload", Payload::Hashed(hashes)) => Ok(hashes.raw),
        ("jcs-payload", Payload::Hashed(hashes)) => hashes.payload.clone(),
        ("jcs-action-payload", Payload::Hashed(hashes)) => hashes.with_action.clone(),
        ("jcs-payload", Payload::Bytes(bytes)) => Ok(sha256(&canonical(bytes)?).0),
        ("jcs-action-payload", Payload::Bytes(bytes)) => {
            let payload = canonical(bytes)?;
            let action = action.ok_or(PayloadError::NeedsAction)?;
            Ok(sha256(&with_action(action, &payload)).0)
        }
        _ => Err(PayloadError::UnknownEncoding),
    }
}

/// Explains a mismatch: a change that an editor made to the payload and without which it has the hash `wanted`. Only for
/// `raw-payload`, where every byte counts. The other encodings are JSON, in which such a change makes no difference.
pub fn explain_edit(encoding: &str, payload: Payload<'_>, wanted: [u8; 32]) -> Option<&'static str> {
    let computed;
    let possible_originals = match payload {
        _ if encoding != "raw-payload" => return None,
        Payload::Hashed(hashes) => &hashes.possible_originals,
        Payload::Bytes(bytes) => {
            computed = possible_originals(bytes);
            &computed
        }
    };
    possible_originals.iter().find(|(hash, _)| *hash == wanted).map(|(_, what)| *what)
}

fn possible_originals(payload: &[u8]) -> Vec<([u8; 32], &'static str)> {
    const MARK: &str = "it begins with a byte order mark, which was not approved: save it without one";
    const CRLF: &str = "its lines end in CRLF, and those of what was approved in LF";
    const LF: &str = "its lines end in LF, and those of what was approved in CRLF";
    const BOTH: &str =
        "it begins with a byte order mark and its lines end in CRLF, both of which were not approved";
    const UTF_16: &str = "it is UTF-16 text, and what was approved is UTF-8";
    if payload.len() > MAX_JSON_PAYLOAD {
        return Vec::new();
    }
    let unmarked = text::without_bom(payload);
    // Empty if the payload is not UTF-16; empty candidates are left out below.
    let utf_8 = from_utf16(payload).unwrap_or_default();
    let utf_8_lf = with_lf(&utf_8);
    let candidates = [
        (unmarked.to_vec(), MARK),
        (with_lf(payload), CRLF),
        (with_lf(unmarked), BOTH),
        (with_crlf(&with_lf(payload)), LF),
        (utf_8, UTF_16),
        (utf_8_lf, UTF_16),
    ];
    let changed = candidates.into_iter().filter(|(bytes, _)| !bytes.is_empty() && bytes != payload);
    changed.map(|(bytes, what)| (sha256(&bytes).0, what)).collect()
}

fn with_lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in (1_usize..).zip(text) {
        if *byte != b'\r' || text.get(at) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

/// The UTF-8 of a text in UTF-16, without its byte order mark.
fn from_utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    if !text::is_utf16(bytes) {
        return None;
    }
    let big = matches!(bytes, [0xfe, ..] | [0, ..]);
    let unit = |pair: &[u8]| match *pair {
        [a, b] if big => Some(u16::from_be_bytes([a, b])),
        [a, b] => Some(u16::from_le_bytes([a, b])),
        _ => None,
    };
    let units = bytes.chunks(2).map(unit).collect::<Option<Vec<u16>>>()?;
    let text = String::from_utf16(&units).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(&text).as_bytes().to_vec())
}

/// SHA-256 of a revealed payload in its encoding; `None` if it cannot be encoded so. The payload is JSON text; for
/// `raw-payload` it is a string of base64url.
pub(crate) fn revealed_hash(encoding: &str, action: &str, payload: &[u8]) -> Option<[u8; 32]> {
    let canonical = || jcs::canonicalize(payload, DEPTH).ok();
    let bytes = match encoding {
        "jcs-payload" => canonical()?,
        "jcs-action-payload" => with_action(action, &canonical()?),
        "raw-payload" => decode_base64url(&serde_json::from_slice::<String>(payload).ok()?)?,
        _ => return None,
    };
    Some(sha256(&bytes).0)
}

/// JCS of `{"action":…,"payload":…}`. The payload must be in canonical form.
fn with_action(action: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = b"{\"action\":".to_vec();
    jcs::write_canonical_string(&mut out, action);
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(payload);
    out.push(b'}');
    out
}

/// The canonical form of a caller's JSON. A byte order mark before the text is not part of it (RFC 8259, section 8.1).
///
/// # Errors
/// [`PayloadError`]: it is not strict JSON, is too long, or has an integer that no double represents exactly.
pub fn canonical(bytes: &[u8]) -> Result<Vec<u8>, PayloadError> {
    if text::is_utf16(bytes) {
        return Err(PayloadError::NotJson(JsonError::Malformed(text::UTF_16.to_owned())));
    }
    let bytes = text::without_bom(bytes);
    if bytes.len() > MAX_JSON_PAYLOAD {
        return Err(PayloadError::TooLong);
    }
    let canonical = jcs::canonicalize(bytes, DEPTH).map_err(PayloadError::NotJson)?;
    match large_integer(bytes) {
        Some(digits) => Err(PayloadError::LargeInteger(digits)),
        None => Ok(canonical),
    }
}

/// The first integer literal beyond 2^53 in a JSON text. After parsing it could no longer be distinguished from the
/// number to which it was rounded.
fn large_integer(json: &[u8]) -> Option<String> {
    const LARGEST: u64 = 1 << 53;
    let (mut in_string, mut escaped) = (false, false);
    let mut number = String::new();
    // One byte more than the text, to terminate a number at its end.
    for byte in json.iter().copied().chain([b' ']) {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
        } else if byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E') {
            // The letters of `true` and `false` get here too, but do not form a number.
            number.push(char::from(byte));
        } else {
            let digits = number.strip_prefix('-').unwrap_or(&number);
            let integer = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            if integer && digits.parse::<u64>().map_or(true, |value| value > LARGEST) {
                return Some(shortened(&number));
            }
            number.clear();
            in_string = byte == b'"';
        }
    }
    None
}

/// A number for a message, shortened: a hostile one can have a million digits.
fn shortened(number: &str) -> String {
    match number.get(..40) {
        Some(start) if number.len() > 40 => format!("{start}…"),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(encoding: &str, payload: &str, action: Option<&str>) -> Result<[u8; 32], PayloadError> {
        hash(encoding, Payload::Bytes(payload.as_bytes()), action)
    }

    #[test]
    fn each_encoding_hashes_its_own_bytes() {
        let expect = |text: &str| Ok(sha256(text.as_bytes()).0);
        assert_eq!(of("jcs-payload", " {\"b\":1.0,\"a\":\"\\u0041\"}\n", None), expect(r#"{"a":"A","b":1}"#));
        assert_eq!(
            of("jcs-action-payload", "[1e2]", Some("Deploy \"x\"")),
            expect(r#"{"action":"Deploy \"x\"","payload":[100]}"#)
        );
        assert_eq!(of("raw-payload", "{\"a\": 1}\n", Some("x")), expect("{\"a\": 1}\n"));
        let long = PayloadHashes::from_raw_hash([7; 32]);
        assert_eq!(hash("raw-payload", Payload::Hashed(&long), None), Ok([7; 32]));
        assert_eq!(hash("jcs-payload", Payload::Hashed(&long), None), Err(PayloadError::TooLong));
        assert_eq!(of("jcs-action-payload", "1", None), Err(PayloadError::NeedsAction));
        assert_eq!(of("other", "1", None), Err(PayloadError::UnknownEncoding));
    }

    #[test]
    fn precomputed_hashes_are_the_same() {
        for payload in ["{\"b\":1,\"a\":2}", "9007199254740993", "x", ""] {
            for action in [None, Some("Deploy")] {
                let hashes = PayloadHashes::of(payload.as_bytes(), action);
                for encoding in ["raw-payload", "jcs-payload", "jcs-action-payload", "other"] {
                    assert_eq!(
                        hash(encoding, Payload::Hashed(&hashes), action),
                        of(encoding, payload, action)
                    );
                }
            }
        }
    }

    #[test]
    fn a_byte_order_mark_counts_only_in_raw_payloads() {
        for encoding in ["jcs-payload", "jcs-action-payload"] {
            let marked = of(encoding, "\u{feff}{\"a\": 1}", Some("Deploy"));
            assert_eq!(marked, of(encoding, "{\"a\":1}", Some("Deploy")), "{encoding}");
        }
        assert_ne!(of("raw-payload", "\u{feff}1", None), of("raw-payload", "1", None));
        let why = |bytes: &[u8]| hash("jcs-payload", Payload::Bytes(bytes), None).unwrap_err().to_string();
        assert!(why(b"\xff\xfe1\0").contains("UTF-16"), "{}", why(b"\xff\xfe1\0"));
    }

    #[test]
    fn changes_by_an_editor_are_explained() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (approved, given, part) in [
            ("a\nb\n", b"\xef\xbb\xbfa\nb\n".to_vec(), Some("byte order mark")),
            ("a\nb\n", b"a\r\nb\r\n".to_vec(), Some("CRLF")),
            ("a\r\nb\r\n", b"a\nb\n".to_vec(), Some("approved in CRLF")),
            ("a\nb\n", b"\xef\xbb\xbfa\r\nb\r\n".to_vec(), Some("byte order mark and")),
            ("aé\n", utf_16("\u{feff}aé\n"), Some("UTF-16")),
            ("a\nb", utf_16("a\r\nb"), Some("UTF-16")),
            ("a\n", b"b\r\n".to_vec(), None),
            ("a\rb", b"ab".to_vec(), None),
            ("", b"\xef\xbb\xbf".to_vec(), None),
        ] {
            let wanted = sha256(approved.as_bytes()).0;
            for payload in [Payload::Bytes(&given), Payload::Hashed(&PayloadHashes::of(&given, None))] {
                let explanation = explain_edit("raw-payload", payload, wanted);
                assert_eq!(explanation.is_some(), part.is_some(), "{given:?}: {explanation:?}");
                assert!(
                    part.is_none_or(|part| explanation.unwrap().contains(part)),
                    "{given:?}: {explanation:?}"
                );
                assert_eq!(explain_edit("jcs-payload", payload, wanted), None);
            }
        }
    }

    #[test]
    fn ambiguous_json_is_refused() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            "NaN",
            "Infinity",
            "1e999",
            "[1,]",
            "1 2",
            "",
            "\u{feff}\u{feff}1",
            " \u{feff}1",
            "01",
            "'a'",
        ] {
            assert!(matches!(of("jcs-payload", json, None), Err(PayloadError::NotJson(_))), "{json}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(of("jcs-payload", &deep(100), None).is_ok());
        assert!(of("jcs-payload", &deep(200), None).is_err());
        let long = format!("\"{}\"", "x".repeat(MAX_JSON_PAYLOAD));
        assert_eq!(of("jcs-payload", &long, None), Err(PayloadError::TooLong));
    }

    #[test]
    fn integer_literals_beyond_2_to_the_53_are_refused() {
        for json in [
            "9007199254740993",
            "-9007199254740993",
            "[0,18446744073709551616]",
            "{\"a\":9007199254740993}",
            "{\"a\":[9007199254740993,1]}",
            "{\"9007199254740993\":99999999999999999999}",
            "[\"\\\"\",9007199254740993]",
            "[\"\\\\\",9007199254740993]",
            "[true,false,null,9007199254740993]",
        ] {
            assert!(matches!(of("jcs-payload", json, None), Err(PayloadError::LargeInteger(_))), "{json}");
        }
        for json in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740993.0",
            "9007199254740993e0",
            "1e300",
            "\"9007199254740993\"",
            "\"\\\" 9007199254740993\"",
            "{\"9007199254740993\":0}",
            "[\"\\\\\",\"9007199254740993\"]",
            "-0",
            "[true,false,null]",
        ] {
            assert!(of("jcs-payload", json, None).is_ok(), "{json}");
        }
        let Err(error) = of("jcs-payload", &"9".repeat(300), None) else { panic!() };
        assert!(error.to_string().len() < 200);
    }
}
