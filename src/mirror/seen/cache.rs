//! A cache of rows that were read and verified by their digests, for as long as the mirror is open.
//!
//! A row is looked up by its digest and not by its place. Whatever happens to the runs, even in a transaction that is
//! rolled back, the cache can never return a row with another digest than the one that was asked for.

use crate::core::hash::Hash;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

/// Rows in two generations. A row that is used moves to the newer one; when the newer one takes half of the allowed
/// size, the older one is dropped.
#[derive(Debug)]
pub struct Cache<T> {
    newer: HashMap<Hash, (Arc<T>, u64)>,
    older: HashMap<Hash, (Arc<T>, u64)>,
    bytes: u64,
    most: u64,
}

impl<T> Cache<T> {
    /// A cache of at most this many bytes, plus one row.
    pub fn new(most: u64) -> Cache<T> {
        Cache { newer: HashMap::new(), older: HashMap::new(), bytes: 0, most }
    }

    /// The row with this digest.
    pub fn get(&mut self, digest: &Hash) -> Option<Arc<T>> {
        if let Some((row, _)) = self.newer.get(digest) {
            return Some(Arc::clone(row));
        }
        let (row, bytes) = self.older.remove(digest)?;
        self.put(*digest, Arc::clone(&row), bytes);
        Some(row)
    }

    /// Adds a row of this many bytes.
    pub fn put(&mut self, digest: Hash, row: Arc<T>, bytes: u64) {
        self.newer.insert(digest, (row, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= self.most / 2 {
            self.older = mem::take(&mut self.newer);
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    #[test]
    fn used_rows_stay_and_the_bound_holds() {
        let mut cache = Cache::new(1000);
        let digest = |n: u32| sha256(&n.to_be_bytes());
        for n in 0..500 {
            cache.put(digest(n), Arc::new(n), 100);
            assert_eq!(cache.get(&digest(0)).as_deref(), Some(&0), "after {n}");
            assert!(cache.newer.len() + cache.older.len() <= 10);
        }
        assert_eq!(cache.get(&digest(300)), None);
        assert_eq!(cache.get(&digest(499)).as_deref(), Some(&499));
    }
}
