//! The strict text encodings of specification section 1.
//!
//! One text per value: lowercase hex of the exact length, base64url without padding, standard
//! base64 with padding, unused trailing bits zero. A lenient decoder would let two texts stand for
//! one value, and then what was signed and what was compared could differ.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Lowercase hex of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Decodes lowercase hex of any even length; `None` for anything else.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text).ok()
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
