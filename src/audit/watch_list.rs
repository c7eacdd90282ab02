//! Watch rules: which entries a user wants to be notified of, whatever the checks say about them.
//!
//! A hit does not count against the log. Notification is what a log of approvals is for: people who are named in an
//! entry learn about it, and can say if they did not make the decision. A rule goes by what an entry *claims*, so it
//! also matches an entry whose own checks failed (which is a separate finding). A leaf that is not an entry claims
//! nothing, so no rule matches it. Names are compared exactly: a rule for `alex` does not match `alex ` or a name
//! with a letter that looks like an a.
//!
//! `decidedAt` rests on the log's word alone. Rules about hours and bursts work only if the log is honest about it;
//! the check `decided-before-head` bounds how far it can be ahead of the truth, and nothing bounds how far behind.
//!
//! Pure: the inputs are a rule, what an entry says, and the rule's memory; the outputs are whether to report a hit,
//! and the new memory.

use super::finding::Finding;
use super::hours::Hours;
use super::subject::Subject;
use crate::core::encoding::encode_hex;
use crate::core::entry::Decision;
use crate::core::finding::{Code, Severity};
use crate::core::hash::{Hash, sha256};
use crate::core::text::{duration, escape, quoted};
use crate::core::time::{UnixMillis, whole_millis};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// How many entries beyond its count a burst rule remembers. Entries are logged nearly in the order of their
/// decisions, and a late one must still be counted with its neighbours.
const LATE: usize = 256;

/// How many reported bursts a rule remembers, so that a burst is not reported again because another came in between.
const BURSTS: usize = 64;

/// One rule. All conditions that are given must hold; an empty condition is not given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The name, unique and part of every hit: printable ASCII.
    pub name: String,
    /// The severity of its hits: info or warning.
    pub severity: Severity,
    /// Whether the rule looks at everything that is mirrored, not only at new entries.
    pub past: bool,
    /// Which entries it matches.
    pub conditions: Conditions,
}

/// Which entries a rule matches. Without any condition, it matches every entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// The entry names one of these approvers.
    pub approvers: Vec<String>,
    /// The entry has one of these passkeys (by their identity).
    pub keys: Vec<Hash>,
    /// The entry has one of these relying parties.
    pub rp_ids: Vec<String>,
    /// The entry has one of these decisions.
    pub decisions: Vec<Decision>,
    /// The entry has one of these payload hashes.
    pub payload_hashes: Vec<[u8; 32]>,
    /// The entry's id matches one of these patterns.
    pub ids: Vec<Pattern>,
    /// The entry is the first that its passkey signed in this log.
    pub new_key: bool,
    /// The entry was decided outside these hours.
    pub outside: Option<Hours>,
    /// The entry is part of a burst.
    pub more_than: Option<Burst>,
}

/// More than `count` entries within `within`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// The count, at least 1.
    pub count: usize,
    /// The length of time.
    pub within: Duration,
}

/// A pattern in which `*` stands for any characters and `?` for any single one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether the whole text matches. Takes at most length × length steps.
    pub fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        // Positions are at most the lengths of the two texts.
        let (mut at, mut read) = (0usize, 0usize);
        // The position of the last star, and the length of text that it matches so far.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(read) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, read));
                    at = at.saturating_add(1);
                }
                Some(wanted) if wanted == byte || *wanted == b'?' => {
                    (at, read) = (at.saturating_add(1), read.saturating_add(1));
                }
                _ => {
                    let Some((place, taken)) = star else { return false };
                    star = Some((place, taken.saturating_add(1)));
                    (at, read) = (place.saturating_add(1), taken.saturating_add(1));
                }
            }
        }
        pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
    }
}

/// What an entry says, as far as it could be parsed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Position in the log.
    pub index: u64,
    /// Entry id.
    pub id: Option<String>,
    /// `None` if the leaf is not an entry.
    pub decision: Option<Decision>,
    /// When it was decided.
    pub decided_at: Option<UnixMillis>,
    /// The approver who was asked.
    pub approver: Option<String>,
    /// Relying party id.
    pub rp_id: Option<String>,
    /// Identity of the passkey.
    pub key: Option<Hash>,
    /// Whether its signature is the first by this key in the log that verified.
    pub is_first_of_key: bool,
    /// Payload hash.
    pub payload_hash: Option<[u8; 32]>,
}

/// What a rule remembers about the entries that it looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchMemory {
    /// Times of the last entries that match the other conditions of a burst rule, in log order.
    times: Vec<UnixMillis>,
    /// Start and end of the bursts that were reported; the most recently extended one is last.
    #[serde(rename = "told")]
    reported: Vec<(UnixMillis, UnixMillis)>,
    /// How many hits were kept one by one.
    pub kept: u64,
}

impl Rule {
    /// A digest of the rule's name and conditions. Hits are identified by the rule's name, so the name is part of the
    /// digest: two configs with different names must not share the memory of reported hits. The severity and the
    /// recipients are not part of it. A time zone counts by its name, so that an update of the time zone database
    /// does not create a new rule.
    pub fn digest(&self) -> Hash {
        let Conditions { approvers, keys, rp_ids, decisions, payload_hashes, ids, .. } = &self.conditions;
        let hours = self.conditions.outside.as_ref();
        let text = serde_json::json!([
            "watch rule 2",
            self.name,
            self.past,
            approvers,
            keys.iter().map(Hash::to_string).collect::<Vec<_>>(),
            rp_ids,
            decisions.iter().map(|decision| decision.as_str().to_owned()).collect::<Vec<_>>(),
            payload_hashes.iter().map(|hash| encode_hex(hash)).collect::<Vec<_>>(),
            ids.iter().map(|pattern| pattern.0.clone()).collect::<Vec<_>>(),
            self.conditions.new_key,
            hours.map(|hours| (hours.days, hours.from, hours.to, hours.zone.name.as_str())),
            self.conditions.more_than.map(|burst| (burst.count, whole_millis(burst.within))),
        ]);
        sha256(text.to_string().as_bytes())
    }

    /// Looks at the next entry and returns a hit if the rule matches. A burst is reported once; another one is
    /// reported only if it is further away in time than the length of a burst.
    pub fn look(&self, facts: &Facts, memory: &mut WatchMemory) -> Option<Finding> {
        if !self.conditions.are_of(facts) {
            return None;
        }
        let is_news = match self.conditions.more_than {
            None => true,
            Some(burst) => {
                let at = facts.decided_at?;
                memory.note(burst, at) && memory.is_another(burst, at)
            }
        };
        is_news.then(|| self.hit(facts))
    }

    fn hit(&self, facts: &Facts) -> Finding {
        let message = format!("{}: {}", self.title(), self.conditions.describe(facts));
        let finding = Finding::of_entry(Code::WatchList, facts.index, facts.id.as_deref(), message);
        Finding { severity: self.severity, subject: self.subject(None), ..finding }
    }

    /// A finding that stands for `count` hits that are not kept one by one, from entry `from` to entry `to`.
    pub fn many(&self, count: u64, from: u64, to: u64) -> Finding {
        let message = format!(
            "{}: {count} more entries, from {from} to {to}, not listed one by one (is the rule too wide?)",
            self.title()
        );
        Finding {
            severity: self.severity,
            ..Finding::of_log(Code::WatchList, self.subject(Some(from)), message)
        }
    }

    fn subject(&self, from: Option<u64>) -> Subject {
        Subject::Rule { name: self.name.clone(), from }
    }

    fn title(&self) -> String {
        format!("watch rule {}", quoted(&self.name))
    }
}

/// The name of the rule, if the finding is a hit of one.
pub fn rule_of(finding: &Finding) -> Option<&str> {
    match &finding.subject {
        Subject::Rule { name, .. } if finding.code == Code::WatchList => Some(name),
        _ => None,
    }
}

impl Conditions {
    /// Whether all conditions except `more_than` hold.
    fn are_of(&self, facts: &Facts) -> bool {
        fn any<T, U: ?Sized>(wanted: &[T], found: Option<&U>, same: impl Fn(&T, &U) -> bool) -> bool {
            wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| same(wanted, found)))
        }
        facts.decision.is_some()
            && any(&self.decisions, facts.decision.as_ref(), |a, b| a == b)
            && any(&self.approvers, facts.approver.as_deref(), |a, b| a == b)
            && any(&self.rp_ids, facts.rp_id.as_deref(), |a, b| a == b)
            && any(&self.keys, facts.key.as_ref(), |a, b| a == b)
            && any(&self.payload_hashes, facts.payload_hash.as_ref(), |a, b| a == b)
            && any(&self.ids, facts.id.as_deref(), |pattern, id| pattern.fits(id))
            && (!self.new_key || facts.is_first_of_key)
            && self.outside.as_ref().is_none_or(|hours| facts.decided_at.is_some_and(|at| !hours.contain(at)))
    }

    /// What an entry says, limited to what the rule is about, in one line.
    fn describe(&self, facts: &Facts) -> String {
        let mut text = String::new();
        if let Some(burst) = self.more_than {
            let _ = write!(text, "more than {} within {}, now ", burst.count, duration(burst.within));
        }
        let approver =
            facts.approver.as_deref().map_or_else(|| "somebody without a readable name".to_owned(), quoted);
        let verb = match facts.decision {
            Some(Decision::Approved) => "approved",
            Some(Decision::Rejected) => "rejected",
            Some(Decision::Expired) => "let it expire",
            None => "decided",
        };
        let _ = write!(text, "{approver} {verb}");
        if let Some(at) = facts.decided_at {
            let _ = write!(text, " at {at}");
            if let Some(hours) = &self.outside {
                let _ = write!(text, " ({} in {})", hours.zone.day_and_time(at), escape(&hours.zone.name));
            }
        }
        if let Some(key) = &facts.key {
            let new = if facts.is_first_of_key { "a new key" } else { "key" };
            let _ = write!(text, " with {new} {key}");
        }
        if !self.rp_ids.is_empty() {
            let _ = write!(text, " for {}", facts.rp_id.as_deref().map_or_else(String::new, quoted));
        }
        if let Some(hash) = facts.payload_hash.as_ref().filter(|_| !self.payload_hashes.is_empty()) {
            let _ = write!(text, ", payload {}", encode_hex(hash));
        }
        text
    }
}

impl WatchMemory {
    /// Records one more entry, and returns whether it is part of a burst among the remembered entries, which are the
    /// last in log order.
    fn note(&mut self, burst: Burst, at: UnixMillis) -> bool {
        // The config bounds a count by ten thousand. A saturated one would forget nothing.
        let most = burst.count.saturating_add(LATE);
        let surplus = self.times.len().saturating_add(1).saturating_sub(most);
        self.times.drain(..surplus.min(self.times.len()));
        self.times.push(at);
        // The times close enough to share a span with this one; few or none in a quiet log.
        let near = |time: &&UnixMillis| time.abs_diff(at) <= burst.within;
        let mut close: Vec<UnixMillis> = self.times.iter().filter(near).copied().collect();
        if close.len() <= burst.count {
            return false;
        }
        close.sort_unstable();
        let span = |times: &[UnixMillis]| times.last()?.since(*times.first()?);
        let contains = |times: &[UnixMillis]| {
            times.first().is_some_and(|first| *first <= at) && times.last() >= Some(&at)
        };
        // Bounded as above; there are more times than the count.
        let size = burst.count.saturating_add(1);
        close.windows(size).any(|times| contains(times) && span(times) <= Some(burst.within))
    }

    /// Records a burst at this time, and returns whether it differs from those that were reported. Bursts are
    /// compared by time and not by log order: entries that are late, or have a false time, do not end a burst.
    fn is_another(&mut self, burst: Burst, at: UnixMillis) -> bool {
        let before = self.reported.len();
        let (mut from, mut to) = (at, at);
        self.reported.retain(|(first, last)| {
            // A span that reaches beyond the ends of time holds all times up to there.
            let is_same = at >= first.saturating_sub(burst.within) && at <= last.saturating_add(burst.within);
            if is_same {
                (from, to) = (from.min(*first), to.max(*last));
            }
            !is_same
        });
        let is_another = self.reported.len() == before;
        self.reported.push((from, to));
        // If there are fewer, none is forgotten.
        self.reported.drain(..self.reported.len().saturating_sub(BURSTS));
        is_another
    }
}

#[cfg(test)]
#[path = "watch_list_tests.rs"]
mod tests;
