//! Passkeys in software: they sign whatever a test wants signed.

use super::cli::{RP_ID, WEB_ORIGIN};
use countersign::core::encoding::{decode_hex, encode_base64url};
use countersign::core::hash::sha256;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

/// UP and UV.
pub const PRESENT_AND_VERIFIED: u8 = 0x05;

/// BE: may be backed up.
pub const BACKUP_ELIGIBLE: u8 = 0x08;

/// One ES256 passkey.
#[derive(Clone)]
pub struct Passkey {
    /// The private key.
    pub secret: SigningKey,
    /// What it is called.
    pub credential_id: Vec<u8>,
    /// Flags of the next assertion.
    pub flags: u8,
    /// Counter of the next assertion; it does not count by itself.
    pub count: u32,
    /// Where it signs.
    pub origin: String,
}

impl Passkey {
    /// One passkey for one seed, which is not 0.
    pub fn new(seed: u8) -> Passkey {
        Passkey {
            secret: SigningKey::from_slice(&[seed; 32]).unwrap(),
            credential_id: vec![seed; 16],
            flags: PRESENT_AND_VERIFIED,
            count: 0,
            origin: WEB_ORIGIN.to_owned(),
        }
    }

    /// The same with this counter.
    pub fn counting(&self, count: u32) -> Passkey {
        Passkey { count, ..self.clone() }
    }

    /// The public key as COSE_Key.
    pub fn cose(&self) -> Vec<u8> {
        let point = self.secret.verifying_key().to_sec1_bytes();
        let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        [&head[..], &point[1..33], &[0x22, 0x58, 0x20], &point[33..]].concat()
    }

    /// The public key as COSE_Key with `kty` as text, as some authenticators write it.
    pub fn named_cose(&self) -> Vec<u8> {
        let cose = self.cose();
        [&cose[..2], b"\x63EC2", &cose[3..]].concat()
    }

    /// The authenticator data of the next assertion.
    pub fn auth_data(&self) -> Vec<u8> {
        [&sha256(RP_ID.as_bytes()).0[..], &[self.flags], &self.count.to_be_bytes()].concat()
    }

    /// An entry that nobody approved, approved by this passkey.
    pub fn approve(&self, entry: Value) -> Value {
        self.approve_over(entry, &self.auth_data())
    }

    /// The same over any authenticator data.
    pub fn approve_over(&self, mut entry: Value, auth_data: &[u8]) -> Value {
        let text = |name: &str| entry[name].as_str().unwrap();
        let nonce = countersign::core::encoding::decode_base64url(text("nonce")).unwrap();
        let challenge = [nonce, decode_hex(text("payloadHash")).unwrap()].concat();
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"{}","crossOrigin":false}}"#,
            encode_base64url(&challenge),
            self.origin
        );
        let signed = [auth_data, &sha256(client_data.as_bytes()).0].concat();
        let signature: Signature = self.secret.sign(&signed);
        entry["decision"] = "approved".into();
        entry["credential"] = json!({
            "id": encode_base64url(&self.credential_id), "publicKey": encode_base64url(&self.cose()),
        });
        entry["assertion"] = json!({
            "authenticatorData": encode_base64url(auth_data),
            "clientDataJSON": encode_base64url(client_data.as_bytes()),
            "signature": encode_base64url(signature.to_der().as_bytes()),
        });
        entry
    }
}
