//! The interface of a log as it is served: its heads, entries and tiles, and what only the JSON API answers.

use super::error::FetchError;
use crate::core::api::{HeadsPage, VerificationBundle};
use crate::core::proof::{ConsistencyProof, InclusionProof};

/// Leaves in log order, verbatim.
pub type Leaves = Vec<Vec<u8>>;

/// The newest head in both of its formats, verbatim and unverified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServedHead {
    /// At most [`MAX_CHECKPOINT`](crate::core::limits::MAX_CHECKPOINT) bytes, unless a longer checkpoint was
    /// inside a JSON answer.
    pub checkpoint: Result<Vec<u8>, FetchError>,
    /// The same for [`MAX_STH`](crate::core::limits::MAX_STH). `None` if a tiled log serves no STH, which
    /// specification section 4 allows.
    pub sth: Result<Option<Vec<u8>>, FetchError>,
}

/// What is between the log and the auditor, and may lag behind the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lag {
    /// Nothing: the log itself is read.
    None,
    /// Caches, which may serve an earlier state of the log for a while.
    Caches,
    /// Replicas, each of which may be behind the others, and caches.
    Replicas,
}

/// One log, as it is served. Every answer is verbatim and unverified.
pub trait LogSource: Send + Sync {
    /// Where the log is read from, for reports: escaped, and without the credentials of a URL.
    fn location(&self) -> String;

    /// The newest head.
    fn head(&self) -> ServedHead;

    /// Leaves `256 * n` up to, but not including, `256 * n + width`, of a log of at least that size. `width` is
    /// 1 to 256, and the answer has exactly that many leaves.
    ///
    /// # Errors
    /// [`FetchError`]: the leaves were not served, or fewer or more than these.
    fn leaves(&self, n: u64, width: u16) -> Result<Leaves, FetchError>;

    /// The first `width` (1 to 256) hashes of Merkle tile `n` of `level`, verbatim and unchecked.
    ///
    /// If [`has_tiles`](Self::has_tiles) is false, this is always `NotFound`, which is not a gap then.
    ///
    /// # Errors
    /// [`FetchError`]: the tile was not served.
    fn tile(&self, level: u8, n: u64, width: u16) -> Result<Vec<u8>, FetchError>;

    /// The public reveal of the entry `id`, at most [`MAX_REVEAL`](crate::core::limits::MAX_REVEAL) bytes.
    /// `None` if there is none, or if the id cannot be part of a path. The JSON API serves reveals in its
    /// verification bundles, and none here.
    ///
    /// # Errors
    /// [`FetchError`], other than that there is none.
    fn reveal(&self, _id: &str) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(None)
    }

    /// Waits a moment before something that was wrong is read again, because a directory may be being written
    /// to. Waits only a few times. Over HTTP a file is served whole or not at all, so this does nothing.
    ///
    /// # Errors
    /// The run was told to stop.
    fn settle(&self) -> Result<(), FetchError> {
        Ok(())
    }

    /// Returns whether what is still missing or wrong after [`settle`](Self::settle) may be held against the
    /// log. Call it before every accusation.
    ///
    /// # Errors
    /// It may not: the directory was changing meanwhile, as while it is being copied; or the run was told to
    /// stop.
    fn confirm(&self) -> Result<(), FetchError> {
        Ok(())
    }

    /// Starts a run. With `tolerate_changes`, the default, what is missing or wrong in a directory that changes
    /// is not held against the log in this run.
    fn start_run(&self, _forgiving: bool) {}

    /// Whether [`confirm`](Self::confirm) refused an accusation in this run because the directory was changing.
    fn tolerated_change(&self) -> bool {
        false
    }

    /// What may lag behind the log here.
    fn lag(&self) -> Lag {
        Lag::None
    }

    /// The resource that this machine had run out of when something could not be fetched
    /// ([`FetchError::Unavailable`]). The log is not at fault then.
    fn resource_exhaustion(&self) -> Option<String> {
        None
    }

    /// Whether this kind of source has Merkle tiles at all (the JSON API does not).
    fn has_tiles(&self) -> bool;

    /// The requests that only the JSON API answers.
    fn api(&self) -> Option<&dyn LogApi>;

    /// How many fetches may usefully run at once; at least 1. An upper bound for a caller's threads.
    fn parallelism(&self) -> usize;
}

/// What the JSON API answers besides heads and entries. Nothing in it is verified.
pub trait LogApi: Send + Sync {
    /// The leaf at this index, verbatim.
    ///
    /// # Errors
    /// [`FetchError`]: it was not served.
    fn leaf(&self, index: u64) -> Result<Vec<u8>, FetchError>;

    /// The proof that the tree of `first` leaves is a prefix of the tree of `second` leaves.
    ///
    /// # Errors
    /// [`FetchError`]: no proof for these sizes was served.
    fn consistency(&self, first: u64, second: u64) -> Result<ConsistencyProof, FetchError>;

    /// The proof of leaf `index` in the tree of `tree_size` leaves.
    ///
    /// # Errors
    /// [`FetchError`]: no proof for this leaf was served.
    fn inclusion(&self, index: u64, tree_size: u64) -> Result<InclusionProof, FetchError>;

    /// What a verifier of the approval `id` needs; `None` if the id cannot be part of a URL.
    ///
    /// # Errors
    /// [`FetchError`]: no bundle was served.
    fn verification(&self, id: &str) -> Result<Option<VerificationBundle>, FetchError>;

    /// A page of the STHs that the log ever signed: at most `limit`, after the cursor `after`.
    ///
    /// # Errors
    /// [`FetchError`]: no such page was served.
    fn history(&self, after: u64, limit: u64) -> Result<HeadsPage, FetchError>;
}
