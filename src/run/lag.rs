//! What is behind the log for a while is not held against it: caches and replicas.
//!
//! Whoever asks a log over HTTP asks what stands in front of it. A cache shows the head that it fetched an hour ago; a
//! replica of the JSON API has the newest head and not yet its last entries, or the proofs for them. For an hour ([`limits::LAG_MS`]) such an
//! answer is *undecided*: the run is incomplete, says why, and never passes. From then on it is the finding that it would
//! have been at once (`head-rollback`, `gap`). The hour runs from when this mirror first saw the larger head, or first
//! missed the entries, and is kept in the mirror: asking again does not begin it anew.
//!
//! What no lag explains is a finding at once:
//!
//! - a directory is the log's own files, and nothing stands in front of it;
//! - static files have no replicas, so a definite "not there" is a gap; and a cache has what the log served before. An
//!   older head that never came here before is none of that where the larger one is dated more than an hour ago;
//! - a head that is dated later than the larger one is no older head;
//! - a place that never served an entry, and says that it has none, is not a replica that is behind; nor is one that
//!   answers no question of a kind at all, or another one about the same tree where that is dated more than an hour ago.

use super::answers::Question;
use super::commit::{BadBundle, Flaw};
use super::verifier::WIDTH;
use super::{Fault, Run};
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::{limits, text};
use crate::mirror::{Provenance, StoredHead};
use crate::source::{FetchError, Lag, LogSource};

/// What the log itself served, or was shown to have signed by who ran this auditor.
const OWN: [Provenance; 2] = [Provenance::Served, Provenance::Imported];

/// A head that is smaller than one that the log signed before.
struct Back {
    /// Which head of the log.
    what: &'static str,
    /// The size served.
    now: u64,
    /// The larger head.
    before: StoredHead,
}

impl Run<'_> {
    /// The log must not go back behind what it signed (specification section 10): neither its
    /// newest head behind any head kept, nor one format behind what that format showed us.
    pub(super) fn check_rollback(&mut self, served: &[Head]) -> Result<(), Fault> {
        let Some(newest) = served.iter().max_by_key(|head| head.size()) else { return Ok(()) };
        let back = self.gone_back(newest, served)?;
        if back.is_none()
            && let Some(back) = self.lagging_behind(newest, served)?
        {
            self.summary.tally.add("head-rollback", 0, 0, 1);
            self.summary.incomplete.push(format!(
                "the log now serves a {} of size {}, and one of size {} was first seen here at {}; run again in some \
                 minutes: a cache may lag behind",
                back.what,
                back.now,
                back.before.head.size(),
                back.before.first_seen
            ));
            return Ok(());
        }
        self.summary.tally.record("head-rollback", back.is_none());
        match back {
            Some(back) => {
                let message = format!(
                    "the log now serves a {} of size {}; it signed one of size {} before",
                    back.what,
                    back.now,
                    back.before.head.size()
                );
                self.find_of_log(Code::HeadRollback, "", message)
            }
            None => self.end_findings_of(Code::HeadRollback),
        }
    }

    /// The log as it is read now; without one nothing lags.
    fn lag(&self) -> Lag {
        self.source.map_or(Lag::None, LogSource::lag)
    }

    /// Going back that no lag explains.
    fn gone_back(&self, newest: &Head, served: &[Head]) -> Result<Option<Back>, Fault> {
        let key = &self.policy.log_key;
        let lag = self.lag();
        let hour_ago = text::time(self.an_hour_ago());
        let back = |what, head: &Head, before: Option<StoredHead>| {
            let before = before.filter(|before| head.size() < before.head.size())?;
            Some(Back { what, now: head.size(), before })
        };
        let own = match lag {
            Lag::None => self.mirror.largest_head(None, &OWN, key)?,
            Lag::Caches | Lag::Replicas => self.mirror.largest_seen_by(&hour_ago, &OWN, key)?,
        };
        // What the log showed elsewhere may be ahead for a while. Not the largest of those: a log that shows others
        // ever more would always have a new one.
        let elsewhere =
            self.mirror.largest_seen_by(&hour_ago, &[Provenance::Listed, Provenance::Peer], key)?;
        let found = [own, elsewhere, self.ruled_out(newest, served)?];
        if let Some(found) = found.into_iter().find_map(|before| back("newest head", newest, before)) {
            return Ok(Some(found));
        }
        for head in served {
            let before = match lag {
                Lag::None => self.mirror.largest_head(Some(head.format()), &[Provenance::Served], key)?,
                Lag::Caches | Lag::Replicas => {
                    self.mirror.largest_served_by(&hour_ago, head.format(), key)?
                }
            };
            if let Some(found) = back(head.format().as_str(), head, before) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A larger head whose date rules out that a cache or replica shows what was the newest head until lately.
    fn ruled_out(&self, newest: &Head, served: &[Head]) -> Result<Option<StoredHead>, Fault> {
        let key = &self.policy.log_key;
        let is_behind = |stored: &StoredHead| newest.size() < stored.head.size();
        let times = served.iter().filter(|head| head.size() == newest.size()).filter_map(Head::timestamp);
        if let Some(dated) = times.max() {
            let before = dated.saturating_sub(limits::SIGNERS_CLOCKS_MS.saturating_add(1));
            let later = self.mirror.largest_dated_by(before, &OWN, key)?.filter(is_behind);
            if later.is_some() {
                return Ok(later);
            }
        }
        if self.lag() != Lag::Caches {
            return Ok(None);
        }
        let Some(before) = self.mirror.largest_dated_by(self.an_hour_ago(), &OWN, key)?.filter(is_behind)
        else {
            return Ok(None);
        };
        let known = self.mirror.first_of_tree(newest.size(), &newest.root(), key)?;
        // Two that came in one run, from two files of the log, tell nothing of which was first.
        Ok(known.is_none_or(|known| known.first_seen > before.first_seen).then_some(before))
    }

    /// Going back that a cache or replica may be to blame for.
    fn lagging_behind(&self, newest: &Head, served: &[Head]) -> Result<Option<Back>, Fault> {
        if self.lag() == Lag::None {
            return Ok(None);
        }
        let key = &self.policy.log_key;
        // Its list of heads is read after its head, and is honestly ahead of it in one and the same run.
        let earlier = text::time(self.options.now.0.saturating_sub(1));
        let found = [
            self.mirror.largest_head(None, &OWN, key)?,
            self.mirror.largest_seen_by(&earlier, &[Provenance::Listed], key)?,
        ];
        for before in found.into_iter().flatten() {
            if newest.size() < before.head.size() {
                return Ok(Some(Back { what: "newest head", now: newest.size(), before }));
            }
        }
        for head in served {
            let before = self.mirror.largest_head(Some(head.format()), &[Provenance::Served], key)?;
            if let Some(before) = before.filter(|before| head.size() < before.head.size()) {
                return Ok(Some(Back { what: head.format().as_str(), now: head.size(), before }));
            }
        }
        Ok(None)
    }

    fn an_hour_ago(&self) -> u64 {
        self.options.now.0.saturating_sub(limits::LAG_MS)
    }

    /// Whether entries that are not there are those of a replica that is behind its head; that is said.
    pub(super) fn is_lagging(&mut self, head: &Head, bad: &BadBundle) -> Result<bool, Fault> {
        let Some(source) = self.source.filter(|source| source.lag() == Lag::Replicas) else {
            return Ok(false);
        };
        if bad.flaw != Flaw::NotThere || !self.has_served_entries(source) {
            return Ok(false);
        }
        let now = self.options.now.0;
        let state = self.mirror.state();
        let (mut since, below) = (state.entries_missing_since, state.entries_missing_below);
        // A time to come is a slip of a clock, and would put the end of the hour off.
        if since == 0 || since > now || self.has_caught_up(source, head, bad, below) {
            since = now;
            self.mirror.transact(|_, state| {
                state.entries_missing_since = now;
                state.entries_missing_below = head.size();
                Ok(())
            })?;
        }
        if now.saturating_sub(since) >= limits::LAG_MS {
            return Ok(false);
        }
        let cause = format!(
            "not all entries that the head of size {} commits to are there yet, since {}: {}; run again in some minutes: \
             a replica of the log may lag behind",
            head.size(),
            text::time(since),
            bad.why
        );
        // A pass over the same entries may be made more than once.
        if !self.summary.incomplete.contains(&cause) {
            self.summary.incomplete.push(cause);
        }
        Ok(true)
    }

    /// Whether there is anything that could be behind: entries were had here, or the first one can be.
    fn has_served_entries(&self, source: &dyn LogSource) -> bool {
        let state = self.mirror.state();
        if state.verified > 0 || state.entries_missing_since > 0 {
            return true;
        }
        let first = source.api().map(|api| api.leaf(0));
        !matches!(first, Some(Err(FetchError::NotFound { .. } | FetchError::Lacking { .. })))
    }

    /// Whether all that was missing at first, up to a head of size `below`, has come, and what is missing now is what the
    /// log added since.
    fn has_caught_up(&self, source: &dyn LogSource, head: &Head, bad: &BadBundle, below: u64) -> bool {
        let first = bad.n.saturating_mul(WIDTH);
        let end = first.saturating_add(WIDTH).min(head.size());
        if self.mirror.state().verified >= below || first >= below {
            return true;
        }
        let width = u16::try_from(below.saturating_sub(first)).unwrap_or(u16::MAX);
        below < end && source.leaves(bad.n, width).is_ok()
    }

    /// Whether a replica that does not have its newest trees yet explains that a question is not answered: nobody was
    /// shown a tree an hour ago that could answer it, and the like of it about the first entries is answered here. Another
    /// question about the same tree may be answered by another replica. Where that tree is dated more than an hour ago, all
    /// of them have it, and who answers about it refuses this question.
    pub(super) fn may_be_behind(&self, asked: Question) -> Result<bool, Fault> {
        let Some(source) = self.source.filter(|source| source.lag() == Lag::Replicas) else {
            return Ok(false);
        };
        let Some(api) = source.api() else { return Ok(false) };
        let any = [Provenance::Served, Provenance::Imported, Provenance::Listed, Provenance::Peer];
        let hour_ago = text::time(self.an_hour_ago());
        let known = self.mirror.largest_seen_by(&hour_ago, &any, &self.policy.log_key)?;
        if known.is_some_and(|known| known.head.size() >= asked.tree()) {
            return Ok(false);
        }
        let dated = self.mirror.largest_dated_by(self.an_hour_ago(), &any, &self.policy.log_key)?;
        let is_old = dated.is_some_and(|dated| dated.head.size() >= asked.tree());
        Ok(match asked {
            Question::Consistency(first, size) => {
                let other = if first == 1 { 2 } else { 1 };
                let refused = || {
                    is_old && api.consistency(other, size).is_ok() && api.consistency(first, size).is_err()
                };
                size > 2 && api.consistency(1, 2).is_ok() && !refused()
            }
            Question::Inclusion(index, size) => {
                let other = u64::from(index == 0);
                let refused =
                    || is_old && api.inclusion(other, size).is_ok() && api.inclusion(index, size).is_err();
                size > 1 && api.inclusion(0, 1).is_ok() && !refused()
            }
            Question::Verification(0) => false,
            Question::Verification(_) => {
                let leaves = self.mirror.leaves(0, 1)?;
                let origin = self.policy.log_key.origin();
                let first = leaves.first().and_then(|leaf| read_leaf(leaf, origin).entry);
                let id = first.as_ref().and_then(|entry| entry.valid_id());
                id.is_some_and(|id| matches!(api.verification(id), Ok(Some(_))))
            }
        })
    }
}
