//! Why a key or a signature is refused, and disagreements of two libraries about it.

use crate::core::encoding::encode_hex;
use std::fmt;

/// Two implementations gave different answers: a fault of this crate or of a library. It says nothing about the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// The implementations, the subject, and the bytes that a bug report needs.
    pub about: String,
}

impl Disagreement {
    pub(super) fn over_key(who: &str, key: &[u8]) -> Disagreement {
        Disagreement {
            about: format!("{who} disagree whether a public key is valid; key {}", encode_hex(key)),
        }
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two cryptographic libraries disagree, so nothing is concluded: {}", self.about)
    }
}

impl std::error::Error for Disagreement {}

/// Why bytes are not a public key of this profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyError {
    /// Not a valid key, according to both implementations or to a rule of the specification.
    Malformed(&'static str),
    /// A key of an algorithm outside this profile.
    Unsupported(&'static str),
    /// A point of the curve under which no signature is valid: of small order, or not in canonical form (specification
    /// section 3).
    Weak(&'static str),
    /// The implementations differ.
    Disagreement(Disagreement),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Malformed(why) | KeyError::Unsupported(why) | KeyError::Weak(why) => f.write_str(why),
            KeyError::Disagreement(disagreement) => disagreement.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

/// Why a signature was not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SignatureError {
    /// Not the encoding of a signature: wrong length, not strict DER, r or s out of range.
    Malformed(&'static str),
    /// A well-formed signature, but not one by this key over this message.
    Invalid,
    /// The implementations differ.
    Disagreement(Disagreement),
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignatureError::Malformed(why) => f.write_str(why),
            SignatureError::Invalid => f.write_str("the signature does not verify"),
            SignatureError::Disagreement(disagreement) => disagreement.fmt(f),
        }
    }
}

impl std::error::Error for SignatureError {}
