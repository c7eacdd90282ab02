//! Plans what to report. Pure: the input is what holds, what was reported, and the time; the output is what to
//! report.
//!
//! Each topic (a finding, or a condition of the auditing) is reported when it begins, perhaps again while it
//! holds, and when it ends. A topic that returns begins a new episode. The plan contains, for each alert, the
//! record that it was reported. Both are written in one transaction, and the plan of the same facts is then
//! empty.

use super::kind::AlertKind;
use super::topic::Topic;
use crate::audit::watch_list::rule_of;
use crate::core::finding::Severity;
use crate::core::time::UnixMillis;
use crate::mirror::{LONGEST_WAIT, Notification, StoredFinding};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most alerts of one kind and code in one audit. More are merged into one.
pub const MAX_SINGLE_ALERTS: usize = 20;

/// A condition of the auditing itself that holds now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// `unreachable`, `local-fault`, `peer-failing` or `channel-failing`.
    pub code: &'static str,
    /// Distinguishes conditions of one code.
    pub about: String,
    /// What is wrong, escaped.
    pub message: String,
}

impl Condition {
    /// The topic of the condition.
    pub fn topic(&self) -> Topic {
        Topic::Condition { code: self.code.to_owned(), about: self.about.clone() }
    }
}

/// The input of a plan.
pub struct PlanFacts<'a> {
    /// Findings that hold.
    pub standing: &'a [StoredFinding],
    /// Findings that no longer hold.
    pub ended: &'a [StoredFinding],
    /// What was reported so far, by the text of its [`Topic`].
    pub notified: &'a BTreeMap<String, Notification>,
    /// Keys of findings that are not reported now.
    pub acknowledged: &'a BTreeSet<String>,
    /// How often to remind of a finding that is invalid or a violation.
    pub reminder: Option<Duration>,
    /// The time.
    pub now: UnixMillis,
}

/// One alert about one finding.
#[derive(Clone, PartialEq, Debug)]
pub struct PlannedAlert<'a> {
    /// The kind of the alert.
    pub kind: AlertKind,
    /// The topic.
    pub topic: Topic,
    /// The finding; `None` if it was withdrawn.
    pub finding: Option<&'a StoredFinding>,
    /// The record that it was reported.
    pub then: Notification,
}

impl PlannedAlert<'_> {
    /// The code of the finding.
    pub fn code(&self) -> &str {
        match self.finding {
            Some(stored) => stored.finding.code.as_str(),
            None => self.topic.code(),
        }
    }

    /// The watch rule, if it is a hit of one.
    pub fn rule(&self) -> Option<&str> {
        self.finding.and_then(|stored| rule_of(&stored.finding))
    }
}

/// Plans the alerts about findings.
pub fn findings<'a>(facts: &PlanFacts<'a>) -> Vec<PlannedAlert<'a>> {
    let mut steps = Vec::new();
    let mut seen = BTreeSet::new();
    for stored in facts.standing {
        let topic = Topic::of(&stored.finding);
        let text = topic.to_string();
        if !facts.acknowledged.contains(&stored.finding.key()) {
            steps.extend(standing(facts, stored, topic, facts.notified.get(&text)));
        }
        seen.insert(text);
    }
    for stored in facts.ended {
        let topic = Topic::of(&stored.finding);
        let text = topic.to_string();
        if !facts.acknowledged.contains(&stored.finding.key()) {
            ended(facts, stored, &topic, facts.notified.get(&text), &mut steps);
        }
        seen.insert(text);
    }
    // Neither holds nor ended: all entries were checked again, and it was not found.
    for (text, notified) in
        facts.notified.iter().filter(|(text, notified)| notified.open && !seen.contains(*text))
    {
        let topic = Topic::decode(text);
        if matches!(topic, Topic::Finding(_)) {
            let then = Notification { open: false, at: facts.now, ended: None, ..notified.clone() };
            steps.push(PlannedAlert { kind: AlertKind::Ended, topic, finding: None, then });
        }
    }
    steps
}

fn begun(facts: &PlanFacts<'_>, severity: Severity, notified: Option<&Notification>) -> Notification {
    let episode = notified.map_or(0, |notified| notified.episode.saturating_add(1));
    Notification { episode, open: true, at: facts.now, severity, ended: None }
}

fn standing<'a>(
    facts: &PlanFacts<'a>,
    stored: &'a StoredFinding,
    topic: Topic,
    notified: Option<&Notification>,
) -> Option<PlannedAlert<'a>> {
    let severity = stored.finding.severity;
    let step = |kind, then| Some(PlannedAlert { kind, topic, finding: Some(stored), then });
    match notified {
        // A higher severity is reported again: channels for the worst only were not notified before.
        Some(notified) if notified.open && severity <= notified.severity => {
            let every = facts.reminder.filter(|_| severity >= Severity::Invalid)?;
            // After a wrong clock was ahead, the next reminder would be far off.
            let wrong = notified.at > facts.now.saturating_add(LONGEST_WAIT);
            let over = wrong || facts.now.since(notified.at) >= Some(every);
            let then = Notification { at: facts.now, ..notified.clone() };
            if over { step(AlertKind::Reminder, then) } else { None }
        }
        notified => step(AlertKind::New, begun(facts, severity, notified)),
    }
}

fn ended<'a>(
    facts: &PlanFacts<'a>,
    stored: &'a StoredFinding,
    topic: &Topic,
    notified: Option<&Notification>,
    steps: &mut Vec<PlannedAlert<'a>>,
) {
    let severity = stored.finding.severity;
    let mut push =
        |kind, then| steps.push(PlannedAlert { kind, topic: topic.clone(), finding: Some(stored), then });
    let over = |begun: &Notification| Notification {
        open: false,
        at: facts.now,
        ended: stored.ended,
        ..begun.clone()
    };
    match notified {
        Some(notified) if notified.open => push(AlertKind::Ended, over(notified)),
        Some(notified) if notified.ended == stored.ended => {}
        // Findings that ended before alerts were enabled are not reported.
        None if !is_after_began(facts, stored) => {}
        // It began and ended unreported, as when the process was killed in between.
        notified => {
            let begun = begun(facts, severity, notified);
            let over = over(&begun);
            push(AlertKind::New, begun);
            push(AlertKind::Ended, over);
        }
    }
}

fn is_after_began(facts: &PlanFacts<'_>, stored: &StoredFinding) -> bool {
    facts.notified.get(&Topic::Began.to_string()).is_some_and(|began| stored.first_seen >= began.at)
}

/// Groups planned alerts of one kind, code and watch rule (each rule has its own recipients): into one alert,
/// or one each.
pub fn grouped<'a>(steps: Vec<PlannedAlert<'a>>) -> Vec<Vec<PlannedAlert<'a>>> {
    let mut groups: BTreeMap<(AlertKind, String, Option<String>), Vec<PlannedAlert<'a>>> = BTreeMap::new();
    for step in steps {
        let group = (step.kind, step.code().to_owned(), step.rule().map(str::to_owned));
        groups.entry(group).or_default().push(step);
    }
    let mut alerts = Vec::new();
    for group in groups.into_values() {
        if group.len() > MAX_SINGLE_ALERTS {
            alerts.push(group);
        } else {
            alerts.extend(group.into_iter().map(|step| vec![step]));
        }
    }
    alerts
}

/// Conditions to report, each with the record that it was reported.
pub struct ConditionChanges<'a> {
    /// Conditions that hold and were not reported.
    pub begins: Vec<(&'a Condition, Notification)>,
    /// The topics of conditions that no longer hold.
    pub ends: Vec<(Topic, Notification)>,
}

/// Plans the alerts about conditions with these codes, of which those in `holding` hold.
pub fn conditions<'a>(
    holding: &'a [Condition],
    codes: &[&str],
    notified: &BTreeMap<String, Notification>,
    now: UnixMillis,
) -> ConditionChanges<'a> {
    let topics: BTreeSet<String> = holding.iter().map(|condition| condition.topic().to_string()).collect();
    let begins = holding.iter().filter_map(|condition| {
        let known = notified.get(&condition.topic().to_string());
        let episode = match known {
            Some(notified) if notified.open => return None,
            Some(notified) => notified.episode.saturating_add(1),
            None => 0,
        };
        let then = Notification { episode, open: true, at: now, severity: Severity::Warning, ended: None };
        Some((condition, then))
    });
    let ends = notified.iter().filter(|(text, notified)| notified.open && !topics.contains(*text));
    let ends = ends.filter_map(|(text, notified)| match Topic::decode(text) {
        topic @ Topic::Condition { .. } if codes.contains(&topic.code()) => {
            Some((topic, Notification { open: false, at: now, ..notified.clone() }))
        }
        _ => None,
    });
    ConditionChanges { begins: begins.collect(), ends: ends.collect() }
}
