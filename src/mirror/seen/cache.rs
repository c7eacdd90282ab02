//! Rows that were read and held against their digests, for as long as the mirror is open.
//!
//! A row is found by its digest and not by its place: whatever becomes of runs, also in a transaction that is given up,
//! the cache cannot have something else under a digest than what has it.

use crate::core::hash::Hash;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

/// Rows in two generations. What is used moves to the newer one; when that is half of what is allowed, the older one
/// is given up.
#[derive(Debug)]
pub struct Cache<T> {
    newer: HashMap<Hash, (Arc<T>, u64)>,
    older: HashMap<Hash, (Arc<T>, u64)>,
    bytes: u64,
    most: u64,
}

impl<T> Cache<T> {
    /// Holds at most so many bytes, and one row more.
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

    /// Keeps a row of so many bytes.
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
    fn what_is_used_stays_and_the_bound_holds() {
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
