//! Tiles and entry bundles of a tiled log (c2sp.org/tlog-tiles): their paths, which of them exist, and their bytes.
//!
//! Parsing shows only that a tile or bundle has exactly as many hashes or entries as its path says. The hashes are unproven
//! until they fold to a signed root.

use crate::core::hash::{HASH_LEN, Hash};
use crate::core::limits::TILE_WIDTH;
use std::fmt;
use std::ops::Range;

/// Highest tile level of a path (included).
const MAX_LEVEL: u8 = 63;

/// Highest tile level of a tree (included): eight levels of 8 bits cover a 64-bit size.
const MAX_TREE_LEVEL: u8 = 7;

/// Bits of a leaf index for one level of tiles: a tile is 2^8 wide.
const LEVEL_BITS: u32 = 8;

/// A resource of a tiled log. `index` counts the full tiles before it. `width` is 1 to 256 (both included); 256 is a full
/// tile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`: Merkle Tree Hashes.
    Hash {
        /// 0 to 63, both included. Level 0 holds leaf hashes.
        level: u8,
        /// The tile's index in its level.
        index: u64,
        /// Number of hashes.
        width: u16,
    },
    /// `tile/entries/<N>[.p/<W>]`: a bundle of entries.
    Entries {
        /// The bundle's index.
        index: u64,
        /// Number of entries.
        width: u16,
    },
    /// `tile/data/<N>[.p/<W>]` of the static CT API. Recognised; not used by approval logs.
    Data {
        /// The tile's index.
        index: u64,
        /// Number of entries.
        width: u16,
    },
    /// `tile/names/<N>[.p/<W>]` of the static CT API. Recognised; not used by approval logs.
    Names {
        /// The tile's index.
        index: u64,
        /// Number of entries.
        width: u16,
    },
}

/// Why a text is not a tile path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TilePathError {
    /// It does not begin with `tile/` followed by `entries`, `data`, `names` or a level.
    Kind,
    /// The level is not a canonical number from 0 to 63.
    Level,
    /// The index is not in groups of three digits, each but the last prefixed with `x`; or it has too many groups, or is
    /// above 2^64 − 1.
    Index,
    /// The width of a partial tile is not a canonical number from 1 to 255.
    Width,
}

impl fmt::Display for TilePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TilePathError::Kind => "not the path of a tile",
            TilePathError::Level => "the level is not a canonical number from 0 to 63",
            TilePathError::Index => "the index is not in canonical groups of three digits",
            TilePathError::Width => "the width is not a canonical number from 1 to 255",
        })
    }
}

impl std::error::Error for TilePathError {}

/// A decimal number as in C2SP: only digits, no leading zero.
fn parse_canonical(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Parses `x001/x234/067` as 1,234,067. A leading group of zeros would give one tile a second path.
fn parse_index(text: &str) -> Option<u64> {
    let mut index = 0u64;
    let mut groups = text.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let last = groups.peek().is_none();
        let digits = if last { group } else { group.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value: u64 = digits.parse().ok()?;
        if first && !last && value == 0 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(value)?;
        first = false;
    }
    Some(index)
}

fn index_text(index: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

impl TilePath {
    /// Parses a path relative to the log's prefix. Each tile has exactly one path.
    ///
    /// # Errors
    /// [`TilePathError`].
    pub fn parse(path: &str) -> Result<TilePath, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Kind)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError::Kind)?;
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((index, width)) => {
                let width = parse_canonical(width).and_then(|width| u16::try_from(width).ok());
                let partial = width.filter(|width| (1..TILE_WIDTH).contains(width));
                (index, partial.ok_or(TilePathError::Width)?)
            }
        };
        let index = parse_index(index).ok_or(TilePathError::Index)?;
        match kind {
            "entries" => Ok(TilePath::Entries { index, width }),
            "data" => Ok(TilePath::Data { index, width }),
            "names" => Ok(TilePath::Names { index, width }),
            level => {
                let level = parse_canonical(level).and_then(|level| u8::try_from(level).ok());
                let level = level.filter(|level| *level <= MAX_LEVEL).ok_or(TilePathError::Level)?;
                Ok(TilePath::Hash { level, index, width })
            }
        }
    }

    /// The path relative to the log's prefix, without a leading slash. Any width but 256 is written as a partial tile.
    pub fn to_path(&self) -> String {
        let (kind, index, width) = match *self {
            TilePath::Hash { level, index, width } => (level.to_string(), index, width),
            TilePath::Entries { index, width } => ("entries".to_owned(), index, width),
            TilePath::Data { index, width } => ("data".to_owned(), index, width),
            TilePath::Names { index, width } => ("names".to_owned(), index, width),
        };
        let index = index_text(index);
        if width == TILE_WIDTH {
            format!("tile/{kind}/{index}")
        } else {
            format!("tile/{kind}/{index}.p/{width}")
        }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_path())
    }
}

/// A range of hash tiles of one level and width, because a tree of 2^64 leaves has too many tiles to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TileRun {
    /// The level.
    pub level: u8,
    /// The indices: start inclusive, end exclusive, never empty.
    pub indices: Range<u64>,
    /// The width: 256, or less for the one partial tile of a level.
    pub width: u16,
}

/// Every hash tile of a tree of `size` leaves, by level, with the full tiles before the partial one. At most 15 runs.
pub fn tiles_for_size(size: u64) -> Vec<TileRun> {
    let mut runs = Vec::new();
    let mut nodes = size;
    for level in 0..=MAX_TREE_LEVEL {
        let (full, partial) = full_and_partial(nodes);
        if full > 0 {
            runs.push(TileRun { level, indices: 0..full, width: TILE_WIDTH });
        }
        if partial > 0 {
            // `full` is at most 2^56 - 1, so this is exact.
            runs.push(TileRun { level, indices: full..full.saturating_add(1), width: partial });
        }
        nodes = full;
    }
    runs
}

/// The width of tile `index` at `level` in a tree of `size` leaves, 1 to 256; `None` if the tree has no such tile. At level 0
/// the entry bundle has the same width.
pub fn width_at(level: u8, index: u64, size: u64) -> Option<u16> {
    let bits = u32::from(level).checked_mul(LEVEL_BITS)?;
    let (full, partial) = full_and_partial(size.checked_shr(bits)?);
    if index < full {
        return Some(TILE_WIDTH);
    }
    (index == full && partial > 0).then_some(partial)
}

/// The number of full tiles for `nodes` hashes of one level, and the width of the partial tile, or 0.
fn full_and_partial(nodes: u64) -> (u64, u16) {
    let [.., low] = nodes.to_be_bytes();
    (nodes >> LEVEL_BITS, u16::from(low))
}

/// Why bytes are not a bundle of the expected width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BundleError {
    /// The bytes end before the expected number of entries.
    Truncated {
        /// Complete entries.
        entries_read: u16,
    },
    /// Bytes follow the expected number of entries.
    Trailing {
        /// Number of these bytes.
        extra_bytes: usize,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Truncated { entries_read } => {
                write!(
                    f,
                    "the bundle ends after {entries_read} complete entries, before its width is reached"
                )
            }
            BundleError::Trailing { extra_bytes } => {
                write!(f, "the bundle has {extra_bytes} bytes too many after its entries")
            }
        }
    }
}

impl std::error::Error for BundleError {}

/// Splits a bundle into exactly `width` entries, each a big-endian 16-bit length and that many bytes (C2SP tlog-tiles "Log
/// entries"). The entries themselves are not checked, and may be empty.
///
/// # Errors
/// [`BundleError`]: the bundle has too few or too many bytes.
pub fn parse_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for entries_read in 0..width {
        let (entry, behind) = next_entry(rest).ok_or(BundleError::Truncated { entries_read })?;
        entries.push(entry);
        rest = behind;
    }
    if rest.is_empty() { Ok(entries) } else { Err(BundleError::Trailing { extra_bytes: rest.len() }) }
}

fn next_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Bytes that are not a tile of the expected width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TileError {
    /// The number of bytes for this width.
    pub expected: usize,
    /// The actual number of bytes.
    pub found: usize,
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tile has {} bytes, but its width requires {}", self.found, self.expected)
    }
}

impl std::error::Error for TileError {}

/// Splits a tile into exactly `width` hashes of 32 bytes (C2SP tlog-tiles "Merkle Tree").
///
/// # Errors
/// [`TileError`]: the number of bytes is not the one for this width.
pub fn parse_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    // At most 65,535 × 32, so this is exact.
    let expected = usize::from(width).saturating_mul(HASH_LEN);
    if bytes.len() != expected {
        return Err(TileError { expected, found: bytes.len() });
    }
    let (hashes, _) = bytes.as_chunks::<HASH_LEN>();
    Ok(hashes.iter().copied().map(Hash).collect())
}

#[cfg(test)]
#[path = "tile_tests.rs"]
mod tests;
