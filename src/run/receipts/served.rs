//! Receipts from the log: what it answers, put together so that entry, proof and heads are of one tree.
//!
//! All of it is what the log says. Only what decides *how* to put it together is looked at here: whether
//! the answer is of the entry that was asked for, and how large the tree of the signed checkpoint is.
//! Everything else that is wrong shows when the bytes are verified. Nothing is compared with earlier heads here.

use super::made::{Made, entry_of, id_of, note_reveal};
use super::no_receipt::NoReceipt;
use crate::audit::conclusion::Conclusion;
use crate::core::entry::Entry;
use crate::core::hash::leaf_hash;
use crate::core::head::{Head, HeadError, LogKey};
use crate::core::limits::TILE_WIDTH;
use crate::core::proof::{ProveError, prove_inclusion};
use crate::core::receipt::Receipt;
use crate::core::text::{escape, quoted, reason};
use crate::run::answer::Answer;
use crate::run::served_tree::{ServedTree, TreeError};
use crate::run::verifier::WIDTH;
use crate::source::{FetchError, LogApi, LogSource};

/// The entry that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted<'a> {
    /// By its id.
    Id(&'a str),
    /// By its place in the log, from 0.
    Index(u64),
    /// By both: a tiled log is asked by place, and what it gives must have this id.
    Both(&'a str, u64),
}

impl<'a> Wanted<'a> {
    fn id(self) -> Option<&'a str> {
        match self {
            Wanted::Id(id) | Wanted::Both(id, _) => Some(id),
            Wanted::Index(_) => None,
        }
    }

    fn index(self) -> Option<u64> {
        match self {
            Wanted::Index(index) | Wanted::Both(_, index) => Some(index),
            Wanted::Id(_) => None,
        }
    }

    /// Checks that the entry is the one asked for.
    fn check(self, index: u64, entry: Option<&Entry>) -> Result<(), NoReceipt> {
        if let Some(id) = self.id().filter(|id| entry.is_none_or(|entry| entry.id != *id)) {
            let (asked, found) = (quoted(id), id_of(entry));
            return Err(NoReceipt::wrong(format!(
                "asked for the id {asked}, the log gave an entry with {found}"
            )));
        }
        match self.index() {
            Some(asked) if asked != index => {
                Err(NoReceipt::wrong(format!("asked for entry {asked}, the log gave entry {index}")))
            }
            _ => Ok(()),
        }
    }
}

/// Asks the log for what makes a receipt of one entry.
///
/// # Errors
/// The log could not be asked or does not have the entry; or what it gave is wrong, or of another entry.
pub fn make(source: &dyn LogSource, wanted: Wanted<'_>, key: &LogKey) -> Result<Made, NoReceipt> {
    let made = ask(source, wanted, key);
    match (&made, source.resource_exhaustion()) {
        (Err(none), Some(what)) if none.conclusion == Conclusion::Incomplete => Err(NoReceipt::fault(what)),
        _ => made,
    }
}

fn ask(source: &dyn LogSource, wanted: Wanted<'_>, key: &LogKey) -> Result<Made, NoReceipt> {
    match (source.api(), wanted.index()) {
        (Some(api), _) => from_api(source, api, wanted, key),
        (None, Some(index)) => match from_tiles(source, index, wanted, key) {
            // A directory may be being copied.
            Err(none) if none.conclusion == Conclusion::Invalid => {
                settle_source(source)?;
                confirmed(source, from_tiles(source, index, wanted, key))
            }
            first => first,
        },
        (None, None) => {
            Err(NoReceipt::undecided("a tiled log cannot be asked by id: give the entry's index"))
        }
    }
}

/// Waits before what was wrong is looked at once more.
///
/// # Errors
/// The run was told to stop.
pub fn settle_source(source: &dyn LogSource) -> Result<(), NoReceipt> {
    source.settle().map_err(|error| failed(&error))
}

/// What was wrong once more, unless the log's directory was changing meanwhile. Then nobody can tell.
///
/// # Errors
/// As `made`, or that nobody can tell.
pub fn confirmed<T>(source: &dyn LogSource, made: Result<T, NoReceipt>) -> Result<T, NoReceipt> {
    match made {
        Err(none) if none.conclusion == Conclusion::Invalid => {
            source.confirm().map_err(|error| failed(&error)).and(Err(none))
        }
        made => made,
    }
}

/// What a failed fetch means: the log is wrong, or it could not be told.
fn failed(error: &FetchError) -> NoReceipt {
    match Answer::of(error) {
        Answer::Unknown(why) => NoReceipt::undecided(why),
        _ => NoReceipt::wrong(error.to_string()),
    }
}

/// The head that a log serves, in both formats.
struct Served {
    checkpoint: Head,
    sth: Option<Vec<u8>>,
    notes: Vec<String>,
    /// Both, as far as they verify.
    seen: Vec<Head>,
}

/// The checkpoint that the log serves now, which must be over the entry, and the STH beside it.
fn served_head(source: &dyn LogSource, index: u64, key: &LogKey) -> Result<Served, NoReceipt> {
    let served = source.head();
    let raw = served.checkpoint.map_err(|error| failed(&error))?;
    let checkpoint = Head::verify_checkpoint(&raw, key).map_err(|error| match error {
        HeadError::Disagreement(what) => NoReceipt::fault(escape(&what)),
        error => {
            NoReceipt::wrong(format!("the log's checkpoint does not verify: {}", reason(&error.to_string())))
        }
    })?;
    if index >= checkpoint.size() {
        return Err(NoReceipt::undecided(format!(
            "entry {index} is not in the log's newest checkpoint, which is over {} entries (the first is entry 0): \
             if it is new, ask again later",
            checkpoint.size()
        )));
    }
    let (sth, unserved) = match served.sth {
        Ok(sth) => (sth, None),
        Err(error) => (None, Some(format!("the receipt has no STH: {error}"))),
    };
    let seen = signed(&raw, sth.as_deref(), key);
    let mut served = Served { checkpoint, sth, notes: unserved.into_iter().collect(), seen };
    let (sth, note) = of_one_size(served.sth.take(), &served.checkpoint, key);
    served.sth = sth;
    served.notes.extend(note);
    Ok(served)
}

/// The heads among these that the log signed.
fn signed(checkpoint: &[u8], sth: Option<&[u8]>, key: &LogKey) -> Vec<Head> {
    let checkpoint = Head::verify_checkpoint(checkpoint, key);
    let sth = sth.map(|raw| Head::verify_sth(raw, key));
    checkpoint.into_iter().chain(sth.into_iter().flatten()).collect()
}

/// The STH, unless it is over another number of entries than the checkpoint, as in a log that grew in
/// between. One that does not verify stays, and fails when the receipt is verified.
fn of_one_size(sth: Option<Vec<u8>>, checkpoint: &Head, key: &LogKey) -> (Option<Vec<u8>>, Option<String>) {
    let other = |raw: &Vec<u8>| match Head::verify_sth(raw, key) {
        Ok(head) if head.size() != checkpoint.size() => Some(head.size()),
        _ => None,
    };
    match sth.as_ref().and_then(other) {
        Some(size) => {
            let of = checkpoint.size();
            let note = format!(
                "the receipt has no STH: the log's is over {size} entries, and its checkpoint over {of}"
            );
            (None, Some(note))
        }
        None => (sth, None),
    }
}

/// From the JSON API: the verification bundle, brought into the tree of its checkpoint.
fn from_api(
    source: &dyn LogSource,
    api: &dyn LogApi,
    wanted: Wanted<'_>,
    key: &LogKey,
) -> Result<Made, NoReceipt> {
    let mut seen = Vec::new();
    let id = match (wanted.id(), wanted.index()) {
        (Some(id), _) => id.to_owned(),
        (None, index) => id_at(source, index.unwrap_or_default(), key, &mut seen)?,
    };
    let bundle = match api.verification(&id) {
        Ok(Some(bundle)) => bundle,
        Ok(None) => {
            let why =
                format!("a log cannot be asked for the id {}: take the receipt from the mirror", quoted(&id));
            return Err(NoReceipt::undecided(why));
        }
        // Asked for by an id that somebody typed; an entry that the log itself gave must have a bundle.
        Err(FetchError::NotFound { what }) if wanted.index().is_none() => {
            let why = format!("{what}: the log knows no approval with the id {}", quoted(&id));
            return Err(NoReceipt::undecided(why));
        }
        Err(error) => return Err(failed(&error)),
    };
    seen.extend(signed(&bundle.checkpoint, Some(&bundle.sth), key));
    let mut receipt = Receipt::from_bundle(bundle).map_err(|error| {
        NoReceipt::wrong(format!("the log's verification bundle: {}", reason(&error.to_string())))
    })?;
    let entry = entry_of(&receipt.leaf, key);
    wanted.check(receipt.index, entry.as_ref())?;
    let mut notes = settle(&mut receipt, source, api, key, &mut seen)?;
    notes.extend(note_reveal(&receipt, entry.as_ref(), "the log does not serve it"));
    Ok(Made { receipt, notes, seen })
}

/// The id of the entry at `index`, as the log serves it.
fn id_at(
    source: &dyn LogSource,
    index: u64,
    key: &LogKey,
    seen: &mut Vec<Head>,
) -> Result<String, NoReceipt> {
    let served = served_head(source, index, key)?;
    seen.extend(served.seen);
    let size = served.checkpoint.size();
    let entry = entry_of(&leaf_at(source, index, size)?, key);
    let id = entry.as_ref().and_then(Entry::valid_id).map(str::to_owned);
    id.ok_or_else(|| NoReceipt::wrong(format!("entry {index} has {}", id_of(entry.as_ref()))))
}

/// The leaf at `index` of a log of `size`, as served.
fn leaf_at(source: &dyn LogSource, index: u64, size: u64) -> Result<Vec<u8>, NoReceipt> {
    let bundle = index / WIDTH;
    let first = bundle.saturating_mul(WIDTH);
    let width = u16::try_from(size.saturating_sub(first)).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
    let leaves = source.leaves(bundle, width).map_err(|error| failed(&error))?;
    let place = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
    leaves
        .into_iter()
        .nth(place)
        .ok_or_else(|| NoReceipt::wrong(format!("the log does not serve entry {index}")))
}

/// Brings a receipt into the tree of its checkpoint. In a log that grows, a bundle's proof may be in the tree of its STH.
/// A checkpoint that does not verify stays, and fails when the receipt is verified.
fn settle(
    receipt: &mut Receipt,
    source: &dyn LogSource,
    api: &dyn LogApi,
    key: &LogKey,
    seen: &mut Vec<Head>,
) -> Result<Vec<String>, NoReceipt> {
    let Ok(mut checkpoint) = Head::verify_checkpoint(&receipt.checkpoint, key) else { return Ok(Vec::new()) };
    let mut notes = Vec::new();
    if receipt.index >= checkpoint.size() {
        let served = served_head(source, receipt.index, key)?;
        seen.extend(served.seen);
        receipt.checkpoint = served.checkpoint.raw().as_bytes().to_vec();
        receipt.sth = served.sth;
        (checkpoint, notes) = (served.checkpoint, served.notes);
    }
    if receipt.tree_size != Some(checkpoint.size()) {
        receipt.path = api.inclusion(receipt.index, checkpoint.size()).map_err(|error| failed(&error))?;
        receipt.tree_size = Some(checkpoint.size());
    }
    let (sth, note) = of_one_size(receipt.sth.take(), &checkpoint, key);
    receipt.sth = sth;
    notes.extend(note);
    Ok(notes)
}

/// From a tiled log: the leaf, and a proof out of tiles that fit the signed root.
fn from_tiles(
    source: &dyn LogSource,
    index: u64,
    wanted: Wanted<'_>,
    key: &LogKey,
) -> Result<Made, NoReceipt> {
    let Served { checkpoint, sth, mut notes, seen } = served_head(source, index, key)?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    let mut tree = ServedTree::open(source, size, &root).map_err(unproved)?;
    let path = prove_inclusion(index, size, |range| tree.range(range)).map_err(|error| match error {
        ProveError::Impossible(why) => NoReceipt::undecided(why.to_string()),
        ProveError::Source(error) => unproved(error),
    })?;
    let mut leaf = leaf_at(source, index, size)?;
    if tree.range(index..index.saturating_add(1)).is_ok_and(|hash| hash != leaf_hash(&leaf).0) {
        settle_source(source)?;
        leaf = leaf_at(source, index, size)?;
    }
    let entry = entry_of(&leaf, key);
    wanted.check(index, entry.as_ref())?;
    let reveal = match entry.as_ref().filter(|entry| entry.reveal_commitment.is_some()) {
        Some(entry) => source.reveal(&entry.id).map_err(|error| failed(&error))?,
        None => None,
    };
    // In a receipt this is the word for none.
    let reveal = reveal.filter(|json| json.trim_ascii() != b"null");
    let receipt = Receipt { sth, reveal, ..Receipt::new(leaf, index, path, &checkpoint) };
    notes.extend(note_reveal(&receipt, entry.as_ref(), "the log does not serve it"));
    Ok(Made { receipt, notes, seen })
}

fn unproved(error: TreeError) -> NoReceipt {
    match error {
        TreeError::Fetch(cause) => NoReceipt::undecided(cause),
        error => NoReceipt::wrong(error.to_string()),
    }
}
