//! Decodes base64 inside a text. A log's answers contain much of it, and the decoded content is shown in
//! findings.

use super::escapes::hex;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shorter runs are ordinary words, and too short to hold an escaped secret.
const MIN_RUN: usize = 8;

/// Separates the decoded runs: a byte that no encoding of a character begins or continues with.
const BETWEEN: u8 = 0x80;

/// Lenient, because it serves only the search, and another reader may be lenient.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes every run of base64 characters, and joins the results. The result has at most three quarters of the
/// length of the text.
pub(super) fn decode_runs(text: &[u8]) -> Vec<u8> {
    let (mut out, mut run, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        match sextet(rest) {
            Some((character, behind)) => {
                run.push(character);
                rest = behind;
            }
            None => {
                unpack(&mut run, &mut out);
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    unpack(&mut run, &mut out);
    out
}

fn unpack(run: &mut Vec<u8>, out: &mut Vec<u8>) {
    // A single character after groups of four encodes nothing.
    if run.len() % 4 == 1 {
        run.pop();
    }
    if run.len() >= MIN_RUN && LENIENT.decode_vec(&*run, out).is_ok() {
        out.push(BETWEEN);
    }
    run.clear();
}

/// A character of either base64 alphabet, mapped to base64url, also if JSON escapes it.
fn sextet(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    let (character, rest) = match first {
        b'\\' => match rest.strip_prefix(b"u").and_then(|rest| hex(rest, 4)) {
            Some((value, rest)) => (u8::try_from(value).ok()?, rest),
            None => (b'/', rest.strip_prefix(b"/")?),
        },
        first => (*first, rest),
    };
    let character = match character {
        b'+' => b'-',
        b'/' => b'_',
        character => character,
    };
    (character.is_ascii_alphanumeric() || matches!(character, b'-' | b'_')).then_some((character, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::encoding::{encode_base64, encode_base64url};

    #[test]
    fn runs_are_decoded_in_every_notation() {
        for secret in ["p/s3cret?>~~x", "secret", "four4567", "12345678"] {
            let (standard, url) = (encode_base64(secret.as_bytes()), encode_base64url(secret.as_bytes()));
            for written in [
                standard.clone(),
                url.clone(),
                standard.replace('/', "\\/"),
                standard.replace('+', "\\u002b").replace('/', "\\u002F"),
                url.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect(),
            ] {
                let text = format!("{{\"leaf\": \"{written}\", \"other\":\"{written}\"}}");
                let expected = [secret.as_bytes(), &[BETWEEN]].concat().repeat(2);
                assert_eq!(decode_runs(text.as_bytes()), expected, "{text}");
            }
        }
        for none in ["", "a", "abc def", "\\", "\\u00", "\\u20ac", "=====", "\u{20ac}"] {
            assert_eq!(decode_runs(none.as_bytes()), b"", "{none}");
        }
        // One character too many, and bits that encode nothing.
        assert_eq!(decode_runs(b"QUJDREVGR"), b"ABCDEF\x80");
        assert_eq!(decode_runs(b"QUJDREVGRx"), b"ABCDEFG\x80");
    }
}
