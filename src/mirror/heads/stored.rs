//! A kept head, its status and its provenance.

use crate::core::head::Head;
use crate::core::time::UnixMillis;
use crate::mirror::seal::Flag;

/// How a head compares with the mirror and with other signed heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadStatus {
    /// The mirror has not reached its size, or could not decide.
    Unchecked,
    /// The mirrored leaves have its root at its size.
    Consistent,
    /// It is proved to be of one history with a larger signed head, or is the largest head whose history others were
    /// proved to be part of; the mirror has not reached its size (`--heads-only`).
    Linked,
    /// It contradicts another signed head, or the mirrored leaves.
    Contradicted,
}

impl HeadStatus {
    /// The word in the mirror and in `heads list`.
    pub fn as_str(self) -> &'static str {
        match self {
            HeadStatus::Unchecked => "unchecked",
            HeadStatus::Consistent => "consistent",
            HeadStatus::Linked => "linked",
            HeadStatus::Contradicted => "contradicted",
        }
    }

    /// Parses [`HeadStatus::as_str`].
    pub(super) fn from_text(text: &str) -> Option<HeadStatus> {
        [HeadStatus::Unchecked, HeadStatus::Consistent, HeadStatus::Linked, HeadStatus::Contradicted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// How a head came here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provenance {
    /// The log served it to us as its newest head.
    Served,
    /// The log returned it elsewhere: in its head list, or in a verification bundle.
    Listed,
    /// A user imported it with `heads import`.
    Imported,
    /// A peer in the config served it to us.
    Peer,
}

impl Provenance {
    /// The word in the mirror and in `heads list`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Provenance::Served => "served",
            Provenance::Listed => "listed",
            Provenance::Imported => "imported",
            Provenance::Peer => "peer",
        }
    }

    /// The flag of heads with this provenance.
    pub(super) fn flag(&self) -> Flag {
        match self {
            Provenance::Served => Flag::Served,
            Provenance::Listed => Flag::Listed,
            Provenance::Imported => Flag::Imported,
            Provenance::Peer => Flag::Peer,
        }
    }
}

/// A kept head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredHead {
    /// The head, verified again when it was read.
    pub head: Head,
    /// See [`HeadStatus`].
    pub status: HeadStatus,
    /// `served`, `listed`, `imported` or `peer`.
    pub provenance: String,
    /// When it was first seen here.
    pub first_seen: UnixMillis,
    /// When it was last seen here.
    pub last_seen: UnixMillis,
}
