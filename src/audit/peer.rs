//! What came of comparing with a peer: somebody else who was shown heads of the same log.

/// One peer in one audit. Nothing in it is held against the log: what the peer's heads prove is in the findings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerResult {
    /// As the config calls it.
    pub name: String,
    /// Whether it answered.
    pub reached: bool,
    /// Heads that were not known before.
    pub heads_new: u64,
    /// Why not everything that it holds could be compared, in one line; `None` where all was.
    pub error: Option<String>,
    /// How often in a row that was so, this time included.
    pub failures: u64,
}
