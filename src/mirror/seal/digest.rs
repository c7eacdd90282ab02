//! A digest of the columns of a row, and the sum of such digests. Pure.
//!
//! The sum is of SHA-256 digests as numbers, modulo 2^256. It does not depend on the order, so a changed row costs
//! one subtraction and one addition, and sums can be added. It shows that a set of rows is not the one that was
//! written, which covers a failing disk; it is not a commitment against an attacker who can choose all rows freely.

use crate::core::hash::Hash;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

/// A digest over a prefix and the types, lengths and values of columns.
pub(crate) struct ColumnDigest(Sha256);

impl ColumnDigest {
    /// A digest that begins with what tells these columns from others.
    pub(crate) fn new(prefix: &[u8]) -> ColumnDigest {
        ColumnDigest(Sha256::new_with_prefix(prefix))
    }

    /// Adds the next column.
    pub(crate) fn add(&mut self, column: ValueRef<'_>) {
        match column {
            ValueRef::Null => self.0.update([0]),
            ValueRef::Integer(value) => self.fixed(1, value.to_le_bytes()),
            ValueRef::Real(value) => self.fixed(2, value.to_bits().to_le_bytes()),
            ValueRef::Text(bytes) => self.sized(3, bytes),
            ValueRef::Blob(bytes) => self.sized(4, bytes),
        }
    }

    /// The digest of all of them.
    pub(crate) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }

    fn fixed(&mut self, kind: u8, bytes: [u8; 8]) {
        self.0.update([kind]);
        self.0.update(bytes);
    }

    fn sized(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// The sum of digests, least significant limb first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct DigestSum(pub(crate) [u64; 4]);

impl DigestSum {
    /// Adds a digest.
    pub(crate) fn add(&mut self, digest: &Hash) {
        self.merge(DigestSum::from_bytes(digest));
    }

    /// Removes a digest.
    pub(crate) fn remove(&mut self, digest: &Hash) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(DigestSum::from_bytes(digest).0) {
            let (difference, under) = limb.overflowing_sub(other);
            let (difference, again) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, under || again);
        }
    }

    /// Adds all digests of another sum.
    pub(crate) fn merge(&mut self, other: DigestSum) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = limb.overflowing_add(other);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || again);
        }
    }

    /// The sum as it is stored: 32 bytes, least significant first.
    pub(crate) fn to_bytes(self) -> Hash {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        Hash(bytes)
    }

    /// The sum that was stored so, or the one of a single digest.
    pub(crate) fn from_bytes(bytes: &Hash) -> DigestSum {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.0.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*chunk);
        }
        DigestSum(limbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    #[test]
    fn a_sum_depends_on_what_is_in_it_and_not_on_the_order() {
        let digests: Vec<Hash> = (0..100u8).map(|n| sha256(&[n])).collect();
        let (mut forward, mut backward) = (DigestSum::default(), DigestSum::default());
        digests.iter().for_each(|digest| forward.add(digest));
        digests.iter().rev().for_each(|digest| backward.add(digest));
        assert_eq!(forward, backward);
        assert_eq!(DigestSum::from_bytes(&forward.to_bytes()), forward);
        for digest in &digests {
            let before = backward;
            backward.remove(digest);
            assert_ne!(backward, before);
        }
        assert_eq!(backward, DigestSum::default());
        backward.remove(&Hash([1; 32]));
        backward.add(&Hash([1; 32]));
        assert_eq!(backward, DigestSum::default());
    }

    #[test]
    fn a_digest_tells_where_a_column_ends_and_what_type_it_has() {
        let digest = |columns: &[ValueRef<'_>]| {
            let mut digest = ColumnDigest::new(b"t");
            columns.iter().for_each(|column| digest.add(*column));
            digest.finish()
        };
        let different = [
            digest(&[ValueRef::Text(b"ab"), ValueRef::Text(b"c")]),
            digest(&[ValueRef::Text(b"a"), ValueRef::Text(b"bc")]),
            digest(&[ValueRef::Text(b"abc")]),
            digest(&[ValueRef::Blob(b"abc")]),
            digest(&[ValueRef::Null, ValueRef::Text(b"abc")]),
            digest(&[ValueRef::Integer(1)]),
            digest(&[ValueRef::Real(1.0)]),
            digest(&[]),
        ];
        for (at, one) in different.iter().enumerate() {
            assert!(different.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
    }
}
