//! The honest answer to a request, as a value that a lie can change before it is written.

use super::request::{Ask, Interface, Request};
use super::track::Track;
use countersign::core::api::{self, Bundle, HeadAnswer, HeadsPage};
use countersign::core::hash::Hash;
use countersign::core::proof::{ConsistencyProof, InclusionProof, prove_consistency, prove_inclusion};

/// Most heads in one page of the list of heads.
const MAX_HEADS: u64 = 1000;

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    Checkpoint(Vec<u8>),
    Sth(Vec<u8>),
    Head(HeadAnswer),
    Leaves { start: u64, leaves: Vec<Vec<u8>> },
    Tile(Vec<Hash>),
    Consistency { first: u64, second: u64, proof: ConsistencyProof },
    Inclusion { index: u64, tree_size: u64, proof: InclusionProof },
    Bundle(Box<Bundle>),
    Heads(HeadsPage),
    Error { status: u16, message: String },
}

/// What kind of text an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
    Text,
    Bytes,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Text => "text/plain; charset=utf-8",
            Format::Bytes => "application/octet-stream",
        }
    }
}

/// 404.
pub fn not_found(message: impl Into<String>) -> Content {
    Content::Error { status: 404, message: message.into() }
}

/// What an honest log that has this history and these heads answers; `page` is the most entries in one
/// answer of the JSON API.
pub fn honest(ask: &Ask, track: &Track, page: u64) -> Content {
    let history = &track.history;
    match ask {
        Ask::Checkpoint => Content::Checkpoint(track.current.checkpoint.clone()),
        Ask::Sth => Content::Sth(track.current.sth.clone()),
        Ask::Head => Content::Head(HeadAnswer {
            sth: track.current.sth.clone(),
            checkpoint: track.current.checkpoint.clone(),
        }),
        Ask::Bundle { index, width } => {
            let start = index.saturating_mul(256);
            leaves(track, start, u64::from(*width), true)
        }
        Ask::Entries { start, count } => leaves(track, *start, (*count).min(page), false),
        Ask::Tile { level, index, width } => {
            history.tile(*level, *index, *width).map_or_else(|| not_found("no such tile"), Content::Tile)
        }
        // The proof from nothing, or to the same size, asks for no hash: the size must be there all the same.
        Ask::Consistency { second, .. } if *second > history.len() => {
            not_found(format!("the log has {} entries", history.len()))
        }
        Ask::Consistency { first, second } => {
            let (first, second) = (*first, *second);
            prove_consistency(first, second, |range| history.range_hash(range).ok_or(())).map_or_else(
                |_| not_found(format!("the log has {} entries", history.len())),
                |proof| Content::Consistency { first, second, proof },
            )
        }
        Ask::Inclusion { index, tree_size } => inclusion(track, *index, *tree_size).map_or_else(
            || not_found(format!("the log has {} entries", history.len())),
            |proof| Content::Inclusion { index: *index, tree_size: *tree_size, proof },
        ),
        Ask::Verification { id } => track
            .ids
            .find(history, id)
            .and_then(|index| bundle(track, index))
            .map_or_else(|| not_found("no entry with this id"), |found| Content::Bundle(Box::new(found))),
        Ask::Heads { after, limit } => heads(track, *after, *limit),
        Ask::Unknown => not_found("no such resource"),
        Ask::Bad(why) => Content::Error { status: 400, message: why.clone() },
    }
}

/// Up to `count` leaves from `start` on, or, for a tile, exactly that many.
pub fn leaves(track: &Track, start: u64, count: u64, exactly: bool) -> Content {
    let there = track.history.len().saturating_sub(start).min(count);
    if there == 0 || exactly && there < count {
        return not_found(format!("the log has {} entries", track.history.len()));
    }
    let leaves = (start..start + there).filter_map(|index| track.history.leaf(index)).map(<[u8]>::to_vec);
    Content::Leaves { start, leaves: leaves.collect() }
}

fn inclusion(track: &Track, index: u64, size: u64) -> Option<InclusionProof> {
    // The ranges of a proof leave the leaf itself out: it must be there all the same.
    track.history.leaf_hash(size.checked_sub(1)?)?;
    prove_inclusion(index, size, |range| track.history.range_hash(range).ok_or(())).ok()
}

/// The verification bundle of an entry under the current head; `None` where that does not cover it.
pub fn bundle(track: &Track, index: u64) -> Option<Bundle> {
    let size = track.current.size;
    Some(Bundle {
        index,
        entry: track.history.leaf(index)?.to_vec(),
        inclusion_index: index,
        tree_size: size,
        proof: inclusion(track, index, size)?,
        sth: track.current.sth.clone(),
        checkpoint: track.current.checkpoint.clone(),
        reveal: None,
        anchors: b"[]".to_vec(),
    })
}

fn heads(track: &Track, after: u64, limit: u64) -> Content {
    let mut later: Vec<_> = track.listed.iter().filter(|head| head.time > after).collect();
    later.sort_by_key(|head| (head.size, head.time));
    let limit = usize::try_from(limit.min(MAX_HEADS)).unwrap_or(usize::MAX);
    let more = later.len() > limit;
    later.truncate(limit);
    Content::Heads(HeadsPage {
        next: later.last().filter(|_| more).map(|head| head.time),
        heads: later.into_iter().map(|head| head.sth.clone()).collect(),
    })
}

impl Content {
    /// The answer as it goes over the wire: status, format, body.
    pub fn write(&self, request: &Request) -> (u16, Format, Vec<u8>) {
        let no_json = || (404, Format::Json, api::write_error("no JSON, and cannot stand in this answer"));
        let json = |body: Vec<u8>| (200, Format::Json, body);
        match self {
            Content::Checkpoint(note) => (200, Format::Text, note.clone()),
            Content::Sth(sth) => json(sth.clone()),
            Content::Head(head) => head.write().map_or_else(no_json, json),
            Content::Leaves { start, leaves } if request.interface() == Interface::Api => {
                json(api::write_entries(*start, leaves.iter().map(Vec::as_slice)))
            }
            Content::Leaves { leaves, .. } => (200, Format::Bytes, write_bundle(leaves)),
            Content::Tile(hashes) => (200, Format::Bytes, hashes.iter().flat_map(|hash| hash.0).collect()),
            Content::Consistency { first, second, proof } => {
                json(api::write_consistency(*first, *second, proof))
            }
            Content::Inclusion { index, tree_size, proof } => {
                json(api::write_inclusion(*index, *tree_size, proof))
            }
            Content::Bundle(bundle) => bundle.write().map_or_else(no_json, json),
            Content::Heads(page) => page.write().map_or_else(no_json, json),
            Content::Error { status, message } => (*status, Format::Json, api::write_error(message)),
        }
    }
}

/// An entry bundle (C2SP tlog-tiles). A leaf is at most 65,535 bytes, which [`History`] saw to.
///
/// [`History`]: super::history::History
fn write_bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.iter().map(|leaf| leaf.len() + 2).sum());
    for leaf in leaves {
        bytes.extend_from_slice(&u16::try_from(leaf.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    bytes
}
