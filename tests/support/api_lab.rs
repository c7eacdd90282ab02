//! What the tests of the JSON API share: a log in memory with one kind of answer changed.

use super::api::ApiLog;
use super::lab::{Answer, Lab};
use super::log::{TestKey, leaf, rejected, rejected_leaves};
use countersign::core::hash::Hash;
use std::sync::{Arc, Mutex};

/// The log key of these tests.
pub fn key() -> TestKey {
    TestKey::new(1)
}

/// An auditor of it.
pub fn lab() -> Lab {
    Lab::of_key(&key().vkey())
}

/// An honest log of so many entries and one head.
pub fn log(size: usize) -> ApiLog {
    ApiLog::new(&key(), &rejected_leaves(size), &[size])
}

/// `count` leaves, of which those from `other` on are of another history.
pub fn history(count: usize, other: usize) -> Vec<Vec<u8>> {
    let mut leaves = rejected_leaves(count);
    for (n, place) in leaves.iter_mut().enumerate().skip(other) {
        *place = leaf(&rejected(&format!("other-{n}")));
    }
    leaves
}

/// Asserts a clean audit of so many entries.
#[track_caller]
pub fn clean(answer: &Answer, checked: u64) {
    assert!(answer.is_clean() && answer.checked == checked, "{answer:?}");
}

/// Every path that will be asked for.
pub fn requests(log: &ApiLog) -> Arc<Mutex<Vec<String>>> {
    log.asked.clone()
}

/// One kind of answer changed for good, and the codes that it leads to.
pub fn changed(
    path: &str,
    size: usize,
    change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> Answer {
    let path = path.to_owned();
    let log = log(size).change(move |asked, answer| match answer {
        Some(bytes) if asked.starts_with(&path) => Some(change(bytes)),
        answer => answer,
    });
    lab().workspace(0).audit(&log.source())
}

/// Changes one bit.
pub fn flip(hash: &mut Hash) {
    hash.0[7] ^= 1;
}

/// Changes one digit of the first hash in an answer.
pub fn flip_at(mut answer: Vec<u8>) -> Option<Vec<u8>> {
    let hash = answer.windows(64).position(|window| window.iter().all(u8::is_ascii_hexdigit)).unwrap();
    answer[hash] = if answer[hash] == b'0' { b'1' } else { b'0' };
    Some(answer)
}
