//! Which entry has which id, learnt from the leaves when somebody asks.

use super::history::History;
use countersign::core::hash::sha256;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The index of one history. Ids are kept as 64 bits of their hash: the leaf has the last word.
#[derive(Default)]
pub struct Ids(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Leaves that were looked at.
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

impl Ids {
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
