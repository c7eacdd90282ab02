//! Receipts (specification section 8) put together: from the mirror, which needs no log, or from the log.
//!
//! What is put together here is a claim, whichever way it came. It is a receipt once the exact bytes
//! that are to be handed out were verified with [`crate::verify_receipt`], as whoever is given it will.
//! That shows one entry and what was signed with it. What only the whole log shows, such as a nonce
//! that was used before or a second history, is known to the mirror alone: [`mirrored`] refuses entries
//! that the audit found so, [`served`] cannot, and [`compared`] holds what it gives against the mirror.

pub mod compared;
pub mod mirrored;
pub mod served;

use crate::audit::conclusion::Conclusion;
use crate::audit::heads::contradictions;
use crate::core::entry::{Entry, read_leaf};
use crate::core::evidence::{self, EvidenceError, EvidenceKind};
use crate::core::hash::Hash;
use crate::core::head::{Head, LogKey};
use crate::core::receipt::Receipt;
use crate::core::text::quoted;
use crate::mirror::MirrorError;
use std::fmt;

/// A receipt that was put together and not yet verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// The receipt.
    pub receipt: Receipt,
    /// What whoever asked for it should know, each in one sentence, escaped.
    pub notes: Vec<String>,
    /// Every signed head of the log that was met on the way, those in the receipt included.
    pub seen: Vec<Head>,
}

impl Made {
    /// That no two of the heads met on the way contradict each other. A log can show one tree with its
    /// head and another one in the proof of an entry, in one run.
    ///
    /// # Errors
    /// Two do: with a misbehaviour file, verified.
    pub fn agree(&self, key: &LogKey) -> Result<(), NoReceipt> {
        for (at, head) in self.seen.iter().enumerate() {
            for other in self.seen.iter().take(at) {
                if let Some(kind) = contradictions(head, other).first() {
                    return Err(contradiction(*kind, [head, other], key));
                }
            }
        }
        Ok(())
    }
}

/// Two signed heads that contradict each other, as a stranger would be shown them.
///
/// # Errors
/// The proof does not hold, so nobody is accused.
fn prove(
    kind: EvidenceKind,
    heads: [&Head; 2],
    nodes: Option<&[Hash]>,
    key: &LogKey,
) -> Result<NoReceipt, EvidenceError> {
    let observer = format!("countersign {}, of a receipt", env!("CARGO_PKG_VERSION"));
    let (file, proved) = evidence::prove(kind, heads, nodes, &[("observer", observer)], key)?;
    Ok(NoReceipt::contradiction(proved.to_string(), kind, file))
}

/// The same for two heads that show it without any tree.
fn contradiction(kind: EvidenceKind, heads: [&Head; 2], key: &LogKey) -> NoReceipt {
    prove(kind, heads, None, key).unwrap_or_else(|error| NoReceipt::fault(error.to_string()))
}

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

    /// It could not be told.
    fn undecided(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::Incomplete, why)
    }

    /// The log, or what it served, is wrong.
    fn wrong(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::Invalid, why)
    }

    /// A fault on our side.
    fn fault(why: impl Into<String>) -> NoReceipt {
        NoReceipt::new(Conclusion::LocalFault, why)
    }

    /// The log key signed two histories.
    fn contradiction(why: String, kind: EvidenceKind, file: Vec<u8>) -> NoReceipt {
        NoReceipt { evidence: Some((kind, file)), ..NoReceipt::new(Conclusion::Violation, why) }
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

/// The entry that a leaf is, whatever is wrong with it.
fn entry_of(leaf: &[u8], key: &LogKey) -> Option<Entry> {
    read_leaf(leaf, key.origin()).entry
}

/// The note on an entry that commits to a reveal which the receipt does not have.
fn note_reveal(receipt: &Receipt, entry: Option<&Entry>, hint: &str) -> Option<String> {
    let commits = entry.is_some_and(|entry| entry.reveal_commitment.is_some());
    (commits && receipt.reveal.is_none())
        .then(|| format!("it commits to a reveal, and the receipt has none: {hint}"))
}

/// An id for a message.
fn id_of(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "no readable id".to_owned(), |entry| format!("the id {}", quoted(&entry.id)))
}
