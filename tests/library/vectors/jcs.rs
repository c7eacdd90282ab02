//! Canonical JSON (RFC 8785).

use crate::vectors::case::{Case, Failure, Verdict, refused};
use countersign::core::hash::sha256;
use countersign::core::jcs::{canonical_number, canonicalize};
use serde_json::json;

/// RFC 8785 itself bounds no depth; the reader's own guard does.
const DEPTH: usize = usize::MAX;

pub fn canonicalization(case: &Case<'_>) -> Verdict {
    let canonical = canonicalize(&case.bytes("input")?, DEPTH).map_err(refused)?;
    let again = canonicalize(&canonical, DEPTH);
    if again.as_ref() != Ok(&canonical) {
        return Err(Failure::Wrong("the canonical form has another canonical form".to_owned()));
    }
    case.compare("output_sha256", &json!(sha256(&canonical).to_string()))?;
    let text = String::from_utf8(canonical).map_err(|error| Failure::Wrong(error.to_string()))?;
    case.compare("output", &json!(text))
}

pub fn number(case: &Case<'_>) -> Verdict {
    let bits = u64::from_str_radix(case.text("ieee754")?, 16).map_err(|e| Failure::Broken(e.to_string()))?;
    let text = canonical_number(f64::from_bits(bits)).map_err(refused)?;
    case.compare("output", &json!(text))
}
