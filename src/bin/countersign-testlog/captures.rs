//! `demo`: a log of passkey assertions that a real browser and authenticator made.
//!
//! The bytes of the assertions are as captured. Ids, times and heads are generated. An assertion that should not be in a log
//! is included like any other, and the auditor must find it.

use super::args::DemoOptions;
use super::assertion::Site;
use super::build::workers;
use super::heads::{LogSigner, publish};
use super::seed::Seed;
use super::tiles::write_log;
use crate::error::TestlogError;
use countersign::core::entry::{AssertionJson, CredentialJson, Decision, ENTRY_TYPE, EntryJson};
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// Time between decisions, in milliseconds; with the jitter 30 to 60 seconds.
const INTERVAL_MS: u64 = 45_000;

/// The largest random delay of a decision, in milliseconds.
const JITTER_MS: u64 = 15_000;

/// How long a request is open, in milliseconds.
const OPEN_MS: u64 = 300_000;

/// A file of captures. Unused members are left out here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Captures {
    rp_id: String,
    origin: String,
    #[serde(default)]
    credentials: Vec<Credential>,
    assertions: Vec<Captured>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    credential_id: String,
    public_key_cose: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Captured {
    approver: String,
    credential_id: String,
    /// The key, if it is not in the list of credentials.
    public_key_cose: Option<String>,
    nonce: String,
    payload_hash: String,
    authenticator_data: String,
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    signature: String,
}

/// Makes the log. Every capture becomes an approved entry, in the order of the files and their contents.
pub fn demo(options: &DemoOptions) -> Result<(), TestlogError> {
    let files = options.captures.iter().map(|path| read(path)).collect::<Result<Vec<Captures>, _>>()?;
    let first = files.first().ok_or("no captures")?;
    if files.iter().any(|file| (&file.rp_id, &file.origin) != (&first.rp_id, &first.origin)) {
        return Err("the captures have different relying parties".into());
    }
    let site = Site { rp_id: first.rp_id.clone(), origin: first.origin.clone() };
    let keys: HashMap<&str, &str> = files
        .iter()
        .flat_map(|file| &file.credentials)
        .map(|known| (known.credential_id.as_str(), known.public_key_cose.as_str()))
        .collect();
    let captured: Vec<&Captured> = files.iter().flat_map(|file| &file.assertions).collect();
    let seed = Seed::new(&options.seed);
    let signer = LogSigner::new(&seed, &options.origin);
    LogKey::parse(&signer.vkey()).map_err(|why| format!("--origin: {why}"))?;
    let size = captured.len() as u64;
    let tree = write_log(&options.dir, size, workers(None), |index| {
        let captured = captured[index as usize];
        let key = captured
            .public_key_cose
            .as_deref()
            .or_else(|| keys.get(captured.credential_id.as_str()).copied());
        let key = key.ok_or_else(|| format!("capture {index} has an unknown credential"))?;
        Ok(leaf(options, &seed, &site, captured, key, index))
    })?;
    let time = UnixMillis::new(options.start + size * INTERVAL_MS + JITTER_MS);
    publish(&options.dir, &signer, &site, size, &tree, time)
}

fn read(path: &Path) -> Result<Captures, TestlogError> {
    let fail = |why: String| TestlogError::from(format!("{}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))
}

fn leaf(
    options: &DemoOptions,
    seed: &Seed,
    site: &Site,
    captured: &Captured,
    key: &str,
    index: u64,
) -> Vec<u8> {
    let decided_at = options.start + index * INTERVAL_MS + seed.below("decided at", index, JITTER_MS);
    let requested_at = decided_at - 2_000 - seed.below("thought", index, 26_000);
    EntryJson {
        r#type: ENTRY_TYPE.into(),
        origin: options.origin.as_str().into(),
        id: seed.uuid("id", index).into(),
        decision: Decision::Approved.as_str().into(),
        requested_at: UnixMillis::new(requested_at),
        decided_at: UnixMillis::new(decided_at),
        expires_at: UnixMillis::new(requested_at + OPEN_MS),
        approver: captured.approver.as_str().into(),
        rp_id: site.rp_id.as_str().into(),
        credential: Some(CredentialJson {
            id: captured.credential_id.as_str().into(),
            public_key: key.into(),
        }),
        nonce: captured.nonce.as_str().into(),
        payload_encoding: "jcs-payload".into(),
        payload_hash: captured.payload_hash.as_str().into(),
        assertion: Some(AssertionJson {
            authenticator_data: captured.authenticator_data.as_str().into(),
            client_data_json: captured.client_data_json.as_str().into(),
            signature: captured.signature.as_str().into(),
        }),
        reveal_commitment: None,
    }
    .to_canonical()
}
