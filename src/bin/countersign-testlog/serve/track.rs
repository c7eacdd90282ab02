//! One history with the heads that were signed of it, and how it grows.

use super::history::History;
use super::ids::Ids;
use super::signing::{Listed, Pen, SignedHead};
use countersign::core::hash::Hash;

/// What one audience is shown.
pub struct Track {
    pub history: History,
    pub ids: Ids,
    /// The head that is served.
    pub current: SignedHead,
    /// The list of heads.
    pub listed: Vec<Listed>,
    /// Who signs; `None` where the key is not known.
    pub pen: Option<Pen>,
    /// Whether entries are appended as time passes.
    pub grows: bool,
    /// Whether heads are signed as entries are appended.
    pub signs: bool,
}

impl Track {
    /// A history whose only head is `current`.
    pub fn new(history: History, current: SignedHead, pen: Option<Pen>) -> Track {
        let listed = vec![Listed::from(&current)];
        Track { history, ids: Ids::default(), current, listed, pen, grows: true, signs: true }
    }

    /// The time of the newest head that was ever signed.
    pub fn last_time(&self) -> u64 {
        self.listed.iter().map(|head| head.time).max().unwrap_or(0).max(self.current.time)
    }

    /// Signs a head of the first `size` entries as the current one.
    pub fn sign(&mut self, size: u64, time: u64) -> Result<(), String> {
        let pen = self.pen.as_ref().ok_or("the log's private key is not known")?;
        let root = self.root(size)?;
        self.current = pen.sign(size, root, time);
        self.listed.push(Listed::from(&self.current));
        Ok(())
    }

    pub fn root(&self, size: u64) -> Result<Hash, String> {
        self.history.root(size).ok_or_else(|| format!("the log has fewer than {size} entries"))
    }

    /// Appends entries and signs the head that covers them.
    pub fn append<'a>(&mut self, leaves: impl IntoIterator<Item = &'a [u8]>) -> Result<(), String> {
        for leaf in leaves {
            self.history.push(leaf)?;
        }
        match &self.pen {
            Some(pen) if self.signs => {
                let time = pen.time_after(self.last_time());
                self.sign(self.history.len(), time)
            }
            _ => Ok(()),
        }
    }
}
