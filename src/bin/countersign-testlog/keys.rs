//! Software passkeys. Their signatures are deterministic, so that one seed makes one log.
//!
//! ES256 and ES384 sign with the nonces of RFC 6979, EdDSA as RFC 8032 has it, RS256 with PKCS#1
//! v1.5. RSA keys cannot be derived from a seed with what this crate has, so there are four, made by
//! `openssl genpkey` and published here: they are for tests alone.

use super::seed::Seed;
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

/// How many people can have an RS256 passkey: one public key belongs to one approver.
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
    /// There is no such RSA key.
    pub fn new(algorithm: Algorithm, seed: &Seed, number: u32) -> Result<Signer, String> {
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
            Algorithm::MlDsa44 => Err("no passkey of this profile has ML-DSA-44".to_owned()),
        }
    }

    /// Signs as an authenticator does: ECDSA in DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
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

/// The same COSE_Key with the name of its key type in place of the number, as some authenticators write it.
pub fn with_named_kty(cose: &[u8]) -> Vec<u8> {
    // {1: kty, …}: every key made here begins so.
    let name: &[u8] = match cose[2] {
        1 => b"\x63OKP",
        2 => b"\x63EC2",
        _ => b"\x63RSA",
    };
    [&cose[..2], name, &cose[3..]].concat()
}

/// A passkey: a private key and how its authenticator behaves.
pub struct Passkey {
    pub approver: String,
    pub credential_id: Vec<u8>,
    pub cose: Vec<u8>,
    pub signer: Signer,
    pub habit: Habit,
}

/// What an authenticator says of itself, the same for the whole life of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// A security key: never backed up, counts its signatures.
    Counting,
    /// A platform authenticator that keeps its keys and does not count.
    Bound,
    /// A synced passkey: may be backed up, is, does not count.
    Synced,
    /// A passkey that could be synced and is not.
    Unsynced,
}

impl Habit {
    /// The flags of an assertion (WebAuthn section 6.1): UP and UV, and BE and BS as they apply.
    pub fn flags(self) -> u8 {
        match self {
            Habit::Counting | Habit::Bound => 0x05,
            Habit::Synced => 0x1d,
            Habit::Unsynced => 0x0d,
        }
    }

    /// The counter in entry `index`. It counts for all relying parties, so it jumps; what matters is
    /// that it grows in log order whoever signs, and that no earlier entry is needed to know it.
    pub fn sign_count(self, index: u64) -> u32 {
        match self {
            Habit::Counting => u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX),
            Habit::Bound | Habit::Synced | Habit::Unsynced => 0,
        }
    }
}
