//! The result of a run.

use crate::audit::peer::PeerResult;
use crate::audit::tally::Tally;
use crate::core::head::Head;

/// What a run did and could not do. The findings are in the mirror.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The head that the mirror was brought up to, or the one that it should have been.
    pub target: Option<Head>,
    /// Whether the rebuilt tree has that head's root.
    pub target_verified: bool,
    /// Heads that are new in this run.
    pub heads_new: u64,
    /// Entries checked for the first time in this run.
    pub entries_new: u64,
    /// Checks of heads, roots and tiles in this run.
    pub tally: Tally,
    /// What came of each peer; empty where none was asked.
    pub peers: Vec<PeerResult>,
    /// What could not be decided, each with its cause. What peers are at fault for is with them.
    pub incomplete: Vec<String>,
    /// What could not be decided because of something that is said anyway, as a finding or in `incomplete`.
    pub follows: Vec<String>,
    /// Faults on our side.
    pub faults: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
    /// No head verified: nothing else was judged.
    pub no_head: bool,
    /// No head could be read at all: nothing is known of the log today, and nothing is held against it.
    pub unreachable: bool,
    /// Hits of watch rules that are kept; 0 where rules were not done looking.
    pub hits: u64,
    /// Of these, those that nobody was told of before.
    pub hits_new: u64,
}
