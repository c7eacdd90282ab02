//! Why a key or a signature is not accepted, and that two libraries differ about it.

use crate::core::encoding::encode_hex;
use std::fmt;

/// Two implementations gave different answers. A fault of ours, or of a library: it says nothing
/// about the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// Which implementations, about what, and the bytes that a report of the bug needs.
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
    /// Not a valid key; both implementations say so, or a rule of the specification does.
    Malformed(&'static str),
    /// A key of an algorithm outside this profile.
    Unsupported(&'static str),
    /// A point of the curve under which no signature counts: of small order, or not written in its
    /// one form (specification section 3). What such a key is said to have signed is not signed.
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
    /// A well-formed signature that this key did not make over this message.
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
