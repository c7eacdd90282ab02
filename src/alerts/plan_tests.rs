//! Exhaustive tests of the plan: every history of a finding up to a length, reported after every subset of its
//! steps.

use super::kind::AlertKind;
use super::message::{LogName, of_findings};
use super::plan::*;
use super::topic::Topic;
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::finding::{Code, Severity};
use crate::core::time::UnixMillis;
use crate::mirror::{Notification, StoredFinding};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The state of one finding in the mirror.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Absent,
    Standing,
    /// When it ended.
    Ended(u64),
}

struct Simulation {
    notified: BTreeMap<String, Notification>,
    now: u64,
    reminder: Option<Duration>,
    acknowledged: BTreeSet<String>,
}

fn simulation() -> Simulation {
    Simulation { notified: BTreeMap::new(), now: 1000, reminder: None, acknowledged: BTreeSet::new() }
}

fn stored(finding: Finding, state: State) -> StoredFinding {
    let ended = match state {
        State::Ended(at) => Some(UnixMillis::new(at)),
        _ => None,
    };
    let seen = UnixMillis::new(1500);
    StoredFinding { finding, first_seen: seen, last_seen: seen, ended }
}

fn gap() -> Finding {
    Finding::of_entry(Code::Gap, 7, Some("id"), "m")
}

impl Simulation {
    /// Reports as the dispatcher does, and returns the kinds.
    fn notify(&mut self, findings: &[StoredFinding]) -> Vec<AlertKind> {
        let (ended, standing): (Vec<_>, Vec<_>) =
            findings.iter().cloned().partition(|stored| stored.ended.is_some());
        let facts = PlanFacts {
            standing: &standing,
            ended: &ended,
            notified: &self.notified.clone(),
            acknowledged: &self.acknowledged,
            reminder: self.reminder,
            now: UnixMillis::new(self.now),
        };
        let steps: Vec<_> = grouped(super::plan::findings(&facts)).concat();
        let kinds = steps.iter().map(|step| step.kind).collect();
        self.notified.extend(steps.into_iter().map(|step| (step.topic.to_string(), step.then)));
        self.notified.entry(Topic::Began.to_string()).or_insert(Notification {
            episode: 0,
            open: true,
            at: UnixMillis::new(self.now),
            severity: Severity::Info,
            ended: None,
        });
        kinds
    }

    fn notify_of(&mut self, state: State) -> Vec<AlertKind> {
        match state {
            State::Absent => self.notify(&[]),
            state => self.notify(&[stored(gap(), state)]),
        }
    }
}

/// Seven steps, each of which may find, end, keep or withdraw the finding. After each, the dispatcher may run
/// or (if the monitor is killed) not. Beginnings and ends are reported in turn, each once. If the dispatcher
/// runs at the end, it reports what holds. A second run reports nothing.
#[test]
fn every_history_is_reported_once_and_in_turn() {
    let mut histories = 0;
    for history in 0..6u32.pow(6) {
        let mut simulation = simulation();
        simulation.notify_of(State::Absent);
        let (mut state, mut kinds, mut rest) = (State::Absent, Vec::new(), history);
        for _ in 0..6 {
            simulation.now += 1000;
            let (act, notified) = (rest % 3, rest % 6 < 3);
            rest /= 6;
            state = match (act, state) {
                (1, _) => State::Standing,
                (2, State::Standing) => State::Ended(simulation.now),
                (_, state) => state,
            };
            if notified {
                kinds.extend(simulation.notify_of(state));
                assert_eq!(simulation.notify_of(state), [], "notified twice: {history}");
            }
        }
        simulation.now += 1000;
        kinds.extend(simulation.notify_of(state));
        let turns = [AlertKind::New, AlertKind::Ended].into_iter().cycle();
        assert!(kinds.iter().copied().eq(turns.take(kinds.len())), "{history}: {kinds:?}");
        assert_eq!(kinds.len() % 2 == 1, state == State::Standing, "{history}: {kinds:?}");
        assert_eq!(kinds.is_empty(), state == State::Absent, "never lost: {history}");
        histories += 1;
    }
    assert_eq!(histories, 46_656);
}

#[test]
fn findings_that_ended_before_alerts_are_not_reported() {
    let mut simulation = simulation();
    simulation.now = 5000;
    assert_eq!(simulation.notify_of(State::Ended(2000)), []);
    assert_eq!(simulation.notify_of(State::Ended(2000)), []);
    simulation.now = 6000;
    assert_eq!(simulation.notify_of(State::Standing), [AlertKind::New]);
    // A finding that holds when alerts are enabled is reported.
    let mut simulation = super::plan_tests::simulation();
    assert_eq!(simulation.notify_of(State::Standing), [AlertKind::New]);
}

#[test]
fn a_withdrawn_finding_ends_and_may_come_again() {
    let mut simulation = simulation();
    let kinds: Vec<AlertKind> = [State::Standing, State::Absent, State::Absent, State::Standing]
        .into_iter()
        .flat_map(|state| simulation.notify_of(state))
        .collect();
    assert_eq!(kinds, [AlertKind::New, AlertKind::Ended, AlertKind::New]);
    assert_eq!(simulation.notified["finding/gap/7/"].episode, 1);
}

/// A check that was not repeated does not show that the finding ended.
#[test]
fn an_unrepeated_check_does_not_end_a_finding() {
    let standing = stored(Finding::of_log(Code::HeadStale, Subject::Whole, "m"), State::Standing);
    for (code, is_over) in [(Code::HeadStale, false), (Code::Gap, true)] {
        let then = Notification {
            episode: 0,
            open: false,
            at: UnixMillis::new(1),
            severity: Severity::Warning,
            ended: None,
        };
        let topic = Topic::decode(&format!("finding/{code}//"));
        let step = |finding| PlannedAlert {
            kind: AlertKind::Ended,
            topic: topic.clone(),
            finding,
            then: then.clone(),
        };
        let log = || LogName { name: "n".to_owned(), origin: "o".to_owned() };
        let message =
            |step| of_findings(&[step], String::new(), log(), Severity::Warning, UnixMillis::new(1)).message;
        let withdrawn = message(step(None));
        assert_eq!(withdrawn.starts_with("no longer true: "), is_over, "{withdrawn}");
        assert_eq!(withdrawn.contains("it may still be true"), !is_over, "{withdrawn}");
        assert!(message(step(Some(&standing))).starts_with("no longer true: "));
    }
}

#[test]
fn invalid_findings_are_reminded_of_at_the_interval() {
    for (code, reminded) in [(Code::Gap, true), (Code::SameSizeFork, true), (Code::HeadStale, false)] {
        let mut simulation = simulation();
        simulation.reminder = Some(Duration::from_millis(100));
        let finding = [stored(Finding::of_log(code, Subject::HeadList, "m"), State::Standing)];
        assert_eq!(simulation.notify(&finding), [AlertKind::New]);
        let mut count = 0;
        for _ in 0..1000 {
            simulation.now += 1;
            count += simulation.notify(&finding).len();
        }
        assert_eq!(count, if reminded { 10 } else { 0 }, "{code}");
        simulation.reminder = None;
        simulation.now += 1_000_000;
        assert_eq!(simulation.notify(&finding), []);
    }
}

#[test]
fn a_higher_severity_is_reported() {
    let mut simulation = simulation();
    let mut finding = stored(gap(), State::Standing);
    for (severity, notified) in [
        (Severity::Info, 1),
        (Severity::Warning, 1),
        (Severity::Warning, 0),
        (Severity::Violation, 1),
        (Severity::Invalid, 0),
    ] {
        finding.finding.severity = severity;
        assert_eq!(simulation.notify(std::slice::from_ref(&finding)).len(), notified, "{severity:?}");
    }
}

#[test]
fn acknowledged_findings_are_not_reported() {
    let mut simulation = simulation();
    simulation.notify_of(State::Absent);
    simulation.acknowledged.insert(gap().key());
    for state in [State::Standing, State::Ended(9000), State::Standing] {
        assert_eq!(simulation.notify_of(state), []);
    }
    simulation.acknowledged.clear();
    assert_eq!(simulation.notify_of(State::Standing), [AlertKind::New]);
}

#[test]
fn many_findings_of_one_code_become_one_alert() {
    for count in [1, MAX_SINGLE_ALERTS - 1, MAX_SINGLE_ALERTS, MAX_SINGLE_ALERTS + 1, 500] {
        let notified = BTreeMap::new();
        let findings_of = |code: Code| {
            (0..count as u64).map(move |n| stored(Finding::of_entry(code, n, None, "m"), State::Standing))
        };
        let standing: Vec<_> = findings_of(Code::Gap).chain(findings_of(Code::KeyShared)).collect();
        let none = BTreeSet::new();
        let facts = PlanFacts {
            standing: &standing,
            ended: &[],
            notified: &notified,
            acknowledged: &none,
            reminder: None,
            now: UnixMillis::new(9),
        };
        let groups = grouped(findings(&facts));
        assert_eq!(groups.len(), if count > MAX_SINGLE_ALERTS { 2 } else { 2 * count });
        assert!(groups.iter().all(|group| group.iter().all(|step| step.code() == group[0].code())));
        let subjects: BTreeSet<String> =
            groups.concat().into_iter().map(|step| step.topic.to_string()).collect();
        assert_eq!(subjects.len(), 2 * count);
    }
}

#[test]
fn conditions_begin_and_end_in_turn() {
    let down = Condition { code: "unreachable", about: String::new(), message: "m".to_owned() };
    let other = Condition { code: "channel-failing", about: "a".to_owned(), message: "m".to_owned() };
    let mut notified: BTreeMap<String, Notification> = BTreeMap::new();
    let mut notify = |holding: &[Condition], codes: &[&str]| {
        let ConditionChanges { begins, ends } = conditions(holding, codes, &notified, UnixMillis::new(5));
        let counts = (begins.len(), ends.len());
        let begins: Vec<_> = begins.into_iter().map(|(c, then)| (c.topic().to_string(), then)).collect();
        let ends = ends.into_iter().map(|(topic, then)| (topic.to_string(), then));
        notified.extend(begins.into_iter().chain(ends));
        counts
    };
    assert_eq!(notify(std::slice::from_ref(&down), &["unreachable"]), (1, 0));
    assert_eq!(notify(std::slice::from_ref(&down), &["unreachable"]), (0, 0));
    // Conditions of other codes are not ended here.
    assert_eq!(notify(std::slice::from_ref(&other), &["channel-failing"]), (1, 0));
    assert_eq!(notify(&[], &["unreachable"]), (0, 1));
    assert_eq!(notify(&[], &["unreachable"]), (0, 0));
    assert_eq!(notify(std::slice::from_ref(&down), &["unreachable"]), (1, 0));
    assert_eq!(notify(&[], &["unreachable", "channel-failing"]), (0, 2));
}
