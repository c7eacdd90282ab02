//! Reads the journal of a gate for an audit: what it judges of each row, and nothing else.
//!
//! Like a gate, it takes only a journal that is whole and not behind its mark.

use crate::audit::journal::{Ending, JournalRow, JournalRows, ReadJournal, Used};
use crate::config::JournalSettings;
use crate::core::checkpoint::CheckpointBody;
use crate::core::entry::Decision;
use crate::core::note::Note;
use crate::core::receipt::Receipt;
use crate::gate::journal::{Journal, JournalError};
use crate::gate::row::{self, Row};

/// The journal that an audit names.
pub(super) struct JournalFile<'a> {
    /// Where it is, and for whom it is complete.
    pub settings: &'a JournalSettings,
    /// The log.
    pub origin: &'a str,
}

impl ReadJournal for JournalFile<'_> {
    fn read(&self) -> Result<JournalRows, String> {
        self.rows().map_err(|error| format!("the journal was not held against the log: {error}"))
    }
}

impl JournalFile<'_> {
    fn rows(&self) -> Result<JournalRows, JournalError> {
        let mut read =
            JournalRows { complete_for: self.settings.complete_for.clone(), ..JournalRows::default() };
        Journal::open(&self.settings.file)?.each_row(|row| {
            let asked_at = row.request.asked_at;
            read.since = Some(read.since.map_or(asked_at, |since| since.min(asked_at)));
            match row.request.origin == self.origin {
                true => read.rows.push(reduced(row)),
                false => read.of_others = read.of_others.saturating_add(1),
            }
            true
        })?;
        Ok(read)
    }
}

fn reduced(row: Row) -> JournalRow {
    let Row { request, asked, decided, consumed, ended, .. } = row;
    let ending = match ended.map(|ended| ended.ending) {
        None => Ending::Unknown,
        Some(row::Ending::Ok) => Ending::Ok,
        Some(row::Ending::Failed(_)) => Ending::Failed,
    };
    JournalRow {
        key: request.key,
        username: request.username,
        asked_at: request.asked_at,
        post_until: request.post_until,
        id: asked.map(|asked| asked.id),
        approved_at: decided
            .filter(|decided| decided.decision == Decision::Approved)
            .map(|decided| decided.at),
        used: consumed.map(|consumed| Used {
            tree_size: tree_size(&consumed.receipt),
            nonce: consumed.nonce,
            at: consumed.at,
            ending,
        }),
    }
}

/// The size of the tree of which a receipt has the head. The gate verified the receipt before it kept it.
fn tree_size(receipt: &[u8]) -> Option<u64> {
    let receipt = Receipt::parse(receipt).ok()?;
    let note = Note::parse(&receipt.checkpoint).ok()?;
    CheckpointBody::parse(note.text()).ok().map(|body| body.size)
}
