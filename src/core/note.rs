//! C2SP signed notes and verifier keys (c2sp.org/signed-note).
//!
//! A verified note proves that the holder of a key signed exactly this text. It says nothing of
//! what the text means: that is [`crate::core::checkpoint`]'s.
//!
//! The rule is the strict one: a note is refused where it is malformed, where no trusted key
//! signed it, and where a line whose name *and* key id are those of a trusted key does not verify.
//! Lines of unknown keys are ignored, which is what lets witnesses be added later.

use crate::core::checkpoint::CheckpointBody;
use crate::core::crypto::{PublicKey, SignatureError};
use crate::core::encoding;
use crate::core::hash::{sha256, sha256_pair};
use crate::core::limits;
use std::fmt;

/// The four-byte hint that ties a signature line to a key. Not a proof of anything.
pub type KeyId = [u8; 4];

/// What a key signs with, and over which bytes (C2SP signed-note "Signature types").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note text.
    Ed25519,
    /// 0x02: ECDSA over the note text (P-256, SHA-256, DER), the key as SubjectPublicKeyInfo.
    Ecdsa,
    /// 0x04: timestamped Ed25519 witness cosignature (C2SP tlog-cosignature).
    CosignatureV1,
    /// 0x05: RFC 6962 `TreeHeadSignature` (C2SP static-ct-api), the key as SubjectPublicKeyInfo.
    Rfc6962TreeHead,
}

impl KeyKind {
    fn from_byte(byte: u8) -> Option<KeyKind> {
        match byte {
            0x01 => Some(KeyKind::Ed25519),
            0x02 => Some(KeyKind::Ecdsa),
            0x04 => Some(KeyKind::CosignatureV1),
            0x05 => Some(KeyKind::Rfc6962TreeHead),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            KeyKind::Ed25519 => 0x01,
            KeyKind::Ecdsa => 0x02,
            KeyKind::CosignatureV1 => 0x04,
            KeyKind::Rfc6962TreeHead => 0x05,
        }
    }
}

/// A C2SP verifier key ("vkey"): `name+keyid+base64(type ‖ key)`.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    name: String,
    id: KeyId,
    kind: KeyKind,
    raw: Vec<u8>,
    key: PublicKey,
}

/// Why a text is no verifier key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKeyError(pub String);

impl fmt::Display for VerifierKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn vkey_error<T>(why: &str) -> Result<T, VerifierKeyError> {
    Err(VerifierKeyError(why.to_owned()))
}

/// A key name is not empty and has neither white space nor a plus sign (C2SP signed-note).
fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::MAX_ORIGIN
        && !name.chars().any(|c| c.is_whitespace() || c == '+' || c.is_control())
}

impl VerifierKey {
    /// Parses a vkey. The key id must be the one that C2SP derives from name, type and key: a
    /// mistyped key is refused here and not found out as a "bad signature" later.
    pub fn parse(text: &str) -> Result<VerifierKey, VerifierKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return vkey_error("a verifier key has three parts: name+keyid+key");
        };
        if !is_key_name(name) {
            return vkey_error("the key's name is empty or has white space in it");
        }
        let Some(id) = encoding::decode_hex_exact::<4>(id) else {
            return vkey_error("the key id is not 8 lowercase hex digits");
        };
        let Some(typed_key) = encoding::decode_base64(key) else {
            return vkey_error("the key is not standard base64");
        };
        let Some((kind, raw)) = typed_key.split_first() else {
            return vkey_error("the key is empty");
        };
        let Some(kind) = KeyKind::from_byte(*kind) else {
            return vkey_error("the key's type is not supported");
        };
        if derive_key_id(name, kind, raw) != id {
            return vkey_error("the key id does not belong to this name and key: is it mistyped?");
        }
        let key = match kind {
            KeyKind::Ed25519 | KeyKind::CosignatureV1 => PublicKey::ed25519(raw),
            KeyKind::Ecdsa | KeyKind::Rfc6962TreeHead => PublicKey::from_spki(raw),
        };
        match key {
            Ok(key) => Ok(VerifierKey { name: name.to_owned(), id, kind, raw: raw.to_vec(), key }),
            Err(why) => Err(VerifierKeyError(format!("the public key is not usable: {why}"))),
        }
    }

    /// The name, which for a log's key is the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The signature type.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The type byte as it stands in the vkey.
    pub fn kind_byte(&self) -> u8 {
        self.kind.to_byte()
    }

    /// The key bytes after the type byte.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The public key itself.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Verifies one signature of this key over a note's text; the time is Unix seconds for
    /// cosignatures and Unix milliseconds for RFC 6962 tree heads.
    ///
    /// # Errors
    /// [`SignatureError`], where `Disagreement` means that two implementations differ and nobody
    /// may be accused.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, SignatureError> {
        match self.kind {
            KeyKind::Ed25519 | KeyKind::Ecdsa => {
                self.key.verify(text.as_bytes(), signature)?;
                Ok(None)
            }
            KeyKind::CosignatureV1 => {
                let (time, signature) = split_time(signature)?;
                let message = format!("cosignature/v1\ntime {time}\n{text}");
                self.key.verify(message.as_bytes(), signature)?;
                Ok(Some(time))
            }
            KeyKind::Rfc6962TreeHead => {
                let (time, signature) = split_time(signature)?;
                let (message, signature) = tree_head_signature(text, time, signature)?;
                self.key.verify(&message, signature)?;
                Ok(Some(time))
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed_key = vec![self.kind.to_byte()];
        typed_key.extend_from_slice(&self.raw);
        let id = encoding::encode_hex(&self.id);
        write!(f, "{}+{id}+{}", self.name, encoding::encode_base64(&typed_key))
    }
}

/// The key id that C2SP signed-note gives each signature type.
pub fn derive_key_id(name: &str, kind: KeyKind, raw: &[u8]) -> KeyId {
    let digest = match kind {
        KeyKind::Ecdsa => sha256(raw),
        KeyKind::Rfc6962TreeHead => sha256_pair(format!("{name}\n\u{5}").as_bytes(), sha256(raw).as_bytes()),
        KeyKind::Ed25519 | KeyKind::CosignatureV1 => {
            let mut prefix = name.as_bytes().to_vec();
            prefix.extend_from_slice(&[b'\n', kind.to_byte()]);
            sha256_pair(&prefix, raw)
        }
    };
    let [a, b, c, d, ..] = digest.0;
    [a, b, c, d]
}

fn malformed(why: &'static str) -> SignatureError {
    SignatureError::Malformed(why)
}

fn split_time(signature: &[u8]) -> Result<(u64, &[u8]), SignatureError> {
    let (time, rest) =
        signature.split_first_chunk::<8>().ok_or_else(|| malformed("too short for a timestamp"))?;
    Ok((u64::from_be_bytes(*time), rest))
}

/// C2SP static-ct-api: the line holds `digitally-signed` over RFC 6962 section 3.5's
/// `TreeHeadSignature` of the same size and root.
fn tree_head_signature<'a>(
    text: &str,
    time: u64,
    signature: &'a [u8],
) -> Result<(Vec<u8>, &'a [u8]), SignatureError> {
    let body = CheckpointBody::parse(text).map_err(|_| malformed("not over a checkpoint"))?;
    let Some(([4, 3, high, low], der)) = signature.split_first_chunk::<4>() else {
        return Err(malformed("not an ECDSA with SHA-256 TLS signature"));
    };
    if der.len() != usize::from(u16::from_be_bytes([*high, *low])) {
        return Err(malformed("wrong length of the TLS signature"));
    }
    let mut message = vec![0, 1];
    message.extend_from_slice(&time.to_be_bytes());
    message.extend_from_slice(&body.size.to_be_bytes());
    message.extend_from_slice(body.root.as_bytes());
    Ok((message, der))
}

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
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("a control character"));
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

    /// Verifies every line that is by one of `keys`; each key counts once, in note order.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified: Vec<(KeyId, VerifiedSignature)> = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.iter().find(|key| key.name == line.name && key.id == line.key_id) else {
                continue;
            };
            let timestamp = match key.verify(self.text, &line.signature) {
                Ok(timestamp) => timestamp,
                Err(SignatureError::Disagreement(what)) => {
                    return Err(NoteError::Disagreement(what.to_string()));
                }
                Err(_) => return Err(NoteError::BadSignature(line.name.to_owned())),
            };
            if !verified.iter().any(|(id, seen)| *id == key.id && seen.name == key.name) {
                verified.push((key.id, VerifiedSignature { name: key.name.clone(), timestamp }));
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
