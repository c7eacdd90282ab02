//! After the audit proper: is what was wrong with the serving still wrong, and are our own bytes
//! intact?

use super::answers::Answer;
use super::recheck::proved_root;
use super::verifier::{TileCheck, WIDTH, compare_tile_once, fold};
use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::core::finding::Code;
use crate::core::hash::{LeafHash, leaf_hash};
use crate::core::tile::{TilePath, width_at};
use crate::core::tree::CompactRange;
use crate::mirror::{MirrorError, StoredFinding};
use crate::source::LogSource;

/// Bundles of the mirror that each run re-hashes. A small mirror is re-hashed whole each time; a
/// large one in turns, so that a run with nothing new stays short.
const SCRUB_BUNDLES: u64 = 16;

/// Findings about what only the JSON API answers.
fn is_about_answers(finding: &Finding) -> bool {
    let asked = ["consistency ", "inclusion ", "verification "];
    finding.code == Code::RevealMismatch || asked.iter().any(|question| finding.subject.starts_with(question))
}

impl Run<'_> {
    /// Ends a finding about how the log serves.
    pub(super) fn end_finding(&mut self, finding: &Finding) -> Result<(), Fault> {
        let now = &self.options.now.1;
        Ok(self.mirror.transact(|mirror, _| mirror.end_finding(finding, now))?)
    }

    /// Withdraws findings that this run does not judge, as nobody asks for it any more, and says so: that is no end.
    pub(super) fn withdraw_unjudged(
        &mut self,
        code: Code,
        subject: Option<&str>,
        why: &str,
    ) -> Result<(), Fault> {
        let stands = |stored: &StoredFinding| {
            stored.finding.code == code && subject.is_none_or(|subject| stored.finding.subject == subject)
        };
        if !self.mirror.findings(false)?.iter().any(stands) {
            return Ok(());
        }
        self.mirror.transact(|mirror, _| mirror.withdraw_unjudged(code, subject))?;
        self.summary.notes.push(format!(
            "an earlier finding of {code} is withdrawn, and nobody knows whether it still holds: {why}"
        ));
        Ok(())
    }

    /// Looks again at what earlier runs found wrong with how the log serves.
    pub(crate) fn revisit_served(&mut self) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            let finding = stored.finding;
            if stored.last_seen == self.options.now.1 {
                continue;
            }
            let over = match finding.code {
                _ if is_about_answers(&finding) => self.is_answered(&finding)?,
                Code::Gap | Code::TileMismatch if finding.subject.starts_with("tile/") => {
                    self.tile_is_right(&finding)?
                }
                Code::Gap | Code::RootMismatch if finding.subject.starts_with("entries ") => {
                    let to = finding.subject.rsplit(' ').next().and_then(|to| to.parse().ok());
                    self.mirror.state().verified >= to.unwrap_or(u64::MAX)
                }
                Code::RootMismatch => self.tree_is_borne_out(&finding)?,
                _ => false,
            };
            if over {
                self.end_finding(&finding)?;
            }
        }
        Ok(())
    }

    /// Whether a question that was answered wrongly is answered rightly now.
    fn is_answered(&mut self, finding: &Finding) -> Result<bool, Fault> {
        let Some(api) = self.source.and_then(|source| source.api()) else { return Ok(false) };
        let numbers: Vec<u64> =
            finding.subject.split(' ').skip(1).filter_map(|number| number.parse().ok()).collect();
        match (finding.index, numbers.as_slice()) {
            (None, [first, second]) if finding.subject.starts_with("consistency ") => {
                if first >= second || *second > self.mirror.state().verified {
                    return Ok(false);
                }
                let root = super::history::mirrored_range(self.mirror, 0..*second)?;
                Ok(self.consistency_answer(api, *first, *second, root)? == Answer::Good)
            }
            (None, [index, ..]) => self.entry_is_answered(api, *index),
            (Some(index), _) => self.entry_is_answered(api, index),
            (None, []) => Ok(false),
        }
    }

    /// Whether a tile that was wrong or missing is served as it should be now.
    fn tile_is_right(&mut self, finding: &Finding) -> Result<bool, Fault> {
        let Some(source) = self.source else { return Ok(false) };
        let Ok(TilePath::Hash { level, index, width }) = TilePath::parse(&finding.subject) else {
            return Ok(false);
        };
        // A log may have dropped a partial tile for a wider one since.
        let now = width_at(level, index, self.mirror.state().verified).unwrap_or(width);
        Ok(self.tile_is_served(source, level, index, width)?
            || self.tile_is_served(source, level, index, now)?)
    }

    fn tile_is_served(
        &mut self,
        source: &dyn LogSource,
        level: u8,
        index: u64,
        width: u16,
    ) -> Result<bool, Fault> {
        let first = index.saturating_mul(WIDTH);
        let end = first.saturating_add(u64::from(width));
        let shift = u32::from(level).saturating_mul(8);
        if end.checked_shl(shift).is_none_or(|leaves| leaves > self.mirror.state().verified) {
            return Ok(false);
        }
        if level == 0 {
            let leaves = self.mirror.leaves(first, end)?;
            let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
            return Ok(matches!(compare_tile_once(source, index, width, &hashes), Ok(TileCheck::Same)));
        }
        let mut ours = Vec::new();
        for n in first..end {
            let range = n << shift..n.saturating_add(1) << shift;
            ours.extend_from_slice(super::history::mirrored_range(self.mirror, range)?.as_bytes());
        }
        Ok(source.tile(level, index, width).is_ok_and(|bytes| bytes == ours))
    }

    /// Whether the tree now has a head that could not be rebuilt before.
    fn tree_is_borne_out(&mut self, finding: &Finding) -> Result<bool, Fault> {
        let Some((size, root)) = finding.subject.split_once(' ') else { return Ok(false) };
        let size: u64 = size.parse().unwrap_or(u64::MAX);
        if size == 0 || size > self.mirror.state().verified {
            return Ok(false);
        }
        Ok(super::history::mirrored_range(self.mirror, 0..size)?.to_string() == root)
    }

    /// Leaves that were stored but never proved: a run ended before their root was known.
    pub(super) fn forget_unproved(&mut self) -> Result<(), Fault> {
        let state = self.mirror.state();
        if state.downloaded == state.verified {
            return Ok(());
        }
        Ok(self.mirror.transact(|mirror, state| {
            state.downloaded = state.verified;
            mirror.drop_leaves_from(state.verified)
        })?)
    }

    /// Before the log is accused of something that rests on mirrored bytes: all of them are hashed
    /// again, fetched again where they are wrong, and must have the root that was proved. A stop ends the run here:
    /// half of them bear nothing out.
    pub(super) fn confirm_mirror(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.confirmed, true) {
            return Ok(());
        }
        let state = self.mirror.state();
        let (verified, frontier) = (state.verified, state.frontier());
        let mut folded = CompactRange::new(0);
        let damaged = |run: &Self| {
            let why = "its nodes do not have the root that was proved".to_owned();
            Fault::Mirror(MirrorError::Damaged(run.mirror.path().to_owned(), why))
        };
        self.progress.begin("hashing the mirror again", verified);
        for n in 0..verified.div_ceil(WIDTH) {
            self.go_on()?;
            let hashes = self.confirm_bundle(n, verified)?;
            self.progress.advance(hashes.len() as u64);
            for hash in hashes {
                folded.append_leaf(hash).map_err(|_| damaged(self))?;
            }
        }
        self.progress.end();
        if frontier.map(|frontier| frontier.root()) != Some(folded.root()) {
            return Err(damaged(self));
        }
        // The leaves vouch for the lowest nodes, and those for the ones above.
        for level in 2..8u8 {
            for n in 0..verified >> (u32::from(level).saturating_mul(8)) {
                self.go_on()?;
                let first = n.saturating_mul(WIDTH);
                let mut children = CompactRange::new(0);
                for child in first..first.saturating_add(WIDTH) {
                    let hash =
                        self.mirror.node(level.saturating_sub(1), child)?.ok_or_else(|| damaged(self))?;
                    children.append_subtree(0, hash).map_err(|_| damaged(self))?;
                }
                if self.mirror.node(level, n)? != Some(children.root()) {
                    return Err(damaged(self));
                }
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Fault> {
        if self.options.stop.is_stopped() { Err(Fault::Stopped) } else { Ok(()) }
    }

    /// Re-hashes one mirrored bundle, and repairs it where it is not what was proved.
    pub(super) fn confirm_bundle(&mut self, n: u64, verified: u64) -> Result<Vec<LeafHash>, Fault> {
        let first = n.saturating_mul(WIDTH);
        let width = verified.saturating_sub(first).min(WIDTH);
        let expected = proved_root(self.mirror, n, width)?;
        for repaired in [false, true] {
            let leaves = self.mirror.leaves(first, first.saturating_add(width))?;
            if leaves.len() as u64 == width
                && let Ok((hashes, root)) = fold(&leaves)
                && root == expected
            {
                return Ok(hashes);
            }
            if !repaired {
                self.repair(n)?;
            }
        }
        let why = format!("bundle {n} cannot be repaired");
        Err(Fault::Mirror(MirrorError::Damaged(self.mirror.path().to_owned(), why)))
    }

    /// Re-hashes some of the mirror's own leaves against what was proved when they were stored.
    pub(crate) fn scrub(&mut self) -> Result<(), Fault> {
        let verified = self.mirror.state().verified;
        let bundles = verified.div_ceil(WIDTH);
        if bundles == 0 {
            return Ok(());
        }
        let start = self.mirror.state().scrubbed;
        for step in 0..bundles.min(SCRUB_BUNDLES) {
            let n = start.saturating_add(step).checked_rem(bundles).unwrap_or(0);
            self.confirm_bundle(n, verified)?;
        }
        Ok(self.mirror.transact(|_, state| {
            state.scrubbed = start.saturating_add(SCRUB_BUNDLES).checked_rem(bundles).unwrap_or(0);
            Ok(())
        })?)
    }
}
