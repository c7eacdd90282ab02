//! SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER, in exactly one form for each algorithm.

use super::{KeyError, PublicKey};
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs1::der::Decode;
use rsa::pkcs8::SubjectPublicKeyInfoRef;

/// The DER before the uncompressed point of a named curve (RFC 5480), and before the 32 bytes of Ed25519 (RFC 8410).
/// These keys have fixed lengths, so each has exactly one such prefix.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// A SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7; RFC 5480 for curves, RFC 3279 for RSA, RFC 8410 for
    /// Ed25519), as found in configuration and in C2SP verifier keys.
    ///
    /// Only one implementation reads the outer structure: such a key comes from the user, not from the log, so refusing it
    /// accuses nobody.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for another algorithm or form; otherwise the errors of the constructor for its algorithm.
    pub fn from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
        let length = |_| KeyError::Malformed("the point has the wrong length");
        if let Some(point) = der.strip_prefix(P256) {
            PublicKey::p256(point.try_into().map_err(length)?)
        } else if let Some(point) = der.strip_prefix(P384) {
            PublicKey::p384(point.try_into().map_err(length)?)
        } else if let Some(key) = der.strip_prefix(ED25519) {
            PublicKey::ed25519(key)
        } else {
            rsa(der)
        }
    }
}

fn rsa(der: &[u8]) -> Result<PublicKey, KeyError> {
    let malformed = KeyError::Malformed("not a SubjectPublicKeyInfo in DER");
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| malformed.clone())?;
    if info.algorithm.oid != rsa::pkcs1::ALGORITHM_OID {
        return Err(KeyError::Unsupported("a key of an algorithm or form outside this profile"));
    }
    // RFC 3279 section 2.3.1: the parameters are NULL.
    let null = info.algorithm.parameters.is_some_and(|parameters| parameters.is_null());
    let bits = info.subject_public_key.as_bytes().filter(|_| null).ok_or(malformed.clone())?;
    let key = RsaPublicKeyRef::from_der(bits).map_err(|_| malformed)?;
    PublicKey::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
}
