//! The pure core: bytes, policy and time in, values out.
//!
//! These modules open no file or socket, read no clock, run no SQL, print nothing, and import no other part of the crate.
//! `tests/library/imports.rs` checks both rules.
//!
//! | module | holds |
//! |---|---|
//! | [`webauthn`] | passkey assertions: `assertion` checks one, with its signature, against nonce, payload and relying party |
//! | [`entry`], [`payload`], [`reveal`], [`email`] | a leaf of the log, and what it commits to |
//! | [`jcs`], [`object`], [`encoding`], [`text`] | canonical JSON, strict text encodings, escaping |
//! | [`time`] | moments, and how they are shown |
//! | [`hash`], [`tree`], [`proof`], [`tile`], [`second_opinion`] | the Merkle tree of RFC 6962, its proofs and tiles |
//! | [`head`], [`checkpoint`], [`sth`], [`note`], [`verifier_key`] | signed tree heads and the keys that sign them |
//! | [`tlog_policy`], [`tlog_proof`], [`receipt`] | witness policies, proofs and receipts in the formats of C2SP and of the specification |
//! | [`crypto`] | signatures, each by two implementations where there are two |
//! | [`evidence`] | misbehaviour files: what proves equivocation to anybody |
//! | [`api`] | the answers of the JSON API |
//! | [`check`], [`finding`] | the tables of checks and of finding codes |
//! | [`limits`] | every bound on what comes from outside |

pub mod api;
pub mod check;
pub mod checkpoint;
pub mod crypto;
pub mod email;
pub mod encoding;
pub mod entry;
pub mod evidence;
pub mod finding;
pub mod hash;
pub mod head;
pub mod jcs;
pub mod limits;
pub mod note;
pub mod object;
pub mod payload;
pub mod proof;
pub mod receipt;
pub mod reveal;
pub mod second_opinion;
pub mod sth;
pub mod text;
pub mod tile;
pub mod time;
pub mod tlog_policy;
pub mod tlog_proof;
pub mod tree;
pub mod verifier_key;
pub mod webauthn;
