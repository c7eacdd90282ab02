//! Signed heads, and the list of them.

use super::super::heads::LogSigner;
use countersign::core::hash::{Hash, sha256};
use countersign::core::time::{TICK, UnixMillis, whole_millis};
use std::time::{SystemTime, UNIX_EPOCH};

/// One signed head in both formats.
#[derive(Clone, Debug)]
pub struct SignedHead {
    pub size: u64,
    pub root: Hash,
    /// The time of the STH.
    pub time: UnixMillis,
    pub sth: Vec<u8>,
    pub checkpoint: Vec<u8>,
}

/// An STH in the list of heads.
#[derive(Clone, Debug)]
pub struct ListedHead {
    pub size: u64,
    pub time: UnixMillis,
    pub sth: Vec<u8>,
}

impl From<&SignedHead> for ListedHead {
    fn from(head: &SignedHead) -> ListedHead {
        ListedHead { size: head.size, time: head.time, sth: head.sth.clone() }
    }
}

/// Signs heads with the log's key, honestly or not.
#[derive(Clone)]
pub struct HeadSigner {
    pub signer: LogSigner,
    /// The offset of STH times from the clock, in milliseconds.
    pub ahead: i64,
    /// Whether the STH names another root than the checkpoint.
    pub disagrees: bool,
}

impl HeadSigner {
    /// Signs the head of `size` leaves with `root`.
    pub fn sign(&self, size: u64, root: Hash, time: UnixMillis) -> SignedHead {
        let in_sth = if self.disagrees { another(root) } else { root };
        SignedHead {
            size,
            root,
            time,
            sth: self.signer.sth(size, in_sth, time),
            checkpoint: self.signer.checkpoint(size, root).into_bytes(),
        }
    }

    /// The time for a head that is signed now. It is later than `last`, so that any time can separate two pages of the list.
    pub fn time_after(&self, last: UnixMillis) -> UnixMillis {
        let shown = UnixMillis::new(now().get().saturating_add_signed(self.ahead));
        shown.max(last.saturating_add(TICK))
    }
}

/// The root of a tree without known leaves.
pub fn another(root: Hash) -> Hash {
    sha256(root.as_bytes())
}

/// What the clock of this machine shows.
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(whole_millis(since))
}
