//! Checking mirrored entries: after a crash, under changed trust options, or with `--full`.
//!
//! The mirrored bytes are re-hashed against what was proved when they were stored. Where they are
//! not the same any more, the disk is at fault and not the log: the bundle is fetched again, and
//! put back only if it hashes to what was proved.

use super::commit::too_many;
use super::pipeline::in_order;
use super::verifier::{Bundle, Outcome, Verifier, WIDTH, fetch_leaves, fold};
use super::writer::{Mode, Writer};
use super::{Fault, Options, Run};
use crate::core::hash::Hash;
use crate::core::tree::CompactRange;
use crate::core::webauthn::KeyCache;
use crate::mirror::{Mirror, MirrorError, Reader};
use crate::source::{self, Leaves};
use std::ops::ControlFlow;

enum Stop {
    Fault(Fault),
    Damaged(u64),
    Enough(u64),
    Told,
}

/// The proved root of the mirrored leaves of bundle `n`, of which there are `width`.
pub(super) fn proved_root(mirror: &Mirror, n: u64, width: u64) -> Result<Hash, MirrorError> {
    let damaged = |what: String| MirrorError::Damaged(mirror.path().to_owned(), what);
    if width == WIDTH {
        return mirror.node(1, n)?.ok_or_else(|| damaged(format!("the node of bundle {n} is missing")));
    }
    // The last bundle has no node of its own; its subtrees are the lowest hashes of the frontier.
    let frontier = mirror.state().frontier().ok_or_else(|| damaged("its frontier is wrong".to_owned()))?;
    let lowest = usize::try_from(width.count_ones()).unwrap_or(0);
    let skip = frontier.hashes().len().saturating_sub(lowest);
    let hashes: Vec<Hash> = frontier.hashes().iter().skip(skip).copied().collect();
    let tail = CompactRange::from_parts(frontier.end().saturating_sub(width), frontier.end(), hashes);
    Ok(tail.ok_or_else(|| damaged("its frontier is wrong".to_owned()))?.root())
}

impl Run<'_> {
    /// Checks the entries between the checked and the verified cursor.
    pub(crate) fn recheck(&mut self) -> Result<(), Fault> {
        let (checked, verified) = (self.mirror.state().checked, self.mirror.state().verified);
        if checked < verified {
            self.progress.begin("checking mirrored entries", verified.saturating_sub(checked));
            let result = self.recheck_all();
            self.progress.end();
            result?;
        }
        // What was found of their times is found again before it could be withdrawn.
        if self.mirror.state().checked == self.mirror.state().verified && self.judge_decided()? {
            let withdrawn = self.withdraw_pending()?;
            if withdrawn > 0 {
                let note =
                    format!("{withdrawn} finding(s) made under other trust options do not hold under these");
                self.summary.notes.push(note);
            }
        }
        Ok(())
    }

    fn withdraw_pending(&mut self) -> Result<u64, Fault> {
        if !self.mirror.has_pending()? {
            return Ok(0);
        }
        Ok(self.mirror.transact(|mirror, _| mirror.withdraw_pending())?)
    }

    fn recheck_all(&mut self) -> Result<(), Fault> {
        loop {
            match self.recheck_pass()? {
                ControlFlow::Continue(()) => break,
                ControlFlow::Break(Stop::Fault(fault)) => return Err(fault),
                ControlFlow::Break(Stop::Enough(findings)) => {
                    self.summary.incomplete.push(too_many(findings));
                    break;
                }
                ControlFlow::Break(Stop::Told) => {
                    self.summary.incomplete.push(source::Stop::SAID.to_owned());
                    break;
                }
                ControlFlow::Break(Stop::Damaged(n)) => self.repair(n)?,
            }
        }
        Ok(())
    }

    fn recheck_pass(&mut self) -> Result<ControlFlow<Stop>, Fault> {
        let (checked, verified) = (self.mirror.state().checked, self.mirror.state().verified);
        let verifier = Verifier { policy: self.policy, tree: None, size: verified, check_from: checked };
        let expected = self.expected_roots(checked / WIDTH, verified)?;
        let reader = || self.mirror.reader();
        let readers: Vec<Reader> =
            (0..self.options.workers.max(1)).map(|_| reader()).collect::<Result<_, MirrorError>>()?;
        let readers = std::sync::Mutex::new(readers);
        let options = self.options;
        let progress = self.progress;
        let mut writer = Writer::new(self.mirror, Mode::Mirrored, &self.options.now.1)?;
        let base = checked / WIDTH;
        let flow = in_order(
            base..verified.div_ceil(WIDTH),
            self.options.workers,
            || {
                let reader = readers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
                (reader, KeyCache::default())
            },
            |n, (reader, keys)| {
                let outcome = outcome_from_mirror(&verifier, reader.as_ref(), n, base, &expected, keys);
                let weight = outcome.as_ref().map_or(0, Outcome::weight);
                (outcome, weight)
            },
            |n, outcome| {
                progress.advance(WIDTH);
                take(n, outcome, &mut writer, options)
            },
        );
        if !matches!(flow, ControlFlow::Break(Stop::Fault(_))) {
            writer.flush()?;
        }
        Ok(flow)
    }

    /// 32 bytes a bundle: 4 MB for a log of 32 million entries.
    fn expected_roots(&self, from: u64, verified: u64) -> Result<Vec<Hash>, Fault> {
        let width = |n: u64| verified.saturating_sub(n.saturating_mul(WIDTH)).min(WIDTH);
        let roots = (from..verified.div_ceil(WIDTH)).map(|n| proved_root(self.mirror, n, width(n)));
        Ok(roots.collect::<Result<Vec<Hash>, MirrorError>>()?)
    }

    /// Fetches a damaged bundle again and puts it back if it is what was proved.
    pub(super) fn repair(&mut self, n: u64) -> Result<(), Fault> {
        let first = n.saturating_mul(WIDTH);
        let width = self.mirror.state().verified.saturating_sub(first).min(WIDTH);
        let expected = proved_root(self.mirror, n, width)?;
        let damaged = |why: &str| {
            let last = first.saturating_add(width).saturating_sub(1);
            let why = format!("the mirrored entries {first} to {last} are not what was stored, {why}");
            Fault::Mirror(MirrorError::Damaged(self.mirror.path().to_owned(), why))
        };
        let Some(source) = self.source else { return Err(damaged("and there is no log to fetch them from")) };
        let width = u16::try_from(width).unwrap_or(256);
        let leaves =
            fetch_leaves(source, n, width).map_err(|_| damaged("and the log does not serve them now"))?;
        let root = fold(&leaves).map_err(|_| damaged("and what the log serves could not be folded"))?.1;
        if root != expected {
            return Err(damaged("and what the log serves in their place was not proved before"));
        }
        self.mirror.transact(|mirror, _| {
            (first..).zip(&leaves).try_for_each(|(index, leaf)| mirror.put_leaf(index, leaf))
        })?;
        let last = first.saturating_add(u64::from(width)).saturating_sub(1);
        self.summary.faults.push(format!(
            "the mirrored entries {first} to {last} were damaged on this disk; they were fetched again and are now \
             what was proved before. Check the disk, then run again with --full"
        ));
        Ok(())
    }
}

fn outcome_from_mirror(
    verifier: &Verifier<'_>,
    reader: Option<&Reader>,
    n: u64,
    base: u64,
    expected: &[Hash],
    keys: &mut KeyCache,
) -> Result<Outcome, MirrorError> {
    let first = n.saturating_mul(WIDTH);
    let end = first.saturating_add(u64::from(verifier.width(n)));
    let leaves: Leaves = match reader {
        Some(reader) => reader.leaves(first, end)?,
        None => Leaves::new(),
    };
    let slot = usize::try_from(n.saturating_sub(base)).unwrap_or(usize::MAX);
    Ok(match expected.get(slot) {
        Some(expected) => verifier.mirrored(n, leaves, *expected, keys),
        None => Outcome::Damaged,
    })
}

fn take(
    n: u64,
    outcome: Result<Outcome, MirrorError>,
    writer: &mut Writer<'_>,
    options: &Options,
) -> ControlFlow<Stop> {
    if options.stop.is_stopped() {
        return ControlFlow::Break(Stop::Told);
    }
    let bundle: Box<Bundle> = match outcome {
        Ok(Outcome::Done(bundle)) => bundle,
        Ok(Outcome::Disagreement(what)) => return ControlFlow::Break(Stop::Fault(Fault::Disagreement(what))),
        Ok(_) => return ControlFlow::Break(Stop::Damaged(n)),
        Err(error) => return ControlFlow::Break(Stop::Fault(Fault::Mirror(error))),
    };
    match writer.take(*bundle).and_then(|()| writer.flush_if_full()) {
        Ok(()) if writer.findings() > options.max_findings => {
            ControlFlow::Break(Stop::Enough(writer.findings()))
        }
        Ok(()) => ControlFlow::Continue(()),
        Err(fault) => ControlFlow::Break(Stop::Fault(fault)),
    }
}
