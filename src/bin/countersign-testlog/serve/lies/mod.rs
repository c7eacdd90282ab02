//! What a log may be asked to lie about, at three layers.
//!
//! | layer | changes |
//! |---|---|
//! | [`HistoryLie`] | what is in the history, which heads are signed of it, and who is shown them |
//! | [`ContentLie`] | what one answer says |
//! | [`TransportLie`] | how one answer is sent |
//!
//! Lies combine: those of a layer are told in the order in which they were given.

pub mod content;
pub mod expected;
mod kinds;
pub mod row;
pub mod table;
pub mod transport;

pub use kinds::Kinds;

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lie {
    History(HistoryLie),
    Content(ContentLie),
    Transport(TransportLie, Kinds),
}

/// About the history and its signed heads. Where an index is `None`, it is half of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HistoryLie {
    /// Clients whose `User-Agent` contains this see another history.
    ForkByClient(String),
    ForkAt(Option<u64>),
    Rewrite(u64),
    Rollback(u64),
    Shrink(u64),
    /// Hours ago.
    Frozen(u64),
    HeadDisagree,
    WrongKey,
    KeySwap,
    /// Hours ahead.
    Future(u64),
    Forged(u64),
    Replayed(u64),
}

/// About what an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContentLie {
    NoEntries,
    ShortOfEntries,
    Tampered(u64),
    Dropped(u64),
    Swapped(u64),
    DuplicatePage,
    OtherPage,
    More(u64),
    TamperedProof,
    HistoryOmits,
    HistoryFork,
    HistoryForged,
    HistoryEndless,
    BundleFork,
    BundleOther,
}

impl ContentLie {
    /// Whether the log's key signs something for it.
    pub fn signs(&self) -> bool {
        matches!(self, ContentLie::HistoryFork | ContentLie::BundleFork)
    }
}

/// About how an answer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportLie {
    Status(u16),
    Timeout,
    Empty,
    Endless,
    Malformed,
    Truncated,
    WrongLength,
    GzipBomb,
    ZstdBomb,
    SlowDrip,
    /// Seconds in `Retry-After`.
    TooMany(Option<u64>),
    RedirectLoop,
    RedirectElsewhere,
    Html,
    InvalidUtf8,
    DeepJson,
    Floats,
    Strings,
}

impl Lie {
    /// Reads `NAME[:ARG]` as the table has it.
    pub fn parse(text: &str) -> Result<Lie, String> {
        row::parse(text, table::LIES)
    }

    /// Whether it takes the log's private key.
    pub fn signs(&self) -> bool {
        match self {
            Lie::History(_) => true,
            Lie::Content(lie) => lie.signs(),
            Lie::Transport(..) => false,
        }
    }
}
