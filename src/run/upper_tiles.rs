//! The served Merkle tiles above level 0, compared with the mirrored tree.

use super::confirm::Rehashed;
use super::context::Context;
use super::fault::Fault;
use super::mirrored::mirrored_tile;
use super::reach::Reach;
use super::statements::Statements;
use super::target::Target;
use super::verifier::{TileDoubt, WIDTH};
use super::{confirm, findings};
use crate::core::tile::TilePath;
use crate::mirror::Mirror;
use crate::source::{FetchError, LogSource};

/// Compares the served tiles above level 0 that the new entries changed.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or the run is stopped while the mirror is hashed again.
pub(super) fn compare(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
    target: &Target,
) -> Result<Reach, Fault> {
    let (size, compared) = (mirror.state().verified, mirror.state().tiles_compared);
    // Only a tree that the log signed has a right edge that the log must serve.
    let signed = target.verified_head().is_some_and(|target| target.size() == size);
    let Some(source) = cx.source().filter(|source| signed && source.has_tiles() && size > compared) else {
        return Ok(Reach::Reachable);
    };
    for level in 1..8u8 {
        let shift = u32::from(level).saturating_mul(8);
        let (nodes, before) = (size >> shift, compared >> shift);
        for index in before / WIDTH..nodes.div_ceil(WIDTH) {
            let width = nodes.saturating_sub(index.saturating_mul(WIDTH)).min(WIDTH);
            let width = u16::try_from(width).unwrap_or(256);
            let ours = mirrored_tile(mirror, level, index, width)?;
            match doubt(source, level, index, width, &ours) {
                Ok(None) => {}
                Ok(Some(doubt)) => {
                    // The comparison rests on mirrored nodes, so the mirror is hashed again first.
                    confirm::all(cx, mirror, statements, rehashed)?;
                    findings::record(cx, mirror, &doubt.finding())?;
                }
                Err(error) => {
                    statements.incomplete(error.to_string());
                    return Ok(Reach::Unreachable);
                }
            }
        }
    }
    mirror.transact(|_, state| {
        state.tiles_compared = size;
        Ok(())
    })?;
    Ok(Reach::Reachable)
}

/// What is wrong with a served tile that should be `ours`. As at level 0, one that is wrong is asked for once more.
fn doubt(
    source: &dyn LogSource,
    level: u8,
    index: u64,
    width: u16,
    ours: &[u8],
) -> Result<Option<TileDoubt>, FetchError> {
    let doubted = |missing| {
        let tile = TilePath::Hash { level, index, width };
        Ok(Some(TileDoubt { tile, missing }))
    };
    let once = || match source.tile(level, index, width) {
        Ok(bytes) if bytes == ours => Ok(None),
        Ok(_) | Err(FetchError::TooLarge { .. }) => doubted(false),
        Err(FetchError::NotFound { .. }) => doubted(true),
        Err(error) => Err(error),
    };
    let looked = match once()? {
        Some(doubt) if !doubt.missing => {
            source.settle()?;
            once()?
        }
        looked => looked,
    };
    if looked.is_some() {
        source.confirm()?;
    }
    Ok(looked)
}
