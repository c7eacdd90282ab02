//! The verify-only bound: every signature of a log, verified with the fastest functions of aws-lc-rs.
//!
//! Reading, decoding, parsing keys and hashing client data happen before the clock starts.

use super::log::BenchLog;
use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::ParsedPublicKey;
use countersign::core::entry::read_leaf;
use countersign::core::hash::sha256;
use countersign::core::tile::{TilePath, parse_bundle, width_at};
use countersign::core::webauthn::CosePublicKey;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::{BoxedUint, PublicKey as RsaKey};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One signature: the key's place, what was signed, the signature.
struct Signed {
    key: usize,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// All signatures to verify.
pub struct Work {
    keys: Vec<ParsedPublicKey>,
    signed: Vec<Signed>,
}

impl Work {
    /// Reads all entries of a log.
    pub fn read(log: &BenchLog) -> Work {
        let origin = log.text("logKey").split('+').next().expect("a vkey begins with the origin");
        let mut work = Work { keys: Vec::new(), signed: Vec::new() };
        let mut known = HashMap::new();
        for index in 0..log.size().div_ceil(256) {
            let width = width_at(0, index, log.size()).expect("the log has this bundle");
            let path = log.dir.join(TilePath::Entries { index, width }.to_path());
            let bytes = std::fs::read(path).expect("the log has this bundle");
            for leaf in parse_bundle(&bytes, width).expect("a bundle") {
                let entry = read_leaf(leaf, origin).entry.expect("an entry");
                let Some(signed) = entry.assertion else { continue };
                let keys = &mut work.keys;
                let key = *known.entry(signed.public_key).or_insert_with_key(|cose| {
                    keys.push(parse_key(cose));
                    keys.len() - 1
                });
                let hash = sha256(&signed.client_data_json);
                let message = [signed.authenticator_data.as_slice(), hash.as_bytes()].concat();
                work.signed.push(Signed { key, message, signature: signed.signature });
            }
        }
        work
    }

    /// How many signatures there are.
    pub fn signatures(&self) -> u64 {
        self.signed.len() as u64
    }

    /// Verifies them all on this number of threads.
    pub fn verify_all(&self, threads: usize) -> Duration {
        let next = AtomicUsize::new(0);
        let chunks: Vec<&[Signed]> = self.signed.chunks(256).collect();
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        for one in *chunk {
                            let verified = self.keys[one.key].verify_sig(&one.message, &one.signature);
                            verified.expect("the log is honest");
                        }
                    }
                });
            }
        });
        start.elapsed()
    }
}

fn parse_key(cose: &[u8]) -> ParsedPublicKey {
    let parsed = match CosePublicKey::decode(cose).expect("a COSE key") {
        CosePublicKey::Es256 { x, y } => {
            ParsedPublicKey::new(&aws::ECDSA_P256_SHA256_ASN1, [&[4][..], x, y].concat())
        }
        CosePublicKey::Es384 { x, y } => {
            ParsedPublicKey::new(&aws::ECDSA_P384_SHA384_ASN1, [&[4][..], x, y].concat())
        }
        CosePublicKey::EdDsa { x } => ParsedPublicKey::new(&aws::ED25519, x),
        CosePublicKey::Rs256 { n, e } => {
            let key = RsaKey::new(BoxedUint::from_be_slice_vartime(n), BoxedUint::from_be_slice_vartime(e));
            let der = key.expect("an RSA key").to_pkcs1_der().expect("it has a DER form");
            ParsedPublicKey::new(&aws::RSA_PKCS1_2048_8192_SHA256, der.as_bytes())
        }
    };
    parsed.expect("a valid key")
}
