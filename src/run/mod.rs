//! The audit run: where a log, the pure checks and the mirror meet. This file is the order of its phases.
//!
//! The order is such that a crash between any two phases loses nothing and accuses nobody:
//!
//! 1. `peers`: the heads that others were shown are kept before the log is asked for its own head, so that an honest log
//!    that grows is not behind them. Then `heads`: the served heads are fetched, verified, kept durably, and held against
//!    every head kept (`kept`), the log's list of heads (`head_list`) and the witness policy (`witnesses`). They are kept
//!    first: a contradiction must not be forgotten because a later phase failed.
//! 2. `extend`: the new entries are fetched, and each bundle is proved against the signed root before it is stored. Its
//!    entries are checked, and the three cursors move in one transaction with the rows.
//! 3. `recheck`: entries that are in the mirror and not checked under this policy. Then the watch rules look at the
//!    checked entries (`watched`).
//! 4. `answers` and `entry_answers`: proofs and verification bundles, which only the JSON API answers, held against the
//!    mirror.
//! 5. `history`: every kept head against the rebuilt tree. A misbehaviour file is verified before a contradiction is
//!    reported (`contradiction`). The STHs of the tree say by when entries were decided (`decided`).
//!    Then the journal of a gate is read, after the log, and both are held against each other (`journal`).
//! 6. `revalidate`: what was wrong with how the log served is asked for again, and some of the mirror is hashed again.
//!
//! What a cache or a replica could explain is undecided for an hour (`lag`), and so is what is missing or wrong in a
//! directory that is being copied (`changing`).
//!
//! With `--heads-only` there is phase 1, and `heads_only` in place of the others: heads are proved to be of one history
//! without their entries.
//!
//! A phase takes what it needs and returns what it found: what it reads is in the `Context`, findings go into the mirror
//! (`findings`), and what else there is to say goes to the `Statements`.
//!
//! Beside the audit, [`receipts`] are put together here, from the mirror or from the log.
//!
//! Three answers stay apart throughout: a *finding* (the log did it), *incomplete* (could not tell, with the cause) and
//! a *fault* (ours; nobody is accused).

mod answer;
mod answer_record;
mod answers;
mod bundles;
mod changing;
mod commit;
mod confirm;
mod context;
mod continuation;
mod contradiction;
mod decided;
mod draw;
mod entry_answers;
mod extend;
mod fault;
mod findings;
mod gaps;
mod head_list;
mod heads;
mod heads_only;
mod history;
mod journal;
mod kept;
mod lag;
mod last_entries;
mod link_proofs;
mod link_tiles;
mod linked;
mod mirrored;
mod mismatch;
mod options;
mod peers;
mod pipeline;
mod prepare;
mod progress;
mod reach;
pub mod receipts;
mod recheck;
mod revalidate;
mod served_proofs;
mod served_tree;
mod shortfalls;
mod statements;
mod summary;
mod target;
mod times;
mod unproved;
mod upper_tiles;
mod verifier;
mod watched;
mod witnesses;
mod writer;

pub use fault::Fault;
pub use options::Options;
pub use progress::{Progress, Silent};
pub use summary::Summary;

use crate::audit::journal::ReadJournal;
use crate::audit::peer::PeerResult;
use crate::audit::policy::Policy;
use crate::audit::watch_list::Rule;
use crate::core::check::Check;
use crate::core::head::Head;
use crate::mirror::{Mirror, Provenance};
use crate::source::{LogSource, Peer};
use confirm::Rehashed;
use context::Context;
use heads::FoundHeads;
use statements::Statements;
use target::Target;
use watched::Hits;

/// One run that is prepared.
pub struct Run<'a> {
    cx: Context<'a>,
    mirror: &'a mut Mirror,
    statements: Statements,
}

/// What the phases found so far, besides what is in the mirror: a later phase may end in a fault.
#[derive(Default)]
struct Found {
    target: Target,
    peers: Vec<PeerResult>,
    entries_new: u64,
    no_head: bool,
    unreachable: bool,
    hits: Hits,
}

impl<'a> Run<'a> {
    /// Prepares a run. Without a source only what the mirror holds can be checked.
    pub fn new(
        source: Option<&'a dyn LogSource>,
        mirror: &'a mut Mirror,
        policy: &'a Policy,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Run<'a> {
        Run { cx: Context::new(source, policy, options, progress), mirror, statements: Statements::default() }
    }

    /// With others whose heads are to be compared with ours.
    pub fn with_peers(self, peers: &'a [Peer]) -> Run<'a> {
        Run { cx: self.cx.with_peers(peers), ..self }
    }

    /// With watch rules that look at what the run checks.
    pub fn watching(self, rules: &'a [Rule]) -> Run<'a> {
        Run { cx: self.cx.with_rules(rules), ..self }
    }

    /// With the journal of a gate, which is read once the log was.
    pub fn holding_against(self, journal: &'a dyn ReadJournal) -> Run<'a> {
        Run { cx: self.cx.with_journal(journal), ..self }
    }

    /// Keeps heads, durably, and returns how many are new.
    ///
    /// # Errors
    /// The mirror cannot be written.
    pub fn keep_all(&mut self, heads: &[Head], provenance: &Provenance) -> Result<u64, Fault> {
        kept::keep_all(&self.cx, self.mirror, &mut self.statements, heads, provenance)
    }

    /// The whole audit. A fault ends it early and is in the summary; what was found before it
    /// stays found.
    pub fn audit(self) -> Summary {
        let Run { cx, mirror, mut statements } = self;
        let mut found = Found::default();
        let ended = steps(&cx, mirror, &mut statements, &mut found);
        shortfalls::note_lacks(&cx, &mut statements);
        if let Err(fault) = ended {
            // A fault may leave a transaction open; what it held was not acknowledged.
            let _ = mirror.rollback();
            match fault {
                Fault::Stopped => statements.stopped(),
                fault => statements.fault(fault.to_string()),
            }
        }
        found.into_summary(statements)
    }

    /// After heads were added with [`Run::keep_all`]: compares them with the mirrored tree.
    pub fn compare_imported(self) -> Summary {
        let Run { cx, mirror, mut statements } = self;
        if let Err(fault) = imported_steps(&cx, mirror, &mut statements) {
            let _ = mirror.rollback();
            statements.fault(fault.to_string());
        }
        Found::default().into_summary(statements)
    }
}

impl Found {
    /// The summary of all that was found and said.
    fn into_summary(self, statements: Statements) -> Summary {
        let Found { target, peers, entries_new, no_head, unreachable, hits } = self;
        let (target_verified, target) = (target.is_verified(), target.head().cloned());
        statements.into_summary(Summary {
            target,
            target_verified,
            entries_new,
            peers,
            no_head,
            unreachable,
            hits: hits.kept,
            hits_new: hits.new,
            ..Summary::default()
        })
    }
}

/// Every run: the phases of entries or of heads alone, between what opens and what closes it.
fn steps(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    found: &mut Found,
) -> Result<(), Fault> {
    let checked_before = mirror.state().checked;
    times::judge(cx, mirror, statements)?;
    changing::begin(cx, mirror);
    let result = match cx.options().heads_only {
        true => steps_of_heads(cx, mirror, statements, found),
        false => steps_of_entries(cx, mirror, statements, found),
    };
    let result = result.and_then(|()| {
        let was_read = found.target.is_verified() || cx.options().heads_only && !found.no_head;
        changing::end(cx, mirror, statements, was_read)
    });
    // After `changing`, which looks at what this run could not decide: what was lost stays lost.
    shortfalls::note_lost(mirror, statements);
    if !found.target.is_verified() {
        statements.count(Check::Root, 0, 0, 1);
    }
    found.entries_new = mirror.state().checked.saturating_sub(checked_before);
    result
}

/// The phases of an audit of the entries.
fn steps_of_entries(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    found: &mut Found,
) -> Result<(), Fault> {
    let mut rehashed = Rehashed::default();
    linked::unlink(mirror)?;
    watched::note_rules(cx, mirror, statements)?;
    prepare::begin(cx, mirror, statements, &mut rehashed)?;
    if cx.options().full {
        confirm::all(cx, mirror, statements, &mut rehashed)?;
        prepare::forget_compared(mirror)?;
    }
    let candidates = collect(cx, mirror, statements, found)?;
    let mut reachable = true;
    if found.no_head {
        if !cx.peers().is_empty() {
            // A peer's head contradicts the mirrored entries even if the log does not answer.
            history::check(cx, mirror, statements, &mut rehashed)?;
        }
        decided::compare(cx, mirror, statements)?;
        journal::compare(cx, mirror, statements, &found.target)?;
        found.hits = watched::watch(cx, mirror, statements)?;
        return finish(mirror);
    }
    // Checks across entries go in log order: older entries first.
    recheck::run(cx, mirror, statements)?;
    // New entries are stored as checked, so none before them may be unchecked.
    if let Some(newest) = candidates.first() {
        found.target.set(newest);
    }
    let whole = mirror.state().checked == mirror.state().verified;
    for head in candidates.iter().filter(|_| whole) {
        reachable =
            extend::to_head(cx, mirror, statements, &mut rehashed, &mut found.target, head)?.is_reachable();
        if found.target.is_verified() || !reachable {
            break;
        }
    }
    reachable = reachable
        && upper_tiles::compare(cx, mirror, statements, &mut rehashed, &found.target)?.is_reachable();
    recheck::run(cx, mirror, statements)?;
    found.hits = watched::watch(cx, mirror, statements)?;
    if reachable {
        // The proofs between all trees that the log signed are asked for: those that were shown in this run, too.
        history::check_mirrored(cx, mirror, statements, &mut rehashed)?;
        answers::check(cx, mirror, statements, &found.target)?;
        entry_answers::check(cx, mirror, statements, &found.target)?;
    }
    history::check(cx, mirror, statements, &mut rehashed)?;
    decided::compare(cx, mirror, statements)?;
    journal::compare(cx, mirror, statements, &found.target)?;
    if reachable && !candidates.is_empty() {
        revalidate::revisit_served(cx, mirror)?;
    }
    revalidate::scrub(cx, mirror, statements)?;
    finish(mirror)
}

/// The phases with `--heads-only`.
fn steps_of_heads(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    found: &mut Found,
) -> Result<(), Fault> {
    let mut rehashed = Rehashed::default();
    heads_only::leave_rules(cx, statements);
    let candidates = collect(cx, mirror, statements, found)?;
    // Mirrored entries need no proof of the log, and a peer's head contradicts them even if the log does not answer.
    history::check_mirrored(cx, mirror, statements, &mut rehashed)?;
    if !found.no_head {
        linked::link_known(cx, mirror)?;
        heads_only::follow(cx, mirror, statements, &mut found.target, &candidates)?;
    }
    finish(mirror)
}

/// The phases after heads were imported.
fn imported_steps(cx: &Context<'_>, mirror: &mut Mirror, statements: &mut Statements) -> Result<(), Fault> {
    times::judge(cx, mirror, statements)?;
    kept::compare_new(cx, mirror, statements)?;
    linked::link_known(cx, mirror)?;
    history::check(cx, mirror, statements, &mut Rehashed::default())?;
    finish(mirror)
}

/// Keeps the heads that peers have, and then those that the log serves; returns those to bring the mirror up to.
fn collect(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    found: &mut Found,
) -> Result<Vec<Head>, Fault> {
    found.peers = peers::collect(cx, mirror, statements)?;
    if !found.peers.is_empty() {
        // Two signatures need no log to contradict each other, and it may not answer.
        kept::compare_new(cx, mirror, statements)?;
    }
    let FoundHeads { candidates, no_head, unreachable } = heads::collect(cx, mirror, statements)?;
    (found.no_head, found.unreachable) = (no_head, unreachable);
    mirror.acknowledge()?;
    Ok(candidates)
}

/// Checks the mirror's rows in turns, and makes the state durable.
fn finish(mirror: &mut Mirror) -> Result<(), Fault> {
    mirror.check_some()?;
    Ok(mirror.acknowledge()?)
}
