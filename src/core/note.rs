//! C2SP signed notes (c2sp.org/signed-note).
//!
//! A verified note proves that the holder of a key signed exactly this text. It does not say what the text means; see
//! [`crate::core::checkpoint`]. The keys are in [`crate::core::verifier_key`].
//!
//! Verification is strict: a note is refused if it is malformed, if no trusted key signed it, or if a line with the name
//! *and* key id of a trusted key does not verify. Lines of unknown keys are ignored, so witnesses can be added later.

use crate::core::crypto::SignatureError;
use crate::core::encoding;
use crate::core::limits;
use crate::core::text;
use crate::core::verifier_key::is_key_name;
pub use crate::core::verifier_key::{
    KeyId, KeyKind, SignedTime, VerifierKey, VerifierKeyError, derive_key_id,
};
use std::fmt;

/// A parsed note. Nothing in it is authenticated before [`Note::verify`].
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

/// A verified signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedSignature {
    /// Name of the key.
    pub name: String,
    /// The signed time, if the signature type has one; see [`VerifierKey::verify`].
    pub timestamp: Option<SignedTime>,
}

/// Why a note is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoteError {
    /// It is not a signed note.
    Malformed(&'static str),
    /// No line is by a trusted key.
    NoTrustedSignature,
    /// A line names this trusted key, but does not verify.
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
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Note<'a>, NoteError> {
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        // All bytes of a character beyond ASCII are above these.
        if let Some(byte) = note.bytes().find(|byte| *byte < b' ' && *byte != b'\n') {
            let is_return = byte == b'\r';
            return Err(NoteError::Malformed(if is_return { text::CRLF } else { "a control character" }));
        }
        let last_newline = note.rfind("\n\n").and_then(|split| split.checked_add(1));
        let (text, block) = last_newline
            .and_then(|end| note.split_at_checked(end))
            .ok_or(NoteError::Malformed("no empty line before signatures"))?;
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

    /// The signed text, including its final newline.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines, unverified, in note order.
    pub fn signatures(&self) -> &[NoteSignature<'a>] {
        &self.signatures
    }

    /// The note with only the first signature line by this key; `None` if there is none.
    pub fn with_only(&self, key: &VerifierKey) -> Option<String> {
        let names_key = |line: &&NoteSignature<'_>| line.name == key.name() && line.key_id == key.id();
        let line = self.signatures.iter().find(names_key)?;
        let blob = encoding::encode_base64(&[&line.key_id[..], &line.signature].concat());
        Some(format!("{}\n\u{2014} {} {blob}\n", self.text, line.name))
    }

    /// Verifies every line that names one of `keys`. Each key is returned once, in note order.
    ///
    /// # Errors
    /// [`NoteError`]: no line names one of the keys, a line that does is not its signature, or two implementations
    /// disagree.
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
