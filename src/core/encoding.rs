//! The strict text encodings of specification section 1.
//!
//! Each value has one text: lowercase hex of the exact length, base64url without padding, standard base64 with padding,
//! unused trailing bits zero. With a lenient decoder two texts could mean one value, and the signed bytes could differ from
//! the compared ones.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Lowercase hex of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    // 0 to 9 follow '0', and 10 to 15 follow 'a': neither sum passes 'f'.
    let digit = |value: u8| match value & 15 {
        value @ 0..10 => char::from(b'0'.wrapping_add(value)),
        value => char::from(b'a'.wrapping_add(value.wrapping_sub(10))),
    };
    // The capacity is a hint.
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(*byte));
    }
    out
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit & 15),
        // 'a' is 0x61: its low four bits count from 1.
        b'a'..=b'f' => Some((digit & 15).wrapping_add(9)),
        _ => None,
    }
}

/// Decodes lowercase hex of any even length; `None` for anything else.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(hex_value(*high)? << 4 | hex_value(*low)?)).collect()
}

/// Decodes exactly `2 * N` lowercase hex digits; `None` for anything else.
pub fn decode_hex_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    decode_hex(text)?.try_into().ok()
}

/// base64url without padding (RFC 4648 section 5).
pub fn encode_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict base64url: no padding, no line breaks, unused trailing bits zero. `None` otherwise.
pub fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Standard base64 with padding (RFC 4648 section 4), as C2SP notes use it.
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict standard base64: padded, unused trailing bits zero. `None` otherwise.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
