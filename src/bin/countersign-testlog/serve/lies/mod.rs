//! The lies of a log, at three layers, and those of the approval service in front of it.
//!
//! | layer | changes |
//! |---|---|
//! | [`ServiceLie`] | what the approval service answers, and which entry it makes of a decision |
//! | [`HistoryLie`] | the history, its signed heads, and which clients see them |
//! | [`ContentLie`] | the content of one response |
//! | [`TransportLie`] | how one response is sent |
//!
//! Lies combine. Those of one layer are applied in the given order.

pub mod content;
pub mod expected;
mod kinds;
pub mod row;
mod service_table;
pub mod table;
pub mod transport;

pub use kinds::ResourceKinds;
pub use service_table::SERVICE_LIES;

use crate::error::TestlogError;

/// A lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lie {
    History(HistoryLie),
    Content(ContentLie),
    Transport(TransportLie, ResourceKinds),
    Service(ServiceLie),
}

/// A lie about the history and its signed heads. The index `None` means half of the log.
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

/// A lie about the content of a response.
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
    /// Whether it needs a signature by the log's key.
    pub fn signs(&self) -> bool {
        matches!(self, ContentLie::HistoryFork | ContentLie::BundleFork)
    }
}

/// A lie about how a response is sent.
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

/// A lie of the approval service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceLie {
    OwnPasskey,
    OtherPayload,
    OtherPerson,
    OtherId,
    NotLogged,
    OldApproval,
    OldBundle,
    OtherLog,
    AfterExpiry,
    OtherHash,
    NeverDecides,
    NeverAnswers(ServiceRequest),
    ChangesMind,
    EntryTwice,
    NonceTwice,
    UnknownStatus,
    Redirect(ServiceRequest),
}

/// The two requests of a gate to the approval service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceRequest {
    /// POST
    Ask,
    /// GET
    Wait,
}

impl Lie {
    /// Parses `NAME[:ARG]` from the tables.
    ///
    /// # Errors
    /// A user-facing message: there is no such name, or its argument is wrong.
    pub fn parse(text: &str) -> Result<Lie, TestlogError> {
        row::parse(text, table::LIES.iter().chain(SERVICE_LIES))
    }

    /// The lie, if it is one of the approval service.
    pub fn of_service(&self) -> Option<ServiceLie> {
        if let Lie::Service(lie) = self { Some(*lie) } else { None }
    }

    /// Whether it needs the log's private key.
    pub fn signs(&self) -> bool {
        match self {
            Lie::History(_) => true,
            Lie::Content(lie) => lie.signs(),
            Lie::Transport(..) | Lie::Service(_) => false,
        }
    }
}
