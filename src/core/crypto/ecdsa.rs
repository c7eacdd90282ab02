//! The second opinion on ECDSA: p256 and p384 (SEC 1 section 4.1.4; DER as in RFC 3279 section 2.2.3).
//!
//! These curves do not normalise s, so high s is accepted like low s (specification section 9.13).

use super::opinion::Opinion;
use p256::ecdsa::signature::Verifier;

const NOT_DER: &str = "not a strict DER signature with r and s in range";
const NOT_FIXED: &str = "not r ‖ s of the curve's length with both in range";

pub(super) fn p256_der(key: &p256::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Opinion {
    verdict(key, message, p256::ecdsa::Signature::from_der(signature), NOT_DER)
}

pub(super) fn p384_der(key: &p384::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Opinion {
    verdict(key, message, p384::ecdsa::Signature::from_der(signature), NOT_DER)
}

/// A signature in the form `r ‖ s`.
pub(super) fn p256_fixed(key: &p256::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Opinion {
    verdict(key, message, p256::ecdsa::Signature::from_slice(signature), NOT_FIXED)
}

/// A signature in the form `r ‖ s`.
pub(super) fn p384_fixed(key: &p384::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Opinion {
    verdict(key, message, p384::ecdsa::Signature::from_slice(signature), NOT_FIXED)
}

fn verdict<K: Verifier<S>, S, E>(
    key: &K,
    message: &[u8],
    signature: Result<S, E>,
    why: &'static str,
) -> Opinion {
    match signature {
        Err(_) => Opinion::Malformed(why),
        Ok(signature) if key.verify(message, &signature).is_ok() => Opinion::Valid,
        Ok(_) => Opinion::Invalid,
    }
}
