//! What is behind the log for a while is not held against it: caches and replicas.
//!
//! Over HTTP, answers come from what stands in front of the log. A cache shows the head that it fetched an hour ago; a
//! replica of the JSON API has the newest head and not yet its last entries, or the proofs for them. For an hour ([`limits::LAG`]) such an
//! answer is *undecided*: the run is incomplete, says why, and never passes. From then on it is the finding that it would
//! have been at once (`head-rollback`, `gap`). The hour runs from when this mirror first saw the larger head, or first
//! missed the entries, and is kept in the mirror: asking again does not begin it anew.
//!
//! What no lag explains is a finding at once:
//!
//! - a directory is the log's own files, and nothing stands in front of it;
//! - static files have no replicas, so a definite "not there" is a gap; and a cache has what the log served before. An
//!   older head that never came here before is none of that where the larger one is dated more than an hour ago;
//! - a head that is dated later than the larger one is not an older head;
//! - a place that never served an entry, and says that it has none, is not a replica that is behind; nor is one that
//!   answers no question of a kind at all, or another one about the same tree where that is dated more than an hour ago.

use super::answer::Question;
use super::commit::{BadBundle, Flaw};
use super::context::Context;
use super::fault::Fault;
use super::findings;
use super::statements::Statements;
use super::verifier::WIDTH;
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::entry::read_leaf;
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::core::limits;
use crate::core::time::{TICK, UnixMillis};
use crate::mirror::{Mirror, Provenance, StoredHead};
use crate::source::{FetchError, Lag, LogSource};

// A time before 1970 counts as 1970. Indices saturate at `u64::MAX`, and are cut to the size of the head.

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

/// Checks that the log does not go back behind what it signed (specification section 10): neither its newest head
/// behind any head kept, nor one format behind what was served in that format.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn check_rollback(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    served: &[Head],
) -> Result<(), Fault> {
    let Some(newest) = served.iter().max_by_key(|head| head.size()) else { return Ok(()) };
    let back = gone_back(cx, mirror, newest, served)?;
    if back.is_none()
        && let Some(back) = lagging_behind(cx, mirror, newest, served)?
    {
        statements.count(Check::HeadRollback, 0, 0, 1);
        statements.incomplete(format!(
            "the log now serves a {} of size {}, and one of size {} was first seen here at {}; run again in some \
             minutes: a cache may lag behind",
            back.what,
            back.now,
            back.before.head.size(),
            back.before.first_seen
        ));
        return Ok(());
    }
    statements.record(Check::HeadRollback, back.is_none());
    match back {
        Some(back) => {
            let message = format!(
                "the log now serves a {} of size {}; it signed one of size {} before",
                back.what,
                back.now,
                back.before.head.size()
            );
            findings::record_of_log(cx, mirror, Code::HeadRollback, Subject::Whole, message)
        }
        None => findings::end_of(cx, mirror, Code::HeadRollback),
    }
}

/// The log as it is read now; without one nothing lags.
fn lag(cx: &Context<'_>) -> Lag {
    cx.source().map_or(Lag::None, LogSource::lag)
}

/// Going back that no lag explains.
fn gone_back(
    cx: &Context<'_>,
    mirror: &Mirror,
    newest: &Head,
    served: &[Head],
) -> Result<Option<Back>, Fault> {
    let key = cx.key();
    let lag = lag(cx);
    let hour_ago = an_hour_ago(cx);
    let back = |what, head: &Head, before: Option<StoredHead>| {
        let before = before.filter(|before| head.size() < before.head.size())?;
        Some(Back { what, now: head.size(), before })
    };
    let own = match lag {
        Lag::None => mirror.heads().largest(None, &OWN, key)?,
        Lag::Caches | Lag::Replicas => mirror.heads().largest_seen_by(hour_ago, &OWN, key)?,
    };
    // What the log showed elsewhere may be ahead for a while. Not the largest of those: a log that shows others
    // ever more would always have a new one.
    let elsewhere = mirror.heads().largest_seen_by(hour_ago, &[Provenance::Listed, Provenance::Peer], key)?;
    let found = [own, elsewhere, ruled_out(cx, mirror, newest, served)?];
    if let Some(found) = found.into_iter().find_map(|before| back("newest head", newest, before)) {
        return Ok(Some(found));
    }
    for head in served {
        let before = match lag {
            Lag::None => mirror.heads().largest(Some(head.format()), &[Provenance::Served], key)?,
            Lag::Caches | Lag::Replicas => mirror.heads().largest_served_by(hour_ago, head.format(), key)?,
        };
        if let Some(found) = back(head.format().as_str(), head, before) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A larger head whose date rules out that a cache or replica shows what was the newest head until lately.
fn ruled_out(
    cx: &Context<'_>,
    mirror: &Mirror,
    newest: &Head,
    served: &[Head],
) -> Result<Option<StoredHead>, Fault> {
    let key = cx.key();
    let is_behind = |stored: &StoredHead| newest.size() < stored.head.size();
    let times = served.iter().filter(|head| head.size() == newest.size()).filter_map(Head::timestamp);
    if let Some(dated) = times.max() {
        let before = dated.saturating_sub(limits::MAX_SIGNER_SKEW).saturating_sub(TICK);
        let later = mirror.heads().largest_dated_by(before, &OWN, key)?.filter(is_behind);
        if later.is_some() {
            return Ok(later);
        }
    }
    if lag(cx) != Lag::Caches {
        return Ok(None);
    }
    let Some(before) = mirror.heads().largest_dated_by(an_hour_ago(cx), &OWN, key)?.filter(is_behind) else {
        return Ok(None);
    };
    let known = mirror.heads().first_of_tree(newest.size(), &newest.root(), key)?;
    // Two that came in one run, from two files of the log, tell nothing of which was first.
    Ok(known.is_none_or(|known| known.first_seen > before.first_seen).then_some(before))
}

/// Going back that a cache or replica may be to blame for.
fn lagging_behind(
    cx: &Context<'_>,
    mirror: &Mirror,
    newest: &Head,
    served: &[Head],
) -> Result<Option<Back>, Fault> {
    if lag(cx) == Lag::None {
        return Ok(None);
    }
    let key = cx.key();
    // Its list of heads is read after its head, and is honestly ahead of it in one and the same run.
    let earlier = cx.now().saturating_sub(TICK);
    let found = [
        mirror.heads().largest(None, &OWN, key)?,
        mirror.heads().largest_seen_by(earlier, &[Provenance::Listed], key)?,
    ];
    for before in found.into_iter().flatten() {
        if newest.size() < before.head.size() {
            return Ok(Some(Back { what: "newest head", now: newest.size(), before }));
        }
    }
    for head in served {
        let before = mirror.heads().largest(Some(head.format()), &[Provenance::Served], key)?;
        if let Some(before) = before.filter(|before| head.size() < before.head.size()) {
            return Ok(Some(Back { what: head.format().as_str(), now: head.size(), before }));
        }
    }
    Ok(None)
}

/// An hour before the run.
fn an_hour_ago(cx: &Context<'_>) -> UnixMillis {
    cx.now().saturating_sub(limits::LAG)
}

/// Whether entries that are not there are those of a replica that is behind its head; if so, that is said.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn is_lagging(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
    bad: &BadBundle,
) -> Result<bool, Fault> {
    let Some(source) = cx.source().filter(|source| source.lag() == Lag::Replicas) else {
        return Ok(false);
    };
    if bad.flaw != Flaw::NotThere || !has_served_entries(mirror, source) {
        return Ok(false);
    }
    let now = cx.now();
    let state = mirror.state();
    let (mut since, below) = (state.entries_missing_since, state.entries_missing_below);
    // A time to come is a slip of a clock, and would put the end of the hour off.
    if since == UnixMillis::EPOCH || since > now || has_caught_up(mirror, source, head, bad, below) {
        since = now;
        mirror.transact(|_, state| {
            state.entries_missing_since = now;
            state.entries_missing_below = head.size();
            Ok(())
        })?;
    }
    if now.since(since) >= Some(limits::LAG) {
        return Ok(false);
    }
    let cause = format!(
        "not all entries that the head of size {} commits to are there yet, since {}: {}; run again in some minutes: \
         a replica of the log may lag behind",
        head.size(),
        since,
        bad.why
    );
    // A pass over the same entries may be made more than once.
    statements.incomplete_once(cause);
    Ok(true)
}

/// Whether there is anything that could be behind: entries were had here, or the first one can be.
fn has_served_entries(mirror: &Mirror, source: &dyn LogSource) -> bool {
    let state = mirror.state();
    if state.verified > 0 || state.entries_missing_since > UnixMillis::EPOCH {
        return true;
    }
    let first = source.api().map(|api| api.leaf(0));
    !matches!(first, Some(Err(FetchError::NotFound { .. } | FetchError::Lacking { .. })))
}

/// Whether all that was missing at first, up to a head of size `below`, has come, and what is missing now is what the
/// log added since.
fn has_caught_up(mirror: &Mirror, source: &dyn LogSource, head: &Head, bad: &BadBundle, below: u64) -> bool {
    let first = bad.n.saturating_mul(WIDTH);
    let end = first.saturating_add(WIDTH).min(head.size());
    if mirror.state().verified >= below || first >= below {
        return true;
    }
    let width = u16::try_from(below.saturating_sub(first)).unwrap_or(u16::MAX);
    below < end && source.leaves(bad.n, width).is_ok()
}

/// Whether a replica that does not have its newest trees yet explains that a question is not answered: an hour ago no
/// tree was known that could answer it, and the same question about the first entries is answered. Another question
/// about the same tree may be answered by another replica. If that tree is dated more than an hour ago, all of them have
/// it, and a replica that answers about it refuses this question.
///
/// # Errors
/// The mirror cannot be read.
pub(super) fn may_be_behind(cx: &Context<'_>, mirror: &Mirror, asked: Question) -> Result<bool, Fault> {
    let Some(source) = cx.source().filter(|source| source.lag() == Lag::Replicas) else {
        return Ok(false);
    };
    let Some(api) = source.api() else { return Ok(false) };
    let any = [Provenance::Served, Provenance::Imported, Provenance::Listed, Provenance::Peer];
    let hour_ago = an_hour_ago(cx);
    let known = mirror.heads().largest_seen_by(hour_ago, &any, cx.key())?;
    if known.is_some_and(|known| known.head.size() >= asked.tree()) {
        return Ok(false);
    }
    let dated = mirror.heads().largest_dated_by(an_hour_ago(cx), &any, cx.key())?;
    let is_old = dated.is_some_and(|dated| dated.head.size() >= asked.tree());
    Ok(match asked {
        Question::Consistency(first, size) => {
            let other = if first == 1 { 2 } else { 1 };
            let refused =
                || is_old && api.consistency(other, size).is_ok() && api.consistency(first, size).is_err();
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
            let leaves = mirror.leaves().range(0, 1)?;
            let origin = cx.key().origin();
            let first = leaves.first().and_then(|leaf| read_leaf(leaf, origin).entry);
            let id = first.as_ref().and_then(|entry| entry.valid_id());
            id.is_some_and(|id| matches!(api.verification(id), Ok(Some(_))))
        }
    })
}
