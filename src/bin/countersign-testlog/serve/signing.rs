//! Heads as a log signs them, the current one and all that it ever signed.

use super::super::heads::LogSigner;
use countersign::core::hash::{Hash, sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// One signed head in both formats.
#[derive(Clone, Debug)]
pub struct SignedHead {
    pub size: u64,
    pub root: Hash,
    /// Of the STH, in Unix milliseconds.
    pub time: u64,
    pub sth: Vec<u8>,
    pub checkpoint: Vec<u8>,
}

/// An STH as the list of heads has it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub size: u64,
    pub time: u64,
    pub sth: Vec<u8>,
}

impl From<&SignedHead> for Listed {
    fn from(head: &SignedHead) -> Listed {
        Listed { size: head.size, time: head.time, sth: head.sth.clone() }
    }
}

/// Who signs, and how.
#[derive(Clone)]
pub struct Pen {
    pub signer: LogSigner,
    /// How far ahead of the clock STHs are dated, in milliseconds.
    pub ahead: i64,
    /// Whether the STH names another root than the checkpoint.
    pub disagrees: bool,
}

impl Pen {
    /// Signs the head of `size` leaves with `root`.
    pub fn sign(&self, size: u64, root: Hash, time: u64) -> SignedHead {
        let in_sth = if self.disagrees { another(root) } else { root };
        SignedHead {
            size,
            root,
            time,
            sth: self.signer.sth(size, in_sth, time),
            checkpoint: self.signer.checkpoint(size, root).into_bytes(),
        }
    }

    /// The time that this pen writes now, later than `last`: a list of heads can then be cut anywhere.
    pub fn time_after(&self, last: u64) -> u64 {
        now().saturating_add_signed(self.ahead).max(last.saturating_add(1))
    }
}

/// The root of a tree that nobody has the leaves of.
pub fn another(root: Hash) -> Hash {
    sha256(root.as_bytes())
}

/// Unix milliseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
