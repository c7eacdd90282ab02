//! Software passkeys. Their signatures are deterministic, so that a seed always makes the same log.
//!
//! ES256 and ES384 use the nonces of RFC 6979, EdDSA follows RFC 8032, and RS256 uses PKCS#1 v1.5. The dependencies of this
//! crate cannot derive RSA keys from a seed, so there are four fixed ones, made by `openssl genpkey` and published here.
//! They are only for tests.

use super::seed::Seed;
use crate::error::TestlogError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use countersign::core::crypto::Algorithm;
use ed25519_dalek::Signer as _;

const RSA_KEYS: [&[u8]; 4] = [
    include_bytes!("keys/test-only-rsa-1.pkcs8.der"),
    include_bytes!("keys/test-only-rsa-2.pkcs8.der"),
    include_bytes!("keys/test-only-rsa-3.pkcs8.der"),
    include_bytes!("keys/test-only-rsa-4.pkcs8.der"),
];

/// The number of approvers with an RS256 passkey: a public key belongs to one approver.
pub const MAX_RSA: u32 = 4;

/// A private key of one of the four algorithms.
pub enum Signer {
    Es256(Box<p256::ecdsa::SigningKey>),
    Es384(Box<p384::ecdsa::SigningKey>),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Box<ed25519_dalek::SigningKey>),
}

impl Signer {
    /// Key `number` of this algorithm.
    ///
    /// # Errors
    /// There is no such RSA key, or the algorithm is not one for passkeys.
    pub fn new(algorithm: Algorithm, seed: &Seed, number: u32) -> Result<Signer, TestlogError> {
        let secret = seed.bytes(algorithm.as_str(), u64::from(number));
        match algorithm {
            Algorithm::Es256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&secret).map_err(|e| e.to_string())?;
                Ok(Signer::Es256(Box::new(key)))
            }
            Algorithm::Es384 => {
                // The order of P-384 begins with 24 bytes of ones; the zeros keep the scalar below it.
                let secret = [&[0; 16][..], &secret].concat();
                let key = p384::ecdsa::SigningKey::from_slice(&secret).map_err(|e| e.to_string())?;
                Ok(Signer::Es384(Box::new(key)))
            }
            Algorithm::EdDsa => Ok(Signer::EdDsa(Box::new(ed25519_dalek::SigningKey::from_bytes(&secret)))),
            Algorithm::Rs256 => {
                let der = usize::try_from(number).ok().and_then(|number| RSA_KEYS.get(number));
                let der = der.ok_or_else(|| format!("there are only {MAX_RSA} RSA keys"))?;
                let key = RsaKeyPair::from_pkcs8(der).map_err(|e| e.to_string())?;
                Ok(Signer::Rs256(Box::new(key)))
            }
            Algorithm::MlDsa44 => Err("no passkey of this profile has ML-DSA-44".into()),
        }
    }

    /// Signs like an authenticator, with ECDSA signatures in DER.
    ///
    /// # Errors
    /// The library could not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TestlogError> {
        match self {
            Signer::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).map_err(|e| e.to_string())?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Signer::Es384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(message).map_err(|e| e.to_string())?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Signer::EdDsa(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Signer::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|e| e.to_string())?;
                Ok(signature)
            }
        }
    }

    /// The public key as a COSE_Key in CTAP2 canonical CBOR.
    pub fn cose(&self) -> Vec<u8> {
        match self {
            Signer::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
                let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01];
                on_curve(&head, &point.as_bytes()[1..], 0x20)
            }
            Signer::Es384(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                // {1: 2, 3: -35, -1: 2, -2: x, -3: y}
                let head = [0xa5, 0x01, 0x02, 0x03, 0x38, 0x22, 0x20, 0x02];
                on_curve(&head, &point.as_bytes()[1..], 0x30)
            }
            Signer::EdDsa(key) => {
                // {1: 1, 3: -8, -1: 6, -2: x}
                let head = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [&head[..], key.verifying_key().as_bytes()].concat()
            }
            Signer::Rs256(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                // {1: 3, 3: -257, -1: n, -2: e} with 256 bytes of modulus and 3 of exponent
                let head = [0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00];
                [&head[..], n, &[0x21, 0x43], e].concat()
            }
        }
    }
}

fn on_curve(head: &[u8], coordinates: &[u8], length: u8) -> Vec<u8> {
    let (x, y) = coordinates.split_at(usize::from(length));
    [head, &[0x21, 0x58, length], x, &[0x22, 0x58, length], y].concat()
}

/// The same COSE_Key with the name of its key type instead of the number, as some authenticators write it.
pub fn with_named_kty(cose: &[u8]) -> Vec<u8> {
    // Every key from this module begins with {1: kty, …}.
    let name: &[u8] = match cose[2] {
        1 => b"\x63OKP",
        2 => b"\x63EC2",
        _ => b"\x63RSA",
    };
    [&cose[..2], name, &cose[3..]].concat()
}

/// A passkey: a private key and the behaviour of its authenticator.
pub struct Passkey {
    pub approver: String,
    pub credential_id: Vec<u8>,
    pub cose: Vec<u8>,
    pub signer: Signer,
    pub kind: AuthenticatorKind,
}

/// The kind of authenticator, which is the same for the whole life of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthenticatorKind {
    /// A security key: its keys are never backed up, and it counts its signatures.
    SecurityKey,
    /// A platform authenticator: its keys stay on the device, and it does not count.
    Platform,
    /// A synced passkey: backup eligible and backed up, without a counter.
    Synced,
    /// A passkey that is backup eligible but not backed up, without a counter.
    NotSynced,
}

impl AuthenticatorKind {
    /// The flags of an assertion (WebAuthn section 6.1): UP and UV, and BE and BS as they apply.
    pub fn flags(self) -> u8 {
        match self {
            AuthenticatorKind::SecurityKey | AuthenticatorKind::Platform => 0x05,
            AuthenticatorKind::Synced => 0x1d,
            AuthenticatorKind::NotSynced => 0x0d,
        }
    }

    /// The counter in entry `index`. A real one counts for all relying parties, so it jumps. This one grows in log order
    /// for every signer, and does not depend on earlier entries. It saturates, which takes 2^32 entries.
    pub fn sign_count(self, index: u64) -> u32 {
        match self {
            AuthenticatorKind::SecurityKey => u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX),
            AuthenticatorKind::Platform | AuthenticatorKind::Synced | AuthenticatorKind::NotSynced => 0,
        }
    }
}
