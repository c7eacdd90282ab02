//! A log behind the JSON API (specification section 5), over any [`Fetcher`].
//!
//! This module decides what to request and in which pieces; [`crate::core::api`] has the wire format. It only
//! checks that an answer fits the request. The caller, who holds the signed root, checks that it is true. There
//! are no Merkle tiles here; entries are verified with the log's consistency proofs, each checked against that
//! root.
//!
//! Page sizes saturate: they are only compared with bounds far below the maximum.

use super::tiled::{Fetcher, FileRequest};
use super::{FetchError, Lag, Leaves, LogApi, LogSource, ServedHead};
use crate::core::api::{self, AnswerError, HeadAnswer, HeadsPage, VerificationBundle, path};
use crate::core::limits::{
    MAX_BUNDLE_ANSWER, MAX_HEAD_ANSWER, MAX_HEADS_ANSWER, MAX_LEAF, MAX_PROOF_ANSWER, TILE_WIDTH,
};
use crate::core::proof::{ConsistencyProof, InclusionProof};
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest page of entries in bytes. A page of ordinary entries takes a tenth of it. Where entries are
/// longer, fewer are requested at a time, so that eight threads hold little at once.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The fewest entries requested at once, unless fewer are needed. This many of the longest entries fit into a
/// page.
const LEAST_PAGE: u64 = 32;

/// What one entry of maximal length takes in a page: base64url, its index, names and brackets.
const ENTRY_BYTES: usize = MAX_LEAF.div_ceil(3).saturating_mul(4).saturating_add(64);

/// A [`LogSource`] over a [`Fetcher`] for the base of an API.
pub struct JsonApi<F> {
    fetcher: F,
    /// How many entries to request at once: twice what the server last returned.
    page: AtomicU64,
    /// The most entries to request: the server refused more.
    most: AtomicU64,
}

impl<F: Fetcher> JsonApi<F> {
    /// The log whose API `fetcher` reaches.
    pub fn new(fetcher: F) -> JsonApi<F> {
        let width = u64::from(TILE_WIDTH);
        JsonApi { fetcher, page: AtomicU64::new(width), most: AtomicU64::new(width) }
    }

    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let wanted = FileRequest { paths: &[path.to_owned()], limit, required: true };
        self.fetcher.fetch(&wanted).map(|found| found.bytes)
    }

    /// Requests and parses an answer. An invalid answer is requested once more before it is held against the
    /// log: a transfer can be cut short or changed without any sign of it.
    fn ask<T>(
        &self,
        path: &str,
        limit: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerError>,
    ) -> Result<T, FetchError> {
        let once = || self.get(path, limit).map(|bytes| read(&bytes));
        let answer = match once()? {
            Err(_) => once()?,
            first => first,
        };
        answer.map_err(|error| wrong_answer(path, &error))
    }

    /// If the server rejects a request as invalid but answers a similar one, it does not have the answer; the
    /// request is then repeated once. If it rejects similar requests too, it may not understand us, and nothing
    /// is known.
    fn distinguish_absence<T>(
        &self,
        ask: impl Fn() -> Result<T, FetchError>,
        answers_similar: impl FnOnce() -> bool,
    ) -> Result<T, FetchError> {
        match ask() {
            Err(FetchError::Rejected { .. }) if answers_similar() => ask().map_err(|error| match error {
                FetchError::Rejected { what, cause } => FetchError::Lacking {
                    what,
                    cause: format!("{cause}, though similar requests are answered"),
                },
                error => error,
            }),
            first => first,
        }
    }

    /// One entry. Similar requests are those for the first entry and for the neighbours, each alone as well.
    fn entry(&self, index: u64) -> Result<Leaves, FetchError> {
        let answers_similar = || {
            // A saturated neighbour is `index` itself, and is left out.
            let others = [0, index.saturating_sub(1), index.saturating_add(1)];
            others.into_iter().any(|other| other != index && self.page_of(other, 1).is_ok())
        };
        self.distinguish_absence(|| self.page_of(index, 1), answers_similar)
    }

    /// Halves the number requested next, and never requests as many again.
    fn shrink(&self, asked: u64) {
        let half = (asked / 2).max(1);
        self.most.fetch_min(half, Ordering::Relaxed);
        self.page.fetch_min(half, Ordering::Relaxed);
    }

    /// One page of entries: at least one, and at most `count`, from `start`.
    fn page_of(&self, start: u64, count: u64) -> Result<Leaves, FetchError> {
        let longest = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(ENTRY_BYTES);
        let limit = longest.saturating_add(256).min(PAGE_BYTES);
        self.ask(&path::entries(start, count), limit, |bytes| {
            api::read_entries(bytes, start, count).map_err(|error| match error {
                // Only an empty page says that the entries do not exist.
                AnswerError::Other(_) => AnswerError::Malformed(error.to_string()),
                error => error,
            })
        })
    }

    /// Adapts to the page size of the server. Requests twice as many entries next time: requesting more than
    /// the server returns costs nothing, and one short answer must not shorten all later ones.
    fn adapt(&self, asked: u64, given: u64) {
        if given < asked || asked >= self.page.load(Ordering::Relaxed) {
            let next = given.saturating_mul(2).max(LEAST_PAGE).min(self.most.load(Ordering::Relaxed));
            self.page.store(next, Ordering::Relaxed);
        }
    }
}

fn wrong_answer(path: &str, error: &AnswerError) -> FetchError {
    let cause = error.to_string();
    match error {
        AnswerError::Malformed(_) => FetchError::malformed(path, &cause),
        AnswerError::Other(_) | AnswerError::Empty => FetchError::lacking(path, &cause),
        AnswerError::TooMany { .. } => FetchError::excess(path, &cause),
    }
}

impl<F: Fetcher> LogSource for JsonApi<F> {
    fn location(&self) -> String {
        format!("api+{}", self.fetcher.location())
    }

    fn head(&self) -> ServedHead {
        match self.ask(path::HEAD, MAX_HEAD_ANSWER, HeadAnswer::read) {
            Ok(head) => ServedHead { checkpoint: Ok(head.checkpoint), sth: Ok(Some(head.sth)) },
            Err(error) => ServedHead { checkpoint: Err(error.clone()), sth: Err(error) },
        }
    }

    fn leaves(&self, n: u64, width: u16) -> Result<Leaves, FetchError> {
        let bounds = || {
            let first = n.checked_mul(u64::from(TILE_WIDTH))?;
            Some((first, first.checked_add(u64::from(width))?))
        };
        let (first, end) = bounds().ok_or_else(|| {
            FetchError::refused(
                "entries",
                &format!("no log is as long as bundle {n}: a bug, please report it"),
            )
        })?;
        let mut leaves = Leaves::new();
        let mut most = u64::MAX;
        loop {
            // Saturation is never reached: the leaves end at `end`.
            let at = first.saturating_add(leaves.len() as u64);
            let missing = end.saturating_sub(at);
            if missing == 0 {
                return Ok(leaves);
            }
            let count = missing.min(self.page.load(Ordering::Relaxed)).min(most).max(1);
            match if count == 1 { self.entry(at) } else { self.page_of(at, count) } {
                Ok(page) => {
                    self.adapt(count, page.len() as u64);
                    leaves.extend(page);
                }
                // For long entries, request fewer at a time, down to a number of which even the longest fit: a
                // larger answer is then not a page of entries. A server may also refuse a large number.
                Err(FetchError::TooLarge { .. }) if fits(count).is_none() => self.shrink(count),
                Err(FetchError::Refused { .. } | FetchError::Rejected { .. }) if count > LEAST_PAGE => {
                    self.shrink(count);
                }
                // The page may extend beyond the last entry of the server: narrow it down to the entry that it
                // lacks.
                Err(FetchError::Rejected { .. }) if count > 1 => most = count / 2,
                Err(error) => return Err(error),
            }
        }
    }

    fn tile(&self, level: u8, n: u64, _: u16) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::not_found(&format!("tile {n} of level {level}, which no JSON API has")))
    }

    fn lag(&self) -> Lag {
        Lag::Replicas
    }

    fn resource_exhaustion(&self) -> Option<String> {
        self.fetcher.resource_exhaustion()
    }

    fn has_tiles(&self) -> bool {
        false
    }

    fn api(&self) -> Option<&dyn LogApi> {
        Some(self)
    }

    fn parallelism(&self) -> usize {
        self.fetcher.parallelism().max(1)
    }
}

/// `Some` if this many of the longest entries fit into a page.
fn fits(count: u64) -> Option<()> {
    let longest = usize::try_from(count).ok()?.checked_mul(ENTRY_BYTES)?;
    (longest <= PAGE_BYTES).then_some(())
}

impl<F: Fetcher> LogApi for JsonApi<F> {
    fn leaf(&self, index: u64) -> Result<Vec<u8>, FetchError> {
        let page = self.entry(index)?;
        let none = || FetchError::lacking(&path::entries(index, 1), &AnswerError::Empty.to_string());
        page.into_iter().next().ok_or_else(none)
    }

    fn consistency(&self, first: u64, second: u64) -> Result<ConsistencyProof, FetchError> {
        let ask = |first, second| {
            let path = path::consistency(first, second);
            self.ask(&path, MAX_PROOF_ANSWER, |bytes| api::read_consistency(bytes, first, second))
        };
        self.distinguish_absence(|| ask(first, second), || (first, second) != (1, 2) && ask(1, 2).is_ok())
    }

    fn inclusion(&self, index: u64, tree_size: u64) -> Result<InclusionProof, FetchError> {
        let ask = |index, tree_size| {
            let path = path::inclusion(index, tree_size);
            self.ask(&path, MAX_PROOF_ANSWER, |bytes| api::read_inclusion(bytes, index, tree_size))
        };
        self.distinguish_absence(
            || ask(index, tree_size),
            || (index, tree_size) != (0, 1) && ask(0, 1).is_ok(),
        )
    }

    fn verification(&self, id: &str) -> Result<Option<VerificationBundle>, FetchError> {
        match path::verification(id) {
            Some(path) => self.ask(&path, MAX_BUNDLE_ANSWER, VerificationBundle::read).map(Some),
            None => Ok(None),
        }
    }

    fn history(&self, after: u64, limit: u64) -> Result<HeadsPage, FetchError> {
        let path = path::heads(after, limit);
        self.ask(&path, MAX_HEADS_ANSWER, |bytes| HeadsPage::read(bytes, after, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tiled::FetchedFile;
    use std::sync::Mutex;

    /// Makes an answer from start, count and leaves.
    type Answering = fn(u64, u64, Vec<Vec<u8>>) -> Vec<u8>;

    /// A server that returns at most `cap` entries, whose leaf `i` is `length` bytes long.
    struct Server {
        cap: u64,
        length: usize,
        asked: Mutex<Vec<(u64, u64)>>,
        answer: Answering,
    }

    impl Fetcher for Server {
        fn location(&self) -> String {
            "https://log.example/api/".to_owned()
        }

        fn parallelism(&self) -> usize {
            0
        }

        fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
            let query = wanted.paths[0].strip_prefix("entries?start=").expect("only entries are asked for");
            let (start, count) = query.split_once("&count=").unwrap();
            let (start, count): (u64, u64) = (start.parse().unwrap(), count.parse().unwrap());
            self.asked.lock().unwrap().push((start, count));
            let leaves = (start..start + count.min(self.cap)).map(|i| vec![i as u8; self.length]).collect();
            let bytes = (self.answer)(start, count, leaves);
            if bytes.len() > wanted.limit {
                return Err(FetchError::too_large("entries", wanted.limit));
            }
            Ok(FetchedFile { place: 0, bytes })
        }
    }

    fn honest(start: u64, _: u64, leaves: Vec<Vec<u8>>) -> Vec<u8> {
        api::write_entries(start, leaves.iter().map(Vec::as_slice)).unwrap()
    }

    fn api_of(cap: u64, length: usize, answer: fn(u64, u64, Vec<Vec<u8>>) -> Vec<u8>) -> JsonApi<Server> {
        JsonApi::new(Server { cap, length, asked: Mutex::default(), answer })
    }

    #[test]
    fn bundles_are_assembled_from_pages_of_any_size() {
        for cap in [1, 2, 7, 100, 255, 256, 1000] {
            let log = api_of(cap, 3, honest);
            for n in 0..3 {
                let leaves = log.leaves(n, 256).unwrap();
                assert_eq!(leaves.len(), 256, "cap {cap}");
                assert!((n * 256..).zip(&leaves).all(|(i, leaf)| *leaf == [i as u8; 3]), "cap {cap}");
            }
            assert_eq!(log.leaves(3, 44).unwrap().len(), 44);
            let asked = log.fetcher.asked.lock().unwrap();
            let least = 3 * 256u64.div_ceil(cap) + 44u64.div_ceil(cap);
            assert!(asked.len() as u64 <= least + 8, "cap {cap}: {} requests", asked.len());
            assert!(asked.iter().all(|(start, count)| start / 256 == (start + count - 1) / 256));
        }
    }

    #[test]
    fn a_bundle_beyond_any_index_is_refused() {
        let log = api_of(256, 3, honest);

        let error = log.leaves(u64::MAX / 256, 256).unwrap_err();

        assert!(matches!(error, FetchError::Refused { .. }), "{error:?}");
        assert!(log.fetcher.asked.lock().unwrap().is_empty());
    }

    #[test]
    fn long_entries_are_requested_in_small_pages() {
        let log = api_of(256, MAX_LEAF, honest);
        let leaves = log.leaves(0, 256).unwrap();
        assert_eq!(leaves.len(), 256);
        assert!(log.fetcher.asked.lock().unwrap().len() < 24);
        assert!(fits(LEAST_PAGE).is_some());
    }

    #[test]
    fn a_refused_page_size_is_halved() {
        struct Strict(Server);
        impl Fetcher for Strict {
            fn location(&self) -> String {
                self.0.location()
            }

            fn parallelism(&self) -> usize {
                1
            }

            fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
                let found = self.0.fetch(wanted)?;
                match self.0.asked.lock().unwrap().last() {
                    Some((_, count)) if *count > self.0.cap => {
                        Err(FetchError::refused("entries", "HTTP 400"))
                    }
                    _ => Ok(found),
                }
            }
        }
        for (cap, served) in [(100, true), (32, true), (31, false), (0, false)] {
            let log =
                JsonApi::new(Strict(Server { cap, length: 1, asked: Mutex::default(), answer: honest }));
            assert_eq!(log.leaves(0, 256).is_ok(), served, "cap {cap}");
            assert!(log.fetcher.0.asked.lock().unwrap().len() <= 16);
        }
    }

    #[test]
    fn an_oversized_page_is_too_large() {
        let log = api_of(256, 1, |_, _, _| vec![b' '; 2 * PAGE_BYTES]);
        assert!(matches!(log.leaves(0, 256), Err(FetchError::TooLarge { .. })));
        assert!(log.fetcher.asked.lock().unwrap().len() < 8);
    }

    #[test]
    fn a_wrong_answer_is_requested_twice_and_reported() {
        let cases: [(Answering, &str); 5] = [
            (|start, _, leaves| honest(start + 1, 0, leaves), "start is 1"),
            (|start, _, _| honest(start, 0, Vec::new()), "no entries"),
            (|start, count, _| honest(start, 0, vec![vec![7]; count as usize + 1]), "257 entries"),
            (|_, _, _| b"<html>".to_vec(), "not an answer"),
            (|_, _, _| b"{\"error\":\"no\"}".to_vec(), "not an answer"),
        ];
        for (answer, part) in cases {
            let log = api_of(256, 1, answer);
            let error = log.leaves(0, 256).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert_eq!(log.fetcher.asked.lock().unwrap().len(), 2);
        }
    }
}
