//! A view of the log: one history with its signed heads, and how it grows.

use super::history::History;
use super::ids::IdIndex;
use super::signing::{HeadSigner, ListedHead, SignedHead};
use crate::error::TestlogError;
use countersign::core::hash::Hash;
use countersign::core::time::UnixMillis;

/// The view of one audience.
pub struct LogView {
    pub history: History,
    pub ids: IdIndex,
    /// The served head.
    pub current: SignedHead,
    /// The list of heads.
    pub listed: Vec<ListedHead>,
    /// The signer of heads; `None` if the key is not known.
    pub signer: Option<HeadSigner>,
    /// Whether entries are appended as time passes.
    pub grows: bool,
    /// Whether heads are signed as entries are appended.
    pub signs: bool,
}

impl LogView {
    /// A history whose only head is `current`.
    pub fn new(history: History, current: SignedHead, signer: Option<HeadSigner>) -> LogView {
        let listed = vec![ListedHead::from(&current)];
        LogView { history, ids: IdIndex::default(), current, listed, signer, grows: true, signs: true }
    }

    /// The time of the newest signed head.
    pub fn last_time(&self) -> UnixMillis {
        self.listed.iter().map(|head| head.time).max().unwrap_or_default().max(self.current.time)
    }

    /// Signs a head for the first `size` entries, which becomes the current one.
    pub fn sign(&mut self, size: u64, time: UnixMillis) -> Result<(), TestlogError> {
        let signer = self.signer.as_ref().ok_or("the log's private key is not known")?;
        let root = self.root(size)?;
        self.current = signer.sign(size, root, time);
        self.listed.push(ListedHead::from(&self.current));
        Ok(())
    }

    pub fn root(&self, size: u64) -> Result<Hash, TestlogError> {
        self.history.root(size).ok_or_else(|| format!("the log has fewer than {size} entries").into())
    }

    /// Appends entries and signs a head for them.
    pub fn append<'a>(&mut self, leaves: impl IntoIterator<Item = &'a [u8]>) -> Result<(), TestlogError> {
        for leaf in leaves {
            self.history.push(leaf)?;
        }
        match &self.signer {
            Some(signer) if self.signs => {
                let time = signer.time_after(self.last_time());
                self.sign(self.history.len(), time)
            }
            _ => Ok(()),
        }
    }
}
