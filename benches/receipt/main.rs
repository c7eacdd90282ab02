//! How fast a receipt is checked, and against what: `cargo bench --bench receipt` prints a Markdown table.
//!
//! The yardstick of the library call is the signature verifications that the receipt contains, made with
//! the same libraries and nothing else: the log's Ed25519 under the checkpoint (and under the STH, where
//! there is one) and the passkey's ES256, whose key comes with the receipt and is parsed for it. The two
//! are measured in turns, and the median of the ratios counts. The whole process is measured cold:
//! started, run and waited for, with its peak memory as the kernel saw it.
#![forbid(unsafe_code)]

mod process;

use countersign::core::time::UnixMillis;
use countersign::{Expectation, LogKey, Payload, TrustPolicy, verify_receipt};
use ed25519_dalek::{Signature, VerifyingKey};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Signature checks and calls in one turn, and turns.
const TURN: u32 = 200;
const TURNS: usize = 41;

/// The number of receipts in one run.
const MANY: usize = 10_000;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/receipts")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect("the receipts are in fixtures/receipts")
}

fn main() {
    println!("| measure | reached | target |\n|---|---|---|");
    library("library call, part of its two signatures' time", "good-no-sth.json", None, "≤ 1.15");
    library(
        "the same with an STH, of three signatures'",
        "good-payload.json",
        Some("good-payload.payload"),
        "≤ 1.15",
    );
    let one = process::one();
    println!("| `countersign verify`, whole process, median of {} | {:.1} ms | ≤ 5 ms |", one.runs, one.ms);
    println!("| the same, peak memory | {:.1} MB | ≤ 12 MB |", one.peak_mb);
    let receipts: Vec<String> = {
        let text = String::from_utf8(read("good-payload.json")).expect("UTF-8");
        vec![text; MANY]
    };
    let many = process::many(&receipts);
    println!("| {MANY} receipts on stdin, all cores | {:.2} s, {:.0}/s |  |", many.seconds, many.rate);
    println!("| the same, part of one core's rate times {} | {:.2} | ≥ 0.8 |", many.cores, many.scaling);
    println!("| {MANY} receipts in a directory | {:.2} s |  |", many.directory_seconds);
}

/// The signatures of a receipt and the signed bytes, parsed once.
struct Signatures {
    log: VerifyingKey,
    heads: Vec<(Vec<u8>, Signature)>,
    passkey: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Signatures {
    fn verify(&self) {
        for (message, signature) in &self.heads {
            self.log.verify_strict(message, signature).expect("a good receipt");
        }
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, &self.passkey);
        key.verify(&self.signed, &self.signature).expect("a good receipt");
    }
}

fn library(what: &str, receipt: &str, payload: Option<&str>, target: &str) {
    let (bytes, payload) = (read(receipt), payload.map(read));
    let trust = trust();
    let expected = Expectation { payload: payload.as_deref().map(Payload::Bytes), ..Expectation::default() };
    let signatures = take_apart(&bytes, &trust);
    let call = || {
        black_box(verify_receipt(black_box(&bytes), &trust, &expected, UnixMillis::new(1_795_000_000_000)))
    };
    assert!(call().is_clean());
    let mut ratios = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..TURNS {
        let bound = timed(|| signatures.verify());
        let ours = timed(|| drop(call()));
        ratios.push(ours / bound);
        calls.push(ours * 1e6);
    }
    println!("| {what} | {:.2} ({:.0} µs) | {target} |", median(&mut ratios), median(&mut calls));
}

fn timed(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..TURN {
        work();
    }
    start.elapsed().as_secs_f64() / f64::from(TURN)
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn case(name: &str) -> String {
    let cases: serde_json::Value = serde_json::from_slice(&read("cases.json")).expect("JSON");
    cases[name].as_str().expect("text").to_owned()
}

fn trust() -> TrustPolicy {
    let key = LogKey::parse(&case("logKey")).expect("a vkey");
    TrustPolicy::new(key, "approvals.example", "https://approvals.example")
}

fn take_apart(bytes: &[u8], trust: &TrustPolicy) -> Signatures {
    use countersign::core::{encoding, hash, note, receipt, sth};
    let receipt = receipt::Receipt::parse(bytes).expect("a receipt");
    let log = trust.log_keys[0].verifier().raw().try_into().expect("32 bytes");
    let note = note::Note::parse(&receipt.checkpoint).expect("a note");
    let signature = |bytes: &[u8]| Signature::from_slice(bytes).expect("64 bytes");
    let mut heads = vec![(note.text().as_bytes().to_vec(), signature(&note.signatures()[0].signature))];
    if let Some(raw) = &receipt.sth {
        let (body, bytes) = sth::SthBody::parse(raw).expect("an STH");
        heads.push((body.signed_bytes(), signature(&bytes)));
    }
    let entry: serde_json::Value = serde_json::from_slice(&receipt.leaf).expect("an entry");
    let part = |path: &str| {
        let text = entry.pointer(path).and_then(|text| text.as_str()).expect("a member");
        encoding::decode_base64url(text).expect("base64url")
    };
    let cose = part("/credential/publicKey");
    // a5 01 02 03 26 20 01 21 5820 x 22 5820 y
    let passkey = [&[4][..], &cose[10..42], &cose[45..77]].concat();
    let client_data = hash::sha256(&part("/assertion/clientDataJSON"));
    let signed = [&part("/assertion/authenticatorData")[..], client_data.as_bytes()].concat();
    Signatures {
        log: VerifyingKey::from_bytes(&log).expect("a key"),
        heads,
        passkey,
        signed,
        signature: part("/assertion/signature"),
    }
}
