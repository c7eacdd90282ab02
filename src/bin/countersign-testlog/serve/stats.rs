//! What was asked and sent, counted.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Counts since the start.
#[derive(Default)]
pub struct Stats {
    bytes: AtomicU64,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    requests: u64,
    heads: u64,
    paths: BTreeMap<&'static str, u64>,
    /// When the requests of the last second arrived.
    recent: VecDeque<Instant>,
    most: usize,
}

impl Stats {
    /// A request has arrived.
    pub fn asked(&self, path: &'static str, is_head: bool) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that arrivals are in order.
        let now = Instant::now();
        asked.requests += 1;
        asked.heads += u64::from(is_head);
        *asked.paths.entry(path).or_default() += 1;
        while asked.recent.front().is_some_and(|first| now.duration_since(*first) >= SECOND) {
            asked.recent.pop_front();
        }
        asked.recent.push_back(now);
        asked.most = asked.most.max(asked.recent.len());
    }

    /// So many bytes of a body are on their way.
    pub fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub fn to_json(&self) -> Value {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "requests": asked.requests,
            "bytes": self.bytes.load(Relaxed),
            "heads": asked.heads,
            "maxPerSecond": asked.most,
            "paths": asked.paths,
        })
    }
}
