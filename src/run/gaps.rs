//! When the log does not serve what it signed: which part, and whether history was rewritten.

use super::commit::{BadBundle, Flaw};
use super::history::{mirrored_range, tree_subject};
use super::pipeline::in_order;
use super::served_tree::TreeError;
use super::verifier::{Outcome, TileDoubt, Verifier, WIDTH, fetch_leaves, fold};
use super::{Fault, Run};
use crate::core::evidence::Kind;
use crate::core::finding::Code;
use crate::core::hash::{Hash, LeafHash};
use crate::core::head::Head;
use crate::core::proof::consistency_ranges;
use crate::core::tile::TilePath;
use crate::core::tree::CompactRange;
use crate::mirror::HeadStatus;
use crate::source::{FetchError, LogSource};
use std::ops::{ControlFlow, Range};

/// Paths named in one message.
const NAMED: usize = 4;

/// How folding everything that the log serves came out.
enum Refold {
    /// Roots of the asked ranges, and of the whole.
    Folded(Vec<Hash>, Hash),
    /// A bundle is missing or malformed.
    Hole,
    /// Could not tell: the cause.
    Unknown(String),
}

impl Run<'_> {
    /// One finding for the bundles that are missing, one for those that are wrong. `false` where there is none, because
    /// a replica may be behind; that is said.
    pub(super) fn report_gaps(&mut self, head: &Head, bad: &[BadBundle]) -> Result<bool, Fault> {
        if let [bad] = bad
            && self.is_lagging(head, bad)?
        {
            return Ok(false);
        }
        for (missing, code) in [(true, Code::Gap), (false, Code::RootMismatch)] {
            let of_kind: Vec<&BadBundle> =
                bad.iter().filter(|b| (b.flaw != Flaw::Wrong) == missing).collect();
            let Some(first) = of_kind.first() else { continue };
            let from = first.n.saturating_mul(WIDTH);
            let to = from.saturating_add(WIDTH).min(head.size());
            let whys: Vec<&str> = of_kind.iter().take(NAMED).map(|b| b.why.as_str()).collect();
            let more = match of_kind.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            let what = if missing { "are not all served" } else { "are not what it commits to" };
            let message = format!(
                "entries {from} to {}, which the head of size {} commits to, {what}: {}{more}",
                to.saturating_sub(1),
                head.size(),
                whys.join("; ")
            );
            self.summary.tally.record("root", false);
            self.find_of_log(code, bundle_subject(head, first.n), message)?;
        }
        if !bad.is_empty() {
            let checked = self.mirror.state().checked;
            self.summary.notes.push(format!(
                "entries from {checked} on were not fully checked: the log does not serve all of them"
            ));
        }
        Ok(true)
    }

    /// Compares the served tiles above level 0 that the new entries changed. `false` where the log
    /// could not be reached.
    pub(super) fn compare_upper_tiles(&mut self) -> Result<bool, Fault> {
        let (size, compared) = (self.mirror.state().verified, self.mirror.state().tiles_compared);
        // Only a tree that the log signed has a right edge that the log must serve.
        let signed = self.summary.target_verified
            && self.summary.target.as_ref().is_some_and(|target| target.size() == size);
        let Some(source) = self.source.filter(|source| signed && source.has_tiles() && size > compared)
        else {
            return Ok(true);
        };
        for level in 1..8u8 {
            let nodes = size >> (u32::from(level).saturating_mul(8));
            let before = compared >> (u32::from(level).saturating_mul(8));
            for index in before / WIDTH..nodes.div_ceil(WIDTH) {
                let width = nodes.saturating_sub(index.saturating_mul(WIDTH)).min(WIDTH);
                if let Err(cause) = self.compare_upper_tile(source, level, index, width)? {
                    self.summary.incomplete.push(cause);
                    return Ok(false);
                }
            }
        }
        self.mirror
            .transact(|_, state| {
                state.tiles_compared = size;
                Ok(true)
            })
            .map_err(Fault::from)
    }

    fn compare_upper_tile(
        &mut self,
        source: &dyn LogSource,
        level: u8,
        index: u64,
        width: u64,
    ) -> Result<Result<(), String>, Fault> {
        let width = u16::try_from(width).unwrap_or(256);
        let path = TilePath::Hash { level, index, width }.to_path();
        let mut ours = Vec::new();
        for slot in 0..u64::from(width) {
            let n = index.saturating_mul(WIDTH).saturating_add(slot);
            let start = n << (u32::from(level).saturating_mul(8));
            let end = n.saturating_add(1) << (u32::from(level).saturating_mul(8));
            ours.extend_from_slice(mirrored_range(self.mirror, start..end)?.as_bytes());
        }
        let once = || match source.tile(level, index, width) {
            Ok(bytes) if bytes == ours => Ok(None),
            Ok(_) | Err(FetchError::TooLarge { .. }) => Ok(Some(false)),
            Err(FetchError::NotFound { .. }) => Ok(Some(true)),
            Err(error) => Err(error.to_string()),
        };
        // As for the tiles of level 0.
        let looked = match once() {
            Ok(Some(false)) => source.settle().map_err(|error| error.to_string()).and_then(|()| once()),
            first => first,
        };
        let looked = match looked {
            Ok(Some(missing)) => source.confirm().map(|()| Some(missing)).map_err(|error| error.to_string()),
            looked => looked,
        };
        let missing = match looked {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(missing)) => missing,
            Err(cause) => return Ok(Err(cause)),
        };
        // Ours are mirrored nodes: not before they are known to be whole.
        self.confirm_mirror()?;
        self.find(&TileDoubt { path, missing }.finding())?;
        Ok(Ok(()))
    }

    /// The new entries and our tree do not have the signed root. Either what is served is not what
    /// was signed, or the log rewrote what it had signed before; then the entries that it serves
    /// now, all of them, have the signed root, and their nodes prove it.
    pub(super) fn explain_mismatch(
        &mut self,
        source: &dyn LogSource,
        head: &Head,
        folded: &Hash,
        why: &TreeError,
    ) -> Result<bool, Fault> {
        let kept =
            self.mirror.largest_consistent(head.size(), &self.policy.log_key)?.map(|stored| stored.head);
        if let Some(kept) = kept.filter(|kept| (1..head.size()).contains(&kept.size())) {
            let ranges = consistency_ranges(kept.size(), head.size()).unwrap_or_default();
            match self.refold(source, head.size(), ranges)? {
                Refold::Folded(nodes, root) if root == head.root() => {
                    self.report_contradiction(Kind::InconsistentHeads, &kept, head, Some(&nodes))?;
                    self.mark_head(head, HeadStatus::Contradicted)?;
                    return Ok(true);
                }
                Refold::Unknown(cause) => {
                    self.summary.incomplete.push(cause);
                    return Ok(false);
                }
                Refold::Folded(..) | Refold::Hole => {}
            }
        }
        // Nothing vouched for a bundle when it was read.
        if let Err(error) = source.confirm() {
            self.summary.incomplete.push(error.to_string());
            return Ok(false);
        }
        self.confirm_mirror()?;
        self.summary.tally.record("root", false);
        let message = format!(
            "the {} entries served have root {folded}, but the head of that size commits to {}; what should vouch \
             for them does not either ({why})",
            head.size(),
            head.root()
        );
        self.find_of_log(Code::RootMismatch, tree_subject(head), message)?;
        Ok(true)
    }

    /// Folds all entries that the log serves now, from the first, and each of `ranges` apart.
    fn refold(
        &mut self,
        source: &dyn LogSource,
        size: u64,
        ranges: Vec<Range<u64>>,
    ) -> Result<Refold, Fault> {
        let verifier = Verifier { policy: self.policy, tree: None, size, check_from: u64::MAX };
        let mut whole = CompactRange::new(0);
        let mut parts: Vec<(Range<u64>, CompactRange)> =
            ranges.into_iter().map(|range| (range.clone(), CompactRange::new(range.start))).collect();
        self.progress.begin("reading all entries again", size);
        let progress = self.progress;
        let flow = in_order(
            0..size.div_ceil(WIDTH),
            self.options.workers,
            || (),
            |n, ()| {
                let outcome = fetch_leaves(source, n, verifier.width(n)).and_then(|leaves| fold(&leaves));
                (outcome, 256 * 32)
            },
            |_, outcome| {
                progress.advance(WIDTH);
                match outcome {
                    Ok((hashes, _)) => append(&mut whole, &mut parts, &hashes),
                    Err(Outcome::Unknown(cause)) => ControlFlow::Break(Refold::Unknown(cause)),
                    Err(_) => ControlFlow::Break(Refold::Hole),
                }
            },
        );
        self.progress.end();
        Ok(match flow {
            ControlFlow::Break(refold) => refold,
            ControlFlow::Continue(()) => {
                Refold::Folded(parts.iter().map(|(_, part)| part.root()).collect(), whole.root())
            }
        })
    }
}

/// The subject of a finding about bundle `n` of the tree of `head`.
pub(super) fn bundle_subject(head: &Head, n: u64) -> String {
    let from = n.saturating_mul(WIDTH);
    format!("entries {from} {}", from.saturating_add(WIDTH).min(head.size()))
}

fn append(
    whole: &mut CompactRange,
    parts: &mut [(Range<u64>, CompactRange)],
    hashes: &[LeafHash],
) -> ControlFlow<Refold> {
    for hash in hashes {
        let index = whole.end();
        for (range, part) in parts.iter_mut().filter(|(range, _)| range.contains(&index)) {
            if part.end() < range.end && part.append_leaf(*hash).is_err() {
                return ControlFlow::Break(Refold::Hole);
            }
        }
        if whole.append_leaf(*hash).is_err() {
            return ControlFlow::Break(Refold::Hole);
        }
    }
    ControlFlow::Continue(())
}
