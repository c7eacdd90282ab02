//! What there is to tell. Pure: what holds, what was told and the time in; what is to be told out.
//!
//! Each subject (a finding, or a state of the auditing) is told when it begins, perhaps again while it
//! stands, and when it ends. One that comes back begins anew. The plan says with each alert what is
//! then known as told; both are written in one transaction, and the plan of the same facts is then empty.

use super::message::Kind;
use crate::audit::finding::Finding;
use crate::audit::watch_list::rule_of;
use crate::core::finding::Severity;
use crate::core::text;
use crate::mirror::{LONGEST_WAIT, Notification, StoredFinding};
use std::collections::{BTreeMap, BTreeSet};

/// More alerts of one kind and code than this in one audit become one.
pub const MAX_ALONE: usize = 20;

/// Since when alerts are kept: told of nothing else.
pub const BEGAN: &str = "began";

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
    /// One key for one condition.
    pub fn subject(&self) -> String {
        condition_subject(self.code, &self.about)
    }
}

/// The subject of a condition.
pub fn condition_subject(code: &str, about: &str) -> String {
    format!("condition/{code}/{about}")
}

fn finding_subject(finding: &Finding) -> String {
    format!("finding/{}", finding.key())
}

/// The facts.
pub struct Facts<'a> {
    /// Findings that stand.
    pub standing: &'a [StoredFinding],
    /// Findings that no longer hold.
    pub ended: &'a [StoredFinding],
    /// What was told so far.
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
    pub subject: String,
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
            None => self.subject.split('/').nth(1).unwrap_or_default(),
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
        let subject = finding_subject(&stored.finding);
        if !facts.acknowledged.contains(&stored.finding.key()) {
            steps.extend(standing(facts, stored, &subject));
        }
        seen.insert(subject);
    }
    for stored in facts.ended {
        let subject = finding_subject(&stored.finding);
        if !facts.acknowledged.contains(&stored.finding.key()) {
            ended(facts, stored, &subject, &mut steps);
        }
        seen.insert(subject);
    }
    // Neither stands nor ended: all entries were checked again, and it was not found.
    for (subject, told) in facts.told {
        if subject.starts_with("finding/") && told.open && !seen.contains(subject) {
            let then = Notification { open: false, at: facts.now, ended: None, ..told.clone() };
            steps.push(Step { kind: Kind::Ended, subject: subject.clone(), finding: None, then });
        }
    }
    steps
}

fn begun(facts: &Facts<'_>, severity: Severity, told: Option<&Notification>) -> Notification {
    let episode = told.map_or(0, |told| told.episode.saturating_add(1));
    Notification { episode, open: true, at: facts.now, severity, ended: None }
}

fn standing<'a>(facts: &Facts<'a>, stored: &'a StoredFinding, subject: &str) -> Option<Step<'a>> {
    let severity = stored.finding.severity;
    let step = |kind, then| Some(Step { kind, subject: subject.to_owned(), finding: Some(stored), then });
    match facts.told.get(subject) {
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

fn ended<'a>(facts: &Facts<'a>, stored: &'a StoredFinding, subject: &str, steps: &mut Vec<Step<'a>>) {
    let told = facts.told.get(subject);
    let severity = stored.finding.severity;
    let mut push =
        |kind, then| steps.push(Step { kind, subject: subject.to_owned(), finding: Some(stored), then });
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
    facts.told.get(BEGAN).is_some_and(|began| stored.first_seen >= text::time(began.at))
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
    /// The subjects of those that no longer do.
    pub ends: Vec<(String, Notification)>,
}

/// What is to be told of the conditions with these codes, of which those in `holding` hold.
pub fn conditions<'a>(
    holding: &'a [Condition],
    codes: &[&str],
    told: &BTreeMap<String, Notification>,
    now: u64,
) -> Turns<'a> {
    let subjects: BTreeSet<String> = holding.iter().map(Condition::subject).collect();
    let begins = holding.iter().filter_map(|condition| {
        let known = told.get(&condition.subject());
        let episode = match known {
            Some(told) if told.open => return None,
            Some(told) => told.episode.saturating_add(1),
            None => 0,
        };
        let then = Notification { episode, open: true, at: now, severity: Severity::Warning, ended: None };
        Some((condition, then))
    });
    let is_ours = |subject: &str| codes.iter().any(|code| subject.starts_with(&condition_subject(code, "")));
    let ends = told
        .iter()
        .filter(|(subject, told)| told.open && is_ours(subject) && !subjects.contains(subject.as_str()));
    let ends =
        ends.map(|(subject, told)| (subject.clone(), Notification { open: false, at: now, ..told.clone() }));
    Turns { begins: begins.collect(), ends: ends.collect() }
}
