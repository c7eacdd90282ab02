//! The end of an audit: is what was wrong with how the log served still wrong, and are the mirror's own bytes intact?

use super::answer::Answer;
use super::context::Context;
use super::fault::Fault;
use super::mirrored::{mirrored_range, mirrored_tile};
use super::statements::Statements;
use super::verifier::{TileCheck, WIDTH, compare_tile_once};
use super::{answer_record, confirm, entry_answers, findings};
use crate::audit::finding::Finding;
use crate::audit::subject::{SignedTree, Subject};
use crate::core::finding::Code;
use crate::core::hash::leaf_hash;
use crate::core::tile::{TilePath, width_at};
use crate::mirror::Mirror;
use crate::source::LogSource;

/// Bundles of the mirror that each run hashes again. A small mirror is hashed whole each time, and a
/// large one in turns, so that a run with nothing new stays short.
const SCRUB_BUNDLES: u64 = 16;

/// Whether a finding is about what only the JSON API answers.
fn is_about_answers(finding: &Finding) -> bool {
    finding.code == Code::RevealMismatch
        || matches!(
            finding.subject,
            Subject::Consistency { .. } | Subject::Inclusion { .. } | Subject::Verification { .. }
        )
}

/// Looks again at what earlier runs found wrong with how the log serves, and ends the findings that hold no longer.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn revisit_served(cx: &Context<'_>, mirror: &mut Mirror) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        if stored.last_seen == cx.now() {
            continue;
        }
        let over = match (finding.code, &finding.subject) {
            _ if is_about_answers(&finding) => is_answered(cx, mirror, &finding)?,
            (Code::Gap | Code::TileMismatch, Subject::Tile(tile)) => tile_is_right(cx, mirror, *tile)?,
            (Code::Gap | Code::RootMismatch, Subject::Entries { to, .. }) => mirror.state().verified >= *to,
            (Code::RootMismatch, Subject::Tree(tree)) => tree_is_rebuilt(mirror, tree)?,
            _ => false,
        };
        if over {
            findings::end(cx, mirror, &finding)?;
        }
    }
    Ok(())
}

/// Whether a question that was answered wrongly is answered rightly now.
fn is_answered(cx: &Context<'_>, mirror: &Mirror, finding: &Finding) -> Result<bool, Fault> {
    let Some(api) = cx.source().and_then(|source| source.api()) else { return Ok(false) };
    match (finding.index, &finding.subject) {
        (Some(index), _) => entry_answers::entry_is_answered(cx, mirror, api, index),
        (None, Subject::Inclusion { index, .. } | Subject::Verification { index }) => {
            entry_answers::entry_is_answered(cx, mirror, api, *index)
        }
        (None, Subject::Consistency { first, second }) => {
            if first >= second || *second > mirror.state().verified {
                return Ok(false);
            }
            let root = mirrored_range(mirror, 0..*second)?;
            Ok(answer_record::ask_consistency(mirror, api, *first, *second, root)? == Answer::Good)
        }
        (None, _) => Ok(false),
    }
}

/// Whether a tile that was wrong or missing is served as it should be now.
fn tile_is_right(cx: &Context<'_>, mirror: &Mirror, tile: TilePath) -> Result<bool, Fault> {
    let Some(source) = cx.source() else { return Ok(false) };
    let TilePath::Hash { level, index, width } = tile else { return Ok(false) };
    // A log may have replaced a partial tile by a wider one since.
    let now = width_at(level, index, mirror.state().verified).unwrap_or(width);
    Ok(tile_is_served(mirror, source, level, index, width)?
        || tile_is_served(mirror, source, level, index, now)?)
}

fn tile_is_served(
    mirror: &Mirror,
    source: &dyn LogSource,
    level: u8,
    index: u64,
    width: u16,
) -> Result<bool, Fault> {
    let first = index.saturating_mul(WIDTH);
    let end = first.saturating_add(u64::from(width));
    let shift = u32::from(level).saturating_mul(8);
    if end.checked_shl(shift).is_none_or(|leaves| leaves > mirror.state().verified) {
        return Ok(false);
    }
    if level == 0 {
        let leaves = mirror.leaves().range(first, end)?;
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        return Ok(matches!(compare_tile_once(source, index, width, &hashes), Ok(TileCheck::Same)));
    }
    let ours = mirrored_tile(mirror, level, index, width)?;
    Ok(source.tile(level, index, width).is_ok_and(|bytes| bytes == ours))
}

/// Whether the mirrored tree now has the root of a head that could not be rebuilt before.
fn tree_is_rebuilt(mirror: &Mirror, tree: &SignedTree) -> Result<bool, Fault> {
    if tree.size == 0 || tree.size > mirror.state().verified {
        return Ok(false);
    }
    Ok(mirrored_range(mirror, 0..tree.size)? == tree.root)
}

/// Hashes some of the mirror's own leaves again, and compares them with what was proved when they were stored.
///
/// # Errors
/// The mirror cannot be read, written or repaired.
pub(super) fn scrub(cx: &Context<'_>, mirror: &mut Mirror, statements: &mut Statements) -> Result<(), Fault> {
    let verified = mirror.state().verified;
    let bundles = verified.div_ceil(WIDTH);
    if bundles == 0 {
        return Ok(());
    }
    let start = mirror.state().scrubbed;
    for step in 0..bundles.min(SCRUB_BUNDLES) {
        let n = start.saturating_add(step).checked_rem(bundles).unwrap_or(0);
        confirm::bundle(cx, mirror, statements, n, verified)?;
    }
    Ok(mirror.transact(|_, state| {
        state.scrubbed = start.saturating_add(SCRUB_BUNDLES).checked_rem(bundles).unwrap_or(0);
        Ok(())
    })?)
}
