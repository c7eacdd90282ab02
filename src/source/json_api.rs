//! A log behind the JSON API (specification section 5), over anything that hands out files.
//!
//! Knows what is asked for and in which pieces; the wire's names are in [`crate::core::api`]. It
//! judges only whether an answer is one to what was asked: whether it is true is for whoever holds
//! the signed root. There are no Merkle tiles here; what vouches for entries are the log's
//! consistency proofs, each verified against that root.

use super::tiled::{Fetcher, Wanted};
use super::{FetchError, Lag, Leaves, LogApi, LogSource, ServedHead};
use crate::core::api::{self, AnswerError, HeadAnswer, HeadsPage, VerificationBundle, path};
use crate::core::limits::{
    MAX_BUNDLE_ANSWER, MAX_HEAD_ANSWER, MAX_HEADS_ANSWER, MAX_LEAF, MAX_PROOF_ANSWER, TILE_WIDTH,
};
use crate::core::proof::{ConsistencyProof, InclusionProof};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest page of entries in bytes. A page of ordinary entries has a tenth of it; where entries are
/// longer, fewer are asked for at a time, so that eight threads hold little at once.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Fewest entries that are asked for at once, unless fewer are wanted. So many of the longest fit.
const LEAST_PAGE: u64 = 32;

/// What one entry of the longest kind needs in a page: base64url, its index, names and brackets.
const ENTRY_BYTES: usize = MAX_LEAF.div_ceil(3).saturating_mul(4).saturating_add(64);

/// A [`LogSource`] out of a [`Fetcher`] below an API's base.
pub struct JsonApi<F> {
    fetcher: F,
    /// Entries to ask for at once: twice what the server was last seen to give.
    page: AtomicU64,
    /// More than these it refuses.
    most: AtomicU64,
}

impl<F: Fetcher> JsonApi<F> {
    /// The log whose API `fetcher` reaches.
    pub fn new(fetcher: F) -> JsonApi<F> {
        let width = u64::from(TILE_WIDTH);
        JsonApi { fetcher, page: AtomicU64::new(width), most: AtomicU64::new(width) }
    }

    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let wanted = Wanted { paths: &[path.to_owned()], limit, required: true };
        self.fetcher.fetch(&wanted).map(|found| found.bytes)
    }

    /// An answer, read; one that is none is asked for once more before it is held against the log:
    /// a transfer can be cut short, or changed, without a sign of it.
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

    /// What the server calls a wrong question, it has no answer to, if it does answer the like of it; it is asked once
    /// more after that. Where it does not, we may not be understood, and nothing is known.
    fn told_apart<T>(
        &self,
        ask: impl Fn() -> Result<T, FetchError>,
        answers_the_like: impl FnOnce() -> bool,
    ) -> Result<T, FetchError> {
        match ask() {
            Err(FetchError::Rejected { .. }) if answers_the_like() => ask().map_err(|error| match error {
                FetchError::Rejected { what, cause } => {
                    FetchError::Lacking { what, cause: format!("{cause}, though the like of it is answered") }
                }
                error => error,
            }),
            first => first,
        }
    }

    /// One entry. The like of it are the first one and its neighbours, each asked for alone as well.
    fn entry(&self, index: u64) -> Result<Leaves, FetchError> {
        let answers_the_like = || {
            let others = [0, index.saturating_sub(1), index.saturating_add(1)];
            others.into_iter().any(|other| other != index && self.page_of(other, 1).is_ok())
        };
        self.told_apart(|| self.page_of(index, 1), answers_the_like)
    }

    /// Asks for half as many the next time, and never for so many again.
    fn shrink(&self, asked: u64) {
        let half = (asked / 2).max(1);
        self.most.fetch_min(half, Ordering::Relaxed);
        self.page.fetch_min(half, Ordering::Relaxed);
    }

    /// One page of entries: `count` of them from `start`, or fewer, at least one.
    fn page_of(&self, start: u64, count: u64) -> Result<Leaves, FetchError> {
        let longest = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(ENTRY_BYTES);
        let limit = longest.saturating_add(256).min(PAGE_BYTES);
        self.ask(&path::entries(start, count), limit, |bytes| {
            api::read_entries(bytes, start, count).map_err(|error| match error {
                // Only a page of none says that the entries are not there.
                AnswerError::Other(_) => AnswerError::Malformed(error.to_string()),
                error => error,
            })
        })
    }

    /// Remembers about how many entries the server gives at once. Twice as many are asked for the next
    /// time: asking for more than there will be costs nothing, and one short answer must not make every
    /// later one short.
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
        let first = n.saturating_mul(u64::from(TILE_WIDTH));
        let end = first.saturating_add(u64::from(width));
        let mut leaves = Leaves::new();
        let mut most = u64::MAX;
        loop {
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
                // Long entries: fewer at a time, down to where even the longest fit, so that what is
                // still too large then is no page of entries. A server may also refuse so many at once.
                Err(FetchError::TooLarge { .. }) if fits(count).is_none() => self.shrink(count),
                Err(FetchError::Refused { .. } | FetchError::Rejected { .. }) if count > LEAST_PAGE => {
                    self.shrink(count);
                }
                // It may go beyond the last entry that the server has: down to the one that it does not have.
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

    fn lacked(&self) -> Option<String> {
        self.fetcher.lacked()
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

/// `Some` where so many of the longest entries fit into a page.
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
        self.told_apart(|| ask(first, second), || (first, second) != (1, 2) && ask(1, 2).is_ok())
    }

    fn inclusion(&self, index: u64, tree_size: u64) -> Result<InclusionProof, FetchError> {
        let ask = |index, tree_size| {
            let path = path::inclusion(index, tree_size);
            self.ask(&path, MAX_PROOF_ANSWER, |bytes| api::read_inclusion(bytes, index, tree_size))
        };
        self.told_apart(|| ask(index, tree_size), || (index, tree_size) != (0, 1) && ask(0, 1).is_ok())
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
    use crate::source::tiled::Found;
    use std::sync::Mutex;

    /// From start, count and leaves to an answer.
    type Answering = fn(u64, u64, Vec<Vec<u8>>) -> Vec<u8>;

    /// A server of `cap` entries at once, whose leaf `i` is `length` bytes long.
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

        fn fetch(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
            let query = wanted.paths[0].strip_prefix("entries?start=").expect("only entries are asked for");
            let (start, count) = query.split_once("&count=").unwrap();
            let (start, count): (u64, u64) = (start.parse().unwrap(), count.parse().unwrap());
            self.asked.lock().unwrap().push((start, count));
            let leaves = (start..start + count.min(self.cap)).map(|i| vec![i as u8; self.length]).collect();
            let bytes = (self.answer)(start, count, leaves);
            if bytes.len() > wanted.limit {
                return Err(FetchError::too_large("entries", wanted.limit));
            }
            Ok(Found { place: 0, bytes })
        }
    }

    fn honest(start: u64, _: u64, leaves: Vec<Vec<u8>>) -> Vec<u8> {
        api::write_entries(start, leaves.iter().map(Vec::as_slice)).unwrap()
    }

    fn api_of(cap: u64, length: usize, answer: fn(u64, u64, Vec<Vec<u8>>) -> Vec<u8>) -> JsonApi<Server> {
        JsonApi::new(Server { cap, length, asked: Mutex::default(), answer })
    }

    #[test]
    fn a_bundle_is_put_together_from_pages_of_any_size() {
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
    fn long_entries_are_asked_for_a_few_at_a_time() {
        let log = api_of(256, MAX_LEAF, honest);
        let leaves = log.leaves(0, 256).unwrap();
        assert_eq!(leaves.len(), 256);
        assert!(log.fetcher.asked.lock().unwrap().len() < 24);
        assert!(fits(LEAST_PAGE).is_some());
    }

    #[test]
    fn a_server_that_refuses_so_many_at_once_is_asked_for_fewer() {
        struct Strict(Server);
        impl Fetcher for Strict {
            fn location(&self) -> String {
                self.0.location()
            }

            fn parallelism(&self) -> usize {
                1
            }

            fn fetch(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
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
    fn a_page_that_no_entries_can_fill_is_too_large() {
        let log = api_of(256, 1, |_, _, _| vec![b' '; 2 * PAGE_BYTES]);
        assert!(matches!(log.leaves(0, 256), Err(FetchError::TooLarge { .. })));
        assert!(log.fetcher.asked.lock().unwrap().len() < 8);
    }

    #[test]
    fn an_answer_to_something_else_is_asked_for_twice_and_then_said() {
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
