//! The pure core: bytes, policy and time in, values out.
//!
//! Nothing in here opens a file or a socket, asks for the time, runs SQL or prints, and nothing in
//! here imports another part of the crate; `tests/library/imports.rs` keeps both rules.

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
pub mod tlog_policy;
pub mod tlog_proof;
pub mod tree;
pub mod verifier_key;
pub mod webauthn;
