//! Tiles and entry bundles of a tiled log (c2sp.org/tlog-tiles): their paths, which of them exist, and
//! their bytes.
//!
//! A tile or bundle that parses proves nothing: its hashes are a claim until they fold to a signed
//! root. Parsing shows only that there are exactly as many hashes or entries as the path promises.

use crate::core::hash::{HASH_LEN, Hash};
use crate::core::limits::TILE_WIDTH;
use std::fmt;
use std::ops::Range;

/// Highest tile level of a path (included). Trees of 64-bit sizes end at level 7.
const MAX_LEVEL: u8 = 63;

/// Bits of a leaf index that one level of tiles takes: tiles are 2^8 wide.
const LEVEL_BITS: u32 = 8;

/// A resource of a tiled log. `index` counts the full tiles before it; `width` is 1 to 256 (both
/// included), 256 being full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`: Merkle Tree Hashes.
    Hash {
        /// 0 to 63, both included; level 0 holds leaf hashes.
        level: u8,
        /// Which tile of its level.
        index: u64,
        /// Hashes in it.
        width: u16,
    },
    /// `tile/entries/<N>[.p/<W>]`: a bundle of entries.
    Entries {
        /// Which bundle.
        index: u64,
        /// Entries in it.
        width: u16,
    },
    /// `tile/data/<N>[.p/<W>]` of the static CT API. Recognised; not used by approval logs.
    Data {
        /// Which tile.
        index: u64,
        /// Entries in it.
        width: u16,
    },
    /// `tile/names/<N>[.p/<W>]` of the static CT API. Recognised; not used by approval logs.
    Names {
        /// Which tile.
        index: u64,
        /// Entries in it.
        width: u16,
    },
}

/// Why a text is no tile path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TilePathError {
    /// It does not begin with `tile/` and one of `entries`, `data`, `names` and a level.
    Kind,
    /// The level is no canonical number from 0 to 63.
    Level,
    /// The index is not in groups of three digits, all but the last with an `x`, no group too many;
    /// or it is above 2^64 − 1.
    Index,
    /// The width of a partial tile is no canonical number from 1 to 255.
    Width,
}

impl fmt::Display for TilePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TilePathError::Kind => "not the path of a tile",
            TilePathError::Level => "the level is no canonical number from 0 to 63",
            TilePathError::Index => "the index is not in canonical groups of three digits",
            TilePathError::Width => "the width is no canonical number from 1 to 255",
        })
    }
}

impl std::error::Error for TilePathError {}

/// A decimal number as C2SP writes it: digits only, no leading zero.
fn parse_canonical(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// `x001/x234/067` as 1,234,067. A leading group of zeros would be a second path for one tile.
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
    /// Parses a path relative to the log's prefix. Strict: one path per tile.
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

    /// The path relative to the log's prefix, without a leading slash. A width other than 256 is written
    /// as that of a partial tile.
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

/// Hash tiles of one level and width, by a range: a tree of 2^64 leaves has too many to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TileRun {
    /// Their level.
    pub level: u8,
    /// Their indices: start inclusive, end exclusive, never empty.
    pub indices: Range<u64>,
    /// Their width: 256, or less for the one partial tile of a level.
    pub width: u16,
}

/// Every hash tile of a tree of `size` leaves: by level, the full ones before the partial one. At most
/// 15 runs.
pub fn tiles_for_size(size: u64) -> Vec<TileRun> {
    let mut runs = Vec::new();
    let (mut level, mut nodes) = (0, size);
    while nodes > 0 {
        let (full, partial) = full_and_partial(nodes);
        if full > 0 {
            runs.push(TileRun { level, indices: 0..full, width: TILE_WIDTH });
        }
        if partial > 0 {
            runs.push(TileRun { level, indices: full..full.saturating_add(1), width: partial });
        }
        nodes = full;
        level = level.saturating_add(1);
    }
    runs
}

/// The width of tile `index` at `level` in a tree of `size` leaves, 1 to 256; `None` where the tree has
/// no such tile. For level 0 it is the width of the entry bundle too.
pub fn width_at(level: u8, index: u64, size: u64) -> Option<u16> {
    let bits = u32::from(level).checked_mul(LEVEL_BITS)?;
    let (full, partial) = full_and_partial(size.checked_shr(bits)?);
    if index < full {
        return Some(TILE_WIDTH);
    }
    (index == full && partial > 0).then_some(partial)
}

/// How many full tiles hold `nodes` hashes of one level, and the width of the partial tile, or 0.
fn full_and_partial(nodes: u64) -> (u64, u16) {
    let [.., low] = nodes.to_be_bytes();
    (nodes >> LEVEL_BITS, u16::from(low))
}

/// Why bytes are no bundle of the promised width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BundleError {
    /// The bytes end before the promised number of entries is complete.
    Truncated {
        /// Entries that are complete.
        entries_read: u16,
    },
    /// There are bytes behind the promised number of entries.
    Trailing {
        /// How many.
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
                write!(f, "the bundle has {extra_bytes} bytes too many behind its entries")
            }
        }
    }
}

impl std::error::Error for BundleError {}

/// Splits a bundle into exactly `width` entries: each a big-endian 16-bit length and that many bytes
/// (C2SP tlog-tiles "Log entries"). An entry may be empty here; whether it is an entry of a profile is
/// not looked at.
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

/// Bytes that are no tile of the promised width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TileError {
    /// Bytes that the width asks for.
    pub expected: usize,
    /// Bytes that there are.
    pub found: usize,
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tile has {} bytes, and its width asks for {}", self.found, self.expected)
    }
}

impl std::error::Error for TileError {}

/// Splits a tile into exactly `width` hashes of 32 bytes (C2SP tlog-tiles "Merkle Tree").
pub fn parse_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
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
