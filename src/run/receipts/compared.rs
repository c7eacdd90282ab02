//! A receipt from the log, held against the mirror.
//!
//! A log that shows one history to everybody and another one to whoever asks for a receipt signs both.
//! Its checkpoint in the receipt must have the root of the mirrored entries at its size; where it has not,
//! there is a misbehaviour file, verified before anybody is accused, or else the fault is the mirror's.
//! A checkpoint that is newer than the mirror is not compared, and that is said.

use super::mirrored::Mirrored;
use super::{Made, NoReceipt, contradiction, prove};
use crate::audit::heads::contradictions;
use crate::core::evidence::{EvidenceError, EvidenceKind};
use crate::core::head::Head;
use crate::mirror::MirrorError;
use crate::run::contradiction::evidence_nodes;
use crate::run::mirrored::mirrored_range;

impl Mirrored<'_> {
    /// What the mirror has to say about a receipt from the log.
    ///
    /// # Errors
    /// The audit found what makes it worthless; its checkpoint contradicts the mirrored history; or the
    /// mirror is at fault.
    pub fn compare(&self, made: &Made) -> Result<Vec<String>, NoReceipt> {
        let receipt = &made.receipt;
        let mut notes = self.judge(receipt.index)?;
        self.compare_times(&made.seen)?;
        let largest = self.mirror.heads().largest_consistent(u64::MAX, self.key)?.map(|stored| stored.head);
        for head in &made.seen {
            let Some(largest) = largest.as_ref().filter(|largest| largest.size() >= head.size()) else {
                let (format, size) = (head.format().as_str(), head.size());
                notes.push(format!(
                    "the {format} over {size} entries is newer than the mirror, and was not compared with it"
                ));
                continue;
            };
            if mirrored_range(self.mirror, 0..head.size())? != head.root() {
                return Err(self.contradiction(head, largest)?);
            }
        }
        let newest = made.seen.iter().map(Head::size).max();
        if let (Some(now), Some(before)) = (newest, largest.map(|largest| largest.size()))
            && now < before
        {
            notes.push(format!(
                "the log shows a tree of {now} entries, and has signed one of {before} before: an audit tells whether it \
                 went back"
            ));
        }
        Ok(notes)
    }

    /// The times of STHs, which contradict each other without any tree.
    fn compare_times(&self, seen: &[Head]) -> Result<(), NoReceipt> {
        let sths: Vec<(&Head, (u64, u64))> =
            seen.iter().filter_map(|head| Some((head, (head.size(), head.timestamp()?)))).collect();
        let times: Vec<(u64, u64)> = sths.iter().map(|(_, sth)| *sth).collect();
        let against = self.mirror.heads().sths_against(&times, self.key)?;
        for ((head, _), others) in sths.iter().zip(against) {
            for stored in others {
                if let Some(kind) = contradictions(head, &stored.head).first() {
                    return Err(contradiction(*kind, [head, &stored.head], self.key));
                }
            }
        }
        Ok(())
    }

    /// Two signed heads of two histories, as a stranger would be shown them.
    fn contradiction(&self, head: &Head, largest: &Head) -> Result<NoReceipt, MirrorError> {
        let (kind, nodes) = match head.size() == largest.size() {
            true => (EvidenceKind::SameSizeFork, None),
            false => {
                let nodes =
                    evidence_nodes(head.size(), largest.size(), |range| mirrored_range(self.mirror, range));
                (EvidenceKind::InconsistentHeads, Some(nodes?))
            }
        };
        match prove(kind, [head, largest], nodes.as_deref(), self.key) {
            Err(EvidenceError::Disagreement(what)) => Ok(NoReceipt::fault(what)),
            Err(error) => {
                let why =
                    format!("it seemed to contradict a signed head, but the proof does not hold: {error}");
                Err(self.damaged(why))
            }
            Ok(proved) => Ok(proved),
        }
    }
}
