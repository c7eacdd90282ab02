//! A receipt that was put together and not yet verified.

use super::no_receipt::NoReceipt;
use crate::audit::heads::contradictions;
use crate::core::entry::{Entry, read_leaf};
use crate::core::head::{Head, LogKey};
use crate::core::receipt::Receipt;
use crate::core::text::quoted;

/// A receipt that was put together and not yet verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// The receipt.
    pub receipt: Receipt,
    /// What the reader should know, each in one sentence, escaped.
    pub notes: Vec<String>,
    /// Every signed head of the log that was met on the way, those in the receipt included.
    pub seen: Vec<Head>,
}

impl Made {
    /// Checks that no two of the heads met on the way contradict each other. A log can show one tree with its
    /// head and another one in the proof of an entry, in one run.
    ///
    /// # Errors
    /// Two do: with a misbehaviour file, verified.
    pub fn agree(&self, key: &LogKey) -> Result<(), NoReceipt> {
        for (at, head) in self.seen.iter().enumerate() {
            for other in self.seen.iter().take(at) {
                if let Some(kind) = contradictions(head, other).first() {
                    return Err(NoReceipt::contradiction(*kind, [head, other], key));
                }
            }
        }
        Ok(())
    }
}

/// The entry that a leaf is, whatever is wrong with it.
pub(super) fn entry_of(leaf: &[u8], key: &LogKey) -> Option<Entry> {
    read_leaf(leaf, key.origin()).entry
}

/// The note on an entry that commits to a reveal which the receipt does not have.
pub(super) fn note_reveal(receipt: &Receipt, entry: Option<&Entry>, hint: &str) -> Option<String> {
    let commits = entry.is_some_and(|entry| entry.reveal_commitment.is_some());
    (commits && receipt.reveal.is_none())
        .then(|| format!("it commits to a reveal, and the receipt has none: {hint}"))
}

/// The id of an entry, for a message.
pub(super) fn id_of(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "no readable id".to_owned(), |entry| format!("the id {}", quoted(&entry.id)))
}
