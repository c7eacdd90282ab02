//! A receipt from the log, compared with the mirror.
//!
//! A log that shows one history to everybody and another one to those who ask for a receipt signs both.
//! Its checkpoint in the receipt must have the root of the mirrored entries at its size. If it has another one,
//! a misbehaviour file proves it, and is verified before anybody is accused. If the file does not verify, the mirror is at
//! fault. A checkpoint that is newer than the mirror is not compared, and that is said.

use super::made::Made;
use super::mirrored::Mirrored;
use super::no_receipt::NoReceipt;
use crate::audit::heads::contradictions;
use crate::core::evidence::{EvidenceError, EvidenceKind};
use crate::core::head::Head;
use crate::core::time::UnixMillis;
use crate::mirror::MirrorError;
use crate::run::contradiction::evidence_nodes;
use crate::run::mirrored::mirrored_range;

/// What the mirror has to say about a receipt from the log.
///
/// # Errors
/// The audit found what makes it worthless; its checkpoint contradicts the mirrored history; or the
/// mirror is at fault.
pub fn compare(mirrored: &Mirrored<'_>, made: &Made) -> Result<Vec<String>, NoReceipt> {
    let (mirror, key) = (mirrored.mirror(), mirrored.key());
    let mut notes = mirrored.judge(made.receipt.index)?;
    compare_times(mirrored, &made.seen)?;
    let largest = mirror.heads().largest_consistent(u64::MAX, key)?.map(|stored| stored.head);
    for head in &made.seen {
        let Some(largest) = largest.as_ref().filter(|largest| largest.size() >= head.size()) else {
            let (format, size) = (head.format().as_str(), head.size());
            notes.push(format!(
                "the {format} over {size} entries is newer than the mirror, and was not compared with it"
            ));
            continue;
        };
        if mirrored_range(mirror, 0..head.size())? != head.root() {
            return Err(contradiction(mirrored, head, largest)?);
        }
    }
    let newest = made.seen.iter().map(Head::size).max();
    if let (Some(now), Some(before)) = (newest, largest.map(|largest| largest.size()))
        && now < before
    {
        notes.push(format!(
            "the log shows a tree of {now} entries, but has signed one of {before} before: run an audit to see \
             whether it rolled back"
        ));
    }
    Ok(notes)
}

/// The times of STHs, which contradict each other without any tree.
fn compare_times(mirrored: &Mirrored<'_>, seen: &[Head]) -> Result<(), NoReceipt> {
    let key = mirrored.key();
    let sths: Vec<(&Head, (u64, UnixMillis))> =
        seen.iter().filter_map(|head| Some((head, (head.size(), head.timestamp()?)))).collect();
    let times: Vec<(u64, UnixMillis)> = sths.iter().map(|(_, sth)| *sth).collect();
    let against = mirrored.mirror().heads().sths_against(&times, key)?;
    for ((head, _), others) in sths.iter().zip(against) {
        for stored in others {
            if let Some(kind) = contradictions(head, &stored.head).first() {
                return Err(NoReceipt::contradiction(*kind, [head, &stored.head], key));
            }
        }
    }
    Ok(())
}

/// Two signed heads of two histories, and the misbehaviour file that proves it.
fn contradiction(mirrored: &Mirrored<'_>, head: &Head, largest: &Head) -> Result<NoReceipt, MirrorError> {
    let range = |range| mirrored_range(mirrored.mirror(), range);
    let (kind, nodes) = match head.size() == largest.size() {
        true => (EvidenceKind::SameSizeFork, None),
        false => (EvidenceKind::InconsistentHeads, Some(evidence_nodes(head.size(), largest.size(), range)?)),
    };
    match NoReceipt::proved(kind, [head, largest], nodes.as_deref(), mirrored.key()) {
        Err(EvidenceError::Disagreement(what)) => Ok(NoReceipt::fault(what)),
        Err(error) => {
            let why =
                format!("it seemed to contradict a signed head, but the proof does not verify: {error}");
            Err(mirrored.damaged(why))
        }
        Ok(proved) => Ok(proved),
    }
}
