//! Watch rules over the mirror: each looks at every entry that was checked, once, in the order of the log.
//!
//! Where a rule is stands in the mirror, and moves in the same transaction that keeps its hits, so no crash
//! loses or doubles one. A rule is noted before anything else happens in the first run that knows it: entries that this run
//! mirrors are new to it, also if it is killed in between; those that are mirrored already are not, also if they are to
//! be checked again. It goes by what is kept of checked entries; checking these again
//! (`--full`, other trust options) makes no rule look again.

use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::audit::watch_list::{Facts, Memory, Rule};
use crate::core::hash::Hash;
use crate::mirror::{Looked, Mirror};
use crate::source::Stop;
use std::collections::BTreeMap;

/// Entries that are looked at in one transaction.
const BATCH: u64 = 8192;

/// Hits of one rule in one run that are kept one by one; what is beyond is counted in one finding.
const MAX_PER_RUN: u64 = 1000;

/// Hits of one rule that are kept one by one in all: a rule that is too wide must not fill the report.
const MOST: u64 = 20_000;

/// One rule in one run.
struct Watcher<'r> {
    rule: &'r Rule,
    digest: Hash,
    looked: Looked,
    kept: u64,
    beyond: Option<Beyond>,
}

/// Hits that are not kept one by one.
#[derive(Clone, Copy)]
struct Beyond {
    count: u64,
    from: u64,
    to: u64,
}

impl Watcher<'_> {
    /// Looks at an entry, unless it did before; gives what is to be kept of it.
    fn look(&mut self, facts: &Facts, mirror: &Mirror) -> Result<Option<Finding>, Fault> {
        if facts.index < self.looked.next {
            return Ok(None);
        }
        self.looked.next = facts.index.saturating_add(1);
        let Some(hit) = self.rule.look(facts, &mut self.looked.memory) else { return Ok(None) };
        // A rule that looks at everything again, or now also at the past, found some of it before.
        let is_kept = mirror.has_hit(&hit)?;
        if is_kept || (self.kept < MAX_PER_RUN && self.looked.memory.kept < MOST) {
            self.kept = self.kept.saturating_add(u64::from(!is_kept));
            self.looked.memory.kept = self.looked.memory.kept.saturating_add(1);
            return Ok(Some(hit));
        }
        let beyond = self.beyond.get_or_insert(Beyond { count: 0, from: facts.index, to: 0 });
        (beyond.count, beyond.to) = (beyond.count.saturating_add(1), facts.index);
        Ok(None)
    }

    /// What of one batch is to be kept: its hits, and the count of those beyond as it is now.
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

impl<'a> Run<'a> {
    /// Has these rules look at what the run checks.
    pub fn watching(self, rules: &'a [Rule]) -> Run<'a> {
        Run { rules, ..self }
    }

    /// Notes the rules that this mirror does not know yet. Before entries are forgotten or come in.
    pub(super) fn note_rules(&mut self) -> Result<(), Fault> {
        if self.options.full && self.mirror.transact(|mirror, _| mirror.forget_damaged_watch_rows())? {
            let note = "how far watch rules had looked was damaged on this disk: they look at all entries again, and so do \
                        rules that come back later or are new";
            self.summary.notes.push(note.to_owned());
        }
        let begin = if self.mirror.has_forgotten_watch_rows()? { 0 } else { self.mirror.state().verified };
        let mut new = BTreeMap::new();
        for rule in self.rules {
            let digest = rule.digest();
            if self.mirror.looked(&digest)?.is_none() {
                let next = if rule.past { 0 } else { begin };
                new.insert(digest.0, Looked { next, memory: Memory::default() });
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        Ok(self.mirror.transact(|mirror, _| {
            new.iter().try_for_each(|(digest, looked)| mirror.put_looked(&Hash(*digest), looked))
        })?)
    }

    /// Lets the rules look at what was checked.
    pub(super) fn watch(&mut self) -> Result<(), Fault> {
        let mut watchers = Vec::new();
        for rule in self.rules {
            let digest = rule.digest();
            let looked = self.mirror.looked(&digest)?.unwrap_or_default();
            watchers.push(Watcher { rule, digest, looked, kept: 0, beyond: None });
        }
        let checked = self.mirror.state().checked;
        while let Some(begin) = watchers.iter().map(|w| w.looked.next).min().filter(|next| *next < checked) {
            if self.options.stop.is_stopped() {
                let said = Stop::SAID.to_owned();
                if !self.summary.incomplete.contains(&said) {
                    self.summary.incomplete.push(said);
                }
                return Ok(());
            }
            let batch = self.mirror.facts(begin, begin.saturating_add(BATCH).min(checked))?;
            self.watch_batch(&mut watchers, &batch)?;
        }
        self.count_hits()
    }

    fn watch_batch(&mut self, watchers: &mut [Watcher<'_>], batch: &[Facts]) -> Result<(), Fault> {
        let mut found = Vec::new();
        let mut moved = Vec::new();
        for watcher in watchers {
            let before = watcher.looked.next;
            found.extend(watcher.look_at_all(batch, self.mirror)?);
            if watcher.looked.next > before {
                moved.push((watcher.digest, &watcher.looked));
            }
        }
        let now = &self.options.now.1;
        Ok(self.mirror.transact(|mirror, _| {
            found.iter().try_for_each(|finding| mirror.put_finding(finding, now))?;
            moved.iter().try_for_each(|(digest, looked)| mirror.put_looked(digest, looked))
        })?)
    }

    /// Counts the hits that nobody was told of: also those of a run that was killed after it kept them. That they are
    /// told is noted by who told.
    fn count_hits(&mut self) -> Result<(), Fault> {
        self.summary.hits = self.mirror.hits()?;
        self.summary.hits_new = self.summary.hits.saturating_sub(self.mirror.hits_told()?);
        Ok(())
    }
}
