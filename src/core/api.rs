//! The JSON API's wire format (specification section 5): requests and responses.
//!
//! This module holds every name of that format, for both directions: the auditor reads these responses, and a log
//! (the test log, or one inside a test) writes them.
//!
//! Reading proves nothing. A response that was read is one closed object with exactly the members of the
//! specification, and it matches the request. Whether it is *true* must be verified against a signed root. What a log
//! signs ([`HeadAnswer`], [`VerificationBundle`]) is kept byte for byte as received and never re-encoded. A response
//! cannot introduce a key: no member holds one.

use crate::core::encoding::{decode_base64url, encode_base64url};
use crate::core::hash::Hash;
use crate::core::jcs::write_canonical_string;
use crate::core::limits;
use crate::core::object::{self, AtMost, Object};
use crate::core::proof::{ConsistencyProof, InclusionProof};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Paths relative to the API's base URL, without a leading slash.
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

    /// Everything needed to verify one approval. `None` if the id cannot be a path segment.
    pub fn verification(id: &str) -> Option<String> {
        is_segment(id).then(|| format!("entries/{id}/verification"))
    }

    /// Whether an id can be a path segment. `.` and `..` are valid ids, but URL parsers and file systems read them as
    /// directories.
    pub fn is_segment(id: &str) -> bool {
        id != "." && id != ".."
    }

    /// Signed heads after the cursor `after`, at most `limit` of them.
    pub fn heads(after: u64, limit: u64) -> String {
        format!("heads?after={after}&limit={limit}")
    }
}

/// Why a response does not answer the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// It is not an object of this shape. The text may repeat parts of it and is not escaped.
    Malformed(String),
    /// It answers a different request, such as another index.
    Other(String),
    /// It holds no entries; at least one was due.
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

impl std::error::Error for AnswerError {}

/// Why a response cannot be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// A part that must be JSON is not.
    NotJson(&'static str),
    /// A part that must be UTF-8 is not.
    NotUtf8(&'static str),
    /// The response could not be encoded.
    Encoding(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::NotJson(part) => write!(f, "the {part} is not JSON"),
            WriteError::NotUtf8(part) => write!(f, "the {part} is not UTF-8"),
            WriteError::Encoding(why) => write!(f, "the response could not be encoded: {why}"),
        }
    }
}

impl std::error::Error for WriteError {}

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

fn write(answer: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec(answer).map_err(|error| WriteError::Encoding(error.to_string()))
}

/// JSON text to be written verbatim. `part` names it in the error.
fn raw(part: &'static str, json: &[u8]) -> Result<Box<RawValue>, WriteError> {
    let text = utf8(part, json)?;
    RawValue::from_string(text.to_owned()).map_err(|_| WriteError::NotJson(part))
}

fn utf8<'a>(part: &'static str, text: &'a [u8]) -> Result<&'a str, WriteError> {
    std::str::from_utf8(text).map_err(|_| WriteError::NotUtf8(part))
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
    /// Reads a response without verifying its heads.
    ///
    /// # Errors
    /// [`AnswerError::Malformed`]: it is not an object of this shape.
    pub fn read(bytes: &[u8]) -> Result<HeadAnswer, AnswerError> {
        let json: HeadJson<'_> = read(bytes)?;
        Ok(HeadAnswer {
            sth: json.sth.get().as_bytes().to_vec(),
            checkpoint: json.checkpoint.as_bytes().to_vec(),
        })
    }

    /// Writes the response as JSON.
    ///
    /// # Errors
    /// [`WriteError`]: the STH is not JSON, or the checkpoint is not UTF-8.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let checkpoint = utf8("checkpoint", &self.checkpoint)?;
        write(&HeadJson { sth: raw("STH", &self.sth)?, checkpoint: checkpoint.into() })
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

/// Reads the response to `GET entries?start=…&count=…`: 1 to `count` leaves, contiguous from `start`. The leaves are not
/// verified.
///
/// # Errors
/// [`AnswerError`]: it is malformed, holds no entries or too many, holds entries of other indices, or a leaf is longer
/// than [`limits::MAX_LEAF`].
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

/// Writes the response to `GET entries` with these leaves, the first at index `start`.
///
/// # Errors
/// [`WriteError::Encoding`].
pub fn write_entries<'a>(
    start: u64,
    leaves: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, WriteError> {
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

/// Hashes of a proof: one for each level, and the start node of a consistency proof. No tree has a longer one.
const MAX_PROOF: usize = limits::MAX_PATH + 1;

fn read_hashes(proof: &[String]) -> Result<Vec<Hash>, AnswerError> {
    if proof.len() > MAX_PROOF {
        return Err(malformed("more hashes than any proof has"));
    }
    let hashes = proof.iter().map(|text| Hash::from_hex(text));
    hashes.collect::<Option<_>>().ok_or_else(|| malformed("a hash is not 64 lowercase hex digits"))
}

fn write_hashes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

/// Reads the response to `GET consistency?first=…&second=…`. The proof is not verified.
///
/// # Errors
/// [`AnswerError`]: it is malformed, or is about other sizes.
pub fn read_consistency(bytes: &[u8], first: u64, second: u64) -> Result<ConsistencyProof, AnswerError> {
    let json: ConsistencyJson = read(bytes)?;
    expect("first", json.first, first)?;
    expect("second", json.second, second)?;
    read_hashes(&json.proof).map(ConsistencyProof)
}

/// Writes the response to `GET consistency`.
///
/// # Errors
/// [`WriteError::Encoding`].
pub fn write_consistency(first: u64, second: u64, proof: &ConsistencyProof) -> Result<Vec<u8>, WriteError> {
    write(&ConsistencyJson { first, second, proof: write_hashes(&proof.0) })
}

/// Reads the response to `GET inclusion?index=…&treeSize=…`. The proof is not verified.
///
/// # Errors
/// [`AnswerError`]: it is malformed, or is about another index or size.
pub fn read_inclusion(bytes: &[u8], index: u64, tree_size: u64) -> Result<InclusionProof, AnswerError> {
    let json: InclusionJson = read(bytes)?;
    expect("index", json.index, index)?;
    expect("treeSize", json.tree_size, tree_size)?;
    read_hashes(&json.proof).map(InclusionProof)
}

/// Writes the response to `GET inclusion`.
///
/// # Errors
/// [`WriteError::Encoding`].
pub fn write_inclusion(index: u64, tree_size: u64, proof: &InclusionProof) -> Result<Vec<u8>, WriteError> {
    write(&InclusionJson { index, tree_size, proof: write_hashes(&proof.0) })
}

/// `GET entries/<id>/verification`: everything needed to verify one approval. Nothing in it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerificationBundle {
    /// The entry's index in the log.
    pub index: u64,
    /// The entry, byte for byte; its canonical form is the leaf.
    pub entry: Vec<u8>,
    /// The index of the leaf that the proof is for.
    pub inclusion_index: u64,
    /// The size of the tree that the proof is in.
    pub tree_size: u64,
    /// The proof.
    pub proof: InclusionProof,
    /// The STH, byte for byte.
    pub sth: Vec<u8>,
    /// The checkpoint.
    pub checkpoint: Vec<u8>,
    /// The public reveal (specification section 6), byte for byte, if there is one.
    pub reveal: Option<Vec<u8>>,
    /// The array of anchors (specification section 7), byte for byte and not parsed.
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
    /// As raw text, `null` is a value, so a missing member is still an error.
    reveal: Box<RawValue>,
    anchors: Box<RawValue>,
}

const NULL: &str = "null";

impl VerificationBundle {
    /// Reads a response.
    ///
    /// # Errors
    /// [`AnswerError::Malformed`]: it is not an object of this shape.
    pub fn read(bytes: &[u8]) -> Result<VerificationBundle, AnswerError> {
        let json: BundleJson<'_> = read(bytes)?;
        let verbatim = |value: &RawValue| value.get().as_bytes().to_vec();
        let Object(inclusion) = &json.inclusion;
        if json.index.max(inclusion.index).max(inclusion.tree_size) > limits::MAX_INTEGER {
            return Err(malformed("an integer is larger than 2^53 - 1"));
        }
        if !json.anchors.get().starts_with('[') {
            return Err(malformed("anchors is not an array"));
        }
        Ok(VerificationBundle {
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

    /// Writes the response as JSON.
    ///
    /// # Errors
    /// [`WriteError`]: a part that must be JSON or UTF-8 is not.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let (index, tree_size) = (self.inclusion_index, self.tree_size);
        write(&BundleJson {
            index: self.index,
            entry: raw("entry", &self.entry)?,
            inclusion: Object(InclusionJson { index, tree_size, proof: write_hashes(&self.proof.0) }),
            sth: raw("STH", &self.sth)?,
            checkpoint: utf8("checkpoint", &self.checkpoint)?.into(),
            reveal: raw("reveal", self.reveal.as_deref().unwrap_or(NULL.as_bytes()))?,
            anchors: raw("array of anchors", &self.anchors)?,
        })
    }
}

/// `GET heads?after=…&limit=…`: one page of the list of every STH that the log signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadsPage {
    /// STHs byte for byte, ascending by size, then by time. Not verified.
    pub heads: Vec<Vec<u8>>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<u64>,
}

/// STHs in a page. Parsing stops at the first one beyond; requests ask for fewer.
const MAX_HEADS: usize = 2000;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeadsJson {
    heads: AtMost<Box<RawValue>, MAX_HEADS>,
    #[serde(deserialize_with = "object::present")]
    next: Option<u64>,
}

impl HeadsPage {
    /// Reads the response to a request with this cursor. A next cursor that does not move forward is refused, because
    /// reading would never end.
    ///
    /// # Errors
    /// [`AnswerError`]: it is malformed, holds more than `limit` heads, or its next cursor is not after this one.
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

    /// Writes the response as JSON.
    ///
    /// # Errors
    /// [`WriteError`]: a head is not JSON.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let heads = self.heads.iter().map(|head| raw("head", head)).collect::<Result<_, WriteError>>()?;
        write(&HeadsJson { heads: AtMost(heads), next: self.next })
    }
}

#[derive(Deserialize)]
struct ErrorJson<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
}

/// The message of an error response; `None` if it is not one. Not escaped.
pub fn read_error(bytes: &[u8]) -> Option<String> {
    read::<ErrorJson<'_>>(bytes).ok().map(|json| json.error.into_owned())
}

/// Writes an error response. Any text has a JSON form, so this cannot fail.
pub fn write_error(message: &str) -> Vec<u8> {
    let mut json = b"{\"error\":".to_vec();
    write_canonical_string(&mut json, message);
    json.push(b'}');
    json
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
