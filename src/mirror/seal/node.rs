//! The summary of a range of rows: their number, the sum of their digests, and counts that help to find rows that
//! still need work. Pure.

use super::digest::{ColumnDigest, DigestSum};
use crate::core::hash::Hash;
use crate::core::time::UnixMillis;
use rusqlite::Row;

/// The number of counts in a node.
pub const COUNTS: usize = 11;

/// Length of [`Node::encode`].
const ENCODED: usize = 8 + 32 + 8 * COUNTS + 16;

/// A range of rows of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// The number of rows.
    pub rows: u64,
    /// The sum of their digests.
    sum: DigestSum,
    /// For heads, the number in each state: see [`super::Flag`]. For other tables 0.
    pub counts: [u64; COUNTS],
    /// For heads, the times of the earliest and the latest STH; the last moment and the first if there is none.
    pub times: (UnixMillis, UnixMillis),
}

impl Default for Node {
    fn default() -> Node {
        Node {
            rows: 0,
            sum: DigestSum::default(),
            counts: [0; COUNTS],
            times: (UnixMillis::MAX, UnixMillis::EPOCH),
        }
    }
}

/// One row as it enters a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowMark {
    /// Its key in the tree of its table.
    pub key: u64,
    /// Digest of all its columns.
    pub digest: Hash,
    /// Its contribution to [`Node::counts`].
    pub counts: [u64; COUNTS],
    /// The time of an STH. It never changes.
    pub time: Option<UnixMillis>,
}

impl Node {
    /// Adds one row.
    pub fn add(&mut self, row: &RowMark) {
        self.rows = self.rows.wrapping_add(1);
        self.sum.add(&row.digest);
        for (count, more) in self.counts.iter_mut().zip(row.counts) {
            *count = count.wrapping_add(more);
        }
        if let Some(time) = row.time {
            self.times = (self.times.0.min(time), self.times.1.max(time));
        }
    }

    /// Removes one row. A head is removed only to be added again with changes, so the times stay.
    pub fn remove(&mut self, row: &RowMark) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum.remove(&row.digest);
        for (count, less) in self.counts.iter_mut().zip(row.counts) {
            *count = count.wrapping_sub(less);
        }
    }

    /// Adds all rows of another range.
    pub fn merge(&mut self, other: &Node) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.sum.merge(other.sum);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.wrapping_add(more);
        }
        self.times = (self.times.0.min(other.times.0), self.times.1.max(other.times.1));
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENCODED);
        let numbers = std::iter::once(self.rows).chain(self.sum.0).chain(self.counts);
        for number in numbers.chain([self.times.0, self.times.1].map(UnixMillis::get)) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Parses the result of [`Node::encode`]; `None` if it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Node> {
        if bytes.len() != ENCODED {
            return None;
        }
        let (chunks, _) = bytes.as_chunks::<8>();
        let mut numbers = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut node = Node { rows: numbers.next()?, ..Node::default() };
        for limb in &mut node.sum.0 {
            *limb = numbers.next()?;
        }
        for count in &mut node.counts {
            *count = numbers.next()?;
        }
        node.times = (UnixMillis::new(numbers.next()?), UnixMillis::new(numbers.next()?));
        Some(node)
    }
}

/// A digest of all columns of a row: the number of the table, then the types, lengths and values of the columns.
pub fn row_digest(table: u8, row: &Row<'_>) -> rusqlite::Result<Hash> {
    let mut digest = ColumnDigest::new(&[table]);
    for column in 0..row.as_ref().column_count() {
        digest.add(row.get_ref(column)?);
    }
    Ok(digest.finish())
}
