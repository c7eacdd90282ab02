//! The result of comparing heads with a peer: another party that was shown heads of the same log.

/// One peer in one audit. Nothing here counts against the log: contradictions that the peer's heads prove are
/// findings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerResult {
    /// The name in the config.
    pub name: String,
    /// Whether it answered.
    pub reached: bool,
    /// The number of heads that were not known before.
    pub heads_new: u64,
    /// Why some of the peer's heads could not be compared, in one line; `None` if all were.
    pub error: Option<String>,
    /// How many audits in a row, including this one, could not compare everything.
    pub failures: u64,
}
