//! The content of the rows of a run: blocks of records, and directories of blocks and of fences. Pure.

use super::filter::Filter;
use super::key::Key;
use crate::core::hash::{HASH_LEN, Hash};

/// The length of a fingerprint in bytes.
const KEY: usize = 16;

/// The length of a record in bytes: a fingerprint, and the index of the entry that had it first.
const RECORD: usize = KEY + 8;

/// The length of a directory item in bytes: the first fingerprint, and the digest of the row.
const ITEM: usize = KEY + HASH_LEN;

/// A value, and the entry that had it first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The value's fingerprint.
    pub key: Key,
    /// The index of the entry.
    pub index: u64,
}

impl Record {
    /// Appends the record to the bytes of a block.
    pub fn append(self, block: &mut Vec<u8>) {
        block.extend_from_slice(&self.key.to_be_bytes());
        block.extend_from_slice(&self.index.to_be_bytes());
    }

    fn read(bytes: &[u8; RECORD]) -> Record {
        let (key, index) = bytes.split_at(KEY);
        Record {
            key: key.try_into().map_or(0, Key::from_be_bytes),
            index: index.try_into().map_or(0, u64::from_be_bytes),
        }
    }
}

/// A block: records in ascending order.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
}

impl Block {
    /// Length in bytes of a block of this many records.
    pub fn length(records: u64) -> u64 {
        records.saturating_mul(RECORD as u64)
    }

    /// Parses a block that begins with `first`.
    pub fn parse(bytes: Vec<u8>, first: Key) -> Result<Block, &'static str> {
        let block = Block { bytes };
        if !block.bytes.as_chunks::<RECORD>().1.is_empty() {
            return Err("ends within a record");
        }
        if block.records().next().map(|record| record.key) != Some(first) {
            return Err("begins with another record");
        }
        if !block.records().map(|record| record.key).is_sorted_by(|a, b| a < b) {
            return Err("is not sorted");
        }
        Ok(block)
    }

    /// The records.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = Record> {
        self.bytes.as_chunks::<RECORD>().0.iter().map(Record::read)
    }

    /// The entry that had this value first, if the value is in the block.
    pub fn find(&self, key: Key) -> Option<u64> {
        let records = self.bytes.as_chunks::<RECORD>().0;
        let at = records.binary_search_by_key(&key, |bytes| Record::read(bytes).key).ok()?;
        records.get(at).map(|bytes| Record::read(bytes).index)
    }
}

/// A row one level below: its first fingerprint and its digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item {
    /// The first fingerprint in or under it.
    pub first: Key,
    /// SHA-256 of the row.
    pub digest: Hash,
}

/// The rows below a row, ascending.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct BlockDirectory {
    items: Vec<Item>,
}

impl BlockDirectory {
    /// Length in bytes of a directory of this many rows.
    pub fn length(rows: u64) -> u64 {
        rows.saturating_mul(ITEM as u64)
    }

    /// Parses a directory.
    pub fn parse(bytes: &[u8]) -> Result<BlockDirectory, &'static str> {
        let (items, rest) = bytes.as_chunks::<ITEM>();
        if !rest.is_empty() {
            return Err("ends within an item");
        }
        let items: Option<Vec<Item>> = items
            .iter()
            .map(|bytes| {
                let (first, digest) = bytes.split_at(KEY);
                Some(Item {
                    first: Key::from_be_bytes(first.try_into().ok()?),
                    digest: Hash::from_slice(digest)?,
                })
            })
            .collect();
        let directory = BlockDirectory { items: items.unwrap_or_default() };
        if !directory.items.is_sorted_by(|a, b| a.first < b.first) {
            return Err("is not sorted");
        }
        Ok(directory)
    }

    /// The stored bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let items = self.items.iter();
        items.flat_map(|item| item.first.to_be_bytes().into_iter().chain(item.digest.0)).collect()
    }

    /// Adds a row at the end.
    pub fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// The items, ascending.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The number of the only row that can contain a value, itself or below it; `None` if the value sorts before all
    /// rows.
    pub fn holding(&self, key: Key) -> Option<usize> {
        self.items.partition_point(|item| item.first <= key).checked_sub(1)
    }
}

/// A fence: the directory of the blocks below it, and a filter over all their records.
#[derive(Debug)]
pub struct Fence {
    /// The blocks.
    pub blocks: BlockDirectory,
    /// The filter over their records.
    pub filter: Filter,
}

impl Fence {
    /// Length in bytes of a fence over this many blocks and records.
    pub fn length(blocks: u64, records: u64) -> u64 {
        BlockDirectory::length(blocks).saturating_add(Filter::length(records))
    }

    /// Parses a fence of a run over this many blocks, which begins with `first`.
    pub fn parse(run: u32, bytes: &[u8], blocks: u64, first: Key) -> Result<Fence, &'static str> {
        let length = usize::try_from(BlockDirectory::length(blocks)).unwrap_or(usize::MAX);
        let (directory, filter) = bytes.split_at_checked(length).ok_or("is too short")?;
        let blocks = BlockDirectory::parse(directory)?;
        if blocks.items().first().map(|item| item.first) != Some(first) {
            return Err("begins with another record");
        }
        Ok(Fence { blocks, filter: Filter::stored(run, filter) })
    }

    /// The stored bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.blocks.bytes();
        bytes.extend_from_slice(self.filter.bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(keys: &[Key]) -> Vec<u8> {
        let mut bytes = Vec::new();
        keys.iter().for_each(|key| Record { key: *key, index: (*key % 100) as u64 }.append(&mut bytes));
        bytes
    }

    #[test]
    fn blocks_round_trip() {
        let keys = [3, 5, 1 << 90, Key::MAX];
        let bytes = block(&keys);
        assert_eq!(bytes.len() as u64, Block::length(4));
        let parsed = Block::parse(bytes, 3).unwrap();
        assert!(parsed.records().map(|record| record.key).eq(keys));
        assert!(keys.iter().all(|key| parsed.find(*key) == Some((*key % 100) as u64)));
        assert!([0, 4, 6, Key::MAX - 1].iter().all(|key| parsed.find(*key).is_none()));
    }

    #[test]
    fn blocks_are_sorted_and_hold_complete_records() {
        assert!(Block::parse(block(&[3, 3]), 3).is_err());
        assert!(Block::parse(block(&[5, 3]), 5).is_err());
        assert!(Block::parse(block(&[3, 5]), 4).is_err());
        assert!(Block::parse(block(&[]), 0).is_err());
        for short in [block(&[3, 5])[..47].to_vec(), [block(&[3, 5]), vec![0]].concat()] {
            assert!(Block::parse(short, 3).is_err());
        }
    }

    #[test]
    fn fences_round_trip() {
        let mut fence = Fence { blocks: BlockDirectory::default(), filter: Filter::empty(2, 20) };
        for first in [10, 20, 30] {
            fence.blocks.push(Item { first, digest: Hash([first as u8; 32]) });
            fence.filter.insert(first);
        }
        let bytes = fence.bytes();
        assert_eq!(bytes.len() as u64, Fence::length(3, 20));
        let parsed = Fence::parse(2, &bytes, 3, 10).unwrap();
        assert_eq!((&parsed.blocks, &parsed.filter), (&fence.blocks, &fence.filter));
        let holding = |key| parsed.blocks.holding(key);
        assert_eq!([9, 10, 19, 20, 35].map(holding), [None, Some(0), Some(0), Some(1), Some(2)]);
        assert!(Fence::parse(2, &bytes, 3, 11).is_err());
        assert!(Fence::parse(2, &bytes[..100], 3, 10).is_err());
        assert!(BlockDirectory::parse(&bytes[..95]).is_err());
        let swapped = [&bytes[48..96], &bytes[..48]].concat();
        assert_eq!(BlockDirectory::parse(&swapped), Err("is not sorted"));
    }
}
