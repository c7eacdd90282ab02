//! A run as the state describes it.

use crate::core::hash::Hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A run as the state describes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRef {
    /// Its number; a later run has a larger one.
    id: u32,
    /// The number of values in it.
    records: u64,
    /// SHA-256 of its header.
    #[serde(serialize_with = "hash_as_hex", deserialize_with = "hash_of_hex")]
    header: Hash,
}

fn hash_as_hex<S: Serializer>(hash: &Hash, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

fn hash_of_hex<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Hash, D::Error> {
    let hex = String::deserialize(deserializer)?;
    Hash::from_hex(&hex).ok_or_else(|| de::Error::custom("a run's header is no SHA-256"))
}

impl RunRef {
    /// Describes a run that was written.
    pub(super) fn new(id: u32, records: u64, header: Hash) -> RunRef {
        RunRef { id, records, header }
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// SHA-256 of its header.
    pub(super) fn header(&self) -> Hash {
        self.header
    }

    /// The number of values in it.
    pub fn records(&self) -> u64 {
        self.records
    }
}
