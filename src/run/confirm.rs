//! The mirror's own bytes, hashed again before the log is accused of something that rests on them.
//!
//! If they are not what was proved when they were stored, this disk is at fault and not the log: the bundle is fetched
//! again, and put back only if it hashes to what was proved.

use super::context::Context;
use super::fault::Fault;
use super::mirrored::{mirrored_range, proved_root};
use super::statements::Statements;
use super::verifier::{WIDTH, fetch_leaves, fold};
use crate::core::hash::{Hash, LeafHash, empty_root};
use crate::core::head::Head;
use crate::core::tree::CompactRange;
use crate::mirror::{Mirror, MirrorError};

/// Whether the whole mirror was hashed again in this run: once is enough.
#[derive(Default)]
pub(super) struct Rehashed {
    done: bool,
}

/// Hashes all mirrored bytes again, before the log is accused of something that rests on them. Those that are wrong are
/// fetched again, and all of them must have the root that was proved. A stop ends the run here: half of them prove
/// nothing.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or [`Fault::Stopped`].
pub(super) fn all(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
) -> Result<(), Fault> {
    if std::mem::replace(&mut rehashed.done, true) {
        return Ok(());
    }
    let state = mirror.state();
    let (verified, frontier) = (state.verified, state.frontier());
    let mut folded = CompactRange::new(0);
    let path = mirror.path().to_owned();
    let damaged = || {
        let why = "its nodes do not have the root that was proved".to_owned();
        Fault::Mirror(MirrorError::Damaged(path.clone(), why))
    };
    cx.progress().begin("hashing the mirror again", verified);
    for n in 0..verified.div_ceil(WIDTH) {
        go_on(cx)?;
        let hashes = bundle(cx, mirror, statements, n, verified)?;
        cx.progress().advance(hashes.len() as u64);
        for hash in hashes {
            folded.append_leaf(hash).map_err(|_| damaged())?;
        }
    }
    cx.progress().end();
    if frontier.map(|frontier| frontier.root()) != Some(folded.root()) {
        return Err(damaged());
    }
    // The leaves vouch for the lowest nodes, and each level vouches for the one above.
    for level in 2..8u8 {
        for n in 0..verified >> (u32::from(level).saturating_mul(8)) {
            go_on(cx)?;
            let first = n.saturating_mul(WIDTH);
            let mut children = CompactRange::new(0);
            for child in first..first.saturating_add(WIDTH) {
                let hash = mirror.leaves().node(level.saturating_sub(1), child)?.ok_or_else(&damaged)?;
                children.append_subtree(0, hash).map_err(|_| damaged())?;
            }
            if mirror.leaves().node(level, n)? != Some(children.root()) {
                return Err(damaged());
            }
        }
    }
    Ok(())
}

fn go_on(cx: &Context<'_>) -> Result<(), Fault> {
    if cx.is_stopped() { Err(Fault::Stopped) } else { Ok(()) }
}

/// Hashes bundle `n` of the mirror again, and repairs it if it is not what was proved. Returns its leaves' hashes.
///
/// # Errors
/// The mirror cannot be read, written or repaired.
pub(super) fn bundle(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    n: u64,
    verified: u64,
) -> Result<Vec<LeafHash>, Fault> {
    let first = n.saturating_mul(WIDTH);
    let width = verified.saturating_sub(first).min(WIDTH);
    let expected = proved_root(mirror, n, width)?;
    for repaired in [false, true] {
        let leaves = mirror.leaves().range(first, first.saturating_add(width))?;
        if leaves.len() as u64 == width
            && let Ok((hashes, root)) = fold(&leaves)
            && root == expected
        {
            return Ok(hashes);
        }
        if !repaired {
            repair(cx, mirror, statements, n)?;
        }
    }
    let why = format!("bundle {n} cannot be repaired");
    Err(Fault::Mirror(MirrorError::Damaged(mirror.path().to_owned(), why)))
}

/// Fetches a damaged bundle again, and puts it back if it is what was proved.
///
/// # Errors
/// The mirror cannot be read or written, or the log does not serve what was proved.
pub(super) fn repair(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    n: u64,
) -> Result<(), Fault> {
    let first = n.saturating_mul(WIDTH);
    let width = mirror.state().verified.saturating_sub(first).min(WIDTH);
    let expected = proved_root(mirror, n, width)?;
    let damaged = |why: &str| {
        let last = first.saturating_add(width).saturating_sub(1);
        let why = format!("the mirrored entries {first} to {last} are not what was stored, {why}");
        Fault::Mirror(MirrorError::Damaged(mirror.path().to_owned(), why))
    };
    let Some(source) = cx.source() else { return Err(damaged("and there is no log to fetch them from")) };
    let width = u16::try_from(width).unwrap_or(256);
    let leaves =
        fetch_leaves(source, n, width).map_err(|_| damaged("and the log does not serve them now"))?;
    let root = fold(&leaves).map_err(|_| damaged("and what the log serves could not be folded"))?.1;
    if root != expected {
        return Err(damaged("and what the log serves in their place was not proved before"));
    }
    mirror.transact(|mirror, _| {
        (first..).zip(&leaves).try_for_each(|(index, leaf)| mirror.leaves_mut().put(index, leaf))
    })?;
    let last = first.saturating_add(u64::from(width)).saturating_sub(1);
    statements.fault(format!(
        "the mirrored entries {first} to {last} were damaged on this disk; they were fetched again and are now \
         what was proved before. Check the disk, then run again with --full"
    ));
    Ok(())
}

/// The mirror's root at a head's size. If it is not the head's, the mirror is hashed again and repaired first, and then
/// asked again: damage on this disk is not held against the log.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or the run is stopped while the mirror is hashed again.
pub(super) fn root_for(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
    head: &Head,
) -> Result<Hash, Fault> {
    let read = |mirror: &Mirror| match head.size() {
        0 => Ok(empty_root()),
        size => mirrored_range(mirror, 0..size),
    };
    match read(mirror) {
        Ok(root) if root == head.root() => return Ok(root),
        Ok(_) | Err(MirrorError::Damaged(..)) => all(cx, mirror, statements, rehashed)?,
        Err(error) => return Err(error.into()),
    }
    Ok(read(mirror)?)
}
