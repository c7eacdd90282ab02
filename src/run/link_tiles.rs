//! Heads of a tiled log proved to be of one history by its Merkle tiles.
//!
//! Each tile is believed only as far as the newest signed root vouches for it ([`ServedTree`]). A tile that does not lead
//! to that root is a finding about how the log serves, and the head stays open until it is proved.

use super::context::Context;
use super::contradiction::evidence_nodes;
use super::fault::Fault;
use super::linked::Link;
use super::served_tree::{ServedTree, TreeError};
use super::statements::Statements;
use super::verifier::WIDTH;
use super::{contradiction, findings, linked};
use crate::audit::subject::Subject;
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::Head;
use crate::core::tile::TilePath;
use crate::mirror::{Mirror, StoredHead};
use crate::source::LogSource;

// An index that saturates is beyond every tree, and no tree has a node there.

/// Proves each head of `before` against `head`. Returns `false` if the served tiles do not lead to `head`.
///
/// # Errors
/// The mirror or the evidence directory cannot be used.
pub(super) fn link(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
    before: &[StoredHead],
) -> Result<bool, Fault> {
    let mut tree = match twice(|| ServedTree::open(source, head.size(), &head.root())) {
        Ok(tree) => tree,
        Err(TreeError::Fetch(cause)) => {
            statements.incomplete(cause);
            return Ok(true);
        }
        Err(error) => {
            doubt_tile(cx, mirror, head, &error)?;
            return Ok(false);
        }
    };
    linked::link_each(cx, mirror, statements, head, before, |mirror, statements, other| {
        hold_against_tiles(cx, mirror, statements, &mut tree, other, head)
    })?;
    end_tile_findings(cx, mirror, &mut tree)?;
    Ok(true)
}

/// Compares one head with the served tiles. Every node of `tree` was verified against the root of `head`.
fn hold_against_tiles(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    tree: &mut ServedTree<'_>,
    other: &Head,
    head: &Head,
) -> Result<Link, Fault> {
    let mut prove = || -> Result<Option<Vec<Hash>>, TreeError> {
        if tree.range(0..other.size())? == other.root() {
            return Ok(None);
        }
        evidence_nodes(other.size(), head.size(), |range| tree.range(range)).map(Some)
    };
    match twice(&mut prove) {
        Ok(None) => Ok(Link::Proved),
        Ok(Some(nodes)) => {
            contradiction::report_inconsistent(cx, mirror, statements, other, head, &nodes)?;
            Ok(Link::Contradicted)
        }
        Err(TreeError::Fetch(cause)) => Ok(Link::Unknown(cause)),
        Err(error) => doubt_tile(cx, mirror, head, &error).map(|()| Link::Unproved),
    }
}

/// Records a tile that does not lead to the signed root, also when it is asked for again.
fn doubt_tile(cx: &Context<'_>, mirror: &mut Mirror, head: &Head, error: &TreeError) -> Result<(), Fault> {
    let (code, path, what) = match error {
        TreeError::Missing(path) => (Code::Gap, path, "is not served"),
        TreeError::Wrong(path) => (Code::TileMismatch, path, "is not what that head commits to"),
        TreeError::Fetch(_) | TreeError::Proof { .. } => return Ok(()),
    };
    let message = format!(
        "the Merkle tile {path}, which the signed head of size {} needs to be compared with others, {what}",
        head.size()
    );
    findings::record_of_log(cx, mirror, code, Subject::Tile(*path), message)
}

/// Ends the findings about tiles that were wrong or missing and are right now.
fn end_tile_findings(cx: &Context<'_>, mirror: &mut Mirror, tree: &mut ServedTree<'_>) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        let doubted = matches!(finding.code, Code::Gap | Code::TileMismatch);
        if !doubted || stored.last_seen == cx.now() {
            continue;
        }
        if let Subject::Tile(TilePath::Hash { level, index, width }) = finding.subject {
            let last = index.saturating_mul(WIDTH).saturating_add(u64::from(width)).saturating_sub(1);
            if level < 8 && tree.node(level, last).is_ok() {
                findings::end(cx, mirror, &finding)?;
            }
        }
    }
    Ok(())
}

/// Asks, and asks again if a tile is wrong: a transfer can be changed without a sign of it.
fn twice<T>(mut ask: impl FnMut() -> Result<T, TreeError>) -> Result<T, TreeError> {
    match ask() {
        Err(TreeError::Wrong(_)) => ask(),
        first => first,
    }
}
