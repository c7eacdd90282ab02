//! Receipts out of the mirror: the entry as mirrored, a proof from the mirror's own tree, and a
//! checkpoint that the log signed and that the audit held against that tree.
//!
//! The log is not asked, so it works when the log is down, and the log cannot know which
//! approvals somebody needs a receipt of. A proof that does not verify is a fault of the mirror and
//! never held against the log: the tree was proved to be the signed one when it was audited.

use super::made::{Made, entry_of, note_reveal};
use super::no_receipt::NoReceipt;
use crate::audit::conclusion::Conclusion;
use crate::audit::finding::Finding;
use crate::core::finding::{Code, Severity};
use crate::core::hash::{Hash, leaf_hash};
use crate::core::head::{Head, HeadFormat, LogKey};
use crate::core::proof::{InclusionProof, ProveError, prove_inclusion, verify_inclusion};
use crate::core::receipt::Receipt;
use crate::core::text::{escape, quoted};
use crate::mirror::{Mirror, MirrorError};
use crate::run::mirrored::mirrored_range;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::Range;

/// Hashes of ranges that are remembered between receipts: neighbours share most of their path.
const MAX_KNOWN: usize = 16 * 1024;

/// The mirror as a maker of receipts. It changes nothing in it.
pub struct Mirrored<'a> {
    mirror: &'a Mirror,
    key: &'a LogKey,
    known: HashMap<Range<u64>, Hash>,
    /// The newest checked checkpoint, with the newest STH of its tree.
    heads: Option<(Head, Option<Head>)>,
    /// A violation, which makes every receipt of this log worthless.
    violation: Option<Finding>,
    /// What the audit found that a receipt does not show, by entry.
    found: HashMap<u64, Vec<Finding>>,
    /// Later entries with an id that an earlier one has.
    repeated: Vec<(String, u64)>,
}

/// Whether it takes the whole log to find this about an entry. All else is found in the receipt itself,
/// under the trust options of now rather than those of the last audit.
fn needs_the_log(code: Code) -> bool {
    matches!(
        code,
        Code::IdDuplicate
            | Code::NonceReused
            | Code::AssertionReused
            | Code::KeyShared
            | Code::PayloadMismatch
            | Code::CredentialRelabelled
            | Code::BackupEligibilityChanged
            | Code::SignCountRegression
            | Code::DecidedAfterHead
    )
}

impl<'a> Mirrored<'a> {
    /// Reads what the audits found.
    ///
    /// # Errors
    /// A fault of the mirror.
    pub fn new(mirror: &'a Mirror, key: &'a LogKey) -> Result<Mirrored<'a>, MirrorError> {
        let (mut violation, mut repeated) = (None, Vec::new());
        let mut found: HashMap<u64, Vec<Finding>> = HashMap::new();
        for stored in mirror.findings().standing()? {
            let finding = stored.finding;
            if finding.severity == Severity::Violation {
                violation = violation.or(Some(finding));
            } else if let Some(index) = finding.index.filter(|_| needs_the_log(finding.code)) {
                if let (Code::IdDuplicate, Some(id)) = (finding.code, &finding.id) {
                    repeated.push((id.clone(), index));
                }
                found.entry(index).or_default().push(finding);
            }
        }
        Ok(Mirrored { mirror, key, known: HashMap::new(), heads: None, violation, found, repeated })
    }

    /// The index of the entry with this id. Of several with one id it is the first, and [`Mirrored::make`]
    /// names the others.
    ///
    /// # Errors
    /// It is not among the checked entries, or the mirror is at fault.
    pub fn find(&self, id: &str) -> Result<u64, NoReceipt> {
        let Some(index) = self.mirror.memory().first_with_id(id)? else {
            return Err(NoReceipt::undecided(format!(
                "the id {} is not in the {} entries that this mirror has checked: if it is newer, audit first",
                quoted(id),
                self.mirror.state().checked
            )));
        };
        match entry_of(&self.leaf(index)?, self.key) {
            Some(entry) if entry.id == id => Ok(index),
            _ => Err(MirrorError::wrong_memory(self.mirror.path(), index).into()),
        }
    }

    /// All checked entries that this approver approved, ascending.
    ///
    /// # Errors
    /// There are none, or the mirror is at fault.
    pub fn approved_by(&self, approver: &str) -> Result<Vec<u64>, NoReceipt> {
        let checked = self.mirror.state().checked;
        let mut indices = self.mirror.entries().approved_by(approver)?;
        indices.retain(|index| *index < checked);
        if indices.is_empty() {
            return Err(NoReceipt::undecided(format!(
                "{} approved nothing in the {checked} entries that this mirror has checked: is the name right?",
                quoted(approver)
            )));
        }
        Ok(indices)
    }

    /// The receipt of the entry at `index`, in the tree of the newest checkpoint that was checked.
    ///
    /// # Errors
    /// The entry or a checkpoint over it was not checked; the audit found what makes a receipt of it, or
    /// of this log, worthless; or the mirror is at fault.
    pub fn make(&mut self, index: u64) -> Result<Made, NoReceipt> {
        let checked = self.mirror.state().checked;
        if index >= checked {
            return Err(NoReceipt::undecided(format!(
                "entry {index} is not among the {checked} entries that this mirror has checked (the first is \
                 entry 0): if it is newer, audit first"
            )));
        }
        let mut notes = self.judge(index)?;
        let (checkpoint, sth) = self.heads_over(index, checked)?;
        let leaf = self.leaf(index)?;
        let path = self.prove(index, checkpoint.size())?;
        verify_inclusion(leaf_hash(&leaf), index, checkpoint.size(), &path, checkpoint.root()).map_err(
            |error| self.damaged(format!("entry {index} is not in the tree that was audited: {error}")),
        )?;
        let entry = entry_of(&leaf, self.key);
        let receipt = Receipt {
            sth: sth.map(|sth| sth.raw().as_bytes().to_vec()),
            ..Receipt::new(leaf, index, path, &checkpoint)
        };
        notes.extend(note_reveal(&receipt, entry.as_ref(), "the mirror stores none; get it with --from-log"));
        let same_id = |(id, at): &&(String, u64)| *at != index && entry.as_ref().is_some_and(|e| e.id == *id);
        notes.extend(
            self.repeated.iter().filter(same_id).map(|(id, other)| {
                format!("the id {} occurs again in the log, at entry {other}", quoted(id))
            }),
        );
        Ok(Made { receipt, notes, seen: Vec::new() })
    }

    /// The inclusion proof of a checked entry in the tree of the first `size` entries.
    ///
    /// # Errors
    /// There is no such entry in that tree, or the mirror is at fault.
    pub fn prove(&mut self, index: u64, size: u64) -> Result<InclusionProof, NoReceipt> {
        let (mirror, known) = (self.mirror, &mut self.known);
        if known.len() > MAX_KNOWN {
            known.clear();
        }
        let hash = |range: Range<u64>| match known.entry(range.clone()) {
            Slot::Occupied(slot) => Ok(*slot.get()),
            Slot::Vacant(slot) => mirrored_range(mirror, range).map(|hash| *slot.insert(hash)),
        };
        prove_inclusion(index, size, hash).map_err(|error| match error {
            ProveError::Impossible(why) => NoReceipt::undecided(why.to_string()),
            ProveError::Source(error) => error.into(),
        })
    }

    /// The mirror.
    pub(super) fn mirror(&self) -> &'a Mirror {
        self.mirror
    }

    /// The log's pinned key.
    pub(super) fn key(&self) -> &'a LogKey {
        self.key
    }

    /// What the audit found about an entry, or about the whole log, that a receipt of it does not show. Returns the
    /// warnings, if there is nothing worse.
    ///
    /// # Errors
    /// There is something worse: no receipt of this entry can be relied on.
    pub(super) fn judge(&self, index: u64) -> Result<Vec<String>, NoReceipt> {
        if let Some(finding) = &self.violation {
            let proof = finding
                .evidence
                .as_deref()
                .map_or(String::new(), |path| format!(" (proof: {})", escape(path)));
            let why = format!("the log signed contradictory statements{proof}: {}", finding.message);
            return Err(NoReceipt::new(Conclusion::Violation, why));
        }
        let found = self.found.get(&index).map(Vec::as_slice).unwrap_or_default();
        let message = |finding: &Finding| {
            format!("the audit has a finding for entry {index}: {}: {}", finding.code, finding.message)
        };
        match found.iter().find(|finding| finding.severity >= Severity::Invalid) {
            Some(finding) => Err(NoReceipt::wrong(message(finding))),
            None => Ok(found
                .iter()
                .filter(|finding| finding.severity == Severity::Warning)
                .map(message)
                .collect()),
        }
    }

    /// The newest checkpoint that was checked, if its tree has the entry, and the newest STH of that tree.
    fn heads_over(&mut self, index: u64, checked: u64) -> Result<(Head, Option<Head>), NoReceipt> {
        if let Some(heads) = self.heads.as_ref().filter(|(checkpoint, _)| checkpoint.size() > index) {
            return Ok(heads.clone());
        }
        let Some(checkpoint) = self.mirror.heads().newest_checkpoint(index, checked, self.key)? else {
            let sth = self
                .mirror
                .heads()
                .largest_consistent(checked, self.key)?
                .filter(|sth| sth.head.size() > index);
            return Err(NoReceipt::undecided(match sth {
                Some(_) => format!(
                    "this mirror has an STH over entry {index}, but no checkpoint, and a receipt needs one: audit \
                     again, or ask the log's operator why it serves none that verifies"
                ),
                None => {
                    format!(
                        "the audit has not reached a signed head that covers entry {index} yet: run it again"
                    )
                }
            }));
        };
        let checkpoint = checkpoint.head;
        // Of one tree the newest that has a time, if any has.
        let newest = self.mirror.heads().newest_of_tree(checkpoint.size(), &checkpoint.root(), self.key)?;
        let sth = newest.map(|newest| newest.head).filter(|head| head.format() == HeadFormat::Sth);
        Ok(self.heads.insert((checkpoint, sth)).clone())
    }

    fn leaf(&self, index: u64) -> Result<Vec<u8>, MirrorError> {
        let mut leaves = self.mirror.leaves().range(index, index.saturating_add(1))?;
        leaves.pop().ok_or_else(|| self.damaged(format!("leaf {index} is missing")))
    }

    /// The mirror is damaged in this way.
    pub(super) fn damaged(&self, what: String) -> MirrorError {
        MirrorError::Damaged(self.mirror.path().to_owned(), what)
    }
}
