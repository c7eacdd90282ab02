//! Watch rules over the mirror: each looks at every entry that was checked, once, in the order of the log.
//!
//! The mirror keeps how far a rule has looked. That moves in the same transaction that keeps its hits, so a crash neither
//! loses nor doubles one. A rule is noted before anything else happens in the first run that knows it. Entries that this
//! run mirrors are new to the rule, even if the run is killed in between. Those that are mirrored already are not new, even
//! if they are to be checked again. A rule looks at what the mirror keeps of checked entries, so it does not look again
//! when entries are checked again (`--full`, other trust options).

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use crate::audit::finding::Finding;
use crate::audit::watch_list::{Facts, Rule, WatchMemory};
use crate::core::hash::Hash;
use crate::mirror::{Looked, Mirror};
use std::collections::BTreeMap;

/// Entries that are looked at in one transaction.
const BATCH: u64 = 8192;

/// Hits of one rule in one run that are kept one by one. Those beyond are counted in one finding.
const MAX_PER_RUN: u64 = 1000;

/// Hits of one rule that are kept one by one in all runs. A rule that is too wide must not fill the report.
const MOST: u64 = 20_000;

/// One rule in one run. The counts saturate: no log has so many entries.
struct Watcher<'r> {
    rule: &'r Rule,
    digest: Hash,
    looked: Looked,
    kept: u64,
    beyond: Option<Beyond>,
}

/// Hits of all rules. There are none if the rules were not done looking.
#[derive(Default)]
pub(super) struct Hits {
    /// Those that are kept.
    pub(super) kept: u64,
    /// Of these, those that nobody was told of before.
    pub(super) new: u64,
}

/// Hits that are not kept one by one.
#[derive(Clone, Copy)]
struct Beyond {
    count: u64,
    from: u64,
    to: u64,
}

impl Watcher<'_> {
    /// Looks at an entry, unless it did before, and returns the hit that is to be kept.
    fn look(&mut self, facts: &Facts, mirror: &Mirror) -> Result<Option<Finding>, Fault> {
        if facts.index < self.looked.next {
            return Ok(None);
        }
        self.looked.next = facts.index.saturating_add(1);
        let Some(hit) = self.rule.look(facts, &mut self.looked.memory) else { return Ok(None) };
        // A rule that looks at everything again, or now at the past too, found some of it before.
        let is_kept = mirror.findings().is_kept(&hit)?;
        if is_kept || (self.kept < MAX_PER_RUN && self.looked.memory.kept < MOST) {
            self.kept = self.kept.saturating_add(u64::from(!is_kept));
            self.looked.memory.kept = self.looked.memory.kept.saturating_add(1);
            return Ok(Some(hit));
        }
        let beyond = self.beyond.get_or_insert(Beyond { count: 0, from: facts.index, to: 0 });
        (beyond.count, beyond.to) = (beyond.count.saturating_add(1), facts.index);
        Ok(None)
    }

    /// What is to be kept of one batch: its hits, and the present count of those beyond.
    fn look_at_all(&mut self, batch: &[Facts], mirror: &Mirror) -> Result<Vec<Finding>, Fault> {
        let before = self.beyond.map(|beyond| beyond.count);
        let mut found = Vec::new();
        for facts in batch {
            found.extend(self.look(facts, mirror)?);
        }
        let beyond = self.beyond.filter(|beyond| before != Some(beyond.count));
        found.extend(beyond.map(|Beyond { count, from, to }| self.rule.many(count, from, to)));
        Ok(found)
    }
}

/// Notes the rules that this mirror does not know yet. This comes before entries are forgotten or added.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn note_rules(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<(), Fault> {
    if cx.options().full && mirror.transact(|mirror, _| mirror.watch_rules_mut().forget_damaged())? {
        let note = "the stored progress of the watch rules was damaged on this disk: they check all entries again, \
                    and so do rules that are added or restored later";
        statements.note(note);
    }
    let begin = if mirror.watch_rules().has_forgotten()? { 0 } else { mirror.state().verified };
    let mut new = BTreeMap::new();
    for rule in cx.rules() {
        let digest = rule.digest();
        if mirror.watch_rules().get(&digest)?.is_none() {
            let next = if rule.past { 0 } else { begin };
            new.insert(digest.0, Looked { next, memory: WatchMemory::default() });
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    Ok(mirror.transact(|mirror, _| {
        new.iter().try_for_each(|(digest, looked)| mirror.watch_rules_mut().put(&Hash(*digest), looked))
    })?)
}

/// Lets the rules look at what was checked, and returns how many hits are kept.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn watch(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<Hits, Fault> {
    let mut watchers = Vec::new();
    for rule in cx.rules() {
        let digest = rule.digest();
        let looked = mirror.watch_rules().get(&digest)?.unwrap_or_default();
        watchers.push(Watcher { rule, digest, looked, kept: 0, beyond: None });
    }
    let checked = mirror.state().checked;
    while let Some(begin) = watchers.iter().map(|w| w.looked.next).min().filter(|next| *next < checked) {
        if cx.is_stopped() {
            statements.stopped();
            return Ok(Hits::default());
        }
        let batch = mirror.entries().facts(begin, begin.saturating_add(BATCH).min(checked))?;
        watch_batch(cx, mirror, &mut watchers, &batch)?;
    }
    count_hits(mirror)
}

fn watch_batch(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    watchers: &mut [Watcher<'_>],
    batch: &[Facts],
) -> Result<(), Fault> {
    let mut found = Vec::new();
    let mut moved = Vec::new();
    for watcher in watchers {
        let before = watcher.looked.next;
        found.extend(watcher.look_at_all(batch, mirror)?);
        if watcher.looked.next > before {
            moved.push((watcher.digest, &watcher.looked));
        }
    }
    let now = cx.now();
    Ok(mirror.transact(|mirror, _| {
        found.iter().try_for_each(|finding| mirror.findings_mut().put(finding, now))?;
        moved.iter().try_for_each(|(digest, looked)| mirror.watch_rules_mut().put(digest, looked))
    })?)
}

/// Counts the hits, and those that nobody was told of before. The latter include hits of a run that was killed after it
/// kept them. The alerts note what they told.
fn count_hits(mirror: &Mirror) -> Result<Hits, Fault> {
    let kept = mirror.findings().hits()?;
    Ok(Hits { kept, new: kept.saturating_sub(mirror.watch_rules().hits_told()?) })
}
