//! EMILIA EP-RECEIPT-v1: canonical JSON under an Ed25519 signature, with a Merkle anchor whose branches
//! cover the hex text of their children. Not a format of ours; it exercises JCS and signature together.

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use countersign::core::crypto::{Algorithm, PublicKey, SignatureError};
use countersign::core::encoding::decode_base64url;
use countersign::core::hash::{leaf_hash, sha256};
use countersign::core::jcs::canonicalize;
use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| refused(format!("{name} is missing")))
}

/// The profile's own rule beyond RFC 8785: no numbers but integers up to 2^53 − 1.
fn integers_only(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_991.0)
        }
        Value::Array(items) => items.iter().all(integers_only),
        Value::Object(members) => members.values().all(integers_only),
        _ => true,
    }
}

fn canonical(value: &Value) -> Result<Vec<u8>, Failure> {
    claim(integers_only(value), "a number that is no safe integer")?;
    canonicalize(value.to_string().as_bytes(), 64).map_err(refused)
}

pub fn signed_receipt(case: &Case<'_>) -> Verdict {
    let key = PublicKey::from_spki(&case.hex("public_key")?).map_err(refused)?;
    claim(key.algorithm() == Algorithm::EdDsa, "not an Ed25519 key")?;
    let document = case.get("document").ok_or_else(|| refused("no document"))?;
    claim(text(document, "@version")? == "EP-RECEIPT-v1", "another version")?;
    let payload = document.get("payload").filter(|payload| payload.is_object());
    let payload = canonical(payload.ok_or_else(|| refused("no payload"))?)?;
    let signature = document.get("signature").ok_or_else(|| refused("no signature"))?;
    claim(text(signature, "algorithm")? == "Ed25519", "another algorithm")?;
    let value = decode_base64url(text(signature, "value")?).ok_or_else(|| refused("not base64url"))?;
    key.verify(&payload, &value).map_err(|error| match error {
        SignatureError::Disagreement(what) => Failure::Broken(what.to_string()),
        other => refused(other),
    })?;
    match document.get("anchor") {
        None | Some(Value::Null) => Ok(()),
        Some(anchor) => check_anchor(anchor, &payload),
    }
}

fn check_anchor(anchor: &Value, payload: &[u8]) -> Verdict {
    claim(text(anchor, "alg")? == "EP-MERKLE-v2", "another kind of anchor")?;
    let mut node = leaf_hash(payload).0.to_string();
    claim(text(anchor, "leaf_hash")? == node, "the anchor is of another receipt")?;
    let path = anchor.get("merkle_proof").and_then(Value::as_array);
    for step in path.ok_or_else(|| refused("no path"))? {
        let sibling = text(step, "hash")?;
        let branch = match text(step, "position")? {
            "left" => format!("\u{1}{sibling}{node}"),
            "right" => format!("\u{1}{node}{sibling}"),
            _ => return Err(refused("neither left nor right")),
        };
        node = sha256(branch.as_bytes()).to_string();
    }
    claim(text(anchor, "merkle_root")? == node, "the path leads to another root")
}
