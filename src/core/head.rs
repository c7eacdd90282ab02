//! Verified signed tree heads. The auditor accepts a log's claims from nothing else.
//!
//! A [`Head`] proves that the log key signed this origin, size and root. It does not prove that the tree exists, nor that
//! the log showed everybody the same head. Only the `verify` functions construct one, so every `Head` is authenticated.

use crate::core::checkpoint::CheckpointBody;
use crate::core::crypto::SignatureError;
use crate::core::hash::{Hash, sha256};
use crate::core::limits;
use crate::core::note::{KeyKind, Note, NoteError, VerifierKey, VerifierKeyError};
use crate::core::sth::{self, SthBody};
use crate::core::time::UnixMillis;
use std::fmt;

/// The log's key, pinned by the user: an Ed25519 vkey whose name is the log's origin.
#[derive(Clone, Debug)]
pub struct LogKey(VerifierKey);

impl LogKey {
    /// Parses a C2SP vkey of type 0x01.
    ///
    /// # Errors
    /// [`VerifierKeyError`] with a user-facing message: the text is not a vkey, or is one of another type.
    pub fn parse(text: &str) -> Result<LogKey, VerifierKeyError> {
        let key = VerifierKey::parse(text)?;
        if key.kind() != KeyKind::Ed25519 {
            let why = "a log key is an Ed25519 verifier key (type 0x01); this one is not";
            return Err(VerifierKeyError(why.to_owned()));
        }
        Ok(LogKey(key))
    }

    /// The log's origin: the key's name (specification section 3).
    pub fn origin(&self) -> &str {
        self.0.name()
    }

    /// The vkey.
    pub fn verifier(&self) -> &VerifierKey {
        &self.0
    }
}

/// The format in which a head was signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum HeadFormat {
    /// A C2SP checkpoint.
    Checkpoint,
    /// A JSON STH.
    Sth,
}

impl HeadFormat {
    /// The name used in reports and in the mirror.
    pub fn as_str(self) -> &'static str {
        match self {
            HeadFormat::Checkpoint => "checkpoint",
            HeadFormat::Sth => "sth",
        }
    }

    /// The format with this name.
    pub fn from_text(text: &str) -> Option<HeadFormat> {
        [HeadFormat::Checkpoint, HeadFormat::Sth].into_iter().find(|format| format.as_str() == text)
    }
}

/// A head that the pinned log key signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    format: HeadFormat,
    origin: String,
    size: u64,
    root: Hash,
    timestamp: Option<UnixMillis>,
    statement: Hash,
    raw: String,
}

/// Why bytes are not a head of this log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeadError {
    /// They do not parse: finding `head-malformed`.
    Malformed(String),
    /// They parse, but the origin is another or the pinned key did not sign them: finding `head-signature-invalid`.
    NotSigned(String),
    /// Two implementations disagree: a local fault, and nobody is accused.
    Disagreement(String),
}

impl std::error::Error for HeadError {}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::Malformed(why) | HeadError::NotSigned(why) | HeadError::Disagreement(why) => {
                f.write_str(why)
            }
        }
    }
}

impl Head {
    /// Verifies a head in either format. No bytes are valid in both: a checkpoint has an empty line before its
    /// signatures, and after such a line a JSON object can have only white space.
    ///
    /// # Errors
    /// [`HeadError`]. Bytes that are malformed in both formats get the error for an STH if they begin with `{`, and the
    /// error for a checkpoint otherwise.
    pub fn verify(raw: &[u8], key: &LogKey) -> Result<Head, HeadError> {
        match Head::verify_sth(raw, key) {
            Err(HeadError::Malformed(not_an_sth)) => match Head::verify_checkpoint(raw, key) {
                Err(HeadError::Malformed(_)) if raw.first() == Some(&b'{') => {
                    Err(HeadError::Malformed(not_an_sth))
                }
                verified => verified,
            },
            verified => verified,
        }
    }

    /// Verifies a head in this format.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn verify_as(format: HeadFormat, raw: &[u8], key: &LogKey) -> Result<Head, HeadError> {
        match format {
            HeadFormat::Checkpoint => Head::verify_checkpoint(raw, key),
            HeadFormat::Sth => Head::verify_sth(raw, key),
        }
    }

    /// Verifies a C2SP checkpoint (specification section 3).
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn verify_checkpoint(raw: &[u8], key: &LogKey) -> Result<Head, HeadError> {
        if raw.len() > limits::MAX_CHECKPOINT {
            return Err(HeadError::Malformed("the checkpoint is too long".to_owned()));
        }
        let note = Note::parse(raw).map_err(|error| HeadError::Malformed(error.to_string()))?;
        let body = CheckpointBody::parse(note.text())
            .map_err(|why| HeadError::Malformed(format!("not a checkpoint: {why}")))?;
        check_origin(&body.origin, key)?;
        note.verify(std::slice::from_ref(key.verifier())).map_err(|error| match error {
            NoteError::Disagreement(what) => HeadError::Disagreement(what),
            other => HeadError::NotSigned(other.to_string()),
        })?;
        Ok(Head {
            format: HeadFormat::Checkpoint,
            origin: body.origin,
            size: body.size,
            root: body.root,
            timestamp: None,
            statement: sha256(note.text().as_bytes()),
            raw: utf8(raw)?,
        })
    }

    /// Verifies a JSON STH (specification section 3).
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn verify_sth(raw: &[u8], key: &LogKey) -> Result<Head, HeadError> {
        if raw.len() > limits::MAX_STH {
            return Err(HeadError::Malformed("the STH is too long".to_owned()));
        }
        let (body, signature) =
            SthBody::parse(raw).map_err(|why| HeadError::Malformed(format!("not an STH: {why}")))?;
        check_origin(&body.origin, key)?;
        if body.key_id != sth::sth_key_id(key.verifier().raw()) {
            return Err(HeadError::NotSigned("the keyId is not that of the pinned log key".to_owned()));
        }
        match key.verifier().public_key().verify(&body.signed_bytes(), &signature) {
            Ok(()) => {}
            Err(SignatureError::Disagreement(what)) => return Err(HeadError::Disagreement(what.to_string())),
            Err(_) => return Err(HeadError::NotSigned("the STH's signature does not verify".to_owned())),
        }
        Ok(Head {
            format: HeadFormat::Sth,
            statement: sha256(&body.signed_bytes()),
            origin: body.origin,
            size: body.size,
            root: body.root,
            timestamp: Some(body.timestamp),
            raw: utf8(raw)?,
        })
    }

    /// The format in which it was signed.
    pub fn format(&self) -> HeadFormat {
        self.format
    }

    /// The origin of its log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree of that many leaves.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// When it was signed, as the log says; `None` for a checkpoint.
    pub fn timestamp(&self) -> Option<UnixMillis> {
        self.timestamp
    }

    /// The head as received, byte for byte.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The same head with only the log's own signature. Other signature lines, up to a hundred of them, can come from
    /// anybody: they are not part of the log's statement and not worth storing.
    pub fn without_cosignatures(self, key: &LogKey) -> Head {
        let bare = match self.format {
            HeadFormat::Sth => None,
            HeadFormat::Checkpoint => {
                Note::parse(self.raw.as_bytes()).ok().and_then(|note| note.with_only(key.verifier()))
            }
        };
        match bare {
            Some(raw) => Head { raw, ..self },
            None => self,
        }
    }

    /// SHA-256 of the bytes that the log signed. It identifies the log's statement, regardless of the cosignatures on the
    /// received copy.
    pub fn statement(&self) -> Hash {
        self.statement
    }
}

fn check_origin(origin: &str, key: &LogKey) -> Result<(), HeadError> {
    if origin == key.origin() {
        return Ok(());
    }
    Err(HeadError::NotSigned(format!("it is of log {origin:?}, not of {:?}", key.origin())))
}

fn utf8(raw: &[u8]) -> Result<String, HeadError> {
    String::from_utf8(raw.to_vec()).map_err(|_| HeadError::Malformed("not UTF-8".to_owned()))
}
