//! Hashes of the mirrored tree.

use super::served_tree::fold_range;
use super::verifier::WIDTH;
use crate::core::hash::{Hash, leaf_hash};
use crate::core::tree::CompactRange;
use crate::mirror::{Mirror, MirrorError};
use std::ops::Range;

/// The hash of leaves `[range)`, a range of RFC 6962, from mirrored nodes and re-hashed leaves.
///
/// # Errors
/// The mirror cannot be read, or a leaf or node is missing.
pub(super) fn mirrored_range(mirror: &Mirror, range: Range<u64>) -> Result<Hash, MirrorError> {
    let damaged = |what: String| MirrorError::Damaged(mirror.path().to_owned(), what);
    let end = range.end;
    // A range has single leaves at its two ends at most. Those of one bundle are read at once.
    let mut bundle: (u64, Vec<Vec<u8>>) = (0, Vec::new());
    fold_range(range, |level, n| {
        if level == 0 {
            let place = n.checked_sub(bundle.0).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
            if place >= bundle.1.len() {
                let next = n.saturating_add(WIDTH.saturating_sub(n % WIDTH)).min(end);
                bundle = (n, mirror.leaves().range(n, next)?);
            }
            let place = usize::try_from(n.saturating_sub(bundle.0)).unwrap_or(usize::MAX);
            let leaf = bundle.1.get(place).ok_or_else(|| damaged(format!("leaf {n} is missing")))?;
            return Ok(leaf_hash(leaf).0);
        }
        mirror
            .leaves()
            .node(level, n)?
            .ok_or_else(|| damaged(format!("node {n} of level {level} is missing")))
    })
}

/// The Merkle tile that the mirrored tree has at this place: `width` hashes, one after the other.
///
/// # Errors
/// The mirror cannot be read, or a leaf or node is missing.
pub(super) fn mirrored_tile(
    mirror: &Mirror,
    level: u8,
    index: u64,
    width: u16,
) -> Result<Vec<u8>, MirrorError> {
    let shift = u32::from(level).saturating_mul(8);
    let first = index.saturating_mul(WIDTH);
    let mut tile = Vec::new();
    for n in first..first.saturating_add(u64::from(width)) {
        let range = n << shift..n.saturating_add(1) << shift;
        tile.extend_from_slice(mirrored_range(mirror, range)?.as_bytes());
    }
    Ok(tile)
}

/// The proved root of the mirrored leaves of bundle `n`. The bundle has `width` leaves.
///
/// # Errors
/// The mirror cannot be read, or what was proved of the bundle is missing.
pub(super) fn proved_root(mirror: &Mirror, n: u64, width: u64) -> Result<Hash, MirrorError> {
    let damaged = |what: String| MirrorError::Damaged(mirror.path().to_owned(), what);
    if width == WIDTH {
        return mirror
            .leaves()
            .node(1, n)?
            .ok_or_else(|| damaged(format!("the node of bundle {n} is missing")));
    }
    // The last bundle has no node of its own. Its subtrees are the lowest hashes of the frontier.
    let frontier = mirror.state().frontier().ok_or_else(|| damaged("its frontier is wrong".to_owned()))?;
    let lowest = usize::try_from(width.count_ones()).unwrap_or(0);
    let skip = frontier.hashes().len().saturating_sub(lowest);
    let hashes: Vec<Hash> = frontier.hashes().iter().skip(skip).copied().collect();
    let tail = CompactRange::from_parts(frontier.end().saturating_sub(width), frontier.end(), hashes);
    Ok(tail.ok_or_else(|| damaged("its frontier is wrong".to_owned()))?.root())
}
