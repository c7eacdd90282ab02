//! The audit run: where a log, the pure checks and the mirror meet.
//!
//! One run, in this order, so that a crash between any two steps loses nothing and accuses nobody:
//!
//! 1. `peers`: what others were shown is kept, *before* the log's own head is asked for, so that an honest log that
//!    grows is not behind them. Then [`heads`]: fetch and verify the served heads, keep them durably, hold each against every head
//!    kept, and the newest checkpoint against the witness policy (`witnesses`). Kept *first*: a contradiction must not be forgotten because a later step failed.
//! 2. [`extend`]: fetch the new entries, prove each bundle against the signed root before it is
//!    stored, check its entries, and move the three cursors in one transaction with the rows.
//! 3. [`recheck`]: entries that are in the mirror but not checked under this policy.
//!    Then the watch rules look at what was checked (`watched`).
//! 4. `answers` and `entry_answers`: what only the JSON API answers (proofs, verification bundles),
//!    held against the mirror. Its list of heads (`head_list`) is read with the heads, in step 1.
//! 5. [`history`]: every kept head against the rebuilt tree; contradictions become evidence files
//!    that are verified before they are reported. Heads that are borne out say by when entries were decided (`decided`).
//! 6. `revalidate`: what was wrong with how the log served, is it still? Are our own bytes intact?
//!
//! What caches and replicas may be to blame for is undecided for an hour first (`lag`), and so is what is missing or wrong
//! in a directory that is being copied (`changing`).
//!
//! With `--heads-only` there is step 1, and in place of the others `heads_only`: heads are proved to be of one history
//! without their entries.
//!
//! Beside the audit, [`receipts`] are put together here, from the mirror or from the log.
//!
//! Three answers stay apart throughout: a *finding* (the log did it), *incomplete* (could not
//! tell, with the cause) and a *fault* (ours; nobody is accused).

mod answers;
mod changing;
mod commit;
mod decided;
mod draw;
mod entry_answers;
pub mod extend;
mod gaps;
mod head_list;
pub mod heads;
mod heads_only;
pub mod history;
mod lag;
mod peers;
mod pipeline;
pub mod receipts;
pub mod recheck;
mod revalidate;
mod served_proofs;
mod served_tree;
mod times;
mod verifier;
mod watched;
mod witnesses;
mod writer;

use crate::audit::finding::Finding;
use crate::audit::peer::PeerResult;
use crate::audit::policy::Policy;
use crate::audit::tally::Tally;
use crate::audit::watch_list::Rule;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::mirror::{Mirror, MirrorError};
use crate::source::{LogSource, Peer, Stop};
use std::fmt;
use std::path::PathBuf;

/// What a run is asked to do, besides the policy.
#[derive(Clone, Debug)]
pub struct Options {
    /// Check all entries again, from the mirror, after checking the mirror itself.
    pub full: bool,
    /// Follow the signed heads alone: no entry is fetched or checked. Not with `full`.
    pub heads_only: bool,
    /// Threads that fetch and check.
    pub workers: usize,
    /// Where misbehaviour files go.
    pub evidence_dir: PathBuf,
    /// Refuse to mirror more entries than this in all: a hostile log can sign any size.
    pub max_entries: u64,
    /// Stop checking when this many findings stand: they would fill disk and memory.
    pub max_findings: u64,
    /// The time of the run: Unix milliseconds, and the same as RFC 3339.
    pub now: (u64, String),
    /// Ends the run early: what was proved until then is kept, and the rest is not checked. Looked at before each
    /// batch and request, and while the mirror's own bytes are checked again (`full`, or before an accusation): then
    /// nobody is accused of what they were to bear out.
    pub stop: Stop,
}

/// Told about progress; the command line draws it.
pub trait Progress: Sync {
    /// A phase begins that has `total` entries to go through.
    fn begin(&self, phase: &str, total: u64);
    /// So many more entries are done.
    fn advance(&self, entries: u64);
    /// The phase is over.
    fn end(&self);
}

/// No progress is shown.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}

/// A fault on our side: the run stops, and nobody is accused.
#[derive(Debug)]
pub enum Fault {
    /// The mirror.
    Mirror(MirrorError),
    /// Two implementations of one algorithm disagree.
    Disagreement(String),
    /// The evidence directory could not be written.
    Evidence(String),
    /// The operating system gave no random numbers.
    Random,
    /// None at all: somebody asked to stop while nothing could be concluded.
    Stopped,
}

impl From<MirrorError> for Fault {
    fn from(error: MirrorError) -> Fault {
        Fault::Mirror(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Mirror(error) => error.fmt(f),
            Fault::Disagreement(what) => write!(
                f,
                "two implementations disagree, so nothing is concluded: {what}. Please report this with the log's \
                 name and the entry; it is a fault in this program or a library of it, or failing hardware"
            ),
            Fault::Evidence(why) => write!(f, "{why}"),
            Fault::Random => f.write_str(
                "the operating system gives no random numbers, and a sample of the log's answers must be one that it cannot \
                 foresee: check this machine, or audit with --full",
            ),
            Fault::Stopped => f.write_str(Stop::SAID),
        }
    }
}

/// What a run did and could not do. The findings are in the mirror.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The head that the mirror was brought up to, or the one that it should have been.
    pub target: Option<Head>,
    /// Whether the rebuilt tree has that head's root.
    pub target_verified: bool,
    /// Heads that are new in this run.
    pub heads_new: u64,
    /// Entries checked for the first time in this run.
    pub entries_new: u64,
    /// Checks of heads, roots and tiles in this run.
    pub tally: Tally,
    /// What came of each peer; empty where none was asked.
    pub peers: Vec<PeerResult>,
    /// What could not be decided, each with its cause. What peers are at fault for is with them.
    pub incomplete: Vec<String>,
    /// What could not be decided because of something that is said anyway, as a finding or in `incomplete`.
    pub follows: Vec<String>,
    /// Faults on our side.
    pub faults: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
    /// No head verified: nothing else was judged.
    pub no_head: bool,
    /// No head could be read at all: nothing is known of the log today, and nothing is held against it.
    pub unreachable: bool,
    /// Hits of watch rules that are kept; 0 where rules were not done looking.
    pub hits: u64,
    /// Of these, those that nobody was told of before.
    pub hits_new: u64,
}

/// One run in progress.
pub struct Run<'a> {
    pub(crate) source: Option<&'a dyn LogSource>,
    pub(crate) mirror: &'a mut Mirror,
    pub(crate) policy: &'a Policy,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) peers: &'a [Peer],
    pub(crate) summary: Summary,
    /// The whole mirror was re-hashed in this run.
    pub(crate) confirmed: bool,
    /// It was said that a replica may be behind in what it answers.
    pub(crate) said_behind: bool,
    /// Watch rules.
    rules: &'a [Rule],
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
        Run {
            source,
            mirror,
            policy,
            options,
            progress,
            peers: &[],
            summary: Summary::default(),
            confirmed: false,
            said_behind: false,
            rules: &[],
        }
    }

    /// With others whose heads are to be compared with ours.
    pub fn with_peers(self, peers: &'a [Peer]) -> Run<'a> {
        Run { peers, ..self }
    }

    /// The whole audit. A fault ends it early and is in the summary; what was found before it
    /// stays found.
    pub fn audit(mut self) -> Summary {
        let steps = self.steps();
        self.note_lacks();
        if let Err(fault) = steps {
            // A fault may leave a transaction open; what it held was not acknowledged.
            let _ = self.mirror.rollback();
            match fault {
                Fault::Stopped => self.say_stopped(),
                fault => self.summary.faults.push(fault.to_string()),
            }
        }
        self.summary
    }

    /// What could not be asked for because this machine had run out of something was not asked of anybody.
    fn note_lacks(&mut self) {
        let lacks = self.source.and_then(LogSource::lacked).into_iter();
        for what in lacks.chain(self.peers.iter().filter_map(Peer::lacked)) {
            let fault = format!("not everything could be asked for: {what}");
            if !self.summary.faults.contains(&fault) {
                self.summary.faults.push(fault);
            }
        }
    }

    /// Says once that the run was told to stop.
    fn say_stopped(&mut self) {
        if !self.summary.incomplete.iter().any(|cause| cause == Stop::SAID) {
            self.summary.incomplete.push(Stop::SAID.to_owned());
        }
    }

    fn steps(&mut self) -> Result<(), Fault> {
        let checked_before = self.mirror.state().checked;
        self.judge_times()?;
        self.look_anew();
        let result = if self.options.heads_only { self.follow_heads() } else { self.ordered_steps() };
        let result = result.and_then(|()| self.note_changes());
        // Behind what is asked of this run alone: what was lost stays lost, however well the log is read.
        self.note_lost();
        if !self.summary.target_verified {
            self.summary.tally.add("root", 0, 0, 1);
        }
        self.summary.entries_new = self.mirror.state().checked.saturating_sub(checked_before);
        result
    }

    /// What a mirror that was made again does not know any more: nothing can be held against it, so that no run passes.
    fn note_lost(&mut self) {
        let lost = self.mirror.state().lost.iter();
        self.summary.incomplete.extend(lost.map(|lost| {
            format!(
                "the mirror was made again, and this was lost: {lost}. Import heads that others keep of this log \
                 (countersign heads import); where nobody has any, begin a new mirror under another name"
            )
        }));
    }

    fn ordered_steps(&mut self) -> Result<(), Fault> {
        self.unlink()?;
        self.note_rules()?;
        self.prepare_checks()?;
        if self.options.full {
            self.confirm_mirror()?;
            self.mirror.transact(|mirror, state| {
                state.listed_until = 0;
                mirror.forget_listed()?;
                mirror.forget_compared(state)
            })?;
        }
        self.collect_peers()?;
        let candidates = self.collect_heads()?;
        self.mirror.acknowledge()?;
        let mut reachable = true;
        if self.summary.no_head {
            if !self.peers.is_empty() {
                // What others hold contradicts what is mirrored whether or not the log answers.
                self.check_history()?;
            }
            self.judge_decided()?;
            self.watch()?;
            return self.finish();
        }
        // Checks across entries go in log order: older entries first.
        self.recheck()?;
        // New entries are stored as checked, so none before them may be unchecked.
        self.summary.target = candidates.first().cloned();
        let whole = self.mirror.state().checked == self.mirror.state().verified;
        for head in candidates.iter().filter(|_| whole) {
            reachable = self.extend_to(head)?;
            if self.summary.target_verified || !reachable {
                break;
            }
        }
        reachable = reachable && self.compare_upper_tiles()?;
        self.recheck()?;
        self.watch()?;
        if reachable {
            // The proofs between all trees that the log signed are asked for: those that were shown in this run, too.
            self.check_mirrored()?;
            self.check_answers()?;
        }
        self.check_history()?;
        self.judge_decided()?;
        if reachable && !candidates.is_empty() {
            self.revisit_served()?;
        }
        self.scrub()?;
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.mirror.check_some()?;
        Ok(self.mirror.acknowledge()?)
    }

    /// Under another policy, by another version's checks, or with `--full`, every entry is to be checked again.
    fn prepare_checks(&mut self) -> Result<(), Fault> {
        let policy = self.policy.entry_fingerprint().to_string();
        let state = self.mirror.state();
        let stop = &self.options.stop;
        if self.options.full && !self.mirror.check_integrity(&|| stop.is_stopped())? {
            return Err(Fault::Stopped);
        }
        let changed = state.entry_policy != policy;
        if !(changed || self.options.full) {
            return Ok(());
        }
        if changed && state.entry_policy.is_empty() && state.verified > 0 {
            let note =
                "the mirror was written by an earlier version: its entries are hashed and checked again";
            self.summary.notes.push(note.to_owned());
            self.confirm_mirror()?;
        } else if changed && state.checked > 0 {
            let note = "the trust options or the checks of this program changed since the last run: all entries are checked \
                        again";
            self.summary.notes.push(note.to_owned());
        }
        self.mirror.transact(|mirror, state| {
            state.entry_policy = policy;
            mirror.forget_checks(state)
        })?;
        if self.options.full {
            self.mirror.check_tables()?;
        }
        Ok(())
    }

    /// Records a finding, in a transaction of its own.
    pub(crate) fn find(&mut self, finding: &Finding) -> Result<(), Fault> {
        let now = &self.options.now.1;
        Ok(self.mirror.transact(|mirror, _| mirror.put_finding(finding, now))?)
    }

    pub(crate) fn find_of_log(
        &mut self,
        code: Code,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<(), Fault> {
        self.find(&Finding::of_log(code, subject, message))
    }
}

impl Run<'_> {
    /// After heads were added with [`Run::keep`]: compares them with the mirrored tree.
    pub fn compare_imported(mut self) -> Summary {
        let compare = |run: &mut Self| {
            run.judge_times()?;
            run.compare_kept()?;
            run.link_known()?;
            run.check_history()?;
            run.finish()
        };
        if let Err(fault) = compare(&mut self) {
            let _ = self.mirror.rollback();
            self.summary.faults.push(fault.to_string());
        }
        self.summary
    }
}
