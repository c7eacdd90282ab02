//! Signature verification by two independent implementations.
//!
//! A valid signature proves that a key signed a message (specification section 9, steps 12 and 13, and section 3). It
//! proves nothing about who holds the key.
//!
//! A rejection becomes a public accusation, so no single library may decide it: a second, independent implementation
//! must confirm every rejection before it is reported. If the two differ, the result is a [`Disagreement`], which accuses
//! nobody. An acceptance is not checked twice: it accuses nobody, and it happens for every entry of a log.
//!
//! | | first opinion | second opinion |
//! |---|---|---|
//! | ES256, ES384 | aws-lc-rs | p256, p384 |
//! | RS256 | aws-lc-rs | rsa |
//! | EdDSA | ed25519-dalek, strict | aws-lc-rs |
//! | ML-DSA-44 | aws-lc-rs | ml-dsa |

mod algorithm;
mod ecdsa;
mod ed25519;
mod error;
mod ml_dsa_44;
mod opinion;
mod rsa_pkcs1;
mod spki;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{self as aws, ParsedPublicKey, UnparsedPublicKey};

pub use self::algorithm::Algorithm;
use self::algorithm::verification;
pub use self::error::{Disagreement, KeyError, SignatureError};
use self::opinion::{Opinion, both, disagreement};
use crate::core::hash::{Hash, sha256};

/// A public key that both implementations parsed and accepted. Clones share the same data.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    identity: Hash,
    aws: ParsedPublicKey,
    other: Other,
}

/// The key in the implementation that is not aws-lc-rs.
enum Other {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Rsa(rsa::PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    MlDsa44(ml_dsa_44::VerifyingKey),
}

impl PublicKey {
    /// A P-256 key for ES256: an uncompressed point, `04 ‖ x ‖ y` (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: the point is compressed, infinite or off the curve.
    pub fn p256(point: &[u8; 65]) -> Result<PublicKey, KeyError> {
        let other = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Other::P256);
        PublicKey::on_curve(Algorithm::Es256, point, other)
    }

    /// A P-384 key for ES384: an uncompressed point, `04 ‖ x ‖ y` (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: the point is compressed, infinite or off the curve.
    pub fn p384(point: &[u8; 97]) -> Result<PublicKey, KeyError> {
        let other = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Other::P384);
        PublicKey::on_curve(Algorithm::Es384, point, other)
    }

    fn on_curve(algorithm: Algorithm, point: &[u8], other: Option<Other>) -> Result<PublicKey, KeyError> {
        if point.first() != Some(&4) {
            return Err(KeyError::Malformed("the point is not in uncompressed form"));
        }
        let aws = ParsedPublicKey::new(verification(algorithm), point).ok();
        let pair = both(aws, other, "aws-lc-rs and p256/p384", point)?;
        let (aws, other) = pair.ok_or(KeyError::Malformed("the point is not on the curve"))?;
        Ok(PublicKey::new(algorithm, point, aws, other))
    }

    /// An Ed25519 key of 32 bytes (RFC 8032 section 5.1.5) under strict rules: canonical, on the curve and not of small
    /// order. A signature under a small-order key is valid for almost any message (specification section 3).
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: another length, or not a point of the curve. [`KeyError::Weak`]: a point that the strict
    /// rules refuse.
    pub fn ed25519(bytes: &[u8]) -> Result<PublicKey, KeyError> {
        let bytes =
            <[u8; 32]>::try_from(bytes).map_err(|_| KeyError::Malformed("an Ed25519 key has 32 bytes"))?;
        let dalek = ed25519::parse_key(&bytes)?;
        // aws-lc-rs checks the point only when it verifies, so `parse_key` has its own second opinion.
        let aws = ParsedPublicKey::new(verification(Algorithm::EdDsa), bytes).map_err(|_| {
            KeyError::Disagreement(Disagreement::over_key("aws-lc-rs and ed25519-dalek", &bytes))
        })?;
        Ok(PublicKey::new(Algorithm::EdDsa, &bytes, aws, Other::Ed25519(dalek)))
    }

    /// An RSA key for RS256: modulus and exponent, both big-endian without leading zeros. The modulus has 2,048 to 8,192
    /// bits (specification section 9.12). The exponent is odd, at least 3, and below 2^33, the limit of both
    /// implementations.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for anything else.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, KeyError> {
        let (aws, other) = rsa_pkcs1::parse_key(modulus, exponent)?;
        // The length comes first, so that another split of the same bytes has another identity.
        let mut material = u64::try_from(modulus.len()).unwrap_or(u64::MAX).to_be_bytes().to_vec();
        material.extend_from_slice(modulus);
        material.extend_from_slice(exponent);
        Ok(PublicKey::new(Algorithm::Rs256, &material, aws, Other::Rsa(other)))
    }

    /// An ML-DSA-44 key of 1,312 bytes (FIPS 204 section 7.2), for signatures without a context.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for any other length. Any 1,312 bytes are a key.
    pub fn ml_dsa_44(bytes: &[u8]) -> Result<PublicKey, KeyError> {
        let (aws, other) = ml_dsa_44::parse_key(bytes)?;
        Ok(PublicKey::new(Algorithm::MlDsa44, bytes, aws, Other::MlDsa44(other)))
    }

    fn new(algorithm: Algorithm, material: &[u8], aws: ParsedPublicKey, other: Other) -> PublicKey {
        let mut tagged = format!("{}\0", algorithm.as_str()).into_bytes();
        tagged.extend_from_slice(material);
        PublicKey(Arc::new(Inner { algorithm, identity: sha256(&tagged), aws, other }))
    }

    /// The key's algorithm, the only one that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// SHA-256 over the algorithm and the key in a normal form. It does not depend on how the COSE_Key or
    /// SubjectPublicKeyInfo was encoded.
    pub fn identity(&self) -> Hash {
        self.0.identity
    }

    /// Verifies `signature` over `message`.
    ///
    /// - ECDSA: strict DER with r and s in [1, n−1]; high s is accepted.
    /// - RS256: PKCS#1 v1.5 (RFC 8017 section 8.2.2), exactly as long as the modulus.
    /// - Ed25519: strict, with S < L, canonical A and R, and no small-order A or R.
    /// - ML-DSA-44: pure, with an empty context.
    ///
    /// # Errors
    /// [`SignatureError`]. The second implementation has confirmed a rejection.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key = &*self.0;
        let second = match &key.other {
            Other::Ed25519(dalek) => return ed25519::verify(dalek, &key.aws, message, signature),
            _ if key.aws.verify_sig(message, signature).is_ok() => return Ok(()),
            Other::P256(other) => ecdsa::p256_der(other, message, signature),
            Other::P384(other) => ecdsa::p384_der(other, message, signature),
            Other::Rsa(other) => rsa_pkcs1::opinion(other, message, signature),
            Other::MlDsa44(other) => ml_dsa_44::opinion(other, message, signature),
        };
        Err(self.confirm(second, message, signature))
    }

    /// Like [`PublicKey::verify`], for ECDSA signatures in the fixed-length form `r ‖ s` (IEEE P1363), which WebAuthn
    /// never uses.
    ///
    /// # Errors
    /// As [`PublicKey::verify`]; [`SignatureError::Malformed`] for keys that are not on a NIST curve.
    pub fn verify_p1363(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key = &*self.0;
        let aws_accepts =
            |form| UnparsedPublicKey::new(form, key.aws.as_ref()).verify(message, signature).is_ok();
        let second = match &key.other {
            Other::P256(_) if aws_accepts(&aws::ECDSA_P256_SHA256_FIXED) => return Ok(()),
            Other::P384(_) if aws_accepts(&aws::ECDSA_P384_SHA384_FIXED) => return Ok(()),
            Other::P256(other) => ecdsa::p256_fixed(other, message, signature),
            Other::P384(other) => ecdsa::p384_fixed(other, message, signature),
            Other::Rsa(_) | Other::Ed25519(_) | Other::MlDsa44(_) => {
                return Err(SignatureError::Malformed("r ‖ s is a form of ECDSA signatures only"));
            }
        };
        Err(self.confirm(second, message, signature))
    }

    /// The error to report for a signature that the first implementation rejected.
    fn confirm(&self, second: Opinion, message: &[u8], signature: &[u8]) -> SignatureError {
        match second {
            Opinion::Invalid => SignatureError::Invalid,
            Opinion::Malformed(why) => SignatureError::Malformed(why),
            Opinion::Valid => {
                disagreement(self.0.algorithm.as_str(), self.0.aws.as_ref(), message, signature)
            }
        }
    }
}

#[cfg(test)]
impl PublicKey {
    /// An Ed25519 key whose two implementations hold different keys. It simulates a library with a bug.
    pub(crate) fn mismatched(
        dalek: ed25519_dalek::VerifyingKey,
        aws: ed25519_dalek::VerifyingKey,
    ) -> PublicKey {
        let aws = ParsedPublicKey::new(verification(Algorithm::EdDsa), aws.as_bytes()).unwrap();
        PublicKey::new(Algorithm::EdDsa, b"mismatched", aws, Other::Ed25519(dalek))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm().as_str(), self.identity())
    }
}
