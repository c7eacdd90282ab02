//! Counts of requests and sent bytes.

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
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    requests: u64,
    heads: u64,
    paths: BTreeMap<&'static str, u64>,
    /// The arrival times of the requests in the last second.
    recent: VecDeque<Instant>,
    max_per_second: usize,
}

impl Stats {
    /// Counts a request.
    pub fn count_request(&self, path: &'static str, is_head: bool) {
        let mut counts = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Read while holding the lock, so that arrivals are in order.
        let now = Instant::now();
        counts.requests += 1;
        counts.heads += u64::from(is_head);
        *counts.paths.entry(path).or_default() += 1;
        while counts.recent.front().is_some_and(|first| now.duration_since(*first) >= SECOND) {
            counts.recent.pop_front();
        }
        counts.recent.push_back(now);
        counts.max_per_second = counts.max_per_second.max(counts.recent.len());
    }

    /// Counts bytes of a body.
    pub fn count_sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub fn to_json(&self) -> Value {
        let counts = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "requests": counts.requests,
            "bytes": self.bytes.load(Relaxed),
            "heads": counts.heads,
            "maxPerSecond": counts.max_per_second,
            "paths": counts.paths,
        })
    }
}
