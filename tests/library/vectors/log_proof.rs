//! Leaf, inclusion proof and signed checkpoint, end to end.

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use crate::vectors::notes::{parse_keys, verify_note};
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::encoding::encode_hex;
use countersign::core::hash::leaf_hash;
use countersign::core::note::{Note, SignedTime, VerifiedSignature, VerifierKey};
use countersign::core::proof::{InclusionProof, verify_inclusion};
use countersign::core::tlog_policy::TlogPolicy;
use countersign::core::tlog_proof::TlogProof;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A checkpoint by a trusted log key, with enough cosignatures of distinct witnesses.
///
/// Log and witness keys are all trusted keys in the sense of C2SP signed-note: a line of any of them
/// that does not verify refuses the note.
fn checkpoint(case: &Case<'_>, raw: &[u8]) -> Result<CheckpointBody, Failure> {
    let log_keys = parse_keys(&case.texts("log_keys")?)?;
    let cosigners = parse_keys(&case.texts("cosigners")?)?;
    let note = Note::parse(raw).map_err(refused)?;
    verify_note(&note, &[&log_keys[..], &cosigners[..]].concat())?;
    verify_note(&note, &log_keys)?;
    let body = CheckpointBody::parse(note.text()).map_err(refused)?;
    if case.get("origin").is_some() {
        claim(body.origin == case.text("origin")?, "another origin")?;
    }
    let mut seen = BTreeSet::new();
    let mut cosigned: Vec<VerifiedSignature> = Vec::new();
    for key in &cosigners {
        if let Ok(verified) = verify_note(&note, std::slice::from_ref(key)) {
            // One key under two names is one witness.
            if seen.insert(key.raw().to_vec()) {
                cosigned.extend(verified);
            }
        }
    }
    if case.get("min_cosignatures").is_some() {
        let enough = cosigned.len() as u64 >= case.number("min_cosignatures")?;
        agrees_with_a_policy(case, raw, &cosigners, enough)?;
        claim(enough, "too few witnesses cosigned")?;
    }
    compare_cosigners(case, &cosigned)?;
    Ok(body)
}

/// The same question asked of a witness policy (C2SP tlog-policy), where it can name these keys.
fn agrees_with_a_policy(case: &Case<'_>, raw: &[u8], cosigners: &[VerifierKey], enough: bool) -> Verdict {
    let least = case.number("min_cosignatures")?;
    let witnesses = cosigners.iter().enumerate().map(|(n, key)| format!("witness w{n} {key}\n"));
    let names: Vec<String> = (0..cosigners.len()).map(|n| format!("w{n}")).collect();
    let quorum = format!("group all-of-them {least} {}\nquorum all-of-them\n", names.join(" "));
    let text = witnesses.collect::<String>() + &quorum;
    let Ok(policy) = TlogPolicy::parse(text.as_bytes()) else { return Ok(()) };
    match policy.check_cosignatures(raw, None) {
        Ok(cosigned) if cosigned.quorum == enough => Ok(()),
        other => Err(Failure::Wrong(format!("a policy of {least} says {other:?}"))),
    }
}

/// `cosigned_by`: texts or objects with a name, or an object of name and time; in any order.
fn compare_cosigners(case: &Case<'_>, cosigned: &[VerifiedSignature]) -> Verdict {
    let pair = |name: &Value, time: &Value| (name.to_string(), time.to_string());
    let expected: Vec<(String, String)> = match case.get("cosigned_by") {
        None => return Ok(()),
        Some(Value::Object(times)) => times.iter().map(|(name, time)| pair(&json!(name), time)).collect(),
        Some(Value::Array(lines)) => lines
            .iter()
            .map(|line| pair(line.get("name").unwrap_or(line), line.get("timestamp").unwrap_or(&Value::Null)))
            .collect(),
        Some(_) => return Err(Failure::Broken("cosigned_by is neither list nor object".to_owned())),
    };
    // A vector without times leaves them open.
    let timed = expected.iter().any(|(_, time)| time != "null");
    let time = |line: &VerifiedSignature| {
        if timed { json!(line.timestamp.map(SignedTime::number)) } else { Value::Null }
    };
    let mut ours: Vec<_> = cosigned.iter().map(|line| pair(&json!(line.name), &time(line))).collect();
    let mut expected = expected;
    ours.sort();
    expected.sort();
    if ours == expected { Ok(()) } else { Err(Failure::Wrong(format!("cosigned by {ours:?}"))) }
}

pub fn log_proof(case: &Case<'_>) -> Verdict {
    let body = checkpoint(case, &case.bytes("checkpoint")?)?;
    claim(body.size == case.number("tree_size")?, "the checkpoint is of another size")?;
    if case.get("root").is_some() {
        claim(body.root == case.hash("root")?, "the checkpoint has another root")?;
    }
    let leaf = leaf_hash(&case.hex("leaf")?);
    let proof = InclusionProof(case.hashes("proof")?);
    verify_inclusion(leaf, case.number("index")?, body.size, &proof, body.root).map_err(refused)
}

pub fn tlog_proof(case: &Case<'_>) -> Verdict {
    let bytes = case.bytes("text")?;
    let text = std::str::from_utf8(&bytes).map_err(refused)?;
    let proof = TlogProof::parse(text).map_err(refused)?;
    if proof.to_text() != text {
        return Err(Failure::Wrong("written as another text".to_owned()));
    }
    let body = checkpoint(case, proof.checkpoint.as_bytes())?;
    let leaf = leaf_hash(&case.hex("leaf")?);
    verify_inclusion(leaf, proof.index, body.size, &proof.path, body.root).map_err(refused)?;
    let ours = json!({
        "index": proof.index,
        "hashes": proof.path.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "extra": proof.extra.as_deref().map(encode_hex),
    });
    case.compare("parsed", &ours)
}
