//! Logs made here, honest or not: any leaves, any head, signed with a test key.

use super::lab::Files;
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::encoding::{encode_base64, encode_base64url, encode_hex};
use countersign::core::hash::{Hash, leaf_hash, sha256_pair};
use countersign::core::note::{KeyKind, derive_key_id};
use countersign::core::sth::SthBody;
use countersign::core::tile::{TilePath, tiles_for_size};
use countersign::core::time::UnixMillis;
use countersign::core::tree::CompactRange;
use ed25519_dalek::{Signer as _, SigningKey};

/// The origin of logs made here.
pub const ORIGIN: &str = "log.test.example/1";

/// When the STHs of logs made here are dated, unless a test says otherwise.
pub const HEAD_TIME: u64 = 1_782_000_000_000;

/// A log's private key.
pub struct TestKey(SigningKey);

impl TestKey {
    /// One key for one seed.
    pub fn new(seed: u8) -> TestKey {
        TestKey(SigningKey::from_bytes(&[seed; 32]))
    }

    fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn id(&self) -> [u8; 4] {
        derive_key_id(ORIGIN, KeyKind::Ed25519, &self.public())
    }

    /// What an auditor pins.
    pub fn vkey(&self) -> String {
        let typed = [&[1u8][..], &self.public()].concat();
        format!("{ORIGIN}+{}+{}", encode_hex(&self.id()), encode_base64(&typed))
    }

    /// A signature line over any text.
    pub fn signature_line(&self, text: &str) -> String {
        let signature = self.0.sign(text.as_bytes()).to_bytes();
        format!("\u{2014} {ORIGIN} {}\n", encode_base64(&[&self.id()[..], &signature].concat()))
    }

    /// A signed checkpoint over any size and root.
    pub fn checkpoint(&self, size: u64, root: Hash) -> Vec<u8> {
        let body = CheckpointBody { origin: ORIGIN.to_owned(), size, root, extensions: Vec::new() };
        let text = body.to_text();
        format!("{text}\n{}", self.signature_line(&text)).into_bytes()
    }

    /// A signed STH over any size and root.
    pub fn sth(&self, size: u64, root: Hash, timestamp: u64) -> Vec<u8> {
        let key_id = sha256_pair(b"approval-log-sth/v1\0", &self.public()).0;
        let key_id: [u8; 8] = key_id[..8].try_into().unwrap();
        let body =
            SthBody { origin: ORIGIN.to_owned(), size, root, timestamp: UnixMillis::new(timestamp), key_id };
        body.to_json(&self.0.sign(&body.signed_bytes()).to_bytes())
    }
}

/// The RFC 6962 root of leaves.
pub fn root_of(leaves: &[Vec<u8>]) -> Hash {
    let mut range = CompactRange::new(0);
    for leaf in leaves {
        range.append_leaf(leaf_hash(leaf)).unwrap();
    }
    range.root()
}

/// A bundle of entries.
pub fn bundle_of(leaves: &[Vec<u8>]) -> Vec<u8> {
    let prefixed =
        leaves.iter().map(|leaf| [&u16::try_from(leaf.len()).unwrap().to_be_bytes()[..], leaf].concat());
    prefixed.collect::<Vec<_>>().concat()
}

/// Everything that an honest tiled log of these leaves serves, without heads.
pub fn tiles_of(leaves: &[Vec<u8>]) -> Files {
    let mut files = Files::new();
    for (n, bundle) in leaves.chunks(256).enumerate() {
        let (index, width) = (n as u64, u16::try_from(bundle.len()).unwrap());
        files.insert(TilePath::Entries { index, width }.to_path(), bundle_of(bundle));
    }
    for run in tiles_for_size(leaves.len() as u64) {
        let (level, width) = (run.level, run.width);
        for index in run.indices {
            let span = 1usize << (8 * u32::from(level));
            let first = usize::try_from(index).unwrap() * 256 * span;
            let hashes = (0..usize::from(width)).map(|slot| {
                let start = first + slot * span;
                root_of(&leaves[start..start + span]).0
            });
            let bytes = hashes.collect::<Vec<_>>().concat();
            files.insert(TilePath::Hash { level, index, width }.to_path(), bytes);
        }
    }
    files
}

/// An honest log of these leaves: tiles, checkpoint, STH.
pub fn honest_log(key: &TestKey, leaves: &[Vec<u8>]) -> Files {
    let (size, root) = (leaves.len() as u64, root_of(leaves));
    let mut files = tiles_of(leaves);
    files.insert("checkpoint".to_owned(), key.checkpoint(size, root));
    files.insert("sth".to_owned(), key.sth(size, root, HEAD_TIME));
    files
}

/// An entry that nobody approved: valid, and without a passkey.
pub fn rejected(id: &str) -> serde_json::Value {
    serde_json::json!({
        "type": "approval-log-entry/v1", "origin": ORIGIN, "id": id, "decision": "rejected",
        "requestedAt": HEAD_TIME - 50_000, "decidedAt": HEAD_TIME - 40_000, "expiresAt": HEAD_TIME + 50_000,
        "approver": "alex", "rpId": super::cli::RP_ID, "credential": null,
        "nonce": encode_base64url(&countersign::core::hash::sha256(id.as_bytes()).0),
        "payloadEncoding": "jcs-payload", "payloadHash": "00".repeat(32), "assertion": null,
        "revealCommitment": null,
    })
}

/// The leaf of an entry.
pub fn leaf(entry: &serde_json::Value) -> Vec<u8> {
    countersign::core::jcs::canonicalize(entry.to_string().as_bytes(), 16).unwrap()
}

/// So many valid entries without passkeys.
pub fn rejected_leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| leaf(&rejected(&format!("entry-{n}")))).collect()
}
