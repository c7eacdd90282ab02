//! Two implementations side by side: what the second one says, and what follows where they differ.

use super::error::{Disagreement, KeyError, SignatureError};
use crate::core::encoding::encode_hex;
use crate::core::hash::sha256;

/// The second implementation's verdict on a signature that the first one rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opinion {
    Valid,
    Invalid,
    Malformed(&'static str),
}

/// Both values, or `None` if there is neither. Only one of them is a disagreement.
pub(super) fn both<A, B>(
    first: Option<A>,
    second: Option<B>,
    who: &str,
    key: &[u8],
) -> Result<Option<(A, B)>, KeyError> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        _ => Err(KeyError::Disagreement(Disagreement::over_key(who, key))),
    }
}

/// The error for a signature that only one of the two accepts.
pub(super) fn disagreement(algorithm: &str, key: &[u8], message: &[u8], signature: &[u8]) -> SignatureError {
    SignatureError::Disagreement(Disagreement {
        about: format!(
            "aws-lc-rs and its second opinion on {algorithm}: key {}, message of {} bytes with SHA-256 {}, signature {}",
            encode_hex(key),
            message.len(),
            sha256(message),
            encode_hex(signature)
        ),
    })
}
