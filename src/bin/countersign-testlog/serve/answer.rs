//! The honest response to a request, as a value that a lie can change before it is written.

use super::request::{Interface, Request, Resource};
use super::view::LogView;
use countersign::core::api::{self, HeadAnswer, HeadsPage, VerificationBundle, WriteError};
use countersign::core::hash::Hash;
use countersign::core::proof::{ConsistencyProof, InclusionProof, prove_consistency, prove_inclusion};

/// Heads in one page of the list of heads.
const MAX_HEADS: u64 = 1000;

/// The content of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    Checkpoint(Vec<u8>),
    Sth(Vec<u8>),
    Head(HeadAnswer),
    Leaves { start: u64, leaves: Vec<Vec<u8>> },
    Tile(Vec<Hash>),
    Consistency { first: u64, second: u64, proof: ConsistencyProof },
    Inclusion { index: u64, tree_size: u64, proof: InclusionProof },
    Bundle(Box<VerificationBundle>),
    Heads(HeadsPage),
    Error { status: u16, message: String },
}

/// The format of a response body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyFormat {
    Json,
    Text,
    Bytes,
}

impl BodyFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            BodyFormat::Json => "application/json",
            BodyFormat::Text => "text/plain; charset=utf-8",
            BodyFormat::Bytes => "application/octet-stream",
        }
    }
}

/// 404.
pub fn not_found(message: impl Into<String>) -> Content {
    Content::Error { status: 404, message: message.into() }
}

/// The response of an honest log with this history and these heads. `page` is the most entries in one response of the JSON
/// API.
pub fn honest(resource: &Resource, view: &LogView, page: u64) -> Content {
    let history = &view.history;
    match resource {
        Resource::Checkpoint => Content::Checkpoint(view.current.checkpoint.clone()),
        Resource::Sth => Content::Sth(view.current.sth.clone()),
        Resource::Head => Content::Head(HeadAnswer {
            sth: view.current.sth.clone(),
            checkpoint: view.current.checkpoint.clone(),
        }),
        Resource::EntryBundle { index, width } => {
            let start = index.saturating_mul(256);
            leaves(view, start, u64::from(*width), true)
        }
        Resource::Entries { start, count } => leaves(view, *start, (*count).min(page), false),
        Resource::Tile { level, index, width } => {
            history.tile(*level, *index, *width).map_or_else(|| not_found("no such tile"), Content::Tile)
        }
        // The proof from size 0, or to the same size, needs no hashes, but the size must exist.
        Resource::Consistency { second, .. } if *second > history.len() => {
            not_found(format!("the log has {} entries", history.len()))
        }
        Resource::Consistency { first, second } => {
            let (first, second) = (*first, *second);
            prove_consistency(first, second, |range| history.range_hash(range).ok_or(())).map_or_else(
                |_| not_found(format!("the log has {} entries", history.len())),
                |proof| Content::Consistency { first, second, proof },
            )
        }
        Resource::Inclusion { index, tree_size } => inclusion(view, *index, *tree_size).map_or_else(
            || not_found(format!("the log has {} entries", history.len())),
            |proof| Content::Inclusion { index: *index, tree_size: *tree_size, proof },
        ),
        Resource::Verification { id } => view
            .ids
            .find(history, id)
            .and_then(|index| bundle(view, index))
            .map_or_else(|| not_found("no entry with this id"), |found| Content::Bundle(Box::new(found))),
        Resource::Heads { after, limit } => heads(view, *after, *limit),
        Resource::Unknown => not_found("no such resource"),
        Resource::Bad(why) => Content::Error { status: 400, message: why.clone() },
    }
}

/// Up to `count` leaves from `start` on; with `exactly`, as for a tile, all of them or none.
pub fn leaves(view: &LogView, start: u64, count: u64, exactly: bool) -> Content {
    let there = view.history.len().saturating_sub(start).min(count);
    if there == 0 || exactly && there < count {
        return not_found(format!("the log has {} entries", view.history.len()));
    }
    let leaves = (start..start + there).filter_map(|index| view.history.leaf(index)).map(<[u8]>::to_vec);
    Content::Leaves { start, leaves: leaves.collect() }
}

fn inclusion(view: &LogView, index: u64, size: u64) -> Option<InclusionProof> {
    // The ranges of a proof do not include the leaf itself, but it must exist.
    view.history.leaf_hash(size.checked_sub(1)?)?;
    prove_inclusion(index, size, |range| view.history.range_hash(range).ok_or(())).ok()
}

/// The verification bundle of an entry under the current head; `None` if the head does not cover the entry.
pub fn bundle(view: &LogView, index: u64) -> Option<VerificationBundle> {
    let size = view.current.size;
    Some(VerificationBundle {
        index,
        entry: view.history.leaf(index)?.to_vec(),
        inclusion_index: index,
        tree_size: size,
        proof: inclusion(view, index, size)?,
        sth: view.current.sth.clone(),
        checkpoint: view.current.checkpoint.clone(),
        reveal: None,
        anchors: b"[]".to_vec(),
    })
}

fn heads(view: &LogView, after: u64, limit: u64) -> Content {
    let mut later: Vec<_> = view.listed.iter().filter(|head| head.time.get() > after).collect();
    later.sort_by_key(|head| (head.size, head.time));
    let limit = usize::try_from(limit.min(MAX_HEADS)).unwrap_or(usize::MAX);
    let more = later.len() > limit;
    later.truncate(limit);
    Content::Heads(HeadsPage {
        next: later.last().filter(|_| more).map(|head| head.time.get()),
        heads: later.into_iter().map(|head| head.sth.clone()).collect(),
    })
}

impl Content {
    /// The response on the wire: status, format, body.
    pub fn write(&self, request: &Request) -> (u16, BodyFormat, Vec<u8>) {
        let json = |body: Vec<u8>| (200, BodyFormat::Json, body);
        let encoded = |body: Result<Vec<u8>, WriteError>| {
            let no_json =
                |_| (404, BodyFormat::Json, api::write_error("no JSON, and cannot stand in this answer"));
            body.map_or_else(no_json, json)
        };
        match self {
            Content::Checkpoint(note) => (200, BodyFormat::Text, note.clone()),
            Content::Sth(sth) => json(sth.clone()),
            Content::Head(head) => encoded(head.write()),
            Content::Leaves { start, leaves } if request.interface() == Interface::Api => {
                encoded(api::write_entries(*start, leaves.iter().map(Vec::as_slice)))
            }
            Content::Leaves { leaves, .. } => (200, BodyFormat::Bytes, write_bundle(leaves)),
            Content::Tile(hashes) => {
                (200, BodyFormat::Bytes, hashes.iter().flat_map(|hash| hash.0).collect())
            }
            Content::Consistency { first, second, proof } => {
                encoded(api::write_consistency(*first, *second, proof))
            }
            Content::Inclusion { index, tree_size, proof } => {
                encoded(api::write_inclusion(*index, *tree_size, proof))
            }
            Content::Bundle(bundle) => encoded(bundle.write()),
            Content::Heads(page) => encoded(page.write()),
            Content::Error { status, message } => (*status, BodyFormat::Json, api::write_error(message)),
        }
    }
}

/// An entry bundle (C2SP tlog-tiles).
fn write_bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.iter().map(|leaf| leaf.len() + 2).sum());
    for leaf in leaves {
        let length = u16::try_from(leaf.len()).expect("a history refuses longer leaves");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    bytes
}
