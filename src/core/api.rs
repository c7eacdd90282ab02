//! The JSON API's wire format (specification section 5): what is asked for, and what is answered.
//!
//! Every name of that format stands in this module and nowhere else, for both directions: the
//! auditor reads these answers, and a log (the test log, or one for tests) writes them.
//!
//! Reading proves nothing. An answer that is read is one closed object with exactly the members of
//! the specification, and it answers what was asked; whether it is *true* is for whoever holds the
//! signed root. What a log signs ([`HeadAnswer`], [`Bundle`]) is kept byte for byte as received,
//! never re-encoded. Keys found in an answer are never trusted: there is no member that holds one.

use crate::core::encoding::{decode_base64url, encode_base64url};
use crate::core::hash::Hash;
use crate::core::limits;
use crate::core::object::{self, AtMost, Object};
use crate::core::proof::{ConsistencyProof, InclusionProof};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Paths below the API's base, without a leading slash.
pub mod path {
    /// The newest head.
    pub const HEAD: &str = "head";

    /// Entries `start` up to, not including, `start + count`.
    pub fn entries(start: u64, count: u64) -> String {
        format!("entries?start={start}&count={count}")
    }

    /// A consistency proof between two sizes.
    pub fn consistency(first: u64, second: u64) -> String {
        format!("consistency?first={first}&second={second}")
    }

    /// An inclusion proof of one entry in the tree of one size.
    pub fn inclusion(index: u64, tree_size: u64) -> String {
        format!("inclusion?index={index}&treeSize={tree_size}")
    }

    /// What a verifier of one approval needs. `None` where the id cannot stand in a path.
    pub fn verification(id: &str) -> Option<String> {
        is_segment(id).then(|| format!("entries/{id}/verification"))
    }

    /// Whether an id can stand in a path: `.` and `..` are ids, and every URL parser and file system
    /// takes them for a folder.
    pub fn is_segment(id: &str) -> bool {
        id != "." && id != ".."
    }

    /// Signed heads after the cursor `after`, at most `limit` of them.
    pub fn heads(after: u64, limit: u64) -> String {
        format!("heads?after={after}&limit={limit}")
    }
}

/// Why an answer is not one of this API to what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// It is not an object of this shape; the text may repeat parts of it and is not escaped.
    Malformed(String),
    /// It answers something else than what was asked for, such as another index.
    Other(String),
    /// It holds no entry, where at least one was due.
    Empty,
    /// It holds more entries than were asked for.
    TooMany {
        /// Entries asked for.
        asked: u64,
        /// Entries found.
        found: u64,
    },
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::Malformed(why) => write!(f, "not an answer of the JSON API: {why}"),
            AnswerError::Other(why) => write!(f, "an answer to something else: {why}"),
            AnswerError::Empty => f.write_str("no entries in the answer, where at least one was due"),
            AnswerError::TooMany { asked, found } => {
                write!(f, "{found} entries in the answer, where {asked} were asked for")
            }
        }
    }
}

fn malformed(error: impl fmt::Display) -> AnswerError {
    AnswerError::Malformed(error.to_string())
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, AnswerError> {
    object::from_slice(bytes).map_err(malformed)
}

fn expect(name: &str, found: u64, asked: u64) -> Result<(), AnswerError> {
    match found == asked {
        true => Ok(()),
        false => Err(AnswerError::Other(format!("{name} is {found}, and {asked} was asked for"))),
    }
}

fn write(answer: &impl Serialize) -> Vec<u8> {
    // Numbers, strings and text that is JSON already: nothing in it can fail.
    serde_json::to_vec(answer).unwrap_or_default()
}

/// Verbatim JSON text as a value to be written.
fn raw(json: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(json.to_vec()).ok()?).ok()
}

/// `GET head`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadAnswer {
    /// The STH, byte for byte.
    pub sth: Vec<u8>,
    /// The checkpoint.
    pub checkpoint: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeadJson<'a> {
    sth: Box<RawValue>,
    #[serde(borrow)]
    checkpoint: Cow<'a, str>,
}

impl HeadAnswer {
    /// Reads an answer. The heads in it are not verified.
    pub fn read(bytes: &[u8]) -> Result<HeadAnswer, AnswerError> {
        let json: HeadJson<'_> = read(bytes)?;
        Ok(HeadAnswer {
            sth: json.sth.get().as_bytes().to_vec(),
            checkpoint: json.checkpoint.as_bytes().to_vec(),
        })
    }

    /// The answer as JSON; `None` where `sth` is no JSON or `checkpoint` no UTF-8.
    pub fn write(&self) -> Option<Vec<u8>> {
        let checkpoint = std::str::from_utf8(&self.checkpoint).ok()?;
        Some(write(&HeadJson { sth: raw(&self.sth)?, checkpoint: checkpoint.into() }))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EntriesJson<'a> {
    start: u64,
    #[serde(borrow)]
    entries: Vec<Object<LeafJson<'a>>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LeafJson<'a> {
    index: u64,
    #[serde(borrow)]
    leaf: Cow<'a, str>,
}

/// Reads the answer to `GET entries?start=…&count=…`: at least one leaf, at most `count`, contiguous
/// from `start`. The leaves are not verified.
pub fn read_entries(bytes: &[u8], start: u64, count: u64) -> Result<Vec<Vec<u8>>, AnswerError> {
    let json: EntriesJson<'_> = read(bytes)?;
    expect("start", json.start, start)?;
    let found = json.entries.len() as u64;
    if found == 0 {
        return Err(AnswerError::Empty);
    }
    if found > count {
        return Err(AnswerError::TooMany { asked: count, found });
    }
    let leaves = (start..).zip(&json.entries).map(|(index, Object(entry))| {
        expect("index", entry.index, index)?;
        let leaf = decode_base64url(&entry.leaf);
        let leaf = leaf.ok_or_else(|| malformed(format!("the leaf of entry {index} is not base64url")))?;
        match leaf.len() <= limits::MAX_LEAF {
            true => Ok(leaf),
            false => {
                Err(malformed(format!("the leaf of entry {index} is longer than {} bytes", limits::MAX_LEAF)))
            }
        }
    });
    leaves.collect()
}

/// The answer to `GET entries` that holds these leaves, the first of index `start`.
pub fn write_entries<'a>(start: u64, leaves: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let entries = (start..).zip(leaves);
    let entries =
        entries.map(|(index, leaf)| Object(LeafJson { index, leaf: encode_base64url(leaf).into() }));
    write(&EntriesJson { start, entries: entries.collect() })
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ConsistencyJson {
    first: u64,
    second: u64,
    proof: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct InclusionJson {
    index: u64,
    tree_size: u64,
    proof: Vec<String>,
}

fn read_hashes(proof: &[String]) -> Result<Vec<Hash>, AnswerError> {
    // One hash a level, and a start node. More is no proof of any tree.
    if proof.len() > limits::MAX_PATH.saturating_add(1) {
        return Err(malformed("more hashes than any proof has"));
    }
    let hashes = proof.iter().map(|text| Hash::from_hex(text));
    hashes.collect::<Option<_>>().ok_or_else(|| malformed("a hash is not 64 lowercase hex digits"))
}

fn write_hashes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

/// Reads the answer to `GET consistency?first=…&second=…`. The proof is not verified.
pub fn read_consistency(bytes: &[u8], first: u64, second: u64) -> Result<ConsistencyProof, AnswerError> {
    let json: ConsistencyJson = read(bytes)?;
    expect("first", json.first, first)?;
    expect("second", json.second, second)?;
    read_hashes(&json.proof).map(ConsistencyProof)
}

/// The answer to `GET consistency`.
pub fn write_consistency(first: u64, second: u64, proof: &ConsistencyProof) -> Vec<u8> {
    write(&ConsistencyJson { first, second, proof: write_hashes(&proof.0) })
}

/// Reads the answer to `GET inclusion?index=…&treeSize=…`. The proof is not verified.
pub fn read_inclusion(bytes: &[u8], index: u64, tree_size: u64) -> Result<InclusionProof, AnswerError> {
    let json: InclusionJson = read(bytes)?;
    expect("index", json.index, index)?;
    expect("treeSize", json.tree_size, tree_size)?;
    read_hashes(&json.proof).map(InclusionProof)
}

/// The answer to `GET inclusion`.
pub fn write_inclusion(index: u64, tree_size: u64, proof: &InclusionProof) -> Vec<u8> {
    write(&InclusionJson { index, tree_size, proof: write_hashes(&proof.0) })
}

/// `GET entries/<id>/verification`: what a verifier of one approval needs. Nothing in it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    /// Where the entry is in the log.
    pub index: u64,
    /// The entry, byte for byte; its canonical form is the leaf.
    pub entry: Vec<u8>,
    /// The leaf that the proof is of.
    pub inclusion_index: u64,
    /// The size of the tree that the proof is in.
    pub tree_size: u64,
    /// The proof.
    pub proof: InclusionProof,
    /// The STH, byte for byte.
    pub sth: Vec<u8>,
    /// The checkpoint.
    pub checkpoint: Vec<u8>,
    /// The public reveal (specification section 6), byte for byte, where there is one.
    pub reveal: Option<Vec<u8>>,
    /// The array of anchors (specification section 7), byte for byte and not looked into.
    pub anchors: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct BundleJson<'a> {
    index: u64,
    entry: Box<RawValue>,
    inclusion: Object<InclusionJson>,
    sth: Box<RawValue>,
    #[serde(borrow)]
    checkpoint: Cow<'a, str>,
    /// `null` is a text too, so that a missing member stays a missing member.
    reveal: Box<RawValue>,
    anchors: Box<RawValue>,
}

const NULL: &str = "null";

impl Bundle {
    /// Reads an answer.
    pub fn read(bytes: &[u8]) -> Result<Bundle, AnswerError> {
        let json: BundleJson<'_> = read(bytes)?;
        let verbatim = |value: &RawValue| value.get().as_bytes().to_vec();
        let Object(inclusion) = &json.inclusion;
        if json.index.max(inclusion.index).max(inclusion.tree_size) > limits::MAX_INTEGER {
            return Err(malformed("an integer is larger than 2^53 - 1"));
        }
        if !json.anchors.get().starts_with('[') {
            return Err(malformed("anchors is not an array"));
        }
        Ok(Bundle {
            index: json.index,
            entry: verbatim(&json.entry),
            inclusion_index: inclusion.index,
            tree_size: inclusion.tree_size,
            proof: InclusionProof(read_hashes(&inclusion.proof)?),
            sth: verbatim(&json.sth),
            checkpoint: json.checkpoint.as_bytes().to_vec(),
            reveal: (json.reveal.get() != NULL).then(|| verbatim(&json.reveal)),
            anchors: verbatim(&json.anchors),
        })
    }

    /// The answer as JSON; `None` where a part that must be JSON or UTF-8 is not.
    pub fn write(&self) -> Option<Vec<u8>> {
        let json = |bytes: &[u8]| raw(bytes);
        let (index, tree_size) = (self.inclusion_index, self.tree_size);
        Some(write(&BundleJson {
            index: self.index,
            entry: json(&self.entry)?,
            inclusion: Object(InclusionJson { index, tree_size, proof: write_hashes(&self.proof.0) }),
            sth: json(&self.sth)?,
            checkpoint: std::str::from_utf8(&self.checkpoint).ok()?.into(),
            reveal: json(self.reveal.as_deref().unwrap_or(NULL.as_bytes()))?,
            anchors: json(&self.anchors)?,
        }))
    }
}

/// `GET heads?after=…&limit=…`: a page of every STH that the log ever signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadsPage {
    /// STHs byte for byte, ascending by size, then time. Not verified.
    pub heads: Vec<Vec<u8>>,
    /// The cursor of the next page; `None` where this is the last.
    pub next: Option<u64>,
}

/// More are refused while an answer is read: a page asks for fewer.
const MAX_HEADS: usize = 2000;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeadsJson {
    heads: AtMost<Box<RawValue>, MAX_HEADS>,
    #[serde(deserialize_with = "object::present")]
    next: Option<u64>,
}

impl HeadsPage {
    /// Reads the answer to a request with this cursor. A next cursor that does not move forward
    /// would never end, and is refused.
    pub fn read(bytes: &[u8], after: u64, limit: u64) -> Result<HeadsPage, AnswerError> {
        let json: HeadsJson = read(bytes)?;
        let AtMost(heads) = &json.heads;
        let found = heads.len() as u64;
        if found > limit {
            return Err(AnswerError::TooMany { asked: limit, found });
        }
        if json.next.is_some_and(|next| next <= after || next > limits::MAX_INTEGER || found == 0) {
            return Err(malformed("the next page is not after this one"));
        }
        let heads = heads.iter().map(|head| head.get().as_bytes().to_vec());
        Ok(HeadsPage { heads: heads.collect(), next: json.next })
    }

    /// The answer as JSON; `None` where a head is no JSON.
    pub fn write(&self) -> Option<Vec<u8>> {
        let heads = self.heads.iter().map(|head| raw(head));
        Some(write(&HeadsJson { heads: AtMost(heads.collect::<Option<_>>()?), next: self.next }))
    }
}

#[derive(Deserialize, Serialize)]
struct ErrorJson<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
}

/// What an error answer says, where it is one. Not escaped.
pub fn read_error(bytes: &[u8]) -> Option<String> {
    read::<ErrorJson<'_>>(bytes).ok().map(|json| json.error.into_owned())
}

/// An error answer.
pub fn write_error(message: &str) -> Vec<u8> {
    write(&ErrorJson { error: message.into() })
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
