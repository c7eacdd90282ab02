//! C2SP verifier keys (c2sp.org/signed-note "Verifier keys"), and what each signature type signs.
//!
//! A signature that verifies proves that the holder of this key signed this text, or the checkpoint in this text. A
//! cosignature also states the time at which the witness signed (c2sp.org/tlog-cosignature). It does not prove that this
//! time is right, and an ML-DSA-44 cosignature does not cover a checkpoint's extension lines.

use crate::core::checkpoint::CheckpointBody;
use crate::core::crypto::{PublicKey, SignatureError};
use crate::core::encoding;
use crate::core::hash::{sha256, sha256_pair};
use crate::core::limits;
use crate::core::time::{UnixMillis, UnixSeconds};
use std::fmt;

/// The four-byte hint that matches a signature line to a key. It proves nothing.
pub type KeyId = [u8; 4];

/// The algorithm of a key and the bytes that it signs (C2SP signed-note "Signature types").
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
    /// 0x06: timestamped ML-DSA-44 witness cosignature (C2SP tlog-cosignature).
    CosignatureMlDsa44,
}

impl KeyKind {
    fn from_byte(byte: u8) -> Option<KeyKind> {
        match byte {
            0x01 => Some(KeyKind::Ed25519),
            0x02 => Some(KeyKind::Ecdsa),
            0x04 => Some(KeyKind::CosignatureV1),
            0x05 => Some(KeyKind::Rfc6962TreeHead),
            0x06 => Some(KeyKind::CosignatureMlDsa44),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            KeyKind::Ed25519 => 0x01,
            KeyKind::Ecdsa => 0x02,
            KeyKind::CosignatureV1 => 0x04,
            KeyKind::Rfc6962TreeHead => 0x05,
            KeyKind::CosignatureMlDsa44 => 0x06,
        }
    }
}

/// The time that a signature states and covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignedTime {
    /// When a witness cosigned; 0 is no statement.
    Cosignature(UnixSeconds),
    /// The timestamp of an RFC 6962 tree head.
    TreeHead(UnixMillis),
}

impl SignedTime {
    /// The number in the signature, in the unit of its type.
    pub fn number(self) -> u64 {
        match self {
            SignedTime::Cosignature(time) => time.get(),
            SignedTime::TreeHead(time) => time.get(),
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

/// Why a text is not a verifier key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKeyError(pub String);

impl fmt::Display for VerifierKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for VerifierKeyError {}

fn vkey_error<T>(why: &str) -> Result<T, VerifierKeyError> {
    Err(VerifierKeyError(why.to_owned()))
}

/// A key name is not empty and has neither white space nor a plus sign (C2SP signed-note).
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::MAX_ORIGIN
        && !name.chars().any(|c| c.is_whitespace() || c == '+' || c.is_control())
}

impl VerifierKey {
    /// Parses a vkey. The key id must be the one that C2SP derives from name, type and key, so that a mistyped key is
    /// refused here instead of causing a "bad signature" later.
    ///
    /// # Errors
    /// [`VerifierKeyError`]: the text is malformed, the key id is another, or the public key is unsupported or invalid.
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
            return vkey_error(match key.contains('…') {
                true => "the key was shortened: there is a \"…\" in it",
                false => "the key is not standard base64",
            });
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
        if kind == KeyKind::CosignatureMlDsa44 && !fits(name) {
            return vkey_error("the name of an ML-DSA-44 cosigner has at most 255 bytes");
        }
        let key = match kind {
            KeyKind::CosignatureMlDsa44 => PublicKey::ml_dsa_44(raw),
            KeyKind::Ed25519 | KeyKind::CosignatureV1 => PublicKey::ed25519(raw),
            KeyKind::Ecdsa | KeyKind::Rfc6962TreeHead => PublicKey::from_spki(raw),
        };
        match key {
            Ok(key) => Ok(VerifierKey { name: name.to_owned(), id, kind, raw: raw.to_vec(), key }),
            Err(why) => Err(VerifierKeyError(format!("the public key is not usable: {why}"))),
        }
    }

    /// The name. For a log's key it is the log's origin.
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

    /// The type byte in the vkey.
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

    /// Verifies one signature by this key over a note's text. Returns the signed time, if this type of signature has one.
    ///
    /// # Errors
    /// [`SignatureError`]. `Disagreement` means that two implementations differ; nobody may be accused then.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<SignedTime>, SignatureError> {
        match self.kind {
            KeyKind::Ed25519 | KeyKind::Ecdsa => {
                self.key.verify(text.as_bytes(), signature)?;
                Ok(None)
            }
            KeyKind::CosignatureV1 => {
                let (time, signature) = cosignature_time(signature)?;
                let message = format!("cosignature/v1\ntime {}\n{text}", time.get());
                self.key.verify(message.as_bytes(), signature)?;
                Ok(Some(SignedTime::Cosignature(time)))
            }
            KeyKind::CosignatureMlDsa44 => {
                let (time, signature) = cosignature_time(signature)?;
                self.key.verify(&cosigned_message(&self.name, time, text)?, signature)?;
                Ok(Some(SignedTime::Cosignature(time)))
            }
            KeyKind::Rfc6962TreeHead => {
                let (time, signature) = split_time(signature)?;
                let time = UnixMillis::new(time);
                let (message, signature) = tree_head_signature(text, time, signature)?;
                self.key.verify(&message, signature)?;
                Ok(Some(SignedTime::TreeHead(time)))
            }
        }
    }
}

#[cfg(test)]
impl VerifierKey {
    /// The same name and id with another public key.
    pub(crate) fn with_key(self, key: PublicKey) -> VerifierKey {
        VerifierKey { key, ..self }
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

/// The key id that C2SP signed-note defines for each signature type.
pub fn derive_key_id(name: &str, kind: KeyKind, raw: &[u8]) -> KeyId {
    let digest = match kind {
        KeyKind::Ecdsa => sha256(raw),
        KeyKind::Rfc6962TreeHead => sha256_pair(format!("{name}\n\u{5}").as_bytes(), sha256(raw).as_bytes()),
        KeyKind::Ed25519 | KeyKind::CosignatureV1 | KeyKind::CosignatureMlDsa44 => {
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

/// C2SP tlog-cosignature "Format": the time in seconds, which must not exceed 2^63 − 1.
fn cosignature_time(signature: &[u8]) -> Result<(UnixSeconds, &[u8]), SignatureError> {
    let (time, rest) = split_time(signature)?;
    if time >> 63 != 0 {
        return Err(malformed("the time of a cosignature is above 2^63 − 1"));
    }
    Ok((UnixSeconds::new(time), rest))
}

/// Whether the text fits a field `opaque <1..2^8-1>`.
fn fits(text: &str) -> bool {
    opaque_length(text).is_some()
}

fn opaque_length(text: &str) -> Option<u8> {
    u8::try_from(text.len()).ok().filter(|length| *length > 0)
}

/// Appends a field `opaque <1..2^8-1>`.
fn push_opaque(message: &mut Vec<u8>, text: &str, too_long: &'static str) -> Result<(), SignatureError> {
    message.push(opaque_length(text).ok_or_else(|| malformed(too_long))?);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

/// C2SP tlog-cosignature "ML-DSA-44 signed message": the struct `cosigned_message` for the whole tree of the checkpoint.
fn cosigned_message(cosigner: &str, time: UnixSeconds, text: &str) -> Result<Vec<u8>, SignatureError> {
    let body = CheckpointBody::parse(text).map_err(|_| malformed("not over a checkpoint"))?;
    let mut message = b"subtree/v1\n\0".to_vec();
    // Parsing the key checked this length already.
    push_opaque(&mut message, cosigner, "the cosigner's name is longer than a cosignature can have")?;
    message.extend_from_slice(&time.get().to_be_bytes());
    push_opaque(&mut message, &body.origin, "the origin is longer than an ML-DSA-44 cosignature can have")?;
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&body.size.to_be_bytes());
    message.extend_from_slice(body.root.as_bytes());
    Ok(message)
}

/// C2SP static-ct-api: the line holds `digitally-signed` over the `TreeHeadSignature` of RFC 6962 section 3.5 for the
/// same size and root.
fn tree_head_signature<'a>(
    text: &str,
    time: UnixMillis,
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
    message.extend_from_slice(&time.get().to_be_bytes());
    message.extend_from_slice(&body.size.to_be_bytes());
    message.extend_from_slice(body.root.as_bytes());
    Ok((message, der))
}
