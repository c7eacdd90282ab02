//! Why there is no receipt.

use crate::audit::conclusion::Conclusion;
use crate::core::evidence::{self, EvidenceError, EvidenceKind};
use crate::core::hash::Hash;
use crate::core::head::{Head, LogKey};
use crate::mirror::MirrorError;
use std::fmt;

/// Why there is no receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoReceipt {
    /// What that means: never [`Conclusion::Clean`].
    pub conclusion: Conclusion,
    /// The cause and what to do, escaped.
    pub why: String,
    /// For a violation that was just seen: the misbehaviour file, verified.
    pub evidence: Option<(EvidenceKind, Vec<u8>)>,
}

impl NoReceipt {
    /// There is none, for this reason.
    pub fn new(conclusion: Conclusion, why: impl Into<String>) -> NoReceipt {
        NoReceipt { conclusion, why: why.into(), evidence: None }
    }

    /// Could not tell.
    pub(super) fn undecided(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::Incomplete, why)
    }

    /// The log, or what it served, is wrong.
    pub(super) fn wrong(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::Invalid, why)
    }

    /// A fault on our side.
    pub(super) fn fault(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::LocalFault, why)
    }

    /// The log key signed two histories: the misbehaviour file with these heads and `nodes` proves it.
    ///
    /// # Errors
    /// The file does not prove it, so nobody is accused.
    pub(super) fn proved(
        kind: EvidenceKind,
        heads: [&Head; 2],
        nodes: Option<&[Hash]>,
        key: &LogKey,
    ) -> Result<NoReceipt, EvidenceError> {
        let observer = format!("countersign {}, of a receipt", env!("CARGO_PKG_VERSION"));
        let (file, proved) = evidence::prove(kind, heads, nodes, &[("observer", observer)], key)?;
        let none = NoReceipt::new(Conclusion::Violation, proved.to_string());
        Ok(NoReceipt { evidence: Some((kind, file)), ..none })
    }

    /// The same for two heads that contradict each other without any tree.
    pub(super) fn contradiction(kind: EvidenceKind, heads: [&Head; 2], key: &LogKey) -> NoReceipt {
        NoReceipt::proved(kind, heads, None, key).unwrap_or_else(|error| NoReceipt::fault(error.to_string()))
    }
}

impl From<MirrorError> for NoReceipt {
    fn from(error: MirrorError) -> NoReceipt {
        NoReceipt::fault(error.to_string())
    }
}

impl fmt::Display for NoReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for NoReceipt {}
