//! RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2): key rules and the second opinion.

use super::algorithm::{Algorithm, verification};
use super::error::KeyError;
use super::opinion::{Opinion, both};
use crate::core::hash::sha256;
use crate::core::limits::RSA_BITS;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey as RsaPublicKey};

/// The DER before the digest in a SHA-256 DigestInfo (RFC 8017 section 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// Applies the rules of the specification, then those of both implementations.
pub(super) fn parse_key(
    modulus: &[u8],
    exponent: &[u8],
) -> Result<(ParsedPublicKey, RsaPublicKey), KeyError> {
    // RFC 8230 section 4: the fewest octets. A leading zero would give one key two encodings.
    if starts_with_zero(modulus) || starts_with_zero(exponent) {
        return Err(KeyError::Malformed("an RSA modulus or exponent is empty or starts with a zero"));
    }
    // The length comes first: no arithmetic on a number of unbounded size.
    if exponent.len() > 8 {
        return Err(KeyError::Malformed("the RSA exponent is above 2^33 − 1"));
    }
    if modulus.len() > *RSA_BITS.end() / 8 {
        return Err(KeyError::Malformed("the RSA modulus is longer than 8,192 bits"));
    }
    let (n, e) = (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
    if !usize::try_from(n.bit_width_vartime()).is_ok_and(|bits| RSA_BITS.contains(&bits)) {
        return Err(KeyError::Malformed("the RSA modulus is shorter than 2,048 bits"));
    }
    if exponent == [1] || exponent.last().is_some_and(|last| last % 2 == 0) {
        return Err(KeyError::Malformed("the RSA exponent is even or 1"));
    }
    let other = RsaPublicKey::new_with_size_limits(n, e, RSA_BITS).ok();
    let pair = both(aws_key(modulus, exponent), other, "aws-lc-rs and rsa", modulus)?;
    pair.ok_or(KeyError::Malformed("not a valid RSA key: even modulus, or exponent above 2^33 − 1"))
}

fn starts_with_zero(number: &[u8]) -> bool {
    matches!(number, [] | [0, ..])
}

/// Parses the key as DER, because aws-lc-rs does not validate a key that is given as components.
fn aws_key(modulus: &[u8], exponent: &[u8]) -> Option<ParsedPublicKey> {
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
    ParsedPublicKey::new(verification(Algorithm::Rs256), der.as_ref()).ok()
}

/// The verdict of `rsa` on a signature that aws-lc-rs rejected.
pub(super) fn opinion(key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> Opinion {
    let scheme = Pkcs1v15Sign { hash_len: Some(32), prefix: Box::new(SHA256_DIGEST_INFO) };
    if key.verify(scheme, &sha256(message).0, signature).is_ok() {
        Opinion::Valid
    } else if signature.len() != key.size() {
        Opinion::Malformed("an RSA signature is as long as its modulus")
    } else {
        Opinion::Invalid
    }
}
