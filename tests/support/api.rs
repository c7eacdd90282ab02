//! A log behind the JSON API, held in memory: honest, but for what a test changes in its answers.

use super::log::{HEAD_TIME, TestKey, root_of};
use countersign::core::api::{self, HeadAnswer, HeadsPage, VerificationBundle};
use countersign::core::hash::Hash;
use countersign::core::proof::{prove_consistency, prove_inclusion};
use countersign::source::FetchError;
use countersign::source::json_api::JsonApi;
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest};
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// What a test makes of an honest answer to a path. `None` is 404.
pub type Change = dyn Fn(&str, Option<Vec<u8>>) -> Result<Option<Vec<u8>>, FetchError> + Send + Sync;

/// See the module.
pub struct ApiLog {
    leaves: Vec<Vec<u8>>,
    /// Every STH signed, by time.
    pub sths: Vec<(u64, Vec<u8>)>,
    /// The checkpoint served.
    pub checkpoint: Vec<u8>,
    page: u64,
    /// What becomes of each answer.
    pub change: Box<Change>,
    /// Every path asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl ApiLog {
    /// A log that signed heads of these sizes, one a minute, the last of them over all leaves.
    pub fn new(key: &TestKey, leaves: &[Vec<u8>], sizes: &[usize]) -> ApiLog {
        let sth = |(n, size): (usize, &usize)| {
            let time = HEAD_TIME + n as u64 * 60_000;
            (time, key.sth(*size as u64, root_of(&leaves[..*size]), time))
        };
        ApiLog {
            leaves: leaves.to_vec(),
            sths: sizes.iter().enumerate().map(sth).collect(),
            checkpoint: key.checkpoint(leaves.len() as u64, root_of(leaves)),
            page: 1000,
            change: Box::new(|_, answer| Ok(answer)),
            asked: Arc::default(),
        }
    }

    /// At most so many entries at once.
    pub fn page(self, page: u64) -> ApiLog {
        ApiLog { page, ..self }
    }

    /// Changes answers.
    pub fn change(
        self,
        change: impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> ApiLog {
        ApiLog { change: Box::new(move |path, answer| Ok(change(path, answer))), ..self }
    }

    /// Changes answers, or fails.
    pub fn fail(
        self,
        change: impl Fn(&str, Option<Vec<u8>>) -> Result<Option<Vec<u8>>, FetchError> + Send + Sync + 'static,
    ) -> ApiLog {
        ApiLog { change: Box::new(change), ..self }
    }

    /// As a source.
    pub fn source(self) -> JsonApi<ApiLog> {
        JsonApi::new(self)
    }

    fn range(&self, range: Range<u64>) -> Result<Hash, Infallible> {
        Ok(root_of(&self.leaves[range.start as usize..range.end as usize]))
    }

    fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The honest answer.
    pub fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let (place, query) = path.split_once('?').unwrap_or((path, ""));
        let number = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse::<u64>().ok())
        };
        match place {
            "head" => {
                let (_, sth) = self.sths.last()?.clone();
                HeadAnswer { sth, checkpoint: self.checkpoint.clone() }.write().ok()
            }
            "entries" => {
                let (start, count) = (number("start")?, number("count")?.min(self.page));
                let end = start.checked_add(count)?.min(self.size());
                let leaves = self.leaves.get(start as usize..end as usize).filter(|l| !l.is_empty())?;
                api::write_entries(start, leaves.iter().map(Vec::as_slice)).ok()
            }
            "consistency" => {
                let (first, second) = (number("first")?, number("second")?);
                let proof = prove_consistency(first, second, |range| self.range(range)).ok()?;
                api::write_consistency(first, second, &proof).ok()
            }
            "inclusion" => {
                let (index, size) = (number("index")?, number("treeSize")?);
                let proof = prove_inclusion(index, size, |range| self.range(range)).ok()?;
                api::write_inclusion(index, size, &proof).ok()
            }
            "heads" => {
                let (after, limit) = (number("after")?, number("limit")? as usize);
                let rest: Vec<&(u64, Vec<u8>)> = self.sths.iter().filter(|(time, _)| *time > after).collect();
                let heads = rest.iter().take(limit).map(|(_, sth)| sth.clone()).collect();
                let next = (rest.len() > limit).then(|| rest[limit - 1].0);
                HeadsPage { heads, next }.write().ok()
            }
            _ => self.bundle(place.strip_prefix("entries/")?.strip_suffix("/verification")?)?.write().ok(),
        }
    }

    fn bundle(&self, id: &str) -> Option<VerificationBundle> {
        let wanted = format!("\"id\":\"{id}\"");
        let holds = |leaf: &Vec<u8>| String::from_utf8_lossy(leaf).contains(&wanted);
        let index = self.leaves.iter().position(holds)? as u64;
        Some(VerificationBundle {
            index,
            entry: self.leaves[index as usize].clone(),
            inclusion_index: index,
            tree_size: self.size(),
            proof: prove_inclusion(index, self.size(), |range| self.range(range)).ok()?,
            sth: self.sths.last()?.1.clone(),
            checkpoint: self.checkpoint.clone(),
            reveal: None,
            anchors: b"[]".to_vec(),
        })
    }
}

impl Fetcher for ApiLog {
    fn location(&self) -> String {
        "https://log.example/api/".to_owned()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let path = &wanted.paths[0];
        self.asked.lock().unwrap().push(path.clone());
        match (self.change)(path, self.answer(path))? {
            Some(bytes) if bytes.len() > wanted.limit => {
                Err(FetchError::TooLarge { what: path.clone(), limit: wanted.limit })
            }
            Some(bytes) => Ok(FetchedFile { place: 0, bytes }),
            None => Err(FetchError::NotFound { what: path.clone() }),
        }
    }
}
