//! The log key and signed heads (specification section 3).

use super::assertion::Site;
use super::output;
use super::seed::Seed;
use super::tiles::{Tree, replace};
use crate::error::TestlogError;
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::encoding::{encode_base64, encode_hex};
use countersign::core::hash::Hash;
use countersign::core::note::{KeyKind, derive_key_id};
use countersign::core::sth::{SthBody, sth_key_id};
use countersign::core::time::UnixMillis;
use ed25519_dalek::{Signer as _, SigningKey};
use std::path::Path;

/// The key of a test log.
#[derive(Clone)]
pub struct LogSigner {
    key: SigningKey,
    origin: String,
}

impl LogSigner {
    pub fn new(seed: &Seed, origin: &str) -> LogSigner {
        LogSigner { key: SigningKey::from_bytes(&seed.bytes("log key", 0)), origin: origin.to_owned() }
    }

    /// Another key with the same name.
    pub fn other(seed: &Seed, origin: &str) -> LogSigner {
        LogSigner { key: SigningKey::from_bytes(&seed.bytes("log key", 1)), origin: origin.to_owned() }
    }

    fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn key_id(&self) -> [u8; 4] {
        derive_key_id(&self.origin, KeyKind::Ed25519, &self.public())
    }

    /// The verifier key: `origin+keyid+base64(0x01 ‖ key)`.
    pub fn vkey(&self) -> String {
        let typed = [&[0x01][..], &self.public()].concat();
        format!("{}+{}+{}", self.origin, encode_hex(&self.key_id()), encode_base64(&typed))
    }

    /// A signed checkpoint.
    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        let body = CheckpointBody { origin: self.origin.clone(), size, root, extensions: Vec::new() };
        let text = body.to_text();
        let signature = [&self.key_id()[..], &self.key.sign(text.as_bytes()).to_bytes()].concat();
        format!("{text}\n\u{2014} {} {}\n", self.origin, encode_base64(&signature))
    }

    /// A signed STH.
    pub fn sth(&self, size: u64, root: Hash, timestamp: UnixMillis) -> Vec<u8> {
        let key_id = sth_key_id(&self.public());
        let body = SthBody { origin: self.origin.clone(), size, root, timestamp, key_id };
        body.to_json(&self.key.sign(&body.signed_bytes()).to_bytes())
    }
}

/// Signs the head of a tree after its files were written, and prints how to audit the log.
pub fn publish(
    dir: &Path,
    signer: &LogSigner,
    site: &Site,
    size: u64,
    tree: &Tree,
    time: UnixMillis,
) -> Result<(), TestlogError> {
    let root = tree.root();
    replace(dir, "sth", &signer.sth(size, root, time))?;
    replace(dir, "checkpoint", signer.checkpoint(size, root).as_bytes())?;
    let (vkey, rp_id, origin) = (signer.vkey(), &site.rp_id, &site.origin);
    output::note(&format!(
        "countersign audit --init --db mirror.db --log '{}' --log-key '{vkey}' --rp-id '{rp_id}' --allow-origin \
         '{origin}'",
        dir.display()
    ));
    let line = serde_json::json!({
        "logKey": vkey, "rpId": rp_id, "allowOrigins": [origin], "treeSize": size, "rootHash": root.to_string(),
    });
    output::print(&format!("{line}\n"))
}
