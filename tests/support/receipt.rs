//! Receipts made here, right or wrong: an entry in a log of seven, and all that proves it.

use super::cli::{RP_ID, WEB_ORIGIN};
use super::log::{HEAD_TIME, TestKey, leaf, rejected, root_of};
use super::passkey::Passkey;
use countersign::core::encoding::{encode_base64url, encode_hex};
use countersign::core::hash::{leaf_hash, sha256, sha256_pair};
use countersign::core::head::LogKey;
use countersign::core::jcs::canonicalize;
use countersign::core::proof::{InclusionProof, inclusion_ranges, verify_inclusion};
use countersign::core::time::UnixMillis;
use countersign::core::tlog_proof::TlogProof;
use countersign::{Expectation, Payload, TrustPolicy, Verdict, verify_receipt};
use serde_json::{Value, json};

/// Where the entry is, in a log of [`SIZE`].
pub const INDEX: usize = 3;

/// Entries of the log.
pub const SIZE: usize = 7;

/// The payload of [`approval`].
pub const PAYLOAD: &[u8] = br#"{"service":"api","replicas":3}"#;

/// The log's key.
pub fn log_key() -> TestKey {
    TestKey::new(1)
}

/// Trust in the log, the relying party and the web origin of tests.
pub fn trust() -> TrustPolicy {
    TrustPolicy::new(LogKey::parse(&log_key().vkey()).unwrap(), RP_ID, WEB_ORIGIN)
}

/// An entry of [`PAYLOAD`] that still waits for its passkey.
pub fn request() -> Value {
    let mut entry = rejected("approval-1");
    entry["payloadHash"] = sha256(&canonicalize(PAYLOAD, 8).unwrap()).to_string().into();
    entry
}

/// An approval of [`PAYLOAD`].
pub fn approval() -> Value {
    Passkey::new(7).approve(request())
}

/// A reveal of [`PAYLOAD`] under this action, and the commitment to it.
pub fn reveal(action: &str, email: Value) -> (Value, String) {
    let payload: Value = serde_json::from_slice(PAYLOAD).unwrap();
    let reveal = json!({
        "type": "approval-log-reveal/v1", "blind": encode_base64url(&[9; 32]), "action": action,
        "payload": payload, "email": email,
    });
    let canonical = canonicalize(reveal.to_string().as_bytes(), 33).unwrap();
    let commitment = sha256_pair(b"approval-log-reveal/v1\0", &canonical);
    (reveal, encode_hex(commitment.as_bytes()))
}

/// The leaves of the log that has this entry.
pub fn leaves_around(entry: &Value) -> Vec<Vec<u8>> {
    let others = |n: usize| leaf(&rejected(&format!("other-{n}")));
    (0..SIZE).map(|n| if n == INDEX { leaf(entry) } else { others(n) }).collect()
}

/// The inclusion path of one leaf.
pub fn path_of(leaves: &[Vec<u8>], index: usize) -> InclusionProof {
    let ranges = inclusion_ranges(index as u64, leaves.len() as u64).unwrap();
    let hash = |range: &std::ops::Range<u64>| match range.end - range.start {
        1 => leaf_hash(&leaves[range.start as usize]).0,
        _ => root_of(&leaves[range.start as usize..range.end as usize]),
    };
    let path = InclusionProof(ranges.iter().map(hash).collect());
    let leaf = leaf_hash(&leaves[index]);
    verify_inclusion(leaf, index as u64, leaves.len() as u64, &path, root_of(leaves)).unwrap();
    path
}

/// The tlog-proof of the entry.
pub fn proof_of(entry: &Value, extra: bool) -> String {
    let leaves = leaves_around(entry);
    let checkpoint = log_key().checkpoint(SIZE as u64, root_of(&leaves));
    let proof = TlogProof {
        extra: extra.then(|| leaf(entry)),
        index: INDEX as u64,
        path: path_of(&leaves, INDEX),
        checkpoint: String::from_utf8(checkpoint).unwrap(),
    };
    proof.to_text()
}

/// The STH of the log that has this entry.
pub fn sth_of(entry: &Value) -> Value {
    let sth = log_key().sth(SIZE as u64, root_of(&leaves_around(entry)), HEAD_TIME);
    serde_json::from_slice(&sth).unwrap()
}

/// The receipt of the entry.
pub fn receipt_of(entry: &Value) -> Value {
    json!({
        "type": "approval-receipt/v1", "entry": entry, "tlogProof": proof_of(entry, false),
        "sth": sth_of(entry), "reveal": null, "anchors": [],
    })
}

/// The verification bundle of the entry.
pub fn bundle_of(entry: &Value) -> Value {
    let leaves = leaves_around(entry);
    let path: Vec<String> = path_of(&leaves, INDEX).0.iter().map(ToString::to_string).collect();
    let checkpoint = log_key().checkpoint(SIZE as u64, root_of(&leaves));
    json!({
        "index": INDEX, "entry": entry, "inclusion": {"index": INDEX, "treeSize": SIZE, "proof": path},
        "sth": sth_of(entry), "checkpoint": String::from_utf8(checkpoint).unwrap(), "reveal": null, "anchors": [],
    })
}

/// What is expected of [`approval`], its payload included.
pub fn expected() -> Expectation<'static> {
    Expectation { payload: Some(Payload::Bytes(PAYLOAD)), ..Expectation::default() }
}

/// When receipts are checked here.
pub const NOW: u64 = HEAD_TIME + 60_000;

/// Checks the text of a receipt with [`trust`].
pub fn check(text: &str) -> Verdict {
    verify_receipt(text.as_bytes(), &trust(), &expected(), UnixMillis::new(NOW))
}
