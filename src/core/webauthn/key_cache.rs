//! Keys that were already parsed and validated.
//!
//! A log has many entries a key. Parsing one takes 1.5 µs (P-256) to 5 µs (Ed25519), more than all the
//! other checks of an entry together, its signature aside; and a parsed key verifies about 9 µs sooner
//! (P-256: 55 instead of 64 µs, aws-lc-rs 1.19, two shared cores).

use super::cose::{CosePublicKey, KeyFinding, ParsedKey};
use crate::core::crypto::{Disagreement, PublicKey};
use crate::core::limits::MAX_COSE_KEY;
use std::collections::HashMap;

/// Keys held at most. A log of more approvers works, only slower; memory stays about 8 MiB even where
/// every key is RSA of 8,192 bits.
const CAPACITY: usize = 1024;

/// A bounded memory of COSE keys, by their exact bytes. One per worker: it is not shared.
#[derive(Default)]
pub struct KeyCache {
    keys: HashMap<Vec<u8>, ParsedKey>,
}

impl KeyCache {
    /// An empty cache.
    pub fn new() -> KeyCache {
        KeyCache::default()
    }

    /// What [`CosePublicKey::parse`] says of these bytes, now or earlier.
    ///
    /// # Errors
    /// As [`CosePublicKey::parse`]; a disagreement is not remembered.
    pub fn parse(&mut self, cose: &[u8]) -> Result<Result<PublicKey, KeyFinding>, Disagreement> {
        self.parse_noting(cose).map(|parsed| parsed.key)
    }

    /// The same, with what is to be said of how the key was written.
    pub(super) fn parse_noting(&mut self, cose: &[u8]) -> Result<ParsedKey, Disagreement> {
        if let Some(known) = self.keys.get(cose) {
            return Ok(known.clone());
        }
        let parsed = CosePublicKey::parse_noting(cose)?;
        if cose.len() <= MAX_COSE_KEY {
            // Starting over keeps a log that uses each key once from pinning the first thousand.
            if self.keys.len() >= CAPACITY {
                self.keys.clear();
            }
            self.keys.insert(cose.to_vec(), parsed.clone());
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory is by exact bytes, so what was said of one encoding is not said of another.
    #[test]
    fn remembers_how_each_key_was_written() {
        let key = |kty: &[u8]| {
            let x = "44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832";
            let x = crate::core::encoding::decode_hex(x).unwrap();
            [&[0xa4, 0x01], kty, &[0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20], &x].concat()
        };
        let mut cache = KeyCache::new();
        for _ in 0..2 {
            let (ordinary, named) = (key(&[0x01]), key(b"\x63OKP"));
            let [ordinary, named] = [ordinary, named].map(|cose| cache.parse_noting(&cose).unwrap());
            assert_eq!(ordinary.key, named.key);
            assert_eq!((ordinary.has_named_kty, named.has_named_kty), (false, true));
        }
    }

    #[test]
    fn stays_bounded_and_says_the_same_again() {
        let mut cache = KeyCache::new();
        for i in 0..3000_u16 {
            let cose = [&[0xa1, 0x19][..], &i.to_be_bytes(), &[0x00]].concat();
            let first = cache.parse(&cose).unwrap();
            assert!(first.is_err());
            assert_eq!(cache.parse(&cose).unwrap(), first);
            assert!(cache.keys.len() <= CAPACITY);
        }
        assert!(cache.parse(&vec![0; MAX_COSE_KEY + 1]).unwrap().is_err());
        assert!(!cache.keys.contains_key(&vec![0; MAX_COSE_KEY + 1]));
    }
}
