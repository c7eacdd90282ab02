//! C2SP signed notes (c2sp.org/signed-note).
//!
//! A verified note proves that the holder of a key signed exactly this text. It says nothing of
//! what the text means: that is [`crate::core::checkpoint`]'s. The keys are [`crate::core::verifier_key`]'s.
//!
//! The rule is the strict one: a note is refused where it is malformed, where no trusted key
//! signed it, and where a line whose name *and* key id are those of a trusted key does not verify.
//! Lines of unknown keys are ignored, which is what lets witnesses be added later.

use crate::core::crypto::SignatureError;
use crate::core::encoding;
use crate::core::limits;
use crate::core::text;
use crate::core::verifier_key::is_key_name;
pub use crate::core::verifier_key::{KeyId, KeyKind, VerifierKey, VerifierKeyError, derive_key_id};
use std::fmt;

/// A parsed note. Nothing in it is authenticated until [`Note::verify`] says so.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<NoteSignature<'a>>,
}

/// One signature line.
#[derive(Clone, Debug)]
pub struct NoteSignature<'a> {
    /// The key name on the line.
    pub name: &'a str,
    /// The key id on the line.
    pub key_id: KeyId,
    /// The bytes after the key id.
    pub signature: Vec<u8>,
}

/// A signature that verified: whose, and when where its type says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedSignature {
    /// Name of the key.
    pub name: String,
    /// See [`VerifierKey::verify`].
    pub timestamp: Option<u64>,
}

/// Why a note is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoteError {
    /// It is no signed note.
    Malformed(&'static str),
    /// No line is by a trusted key.
    NoTrustedSignature,
    /// A line says that it is by this trusted key, and does not verify.
    BadSignature(String),
    /// Two implementations disagree; nobody is accused.
    Disagreement(String),
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoteError::Malformed(why) => write!(f, "not a signed note: {why}"),
            NoteError::NoTrustedSignature => f.write_str("no signature by a trusted key"),
            NoteError::BadSignature(name) => write!(f, "the signature of key {name:?} does not verify"),
            NoteError::Disagreement(what) => f.write_str(what),
        }
    }
}

impl<'a> Note<'a> {
    /// Splits a note into text and signature lines (C2SP signed-note "Format").
    pub fn parse(bytes: &'a [u8]) -> Result<Note<'a>, NoteError> {
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        // Every byte of a character beyond ASCII is above these.
        if let Some(byte) = note.bytes().find(|byte| *byte < b' ' && *byte != b'\n') {
            let is_return = byte == b'\r';
            return Err(NoteError::Malformed(if is_return { text::CRLF } else { "a control character" }));
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before signatures"))?;
        let (text, block) = note.split_at(split.saturating_add(1));
        let block = block.strip_prefix('\n').unwrap_or(block);
        let lines = block.strip_suffix('\n').ok_or(NoteError::Malformed("the last newline is missing"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() >= limits::MAX_NOTE_SIGNATURES {
                return Err(NoteError::Malformed("too many signature lines"));
            }
            signatures.push(parse_signature_line(line)?);
        }
        Ok(Note { text, signatures })
    }

    /// The signed text, its final newline included.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines, unverified, in note order.
    pub fn signatures(&self) -> &[NoteSignature<'a>] {
        &self.signatures
    }

    /// The text with the first line of this key and no other; `None` where there is none.
    pub fn with_only(&self, key: &VerifierKey) -> Option<String> {
        let is_its = |line: &&NoteSignature<'_>| line.name == key.name() && line.key_id == key.id();
        let line = self.signatures.iter().find(is_its)?;
        let blob = encoding::encode_base64(&[&line.key_id[..], &line.signature].concat());
        Some(format!("{}\n\u{2014} {} {blob}\n", self.text, line.name))
    }

    /// Verifies every line that is by one of `keys`; each key counts once, in note order.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified: Vec<(KeyId, VerifiedSignature)> = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.iter().find(|key| key.name() == line.name && key.id() == line.key_id) else {
                continue;
            };
            let timestamp = match key.verify(self.text, &line.signature) {
                Ok(timestamp) => timestamp,
                Err(SignatureError::Disagreement(what)) => {
                    return Err(NoteError::Disagreement(what.to_string()));
                }
                Err(_) => return Err(NoteError::BadSignature(line.name.to_owned())),
            };
            if !verified.iter().any(|(id, seen)| *id == key.id() && seen.name == key.name()) {
                verified.push((key.id(), VerifiedSignature { name: key.name().to_owned(), timestamp }));
            }
        }
        if verified.is_empty() {
            return Err(NoteError::NoTrustedSignature);
        }
        Ok(verified.into_iter().map(|(_, signature)| signature).collect())
    }
}

fn parse_signature_line(line: &str) -> Result<NoteSignature<'_>, NoteError> {
    let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed("not a signature line"))?;
    let (name, blob) = rest.split_once(' ').ok_or(NoteError::Malformed("a signature line without key"))?;
    if !is_key_name(name) {
        return Err(NoteError::Malformed("a key name with white space or a plus sign"));
    }
    let blob = encoding::decode_base64(blob).ok_or(NoteError::Malformed("a signature is not base64"))?;
    match blob.split_first_chunk::<4>() {
        Some((key_id, signature)) if !signature.is_empty() => {
            Ok(NoteSignature { name, key_id: *key_id, signature: signature.to_vec() })
        }
        _ => Err(NoteError::Malformed("a signature is too short")),
    }
}
