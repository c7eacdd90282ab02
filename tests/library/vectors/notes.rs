//! Checkpoint texts, signed notes and verifier keys (C2SP tlog-checkpoint, signed-note).

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::encoding::encode_hex;
use countersign::core::note::{Note, NoteError, SignedTime, VerifiedSignature, VerifierKey};
use serde_json::{Value, json};

/// The keys that the verifier trusts. One that does not parse is refused: nobody can have meant it.
pub fn parse_keys(keys: &[&str]) -> Result<Vec<VerifierKey>, Failure> {
    keys.iter().map(|key| VerifierKey::parse(key).map_err(refused)).collect()
}

/// Verifies a note; that two implementations disagree is a fault, whatever the vector expects.
pub fn verify_note(note: &Note<'_>, keys: &[VerifierKey]) -> Result<Vec<VerifiedSignature>, Failure> {
    note.verify(keys).map_err(|error| match error {
        NoteError::Disagreement(what) => Failure::Broken(what),
        other => refused(other),
    })
}

pub fn signatures_json(verified: &[VerifiedSignature]) -> Value {
    let line = |line: &VerifiedSignature| json!({"name": line.name, "timestamp": line.timestamp.map(SignedTime::number)});
    verified.iter().map(line).collect()
}

fn checkpoint_json(body: &CheckpointBody) -> Value {
    json!({
        "origin": body.origin,
        "size": body.size,
        "root": body.root.to_string(),
        "extensions": body.extensions,
    })
}

fn parse_checkpoint(text: &str) -> Result<CheckpointBody, Failure> {
    let body = CheckpointBody::parse(text).map_err(refused)?;
    if body.to_text() == text { Ok(body) } else { Err(Failure::Wrong("written as another text".to_owned())) }
}

/// Some of the texts have their signature lines behind them; those must then be lines of a note.
pub fn checkpoint_text(case: &Case<'_>) -> Verdict {
    let bytes = case.bytes("text")?;
    let text = std::str::from_utf8(&bytes).map_err(refused)?;
    let body = if text.contains("\n\n") {
        parse_checkpoint(Note::parse(&bytes).map_err(refused)?.text())?
    } else {
        parse_checkpoint(text)?
    };
    case.compare("parsed", &checkpoint_json(&body))
}

pub fn signed_note(case: &Case<'_>) -> Verdict {
    let bytes = case.bytes("note")?;
    let keys = parse_keys(&case.texts("keys")?)?;
    let note = Note::parse(&bytes).map_err(refused)?;
    let verified = verify_note(&note, &keys)?;
    if case.get("origin").is_some() {
        let body = parse_checkpoint(note.text())?;
        claim(body.origin == case.text("origin")?, "another origin")?;
        case.compare("checkpoint", &checkpoint_json(&body))?;
    }
    case.compare("verified", &signatures_json(&verified))
}

pub fn verifier_key(case: &Case<'_>) -> Verdict {
    let text = case.text("vkey")?;
    let key = VerifierKey::parse(text).map_err(refused)?;
    if key.to_string() != text {
        return Err(Failure::Wrong(format!("written as {key}")));
    }
    let ours = json!({
        "name": key.name(),
        "key_id": encode_hex(&key.id()),
        "type": key.kind_byte(),
        "public_key": encode_hex(key.raw()),
    });
    case.compare("parsed", &ours)
}
