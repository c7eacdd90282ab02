//! Takes the outcomes of one pass in order, and decides what each means for it: kept, doubted, or the end of the pass.

use super::answer::Answer;
use super::fault::Fault;
use super::options::Options;
use super::served_proofs::ServedProofs;
use super::served_tree::TreeError;
use super::verifier::{Bundle, Outcome, TileCheck, TileDoubt};
use super::writer::{Mode, Writer};
use crate::audit::tally::Tally;
use crate::core::check::Check;
use crate::source;
use std::ops::ControlFlow;

/// Bundles that are missing or wrong before a pass ends. One is a finding, and a log that serves none must not keep
/// the run busy.
const MAX_BAD_BUNDLES: usize = 16;

/// Wrong tiles that are remembered until the leaves are proved. More are counted, not listed.
const MAX_DOUBTS: usize = 10_000;

/// Why a pass ends before its last bundle.
pub(super) enum Stop {
    /// A fault on our side.
    Fault(Fault),
    /// Tiles or proofs do not vouch any further.
    TreeLost(TreeError),
    /// Could not tell: the cause.
    Unknown(String),
    /// So many findings stand.
    TooMany(u64),
    /// Enough bundles were bad.
    Enough,
}

/// A bundle that is not what the signed root commits to.
pub(super) struct BadBundle {
    /// Its number.
    pub(super) n: u64,
    /// What is wrong with it.
    pub(super) flaw: Flaw,
    /// The same in words.
    pub(super) why: String,
}

/// What is wrong with a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    /// See [`Outcome::NotThere`].
    NotThere,
    /// See [`Outcome::Missing`].
    Missing,
    /// See [`Outcome::Wrong`].
    Wrong,
}

/// What a pass took besides entries.
#[derive(Default)]
pub(super) struct Committed {
    /// Bundles that are missing or wrong.
    pub(super) bad: Vec<BadBundle>,
    /// In [`Mode::Unproved`] only: the tiles that are wrong if the leaves turn out right.
    pub(super) doubts: Vec<TileDoubt>,
    /// How the tiles compared.
    pub(super) tiles: Tally,
    /// Consistency proofs that vouched for a batch. The count saturates: no pass asks for so many.
    pub(super) vouched: u64,
    /// The bundle that begins with other entries than were proved and mirrored before.
    pub(super) contradicted: Option<u64>,
}

/// Takes the outcomes in order and decides what each means for the pass.
pub(super) struct Committer<'a> {
    mode: Mode,
    /// Tiles vouch for each bundle by itself.
    tiles: bool,
    proofs: Option<ServedProofs<'a>>,
    options: &'a Options,
    taken: Committed,
}

impl<'a> Committer<'a> {
    /// At the beginning of a pass. `tiles` says whether tiles vouch for each bundle, `proofs` which proofs vouch for batches.
    pub(super) fn new(
        mode: Mode,
        tiles: bool,
        proofs: Option<ServedProofs<'a>>,
        options: &'a Options,
    ) -> Committer<'a> {
        Committer { mode, tiles, proofs, options, taken: Committed::default() }
    }

    /// Takes the outcome of bundle `n`, which is the next one.
    pub(super) fn take(&mut self, n: u64, outcome: Outcome, writer: &mut Writer<'_>) -> ControlFlow<Stop> {
        if self.options.stop.is_stopped() {
            return ControlFlow::Break(Stop::Unknown(source::Stop::MESSAGE.to_owned()));
        }
        match outcome {
            Outcome::Done(bundle) => {
                if !self.tiles && self.contradicts(&bundle, writer)? {
                    self.taken.contradicted = Some(n);
                }
                match &bundle.tile {
                    TileCheck::NotCompared => {}
                    TileCheck::Same => self.taken.tiles.record(Check::Tiles, true),
                    TileCheck::Doubt(doubt) => {
                        self.taken.tiles.record(Check::Tiles, false);
                        if self.mode == Mode::Unproved && self.taken.doubts.len() < MAX_DOUBTS {
                            self.taken.doubts.push(*doubt);
                        }
                    }
                }
                let taken = match self.taken.bad.is_empty() {
                    true => writer.take(*bundle),
                    false => writer.take_findings_only(&bundle),
                };
                self.after(taken, writer)
            }
            Outcome::NotThere(why) => self.bad(BadBundle { n, flaw: Flaw::NotThere, why }),
            Outcome::Missing(why) => self.bad(BadBundle { n, flaw: Flaw::Missing, why }),
            Outcome::Wrong(why) => self.bad(BadBundle { n, flaw: Flaw::Wrong, why }),
            Outcome::Unknown(cause) => ControlFlow::Break(Stop::Unknown(cause)),
            Outcome::TreeLost(error) => ControlFlow::Break(Stop::TreeLost(error)),
            Outcome::Disagreement(what) => ControlFlow::Break(Stop::Fault(Fault::Disagreement(what))),
            // Only mirrored leaves can be damaged.
            Outcome::Damaged => ControlFlow::Break(Stop::Unknown("the mirror is damaged".to_owned())),
        }
    }

    /// Ends the pass: what was taken before `flow` stopped it is made durable, if it is proved or can still be.
    pub(super) fn finish(&mut self, flow: ControlFlow<Stop>, writer: &mut Writer<'_>) -> ControlFlow<Stop> {
        match flow {
            ControlFlow::Break(Stop::Fault(_)) => flow,
            ControlFlow::Break(Stop::Unknown(_) | Stop::TreeLost(_)) if self.proofs.is_some() => flow,
            flow => {
                self.flush(writer)?;
                flow
            }
        }
    }

    /// What was taken besides entries.
    pub(super) fn into_taken(self) -> Committed {
        self.taken
    }

    fn contradicts(&self, bundle: &Bundle, writer: &Writer<'_>) -> ControlFlow<Stop, bool> {
        match writer.contradicts(bundle) {
            Ok(contradicts) => ControlFlow::Continue(contradicts),
            Err(fault) => ControlFlow::Break(Stop::Fault(fault)),
        }
    }

    fn after(&mut self, taken: Result<(), Fault>, writer: &mut Writer<'_>) -> ControlFlow<Stop> {
        if let Err(fault) = taken {
            return ControlFlow::Break(Stop::Fault(fault));
        }
        if writer.findings() > self.options.max_findings {
            return ControlFlow::Break(Stop::TooMany(writer.findings()));
        }
        if writer.is_full() { self.flush(writer) } else { ControlFlow::Continue(()) }
    }

    /// Makes what was taken durable. Where proofs vouch for it, it is proved first: what is not proved is
    /// never kept.
    fn flush(&mut self, writer: &mut Writer<'_>) -> ControlFlow<Stop> {
        if let Some(proofs) = self.proofs.as_ref().filter(|_| writer.waiting() > 0) {
            match proofs.vouch(writer.frontier()) {
                Answer::Good => {
                    let asked = u64::from(proofs.is_asked(writer.frontier()));
                    self.taken.vouched = self.taken.vouched.saturating_add(asked);
                }
                Answer::Unknown(cause) => return ControlFlow::Break(Stop::Unknown(cause)),
                answer => {
                    let lost = keep_proved(proofs, writer, answer);
                    return ControlFlow::Break(lost.unwrap_or_else(Stop::Fault));
                }
            }
        }
        match writer.flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => ControlFlow::Break(Stop::Fault(fault)),
        }
    }

    fn bad(&mut self, bad: BadBundle) -> ControlFlow<Stop> {
        self.taken.bad.push(bad);
        // Without tiles, nothing after a hole can be proved any more.
        if !self.tiles || self.taken.bad.len() >= MAX_BAD_BUNDLES {
            return ControlFlow::Break(Stop::Enough);
        }
        ControlFlow::Continue(())
    }
}

/// The log's proof does not lead from all that waits to the signed root. Finds, by halves, how much of
/// it another proof vouches for. That much is kept.
fn keep_proved(proofs: &ServedProofs<'_>, writer: &mut Writer<'_>, answer: Answer) -> Result<Stop, Fault> {
    let (mut good, mut bad, mut answer) = (0, writer.waiting(), answer);
    while bad.saturating_sub(good) > 1 {
        let middle = good.midpoint(bad);
        match proofs.vouch(&writer.frontier_after(middle)?) {
            Answer::Good => good = middle,
            Answer::Unknown(cause) => return Ok(Stop::Unknown(cause)),
            other => (bad, answer) = (middle, other),
        }
    }
    let first = writer.frontier_after(bad)?.end();
    writer.keep_first(good)?;
    writer.flush()?;
    Ok(Stop::TreeLost(TreeError::Proof { first, answer }))
}
