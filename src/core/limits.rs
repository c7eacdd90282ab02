//! Every bound on untrusted input, with its source.
//!
//! Input beyond a bound is an error or a finding. It is never truncated.

use std::time::Duration;

/// Leaf length in bytes: the 16-bit length prefix of an entry bundle (specification section 2;
/// C2SP tlog-tiles "Log Entries").
pub const MAX_LEAF: usize = 65_535;

/// Hashes in a full tile and entries in a full bundle (C2SP tlog-tiles: tile height 8).
pub const TILE_WIDTH: u16 = 256;

/// A full entry bundle of the longest leaves: 256 × (2 + 65,535) bytes.
pub const MAX_BUNDLE: usize = 256 * (2 + MAX_LEAF);

/// A full Merkle tile: 256 hashes of 32 bytes.
pub const MAX_TILE: usize = 256 * 32;

/// A checkpoint with its signature lines. C2SP tlog-checkpoint sets no bound. C2SP tlog-policy recommends room for 32
/// witnesses: 32 ML-DSA-44 cosignatures under the longest names (255 bytes) take 112 KB, and 32 Ed25519 cosignatures
/// 12 KB. The rest is for the text and the log's own line.
pub const MAX_CHECKPOINT: usize = 128 * 1024;

/// Signature lines in a note. Go's `sumdb/note` stops at 100; C2SP signed-note asks for at least 16.
pub const MAX_NOTE_SIGNATURES: usize = 100;

/// Hashes of an inclusion path: a tree of 2^64 leaves has that many levels.
pub const MAX_PATH: usize = 64;

/// A tlog-proof text. The longest checkpoint, a path, and the longest leaf in base64 as `extra` take 217 KiB.
pub const MAX_TLOG_PROOF: usize = 256 * 1024;

/// A receipt: an entry and a tlog-proof with every character escaped, an STH, a reveal as in
/// [`MAX_BUNDLE_ANSWER`], and anchors.
pub const MAX_RECEIPT: usize = 2 * 1024 * 1024;

/// A JSON signed tree head: seven short members, of which only the origin has no fixed length.
pub const MAX_STH: usize = 16 * 1024;

/// `GET head` of the JSON API: an STH, and a checkpoint with every character escaped as `\uXXXX`.
pub const MAX_HEAD_ANSWER: usize = 6 * MAX_CHECKPOINT + MAX_STH + 1024;

/// `GET consistency` and `GET inclusion`: at most 65 hashes in hex, with quotation marks and commas.
pub const MAX_PROOF_ANSWER: usize = 16 * 1024;

/// A public reveal. The specification sets no bound; a payload is meant to be read by a person.
pub const MAX_REVEAL: usize = 512 * 1024;

/// `GET entries/<id>/verification`: an entry with every character escaped, a head, and a reveal.
pub const MAX_BUNDLE_ANSWER: usize = 6 * MAX_LEAF + MAX_HEAD_ANSWER + MAX_REVEAL;

/// STHs requested at once with `GET heads`.
pub const HEADS_PAGE: u64 = 1000;

/// `GET heads`: a full page of STHs whose origin is as long as any host name and path.
pub const MAX_HEADS_ANSWER: usize = 4 * 1024 * 1024;

/// An origin or key name: a line of a note. C2SP sets no bound; this is longer than any host name and path.
pub const MAX_ORIGIN: usize = 1024;

/// A misbehaviour file: two heads, 128 nodes, and an unsigned context.
pub const MAX_EVIDENCE: usize = 1024 * 1024;

/// A witness policy file (C2SP tlog-policy). The format recommends support for 32 logs, 32 witnesses with ML-DSA-44 keys
/// and 32 groups, which take 70 KB. The rest is for comments and larger policies.
pub const MAX_POLICY: usize = 1024 * 1024;

/// Largest integer on the wire: 2^53 − 1 (specification section 1; RFC 7493 section 2.2).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// JSON nesting in entries, receipts and client data (specification sections 1 and 9.2).
pub const MAX_JSON_DEPTH: usize = 16;

/// JSON nesting in a revealed payload (specification section 1).
pub const MAX_PAYLOAD_DEPTH: usize = 32;

/// A caller's JSON payload in bytes. Parsed JSON can take twelve times its length (`[0,0,…]`), and a receipt check should
/// need little memory. Payloads in other encodings are hashed as they are read.
pub const MAX_JSON_PAYLOAD: usize = 2 * 1024 * 1024;

/// Entry id length in characters (specification section 2).
pub const MAX_ID: usize = 64;

/// Approver name length in bytes (specification section 2).
pub const MAX_APPROVER: usize = 128;

/// Relying party id in bytes, if stored for queries: a domain name (RFC 1035 section 2.3.4).
pub const MAX_RP_ID: usize = 255;

/// Nonce length in bytes, both ends included (specification section 2).
pub const NONCE_LEN: std::ops::RangeInclusive<usize> = 16..=64;

/// clientDataJSON in bytes (specification section 9.1).
pub const MAX_CLIENT_DATA: usize = 8_192;

/// authenticatorData in bytes, both ends included (specification section 9.1; WebAuthn section 6.1
/// for the 37).
pub const AUTHENTICATOR_DATA_LEN: std::ops::RangeInclusive<usize> = 37..=4_096;

/// Assertion signature in bytes (specification section 9.1): RS256 with an 8,192-bit key.
pub const MAX_SIGNATURE: usize = 1_024;

/// COSE_Key in bytes (specification section 9.1).
pub const MAX_COSE_KEY: usize = 2_048;

/// Credential id in bytes, both ends included (specification section 9.1; WebAuthn section 4).
pub const CREDENTIAL_ID_LEN: std::ops::RangeInclusive<usize> = 1..=1_023;

/// RSA modulus in bits, both ends included (specification section 9.12).
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Nesting of a CBOR item. CTAP2 canonical CBOR allows 4 levels; extensions may use a few more.
pub const MAX_CBOR_DEPTH: usize = 16;

/// How far a head's time may be ahead of the local clock before `head-in-future`: ordinary clock skew
/// (Kerberos, RFC 4120 section 5.2.3, tolerates the same five minutes).
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// How long one response of a log may lag behind another (its head behind its list of heads, or the reverse) before this
/// is a finding. Caches cause such lags, and RFC 6962 section 3 gives logs a day to merge.
pub const LAG: Duration = Duration::from_secs(60 * 60);

/// How far the clocks of a log's signers may differ, the bound included. An STH of a smaller size that is
/// later than a larger one by at most this is `sth-time-disorder` (specification section 10); by more it is
/// `sth-time-contradiction`.
pub const MAX_SIGNER_SKEW: Duration = Duration::from_secs(60);

/// How much later an entry's decision time may be than the first STH that covers the entry
/// (specification section 10, `decided-after-head`).
pub const DECIDED_AFTER_HEAD: Duration = Duration::from_secs(10 * 60);
