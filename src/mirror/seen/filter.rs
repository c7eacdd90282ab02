//! A Bloom filter over the records below a fence, which tells for nearly every absent value that it is absent. Pure.
//!
//! The filter only saves reads. It is part of its fence's row and therefore of that row's digest, so an absence that
//! it reports is as authenticated as one that a block shows. A filter with all bits set costs only time.

use super::key::Key;

/// With ten bits per record, about one in 120 absent values passes.
const BITS_A_RECORD: u64 = 10;

/// The best number of probes for ten bits per record.
const PROBES: u32 = 7;

/// The filter's bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    bytes: Vec<u8>,
    run: u32,
}

impl Filter {
    /// Length in bytes of a filter over this many records.
    pub fn length(records: u64) -> u64 {
        records.saturating_mul(BITS_A_RECORD).div_ceil(8)
    }

    /// An empty filter of a run, sized for this many records.
    pub fn empty(run: u32, records: u64) -> Filter {
        Filter { bytes: vec![0; usize::try_from(Filter::length(records)).unwrap_or(0)], run }
    }

    /// The filter of a run, from its stored bytes.
    pub fn stored(run: u32, bytes: &[u8]) -> Filter {
        Filter { bytes: bytes.to_vec(), run }
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a value.
    pub fn insert(&mut self, key: Key) {
        for (byte, bit) in self.places(key) {
            if let Some(byte) = self.bytes.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// `false` if the value was certainly not added.
    pub fn may_contain(&self, key: Key) -> bool {
        self.places(key).all(|(byte, bit)| self.bytes.get(byte).is_some_and(|byte| byte & bit != 0))
    }

    /// The log chooses the values that are hashed with SHA-256, so it can choose many values whose fingerprints share
    /// some bits. The bits are therefore mixed first, differently in each run.
    fn places(&self, key: Key) -> impl Iterator<Item = (usize, u8)> + use<> {
        let [high, low] = halves(key);
        let mut at = mix(mix(high ^ u64::from(self.run)) ^ low);
        let step = mix(at) | 1;
        let bits = u64::try_from(self.bytes.len()).unwrap_or(0).saturating_mul(8);
        (0..PROBES).map(move |_| {
            // The upper half, scaled to the number of bits, which is far below 2^32.
            let bit = (at >> 32).wrapping_mul(bits) >> 32;
            at = at.wrapping_add(step);
            (usize::try_from(bit >> 3).unwrap_or(usize::MAX), 1 << (bit & 7))
        })
    }
}

fn halves(key: Key) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = key.to_be_bytes();
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest)]
}

/// The finaliser of splitmix64: every bit of the value changes every bit of the result.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    fn key(n: u32) -> Key {
        let digest = sha256(&n.to_be_bytes()).0;
        Key::from_be_bytes(*digest.first_chunk().unwrap())
    }

    #[test]
    fn added_values_are_found_and_few_others() {
        for records in [1u32, 2, 7, 100, 21_440] {
            let mut filter = Filter::empty(3, records.into());
            (0..records).for_each(|n| filter.insert(key(n)));
            assert!((0..records).all(|n| filter.may_contain(key(n))));
            let others = (1_000_000..1_020_000).filter(|n| filter.may_contain(key(*n))).count();
            assert!(records < 7 || others < 600, "{others} of 20,000 with {records} records");
            let stored = Filter::stored(3, filter.bytes());
            assert_eq!(stored, filter);
        }
    }

    /// Values that share their first or last bytes, as a log can choose them.
    #[test]
    fn chosen_values_do_not_fill_a_filter() {
        for shift in [0, 40, 88] {
            let chosen = |n: u32| (Key::from(n) << shift) | (0xabcd << 112);
            let mut filter = Filter::empty(9, 2000);
            (0..2000).for_each(|n| filter.insert(chosen(n)));
            let others = (2000..12_000).filter(|n| filter.may_contain(chosen(*n))).count();
            assert!(others < 300, "{others} of 10,000, shifted by {shift}");
        }
    }

    #[test]
    fn a_filter_of_no_bytes_holds_nothing() {
        let mut filter = Filter::empty(1, 0);
        filter.insert(7);
        assert!(!filter.may_contain(7) && filter.bytes().is_empty());
    }
}
