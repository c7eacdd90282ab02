//! The places of the records of a run: what each row contains, and how long it must be. Pure.
//!
//! The layout follows from the number of records, which is in the state. A row of the wrong length or in the wrong
//! place is therefore detected before its content is parsed.

use crate::core::hash::{Hash, sha256_pair};
use std::fmt;

/// How records are grouped. Tests use small groups, to get many of them with few records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The number of records in a block.
    pub block: u64,
    /// The number of blocks below a fence, at most 127.
    pub fence: u64,
    /// The number of runs of one size class that are merged into one.
    pub fan: usize,
    /// Runs of fewer records than this count as one size class.
    pub small: u64,
    /// The maximum number of records in a run.
    pub largest: u64,
}

/// The shape in mirrors: 335 records of 24 bytes are 8,040 bytes, which fill a page of 8,192 together with the
/// overhead of the row; a fence and its filter take 30 kB; and merging into the largest run takes seconds, not
/// minutes.
pub const SHAPE: Shape = Shape { block: 335, fence: 64, fan: 4, small: 1 << 10, largest: 1 << 24 };

/// How many row numbers one fence and its blocks take.
const NUMBERS: u32 = 128;

/// A row of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A block of records.
    Block {
        /// The fence above it.
        fence: u32,
        /// Its number below that fence.
        slot: u32,
    },
    /// The directory of the blocks below it, and a filter over their records.
    Fence(u32),
    /// The directory of the fences.
    Header,
}

impl Place {
    /// The place of block `slot` below fence `fence`.
    pub fn block(fence: u64, slot: u64) -> Place {
        Place::Block { fence: narrow(fence), slot: narrow(slot) }
    }

    /// The place of a fence.
    pub fn fence(fence: u64) -> Place {
        Place::Fence(narrow(fence))
    }

    /// The row's number in its run: a fence comes after its blocks, and the header last. This is the order in which
    /// they are written.
    fn number(self) -> u32 {
        match self {
            Place::Block { fence, slot } => fence.saturating_mul(NUMBERS).saturating_add(slot),
            Place::Fence(fence) => fence.saturating_mul(NUMBERS).saturating_add(NUMBERS - 1),
            Place::Header => u32::MAX,
        }
    }

    /// The row's id in the table.
    pub fn row_id(self, run: u32) -> i64 {
        (i64::from(run) << 32) | i64::from(self.number())
    }

    /// SHA-256 of a row. The digest covers the kind and place of the row, so that no row can stand in for another.
    pub fn digest(self, run: u32, data: &[u8]) -> Hash {
        let tag = match self {
            Place::Block { .. } => b'b',
            Place::Fence(_) => b'f',
            Place::Header => b'h',
        };
        let [a, b, c, d] = run.to_be_bytes();
        let [e, f, g, h] = self.number().to_be_bytes();
        sha256_pair(&[tag, a, b, c, d, e, f, g, h], data)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Block { fence, slot } => write!(f, "block {slot} of fence {fence}"),
            Place::Fence(fence) => write!(f, "fence {fence}"),
            Place::Header => f.write_str("the header"),
        }
    }
}

/// Converts a number. [`Layout::new`] limits runs to [`Shape::largest`] records, so every number is far below 2^32.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The rows of a run with a given number of records.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    shape: Shape,
    records: u64,
}

impl Layout {
    /// The layout for this many records; `None` if no run can have so many.
    pub fn new(shape: Shape, records: u64) -> Option<Layout> {
        (1..=shape.largest).contains(&records).then_some(Layout { shape, records })
    }

    /// The number of records in the run.
    pub fn records(self) -> u64 {
        self.records
    }

    /// The number of blocks in the run.
    fn blocks(self) -> u64 {
        self.records.div_ceil(self.shape.block)
    }

    /// The number of fences in the run.
    pub fn fences(self) -> u64 {
        self.blocks().div_ceil(self.shape.fence)
    }

    /// The number of blocks below a fence: the maximum, except for the last fence.
    pub fn blocks_under(self, fence: u64) -> u64 {
        self.blocks().saturating_sub(fence.saturating_mul(self.shape.fence)).min(self.shape.fence)
    }

    /// The number of records below a fence.
    pub fn records_under(self, fence: u64) -> u64 {
        let most = self.shape.block.saturating_mul(self.shape.fence);
        self.records.saturating_sub(fence.saturating_mul(most)).min(most)
    }

    /// The number of records in a block.
    pub fn records_in(self, fence: u64, slot: u64) -> u64 {
        let before =
            fence.saturating_mul(self.shape.fence).saturating_add(slot).saturating_mul(self.shape.block);
        self.records.saturating_sub(before).min(self.shape.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_in_one_block_and_every_block_under_one_fence() {
        for (block, fence) in [(1, 1), (2, 3), (3, 2), (5, 4)] {
            for records in 1..200 {
                let shape = Shape { block, fence, fan: 4, small: 1, largest: 1000 };
                let layout = Layout::new(shape, records).unwrap();
                let mut rows = 1;
                let mut counted = 0;
                for fence in 0..layout.fences() {
                    let under: u64 =
                        (0..layout.blocks_under(fence)).map(|slot| layout.records_in(fence, slot)).sum();
                    assert_eq!(under, layout.records_under(fence));
                    assert!(under > 0);
                    counted += under;
                    rows += 1 + layout.blocks_under(fence);
                }
                assert_eq!((counted, rows), (records, 1 + layout.fences() + layout.blocks()));
                assert_eq!(layout.blocks_under(layout.fences()), 0);
            }
        }
        assert!(Layout::new(SHAPE, 0).is_none());
        assert!(Layout::new(SHAPE, SHAPE.largest + 1).is_none());
    }

    #[test]
    fn rows_are_numbered_in_the_order_in_which_they_are_written() {
        let layout = Layout::new(SHAPE, SHAPE.largest).unwrap();
        let mut last = i64::MIN;
        for run in [1, 2, u32::MAX >> 1] {
            for fence in 0..layout.fences() {
                for slot in 0..layout.blocks_under(fence) {
                    let id = Place::block(fence, slot).row_id(run);
                    assert!(id > last);
                    last = id;
                }
                let id = Place::fence(fence).row_id(run);
                assert!(id > last);
                last = id;
            }
            let id = Place::Header.row_id(run);
            assert!(id > last);
            last = id;
        }
    }

    #[test]
    fn no_row_has_the_digest_of_another_place() {
        let places =
            [Place::block(0, 0), Place::block(0, 1), Place::block(1, 0), Place::fence(0), Place::Header];
        let mut digests = std::collections::BTreeSet::new();
        for run in [1, 2, 256] {
            for place in places {
                assert!(digests.insert(place.digest(run, b"the same")));
            }
        }
    }
}
