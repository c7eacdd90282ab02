//! A receipt from the log, held against the mirror.
//!
//! A log that shows one history to everybody and another one to whoever asks for a receipt signs both.
//! Its checkpoint in the receipt must have the root of the mirrored entries at its size; where it has not,
//! there is a misbehaviour file, verified before anybody is accused, or else the fault is the mirror's.
//! A checkpoint that is newer than the mirror is not compared, and that is said.

use super::NoReceipt;
use super::mirrored::Mirrored;
use crate::core::evidence::{self, EvidenceError, Kind};
use crate::core::head::Head;
use crate::core::receipt::Receipt;
use crate::mirror::MirrorError;
use crate::run::history::{evidence_nodes, mirrored_range};

impl Mirrored<'_> {
    /// What the mirror has to say about a receipt from the log.
    ///
    /// # Errors
    /// The audit found what makes it worthless; its checkpoint contradicts the mirrored history; or the
    /// mirror is at fault.
    pub fn compare(&self, receipt: &Receipt) -> Result<Vec<String>, NoReceipt> {
        let mut notes = self.judge(receipt.index)?;
        // One that the log did not sign is no head at all, and fails when the receipt is verified.
        let Ok(head) = Head::verify_checkpoint(&receipt.checkpoint, self.key) else { return Ok(notes) };
        let largest = self.mirror.largest_consistent(u64::MAX, self.key)?.map(|stored| stored.head);
        let Some(largest) = largest.filter(|largest| largest.size() >= head.size()) else {
            let size = head.size();
            notes.push(format!(
                "the checkpoint over {size} entries is newer than the mirror, and was not compared with it"
            ));
            return Ok(notes);
        };
        if mirrored_range(self.mirror, 0..head.size())? == head.root() {
            return Ok(notes);
        }
        Err(self.contradiction(&head, &largest)?)
    }

    /// Two signed heads of two histories, as a stranger would be shown them.
    fn contradiction(&self, head: &Head, largest: &Head) -> Result<NoReceipt, MirrorError> {
        let (kind, nodes) = match head.size() == largest.size() {
            true => (Kind::SameSizeFork, None),
            false => {
                let nodes =
                    evidence_nodes(head.size(), largest.size(), |range| mirrored_range(self.mirror, range));
                (Kind::InconsistentHeads, Some(nodes?))
            }
        };
        let observer = format!("countersign {}, of a receipt", env!("CARGO_PKG_VERSION"));
        let file = evidence::make(kind, [head, largest], nodes.as_deref(), &[("observer", observer)]);
        match evidence::verify(&file, self.key) {
            Ok(proved) => Ok(NoReceipt::contradiction(proved.to_string(), kind, file)),
            Err(EvidenceError::Disagreement(what)) => Ok(NoReceipt::fault(what)),
            Err(error) => {
                let why =
                    format!("it seemed to contradict a signed head, but the proof does not hold: {error}");
                Err(self.damaged(why))
            }
        }
    }
}
