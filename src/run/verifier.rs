//! What a worker thread does with one bundle: fetch or read it, prove it, check its entries.
//!
//! Nothing here depends on other bundles, so it runs on all cores in any order. The writer then takes the results in
//! order.

use super::served_tree::{ServedTree, TreeError};
use crate::audit::entries::{CheckedEntry, check_leaf};
use crate::audit::finding::Finding;
use crate::audit::policy::Policy;
use crate::audit::subject::Subject;
use crate::audit::tally::Tally;
use crate::core::finding::Code;
use crate::core::hash::{Hash, LeafHash, leaf_hash};
use crate::core::limits::MAX_INTEGER;
use crate::core::second_opinion::rs_merkle_root;
use crate::core::tile::TilePath;
use crate::core::tree::CompactRange;
use crate::core::webauthn::KeyCache;
use crate::source::{FetchError, Leaves, LogSource};
use std::sync::{Mutex, PoisonError};

/// Entries in a full bundle.
pub(super) const WIDTH: u64 = 256;

/// A bundle whose leaves were hashed, and compared with what the signed root or the mirror commits to, where there is
/// such a hash.
pub(super) struct Bundle {
    /// Index of its first leaf: a multiple of 256.
    pub(super) first: u64,
    /// The leaves, verbatim.
    pub(super) leaves: Vec<Vec<u8>>,
    /// Their hashes.
    pub(super) hashes: Vec<LeafHash>,
    /// The root of exactly these leaves.
    pub(super) root: Hash,
    /// The entries that were to be checked.
    pub(super) checked: Vec<CheckedEntry>,
    /// How the checks of those entries went.
    pub(super) tally: Tally,
    /// How the served Merkle tile over these leaves compares, if the leaves are right.
    pub(super) tile: TileCheck,
}

/// A served level-0 tile against the leaves' hashes.
pub(super) enum TileCheck {
    /// There was nothing to compare: mirrored leaves, or a log without tiles.
    NotCompared,
    /// It has the leaves' hashes.
    Same,
    /// It does not.
    Doubt(TileDoubt),
}

/// A served Merkle tile that does not have the leaves' hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileDoubt {
    /// Which tile.
    pub(super) tile: TilePath,
    /// Whether it is missing, and not wrong.
    pub(super) missing: bool,
}

impl TileDoubt {
    /// The finding that it is once the leaves are proved.
    pub(super) fn finding(&self) -> Finding {
        let (code, what) = match self.missing {
            true => (Code::Gap, "is not served"),
            false => (Code::TileMismatch, "is not what the entries hash to"),
        };
        Finding::of_log(code, Subject::Tile(self.tile), format!("the Merkle tile {} {what}", self.tile))
    }
}

/// What became of a bundle.
pub(super) enum Outcome {
    /// It was hashed, compared and checked.
    Done(Box<Bundle>),
    /// Not served, and the answer says that it is not there.
    NotThere(String),
    /// Not served in the right form: fewer entries, or something that cannot be parsed.
    Missing(String),
    /// Served, but not what the signed root commits to.
    Wrong(String),
    /// The mirrored leaves are not what was stored.
    Damaged,
    /// Could not tell: the cause. The run stops.
    Unknown(String),
    /// The served tiles do not vouch any further.
    TreeLost(TreeError),
    /// Two implementations disagree.
    Disagreement(String),
}

impl Outcome {
    /// What a failed fetch of entries means.
    pub(super) fn of(error: &FetchError) -> Outcome {
        match error {
            FetchError::NotFound { .. } | FetchError::Lacking { .. } => Outcome::NotThere(error.to_string()),
            FetchError::Malformed { .. } => Outcome::Missing(error.to_string()),
            FetchError::TooLarge { .. } | FetchError::Excess { .. } => Outcome::Wrong(error.to_string()),
            FetchError::Unavailable { .. } | FetchError::Rejected { .. } | FetchError::Refused { .. } => {
                Outcome::Unknown(error.to_string())
            }
        }
    }

    /// Bytes that it holds, roughly: leaves, and as much again for what was decoded from them.
    pub(super) fn weight(&self) -> usize {
        match self {
            Outcome::Done(bundle) => bundle
                .leaves
                .iter()
                .map(|leaf| leaf.len().saturating_add(512))
                .sum::<usize>()
                .saturating_mul(2),
            _ => 0,
        }
    }
}

/// Entries of bundle `n` in a log of `size` entries. Subtractions saturate: a bundle beyond the end has none.
pub(super) fn width_of(n: u64, size: u64) -> u16 {
    let first = n.saturating_mul(WIDTH);
    u16::try_from(size.saturating_sub(first).min(WIDTH)).unwrap_or(0)
}

/// Fetches the `width` leaves of bundle `n`.
///
/// # Errors
/// What the failed fetch means.
pub(super) fn fetch_leaves(source: &dyn LogSource, n: u64, width: u16) -> Result<Leaves, Outcome> {
    source.leaves(n, width).map_err(|error| Outcome::of(&error))
}

/// Fetches the end of a log of `size` entries, and does not look into it: the last bundle, or behind the JSON API the
/// last entry. What is missing or wrong is asked for once more.
///
/// # Errors
/// What the failed fetch means.
pub(super) fn fetch_end(source: &dyn LogSource, size: u64) -> Result<(), Outcome> {
    let last = size.saturating_sub(1);
    let width = u16::try_from(last % WIDTH).unwrap_or(0).saturating_add(1);
    let once = || match source.api() {
        // No replica can be behind on an entry that no answer can name.
        Some(_) if last > MAX_INTEGER => Err(Outcome::Missing(format!(
            "the JSON API has no number for entry {last}: its numbers end at 2^53 - 1"
        ))),
        Some(api) => api.leaf(last).map(drop).map_err(|error| Outcome::of(&error)),
        None => fetch_leaves(source, last / WIDTH, width).map(drop),
    };
    twice(source, once)
}

/// Asks, and asks once more for what is missing or wrong, before it is held against the log. A transfer can be cut short
/// or changed unnoticed, and a directory may be being copied.
fn twice<T>(source: &dyn LogSource, once: impl Fn() -> Result<T, Outcome>) -> Result<T, Outcome> {
    let is_doubtful = |asked: &Result<T, Outcome>| {
        matches!(asked, Err(Outcome::NotThere(_) | Outcome::Missing(_) | Outcome::Wrong(_)))
    };
    let first = once();
    if !is_doubtful(&first) {
        return first;
    }
    settle(source)?;
    let again = once();
    if is_doubtful(&again) {
        confirm(source)?;
    }
    again
}

/// The entries of bundle `n` in words, ends included.
pub(super) fn span(n: u64, width: u16) -> String {
    let first = n.saturating_mul(WIDTH);
    format!("entries {first} to {}", first.saturating_add(u64::from(width)).saturating_sub(1))
}

/// Hashes leaves and folds them twice: with our compact range, and with an implementation that is not ours.
///
/// # Errors
/// The two disagree.
pub(super) fn fold(leaves: &[Vec<u8>]) -> Result<(Vec<LeafHash>, Hash), Outcome> {
    let hashes: Vec<LeafHash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let mut range = CompactRange::new(0);
    let folded = hashes.iter().try_for_each(|hash| range.append_leaf(*hash));
    let root = range.root();
    if folded.is_err() || rs_merkle_root(&hashes).is_some_and(|second| second != root) {
        return Err(Outcome::Disagreement("two Merkle tree implementations give two roots".to_owned()));
    }
    Ok((hashes, root))
}

/// What all workers share.
pub(super) struct Verifier<'a> {
    policy: &'a Policy,
    /// Served tiles that vouch for bundles. Without them, bundles are proved later.
    tree: Option<Mutex<ServedTree<'a>>>,
    size: u64,
    check_from: u64,
}

impl<'a> Verifier<'a> {
    /// For bundles of a tree of `size` entries. Those from `check_from` on are checked under `policy`.
    pub(super) fn new(policy: &'a Policy, size: u64, check_from: u64) -> Verifier<'a> {
        Verifier { policy, tree: None, size, check_from }
    }

    /// With tiles that vouch for each bundle, if there are any.
    pub(super) fn with_tree(self, tree: Option<ServedTree<'a>>) -> Verifier<'a> {
        Verifier { tree: tree.map(Mutex::new), ..self }
    }

    /// Entries in bundle `n`.
    pub(super) fn width(&self, n: u64) -> u16 {
        width_of(n, self.size)
    }

    /// A bundle from the log: fetched, proved where tiles vouch, compared with its tile, and checked.
    pub(super) fn fetched(&self, source: &dyn LogSource, n: u64, keys: &mut KeyCache) -> Outcome {
        self.try_fetched(source, n, keys).unwrap_or_else(|outcome| outcome)
    }

    fn try_fetched(&self, source: &dyn LogSource, n: u64, keys: &mut KeyCache) -> Result<Outcome, Outcome> {
        let width = self.width(n);
        let expected = self.expected(n, width)?;
        let (leaves, hashes, root) = self.fetch_proved(source, n, expected)?;
        let tile = compare_tile(source, n, width, &hashes)?;
        let mut bundle = self.bundle(n, leaves, hashes, root, tile);
        if let Outcome::Done(bundle) = &mut bundle {
            self.check(bundle, keys)?;
        }
        Ok(bundle)
    }

    /// Fetches and folds a bundle.
    fn fetch_proved(
        &self,
        source: &dyn LogSource,
        n: u64,
        expected: Option<Hash>,
    ) -> Result<(Leaves, Vec<LeafHash>, Hash), Outcome> {
        let width = self.width(n);
        let once = || {
            let leaves = fetch_leaves(source, n, width)?;
            let (hashes, root) = fold(&leaves)?;
            if expected.is_some_and(|expected| expected != root) {
                let why = format!("{} do not hash to what the signed root commits to", span(n, width));
                return Err(Outcome::Wrong(why));
            }
            Ok((leaves, hashes, root))
        };
        twice(source, once)
    }

    /// A bundle from the mirror: hashed again, compared with what was proved when it was stored, and checked.
    pub(super) fn mirrored(&self, n: u64, leaves: Leaves, expected: Hash, keys: &mut KeyCache) -> Outcome {
        self.try_mirrored(n, leaves, expected, keys).unwrap_or_else(|outcome| outcome)
    }

    fn try_mirrored(
        &self,
        n: u64,
        leaves: Leaves,
        expected: Hash,
        keys: &mut KeyCache,
    ) -> Result<Outcome, Outcome> {
        if leaves.len() != usize::from(self.width(n)) {
            return Err(Outcome::Damaged);
        }
        let (hashes, root) = fold(&leaves)?;
        if expected != root {
            return Err(Outcome::Damaged);
        }
        let mut bundle = self.bundle(n, leaves, hashes, root, TileCheck::NotCompared);
        if let Outcome::Done(bundle) = &mut bundle {
            self.check(bundle, keys)?;
        }
        Ok(bundle)
    }

    fn bundle(&self, n: u64, leaves: Leaves, hashes: Vec<LeafHash>, root: Hash, tile: TileCheck) -> Outcome {
        let first = n.saturating_mul(WIDTH);
        let (checked, tally) = (Vec::new(), Tally::default());
        Outcome::Done(Box::new(Bundle { first, leaves, hashes, root, checked, tally, tile }))
    }

    /// What the signed root commits to for bundle `n`, where tiles vouch for it.
    fn expected(&self, n: u64, width: u16) -> Result<Option<Hash>, Outcome> {
        let Some(tree) = &self.tree else { return Ok(None) };
        let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
        let first = n.saturating_mul(WIDTH);
        let hash = match u64::from(width) {
            WIDTH => tree.node(1, n),
            width => tree.range(first..first.saturating_add(width)),
        };
        hash.map(Some).map_err(Outcome::TreeLost)
    }

    fn check(&self, bundle: &mut Bundle, keys: &mut KeyCache) -> Result<(), Outcome> {
        for (offset, leaf) in (0u64..).zip(&bundle.leaves) {
            let index = bundle.first.saturating_add(offset);
            if index < self.check_from {
                continue;
            }
            let entry = check_leaf(leaf, index, self.policy, keys, &mut bundle.tally)
                .map_err(|disagreement| Outcome::Disagreement(format!("entry {index}: {disagreement}")))?;
            bundle.checked.push(entry);
        }
        Ok(())
    }
}

/// Before what was wrong is asked for once more.
fn settle(source: &dyn LogSource) -> Result<(), Outcome> {
    source.settle().map_err(|error| Outcome::Unknown(error.to_string()))
}

/// Before what is still wrong is held against the log.
fn confirm(source: &dyn LogSource) -> Result<(), Outcome> {
    source.confirm().map_err(|error| Outcome::Unknown(error.to_string()))
}

/// Compares the served level-0 tile with the leaves' hashes. One that is wrong is asked for once more.
fn compare_tile(
    source: &dyn LogSource,
    n: u64,
    width: u16,
    hashes: &[LeafHash],
) -> Result<TileCheck, Outcome> {
    match compare_tile_once(source, n, width, hashes)? {
        TileCheck::Doubt(doubt) if !doubt.missing => {
            settle(source)?;
            let again = compare_tile_once(source, n, width, hashes)?;
            if matches!(again, TileCheck::Doubt(_)) {
                confirm(source)?;
            }
            Ok(again)
        }
        checked => Ok(checked),
    }
}

/// The same, asked for once: whether a tile that is known to be wrong still is.
///
/// # Errors
/// The tile could not be asked for.
pub(super) fn compare_tile_once(
    source: &dyn LogSource,
    n: u64,
    width: u16,
    hashes: &[LeafHash],
) -> Result<TileCheck, Outcome> {
    if !source.has_tiles() {
        return Ok(TileCheck::NotCompared);
    }
    let tile = TilePath::Hash { level: 0, index: n, width };
    let same = |bytes: &[u8]| {
        let (chunks, rest) = bytes.as_chunks::<32>();
        rest.is_empty() && chunks.len() == hashes.len() && chunks.iter().zip(hashes).all(|(a, b)| *a == b.0.0)
    };
    let missing = match source.tile(0, n, width) {
        Ok(bytes) if same(&bytes) => return Ok(TileCheck::Same),
        Ok(_) | Err(FetchError::TooLarge { .. }) => false,
        Err(FetchError::NotFound { .. }) => true,
        Err(error) => return Err(Outcome::Unknown(error.to_string())),
    };
    Ok(TileCheck::Doubt(TileDoubt { tile, missing }))
}
