//! Finds entries by id. The index is built from the leaves on demand.

use super::history::History;
use countersign::core::hash::sha256;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The ids of one history. Each is stored as 64 bits of its hash, and the leaf decides.
#[derive(Default)]
pub struct IdIndex(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The number of leaves in the index.
    up_to: u64,
    first: HashMap<u64, u64>,
}

#[derive(Deserialize)]
struct IdOnly<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

fn id_of(leaf: &[u8]) -> Option<Cow<'_, str>> {
    serde_json::from_slice::<IdOnly<'_>>(leaf).ok().map(|entry| entry.id)
}

fn short(id: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(id.as_bytes()).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl IdIndex {
    /// The first entry of `history` with this id.
    pub fn find(&self, history: &History, id: &str) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for index in known.up_to..history.len() {
            if let Some(id) = history.leaf(index).and_then(id_of) {
                known.first.entry(short(&id)).or_insert(index);
            }
        }
        known.up_to = history.len();
        let index = *known.first.get(&short(id))?;
        history.leaf(index).and_then(id_of).is_some_and(|found| found == id).then_some(index)
    }
}
