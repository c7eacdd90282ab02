//! What there is to tell. Pure: what holds, what was told and the time in; what is to be told out.
//!
//! Each topic (a finding, or a state of the auditing) is told when it begins, perhaps again while it
//! stands, and when it ends. One that comes back begins anew. The plan says with each alert what is
//! then known as told; both are written in one transaction, and the plan of the same facts is then empty.

use super::message::Kind;
use super::topic::Topic;
use crate::audit::watch_list::rule_of;
use crate::core::finding::Severity;
use crate::core::text;
use crate::mirror::{LONGEST_WAIT, Notification, StoredFinding};
use std::collections::{BTreeMap, BTreeSet};

/// More alerts of one kind and code than this in one audit become one.
pub const MAX_ALONE: usize = 20;

/// A state of the auditing itself, that holds now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// `unreachable`, `local-fault`, `peer-failing` or `channel-failing`.
    pub code: &'static str,
    /// Tells conditions of one code apart.
    pub about: String,
    /// What is the matter, escaped.
    pub message: String,
}

impl Condition {
    /// One topic for one condition.
    pub fn topic(&self) -> Topic {
        Topic::Condition { code: self.code.to_owned(), about: self.about.clone() }
    }
}

/// The facts.
pub struct Facts<'a> {
    /// Findings that stand.
    pub standing: &'a [StoredFinding],
    /// Findings that no longer hold.
    pub ended: &'a [StoredFinding],
    /// What was told so far, by the text of its [`Topic`].
    pub told: &'a BTreeMap<String, Notification>,
    /// Keys of findings of which nothing is to be told now.
    pub acknowledged: &'a BTreeSet<String>,
    /// How often to remind of what is invalid or a violation, in milliseconds.
    pub reminder: Option<u64>,
    /// Unix milliseconds.
    pub now: u64,
}

/// One thing to tell of one finding.
#[derive(Clone, PartialEq, Debug)]
pub struct Step<'a> {
    /// What kind of news.
    pub kind: Kind,
    /// Of what.
    pub topic: Topic,
    /// The finding; `None` where it is one that was withdrawn.
    pub finding: Option<&'a StoredFinding>,
    /// What is then known as told.
    pub then: Notification,
}

impl Step<'_> {
    /// The code of what it is about.
    pub fn code(&self) -> &str {
        match self.finding {
            Some(stored) => stored.finding.code.as_str(),
            None => self.topic.code(),
        }
    }

    /// The watch rule whose hit it is about.
    pub fn rule(&self) -> Option<&str> {
        self.finding.and_then(|stored| rule_of(&stored.finding))
    }
}

/// What is to be told of the findings.
pub fn findings<'a>(facts: &Facts<'a>) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let mut seen = BTreeSet::new();
    for stored in facts.standing {
        let topic = Topic::of(&stored.finding);
        let text = topic.to_string();
        if !facts.acknowledged.contains(&stored.finding.key()) {
            steps.extend(standing(facts, stored, topic, facts.told.get(&text)));
        }
        seen.insert(text);
    }
    for stored in facts.ended {
        let topic = Topic::of(&stored.finding);
        let text = topic.to_string();
        if !facts.acknowledged.contains(&stored.finding.key()) {
            ended(facts, stored, &topic, facts.told.get(&text), &mut steps);
        }
        seen.insert(text);
    }
    // Neither stands nor ended: all entries were checked again, and it was not found.
    for (text, told) in facts.told.iter().filter(|(text, told)| told.open && !seen.contains(*text)) {
        let topic = Topic::decode(text);
        if matches!(topic, Topic::Finding(_)) {
            let then = Notification { open: false, at: facts.now, ended: None, ..told.clone() };
            steps.push(Step { kind: Kind::Ended, topic, finding: None, then });
        }
    }
    steps
}

fn begun(facts: &Facts<'_>, severity: Severity, told: Option<&Notification>) -> Notification {
    let episode = told.map_or(0, |told| told.episode.saturating_add(1));
    Notification { episode, open: true, at: facts.now, severity, ended: None }
}

fn standing<'a>(
    facts: &Facts<'a>,
    stored: &'a StoredFinding,
    topic: Topic,
    told: Option<&Notification>,
) -> Option<Step<'a>> {
    let severity = stored.finding.severity;
    let step = |kind, then| Some(Step { kind, topic, finding: Some(stored), then });
    match told {
        // Worse than it was told is news; whoever wants the worst only was not told.
        Some(told) if told.open && severity <= told.severity => {
            let every = facts.reminder.filter(|_| severity >= Severity::Invalid)?;
            // Where the clock was ahead, the next would be far off.
            let wrong = told.at > facts.now.saturating_add(LONGEST_WAIT);
            let over = wrong || facts.now.saturating_sub(told.at) >= every;
            let then = Notification { at: facts.now, ..told.clone() };
            if over { step(Kind::Reminder, then) } else { None }
        }
        told => step(Kind::New, begun(facts, severity, told)),
    }
}

fn ended<'a>(
    facts: &Facts<'a>,
    stored: &'a StoredFinding,
    topic: &Topic,
    told: Option<&Notification>,
    steps: &mut Vec<Step<'a>>,
) {
    let severity = stored.finding.severity;
    let mut push = |kind, then| steps.push(Step { kind, topic: topic.clone(), finding: Some(stored), then });
    let over = |begun: &Notification| Notification {
        open: false,
        at: facts.now,
        ended: stored.ended.clone(),
        ..begun.clone()
    };
    match told {
        Some(told) if told.open => push(Kind::Ended, over(told)),
        Some(told) if told.ended == stored.ended => {}
        // Before anybody was told of anything. What was over then is no news.
        None if !is_after_began(facts, stored) => {}
        // It began and ended while nobody was told, as where we were killed in between.
        told => {
            let begun = begun(facts, severity, told);
            let over = over(&begun);
            push(Kind::New, begun);
            push(Kind::Ended, over);
        }
    }
}

fn is_after_began(facts: &Facts<'_>, stored: &StoredFinding) -> bool {
    // Both are RFC 3339 in UTC with milliseconds, which sort as they follow each other.
    facts.told.get(&Topic::Began.to_string()).is_some_and(|began| stored.first_seen >= text::time(began.at))
}

/// Steps of one kind and code (and watch rule, each of which has readers of its own), in one alert or in one each.
pub fn grouped<'a>(steps: Vec<Step<'a>>) -> Vec<Vec<Step<'a>>> {
    let mut groups: BTreeMap<(Kind, String, Option<String>), Vec<Step<'a>>> = BTreeMap::new();
    for step in steps {
        let group = (step.kind, step.code().to_owned(), step.rule().map(str::to_owned));
        groups.entry(group).or_default().push(step);
    }
    let mut alerts = Vec::new();
    for group in groups.into_values() {
        if group.len() > MAX_ALONE {
            alerts.push(group);
        } else {
            alerts.extend(group.into_iter().map(|step| vec![step]));
        }
    }
    alerts
}

/// What is to be told of conditions, each with what is then known as told.
pub struct Turns<'a> {
    /// Those that hold, and of which that was not told.
    pub begins: Vec<(&'a Condition, Notification)>,
    /// The topics of those that no longer do.
    pub ends: Vec<(Topic, Notification)>,
}

/// What is to be told of the conditions with these codes, of which those in `holding` hold.
pub fn conditions<'a>(
    holding: &'a [Condition],
    codes: &[&str],
    told: &BTreeMap<String, Notification>,
    now: u64,
) -> Turns<'a> {
    let topics: BTreeSet<String> = holding.iter().map(|condition| condition.topic().to_string()).collect();
    let begins = holding.iter().filter_map(|condition| {
        let known = told.get(&condition.topic().to_string());
        let episode = match known {
            Some(told) if told.open => return None,
            Some(told) => told.episode.saturating_add(1),
            None => 0,
        };
        let then = Notification { episode, open: true, at: now, severity: Severity::Warning, ended: None };
        Some((condition, then))
    });
    let ends = told.iter().filter(|(text, told)| told.open && !topics.contains(*text));
    let ends = ends.filter_map(|(text, told)| match Topic::decode(text) {
        topic @ Topic::Condition { .. } if codes.contains(&topic.code()) => {
            Some((topic, Notification { open: false, at: now, ..told.clone() }))
        }
        _ => None,
    });
    Turns { begins: begins.collect(), ends: ends.collect() }
}
