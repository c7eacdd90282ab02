//! Verifies receipts, offline and many at once.

use super::Error;
use super::receipt_files::Named;
use crate::audit::receipt::{no_receipt, verify_receipt_with};
use crate::audit::trust::{Expectation, TrustPolicy};
use crate::audit::verdict::Verdict;
use crate::config::{Expected, duration};
use crate::core::entry::Decision;
use crate::core::limits::MAX_JSON_PAYLOAD;
use crate::core::payload::{Payload, PayloadHashes};
use crate::core::time::UnixMillis;
use crate::core::webauthn::KeyCache;
use crate::source::user_file::is_local;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Reads and hashes the caller's payload, once for all receipts. A payload longer than [`MAX_JSON_PAYLOAD`] is hashed
/// in pieces, and only as raw bytes. "-" is stdin.
///
/// # Errors
/// Returns [`Error`] if the payload cannot be read.
pub fn read_payload(path: &Path, action: Option<&str>) -> Result<PayloadHashes, Error> {
    let fail =
        |error: io::Error| Error::new(is_local(&error), format!("cannot read the payload {path:?}: {error}"));
    let mut reader: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(fail)?),
    };
    let mut start = Vec::new();
    // A constant of two million, and a byte that shows that there is more.
    let bound = (MAX_JSON_PAYLOAD as u64).saturating_add(1);
    reader.by_ref().take(bound).read_to_end(&mut start).map_err(fail)?;
    if start.len() <= MAX_JSON_PAYLOAD {
        return Ok(PayloadHashes::of(&start, action));
    }
    let mut hash = Sha256::new();
    while !start.is_empty() {
        hash.update(&start);
        start.clear();
        reader.by_ref().take(1024 * 1024).read_to_end(&mut start).map_err(fail)?;
    }
    Ok(PayloadHashes::from_raw_hash(hash.finalize().into()))
}

/// Builds the expectation that receipts are checked against. `approvers` are those of `expected`; `payload` has the
/// hashes of its payload file.
///
/// # Errors
/// Returns [`Error`] if the maximum age is not a duration.
pub fn expectation<'a>(
    expected: &'a Expected,
    approvers: &'a [&'a str],
    payload: Option<&'a PayloadHashes>,
) -> Result<Expectation<'a>, Error> {
    Ok(Expectation {
        decision: expected.decision.map_or(Decision::Approved, Decision::from),
        payload: payload.map(Payload::Hashed),
        action: expected.action.as_deref(),
        email: expected.email.as_deref(),
        approvers,
        id: expected.expect_id.as_deref(),
        max_age: max_age(expected)?,
    })
}

/// Receipts longer than this are checked one at a time. A parsed receipt takes about twenty times its length in memory,
/// and every core would take that much at once. Ordinary receipts have a few thousand bytes.
const LONG: usize = 32 * 1024;

fn max_age(expected: &Expected) -> Result<Option<Duration>, Error> {
    let age = expected.max_age.as_deref().map(duration).transpose();
    age.map_err(|error| error.within(|why| format!("--max-age: {why}")))
}

/// Verifies receipts against a trust policy and an expectation, at a fixed time.
pub struct ReceiptVerifier<'a> {
    trust: TrustPolicy,
    expected: Expectation<'a>,
    now: UnixMillis,
    workers: usize,
    /// Held while a long receipt is checked.
    long: Mutex<()>,
}

impl<'a> ReceiptVerifier<'a> {
    /// Verifies with `workers` threads. `now` is the time of the checks.
    pub fn new(
        trust: TrustPolicy,
        expected: Expectation<'a>,
        now: UnixMillis,
        workers: usize,
    ) -> ReceiptVerifier<'a> {
        ReceiptVerifier { trust, expected, now, workers, long: Mutex::new(()) }
    }

    /// Verifies a batch on all threads. The verdicts are in the order of the receipts.
    pub fn check(&self, batch: &[Named]) -> Vec<Verdict> {
        let share = batch.len().div_ceil(self.workers.max(1)).max(1);
        if share >= batch.len() {
            return self.check_some(batch);
        }
        std::thread::scope(|scope| {
            let start = |part| {
                let work = move || self.check_some(part);
                (part, std::thread::Builder::new().spawn_scoped(scope, work))
            };
            let parts: Vec<_> = batch.chunks(share).map(start).collect();
            let verdicts = |(part, thread): (&[Named], io::Result<ScopedJoinHandle<'_, _>>)| match thread {
                // A panic in a worker is a bug in this program. It is passed on to the caller.
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // Without a thread the check takes longer, but has the same result.
                Err(_) => self.check_some(part),
            };
            parts.into_iter().flat_map(verdicts).collect()
        })
    }

    fn check_some(&self, receipts: &[Named]) -> Vec<Verdict> {
        let mut keys = KeyCache::new();
        let check = |named: &Named| match &named.text {
            Err(why) => no_receipt(why, &self.expected),
            Ok(bytes) => {
                let long = bytes.len() > LONG;
                let _turn = long.then(|| self.long.lock().unwrap_or_else(PoisonError::into_inner));
                verify_receipt_with(bytes, &self.trust, &self.expected, self.now, &mut keys)
            }
        };
        receipts.iter().map(check).collect()
    }
}
