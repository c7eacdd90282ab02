//! The log's own Merkle tiles, believed only as far as the signed root vouches for them.
//!
//! [`ServedTree::open`] folds the tiles of the tree's right edge into its root and compares that
//! with the signed one. Every full tile is then vouched for by one hash in the tile above it. So a
//! bundle of entries is authenticated when it arrives, nothing is stored before that,
//! and a tree of any size needs a few tiles of memory (C2SP tlog-tiles).

use super::answer::Answer;
use crate::core::hash::Hash;
use crate::core::tile::{TilePath, parse_tile};
use crate::core::tree::CompactRange;
use crate::source::{FetchError, LogSource};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Why what the log serves cannot vouch for its entries.
#[derive(Clone, Debug)]
pub(super) enum TreeError {
    /// This tile is not served.
    Missing(TilePath),
    /// This tile is malformed, or is not what the signed root commits to.
    Wrong(TilePath),
    /// The log's consistency proof to the signed tree is wrong or missing.
    Proof {
        /// The smaller tree.
        first: u64,
        /// [`Answer::Wrong`] or [`Answer::Missing`].
        answer: Answer,
    },
    /// Could not tell: the cause.
    Fetch(String),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeError::Missing(path) => write!(f, "{path} is not served"),
            TreeError::Wrong(path) => write!(f, "{path} does not fit the signed root"),
            TreeError::Proof { first, answer: Answer::Missing(why) | Answer::Wrong(why), .. } => {
                write!(f, "the log's own proof does not verify the first {first} entries: {why}")
            }
            TreeError::Proof { first, .. } => write!(f, "no proof covers the first {first} entries"),
            TreeError::Fetch(cause) => f.write_str(cause),
        }
    }
}

/// Tiles of one signed head's tree.
pub(super) struct ServedTree<'a> {
    source: &'a dyn LogSource,
    size: u64,
    /// Right-edge tiles, by level: authenticated by the root itself.
    edges: HashMap<u8, Arc<Vec<Hash>>>,
    /// The last full tile used at each level.
    recent: HashMap<u8, (u64, Arc<Vec<Hash>>)>,
}

/// Nodes at tile level `level` in a tree of `size` leaves.
fn nodes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0)
}

/// Folds leaves `[range)` from the fewest nodes: `node(level, n)` is the root of the n-th perfect
/// subtree of 256^level leaves. The range must be one of RFC 6962's, so that it is one subtree.
///
/// # Errors
/// A node cannot be had.
pub(super) fn fold_range<E>(
    range: Range<u64>,
    mut node: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut folded = CompactRange::new(range.start);
    let mut at = range.start;
    while at < range.end {
        let level = largest_level(at, range.end);
        let shift = u32::from(level).saturating_mul(8);
        let hash = node(level, nodes_at(at, level))?;
        // Aligned by the choice of level. A misaligned append would leave a wrong root, never a
        // false acceptance.
        if folded.append_subtree(shift, hash).is_err() {
            break;
        }
        at = at.saturating_add(1u64.checked_shl(shift).unwrap_or(u64::MAX));
    }
    Ok(folded.root())
}

fn largest_level(at: u64, end: u64) -> u8 {
    let mut level: u8 = 0;
    while level < 7 {
        let width = 1u64 << (u32::from(level).saturating_add(1).saturating_mul(8));
        if !at.is_multiple_of(width) || at.checked_add(width).is_none_or(|next| next > end) {
            break;
        }
        level = level.saturating_add(1);
    }
    level
}

impl<'a> ServedTree<'a> {
    /// Fetches the right edge of the tree and compares it with the signed root. What is wrong is looked at once
    /// more.
    ///
    /// # Errors
    /// A tile is missing or wrong, or could not be asked for.
    pub(super) fn open(
        source: &'a dyn LogSource,
        size: u64,
        root: &Hash,
    ) -> Result<ServedTree<'a>, TreeError> {
        twice(source, || ServedTree::open_once(source, size, root))
    }

    fn open_once(source: &'a dyn LogSource, size: u64, root: &Hash) -> Result<ServedTree<'a>, TreeError> {
        let mut tree = ServedTree { source, size, edges: HashMap::new(), recent: HashMap::new() };
        let mut folded = CompactRange::new(0);
        // A tree has an edge unless it is empty, and an empty one is never opened.
        let mut lowest = path(0, 0, 256);
        for level in (0..8u8).rev() {
            let width = u16::try_from(nodes_at(size, level) % 256).unwrap_or(0);
            if width == 0 {
                continue;
            }
            let index = nodes_at(size, level) / 256;
            let tile = tree.fetch(level, index, width)?;
            for hash in &tile {
                let appended = folded.append_subtree(u32::from(level).saturating_mul(8), *hash);
                appended.map_err(|_| TreeError::Wrong(path(level, index, width)))?;
            }
            tree.edges.insert(level, Arc::new(tile));
            lowest = path(level, index, width);
        }
        if folded.root() != *root {
            return Err(TreeError::Wrong(lowest));
        }
        Ok(tree)
    }

    fn fetch(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TreeError> {
        let path = path(level, index, width);
        match self.source.tile(level, index, width) {
            Ok(bytes) => parse_tile(&bytes, width).map_err(|_| TreeError::Wrong(path)),
            Err(FetchError::NotFound { .. }) => Err(TreeError::Missing(path)),
            Err(FetchError::TooLarge { .. }) => Err(TreeError::Wrong(path)),
            Err(error) => Err(TreeError::Fetch(error.to_string())),
        }
    }

    /// The authenticated root of the n-th perfect subtree of 256^level leaves.
    ///
    /// # Errors
    /// A tile is missing or wrong, or could not be asked for.
    pub(super) fn node(&mut self, level: u8, n: u64) -> Result<Hash, TreeError> {
        let tile = self.tile(level, n / 256)?;
        let slot = usize::try_from(n % 256).unwrap_or(usize::MAX);
        tile.get(slot).copied().ok_or_else(|| TreeError::Wrong(path(level, n / 256, 256)))
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, TreeError> {
        if index >= nodes_at(self.size, level) / 256 {
            let missing = || TreeError::Missing(path(level, index, 256));
            return self.edges.get(&level).cloned().ok_or_else(missing);
        }
        if let Some((recent, tile)) = self.recent.get(&level)
            && *recent == index
        {
            return Ok(Arc::clone(tile));
        }
        let expected = self.node(level.saturating_add(1), index)?;
        let tile = Arc::new(twice(self.source, || self.full_tile(level, index, expected))?);
        self.recent.insert(level, (index, Arc::clone(&tile)));
        Ok(tile)
    }

    /// A full tile that fits `expected`, its hash in the tile above it.
    fn full_tile(&self, level: u8, index: u64, expected: Hash) -> Result<Vec<Hash>, TreeError> {
        let tile = self.fetch(level, index, 256)?;
        let mut folded = CompactRange::new(0);
        for hash in &tile {
            // 256 appends at one level to an empty range are always aligned.
            folded.append_subtree(0, *hash).map_err(|_| TreeError::Wrong(path(level, index, 256)))?;
        }
        if expected != folded.root() {
            return Err(TreeError::Wrong(path(level, index, 256)));
        }
        Ok(tile)
    }

    /// The authenticated hash of leaves `[range)`, a range of RFC 6962.
    ///
    /// # Errors
    /// A tile is missing or wrong, or could not be asked for.
    pub(super) fn range(&mut self, range: Range<u64>) -> Result<Hash, TreeError> {
        fold_range(range, |level, n| self.node(level, n))
    }
}

/// Looks, and looks once more at what is wrong: a directory may be being copied.
fn twice<T>(source: &dyn LogSource, look: impl Fn() -> Result<T, TreeError>) -> Result<T, TreeError> {
    let unknown = |error: FetchError| TreeError::Fetch(error.to_string());
    let first = look();
    if !matches!(first, Err(TreeError::Wrong(_))) {
        return first;
    }
    source.settle().map_err(unknown)?;
    let again = look();
    if matches!(again, Err(TreeError::Wrong(_))) {
        source.confirm().map_err(unknown)?;
    }
    again
}

fn path(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::Hash { level, index, width }
}
