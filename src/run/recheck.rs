//! Checking mirrored entries: after a crash, under changed trust options, or with `--full`.
//!
//! The mirrored bytes are hashed again and compared with what was proved when they were stored. If they differ, the disk
//! is at fault and not the log: the bundle is fetched again, and put back only if it hashes to what was proved.

use super::context::Context;
use super::fault::Fault;
use super::mirrored::proved_root;
use super::options::Options;
use super::pipeline::in_order;
use super::statements::{Statements, too_many};
use super::verifier::{Bundle, Outcome, Verifier, WIDTH};
use super::writer::{Mode, Writer};
use super::{confirm, decided};
use crate::core::hash::Hash;
use crate::core::webauthn::KeyCache;
use crate::mirror::{Mirror, MirrorError, Reader};
use crate::source::{self, Leaves};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// Why a pass ends before the last entry.
enum Stop {
    /// A fault on our side.
    Fault(Fault),
    /// This bundle is not what was proved when it was stored.
    Damaged(u64),
    /// So many findings stand.
    TooMany(u64),
    /// The run is to end early.
    Requested,
}

/// Checks the entries that are proved and not checked yet. When all are, findings that were made under other trust
/// options and were not made again are withdrawn.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or two implementations disagree.
pub(super) fn run(cx: &Context<'_>, mirror: &mut Mirror, statements: &mut Statements) -> Result<(), Fault> {
    let (checked, verified) = (mirror.state().checked, mirror.state().verified);
    if checked < verified {
        cx.progress().begin("checking mirrored entries", verified.saturating_sub(checked));
        let result = recheck_all(cx, mirror, statements);
        cx.progress().end();
        result?;
    }
    // Findings about the times of entries are made again first, so that they are not withdrawn.
    if mirror.state().checked == mirror.state().verified && decided::compare(cx, mirror, statements)? {
        let withdrawn = withdraw_pending(mirror)?;
        if withdrawn > 0 {
            let note =
                format!("{withdrawn} finding(s) made under other trust options do not hold under these");
            statements.note(note);
        }
    }
    Ok(())
}

fn withdraw_pending(mirror: &mut Mirror) -> Result<u64, Fault> {
    if !mirror.findings().has_pending()? {
        return Ok(0);
    }
    Ok(mirror.transact(|mirror, _| mirror.findings_mut().withdraw_pending())?)
}

fn recheck_all(cx: &Context<'_>, mirror: &mut Mirror, statements: &mut Statements) -> Result<(), Fault> {
    loop {
        match recheck_pass(cx, mirror)? {
            ControlFlow::Continue(()) => break,
            ControlFlow::Break(Stop::Fault(fault)) => return Err(fault),
            ControlFlow::Break(Stop::TooMany(findings)) => {
                statements.incomplete(too_many(findings));
                break;
            }
            ControlFlow::Break(Stop::Requested) => {
                statements.incomplete(source::Stop::MESSAGE);
                break;
            }
            ControlFlow::Break(Stop::Damaged(n)) => confirm::repair(cx, mirror, statements, n)?,
        }
    }
    Ok(())
}

fn recheck_pass(cx: &Context<'_>, mirror: &mut Mirror) -> Result<ControlFlow<Stop>, Fault> {
    let (checked, verified) = (mirror.state().checked, mirror.state().verified);
    let verifier = Verifier::new(cx.policy(), verified, checked);
    let expected = expected_roots(mirror, checked / WIDTH, verified)?;
    let reader = || mirror.leaves().reader();
    let readers: Vec<Reader> =
        (0..cx.options().workers.max(1)).map(|_| reader()).collect::<Result<_, MirrorError>>()?;
    let readers = Mutex::new(readers);
    let options = cx.options();
    let progress = cx.progress();
    let mut writer = Writer::new(mirror, Mode::Mirrored, cx.now())?;
    let base = checked / WIDTH;
    let flow = in_order(
        base..verified.div_ceil(WIDTH),
        cx.options().workers,
        || {
            let reader = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
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

/// What was proved of each bundle from `from` on: 32 bytes a bundle, which is 4 MB for a log of 32 million entries.
fn expected_roots(mirror: &Mirror, from: u64, verified: u64) -> Result<Vec<Hash>, Fault> {
    let width = |n: u64| verified.saturating_sub(n.saturating_mul(WIDTH)).min(WIDTH);
    let roots = (from..verified.div_ceil(WIDTH)).map(|n| proved_root(mirror, n, width(n)));
    Ok(roots.collect::<Result<Vec<Hash>, MirrorError>>()?)
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
        Some(reader) => reader.range(first, end)?,
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
        return ControlFlow::Break(Stop::Requested);
    }
    let bundle: Box<Bundle> = match outcome {
        Ok(Outcome::Done(bundle)) => bundle,
        Ok(Outcome::Disagreement(what)) => return ControlFlow::Break(Stop::Fault(Fault::Disagreement(what))),
        Ok(_) => return ControlFlow::Break(Stop::Damaged(n)),
        Err(error) => return ControlFlow::Break(Stop::Fault(Fault::Mirror(error))),
    };
    match writer.take(*bundle).and_then(|()| writer.flush_if_full()) {
        Ok(()) if writer.findings() > options.max_findings => {
            ControlFlow::Break(Stop::TooMany(writer.findings()))
        }
        Ok(()) => ControlFlow::Continue(()),
        Err(fault) => ControlFlow::Break(Stop::Fault(fault)),
    }
}
