//! The plan, exhausted: every history of a finding up to a length, told after every subset of its steps.

use super::message::{Kind, Log, of_findings};
use super::plan::*;
use crate::audit::finding::Finding;
use crate::core::finding::{Code, Severity};
use crate::core::text::time;
use crate::mirror::{Notification, StoredFinding};
use std::collections::{BTreeMap, BTreeSet};

/// What the mirror has of one finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Absent,
    Standing,
    /// The time of its end.
    Ended(u64),
}

struct World {
    told: BTreeMap<String, Notification>,
    now: u64,
    reminder: Option<u64>,
    acknowledged: BTreeSet<String>,
}

fn world() -> World {
    World { told: BTreeMap::new(), now: 1000, reminder: None, acknowledged: BTreeSet::new() }
}

fn stored(finding: Finding, state: State) -> StoredFinding {
    let ended = match state {
        State::Ended(at) => Some(time(at)),
        _ => None,
    };
    StoredFinding { finding, first_seen: time(1500), last_seen: time(1500), ended }
}

fn gap() -> Finding {
    Finding::of_entry(Code::Gap, 7, Some("id"), "m")
}

impl World {
    /// Tells as the dispatcher does, and gives the kinds told.
    fn tell(&mut self, findings: &[StoredFinding]) -> Vec<Kind> {
        let (ended, standing): (Vec<_>, Vec<_>) =
            findings.iter().cloned().partition(|stored| stored.ended.is_some());
        let facts = Facts {
            standing: &standing,
            ended: &ended,
            told: &self.told.clone(),
            acknowledged: &self.acknowledged,
            reminder: self.reminder,
            now: self.now,
        };
        let steps: Vec<_> = grouped(super::plan::findings(&facts)).concat();
        let kinds = steps.iter().map(|step| step.kind).collect();
        self.told.extend(steps.into_iter().map(|step| (step.subject, step.then)));
        self.told.entry(BEGAN.to_owned()).or_insert(Notification {
            episode: 0,
            open: true,
            at: self.now,
            severity: Severity::Info,
            ended: None,
        });
        kinds
    }

    fn tell_of(&mut self, state: State) -> Vec<Kind> {
        match state {
            State::Absent => self.tell(&[]),
            state => self.tell(&[stored(gap(), state)]),
        }
    }
}

/// Seven steps, each of which may find, end or leave the finding, or withdraw it; after each, the dispatcher may be
/// told or (as where the monitor is killed) not. Whatever is told is begun and ended in turn, each once; where
/// the dispatcher is told at the end, it knows what holds; and telling again says nothing.
#[test]
fn every_history_is_told_in_turn_and_once() {
    let mut histories = 0;
    for history in 0..6u32.pow(6) {
        let mut world = world();
        world.tell_of(State::Absent);
        let (mut state, mut kinds, mut rest) = (State::Absent, Vec::new(), history);
        for _ in 0..6 {
            world.now += 1000;
            let (act, told) = (rest % 3, rest % 6 < 3);
            rest /= 6;
            state = match (act, state) {
                (1, _) => State::Standing,
                (2, State::Standing) => State::Ended(world.now),
                (_, state) => state,
            };
            if told {
                kinds.extend(world.tell_of(state));
                assert_eq!(world.tell_of(state), [], "told twice: {history}");
            }
        }
        world.now += 1000;
        kinds.extend(world.tell_of(state));
        let turns = [Kind::New, Kind::Ended].into_iter().cycle();
        assert!(kinds.iter().copied().eq(turns.take(kinds.len())), "{history}: {kinds:?}");
        assert_eq!(kinds.len() % 2 == 1, state == State::Standing, "{history}: {kinds:?}");
        assert_eq!(kinds.is_empty(), state == State::Absent, "never lost: {history}");
        histories += 1;
    }
    assert_eq!(histories, 46_656);
}

#[test]
fn what_was_over_before_anybody_was_told_is_no_news() {
    let mut world = world();
    world.now = 5000;
    assert_eq!(world.tell_of(State::Ended(2000)), []);
    assert_eq!(world.tell_of(State::Ended(2000)), []);
    world.now = 6000;
    assert_eq!(world.tell_of(State::Standing), [Kind::New]);
    // What stands when it begins is news.
    let mut world = super::plan_tests::world();
    assert_eq!(world.tell_of(State::Standing), [Kind::New]);
}

#[test]
fn a_withdrawn_finding_ends_and_may_come_again() {
    let mut world = world();
    let kinds: Vec<Kind> = [State::Standing, State::Absent, State::Absent, State::Standing]
        .into_iter()
        .flat_map(|state| world.tell_of(state))
        .collect();
    assert_eq!(kinds, [Kind::New, Kind::Ended, Kind::New]);
    assert_eq!(world.told["finding/gap/7/"].episode, 1);
}

/// Where nobody looked again, nobody says that it is over.
#[test]
fn what_nobody_asks_for_any_more_is_not_said_to_be_over() {
    let standing = stored(Finding::of_log(Code::HeadStale, "", "m"), State::Standing);
    for (code, is_over) in [(Code::HeadStale, false), (Code::Gap, true)] {
        let then = Notification { episode: 0, open: false, at: 1, severity: Severity::Warning, ended: None };
        let subject = format!("finding/{code}//");
        let step =
            |finding| Step { kind: Kind::Ended, subject: subject.clone(), finding, then: then.clone() };
        let log = || Log { name: "n".to_owned(), origin: "o".to_owned() };
        let message = |step| of_findings(&[step], String::new(), log(), Severity::Warning, 1).message;
        let withdrawn = message(step(None));
        assert_eq!(withdrawn.starts_with("no longer so: "), is_over, "{withdrawn}");
        assert_eq!(withdrawn.contains("it may still be so"), !is_over, "{withdrawn}");
        assert!(message(step(Some(&standing))).starts_with("no longer so: "));
    }
}

#[test]
fn reminders_are_for_what_is_invalid_and_as_often_as_asked() {
    for (code, reminded) in [(Code::Gap, true), (Code::SameSizeFork, true), (Code::HeadStale, false)] {
        let mut world = world();
        world.reminder = Some(100);
        let finding = [stored(Finding::of_log(code, "s", "m"), State::Standing)];
        assert_eq!(world.tell(&finding), [Kind::New]);
        let mut count = 0;
        for _ in 0..1000 {
            world.now += 1;
            count += world.tell(&finding).len();
        }
        assert_eq!(count, if reminded { 10 } else { 0 }, "{code}");
        world.reminder = None;
        world.now += 1_000_000;
        assert_eq!(world.tell(&finding), []);
    }
}

#[test]
fn what_got_worse_is_news() {
    let mut world = world();
    let mut finding = stored(gap(), State::Standing);
    for (severity, told) in [
        (Severity::Info, 1),
        (Severity::Warning, 1),
        (Severity::Warning, 0),
        (Severity::Violation, 1),
        (Severity::Invalid, 0),
    ] {
        finding.finding.severity = severity;
        assert_eq!(world.tell(std::slice::from_ref(&finding)).len(), told, "{severity:?}");
    }
}

#[test]
fn nothing_is_told_of_what_is_acknowledged_until_that_ends() {
    let mut world = world();
    world.tell_of(State::Absent);
    world.acknowledged.insert(gap().key());
    for state in [State::Standing, State::Ended(9000), State::Standing] {
        assert_eq!(world.tell_of(state), []);
    }
    world.acknowledged.clear();
    assert_eq!(world.tell_of(State::Standing), [Kind::New]);
}

#[test]
fn many_of_one_code_become_one_alert_and_each_is_known_as_told() {
    for count in [1, MAX_ALONE - 1, MAX_ALONE, MAX_ALONE + 1, 500] {
        let told = BTreeMap::new();
        let findings_of = |code: Code| {
            (0..count as u64).map(move |n| stored(Finding::of_entry(code, n, None, "m"), State::Standing))
        };
        let standing: Vec<_> = findings_of(Code::Gap).chain(findings_of(Code::KeyShared)).collect();
        let none = BTreeSet::new();
        let facts = Facts {
            standing: &standing,
            ended: &[],
            told: &told,
            acknowledged: &none,
            reminder: None,
            now: 9,
        };
        let groups = grouped(findings(&facts));
        assert_eq!(groups.len(), if count > MAX_ALONE { 2 } else { 2 * count });
        assert!(groups.iter().all(|group| group.iter().all(|step| step.code() == group[0].code())));
        let subjects: BTreeSet<String> = groups.concat().into_iter().map(|step| step.subject).collect();
        assert_eq!(subjects.len(), 2 * count);
    }
}

#[test]
fn conditions_begin_and_end_in_turn() {
    let down = Condition { code: "unreachable", about: String::new(), message: "m".to_owned() };
    let other = Condition { code: "channel-failing", about: "a".to_owned(), message: "m".to_owned() };
    let mut told: BTreeMap<String, Notification> = BTreeMap::new();
    let mut tell = |holding: &[Condition], codes: &[&str]| {
        let Turns { begins, ends } = conditions(holding, codes, &told, 5);
        let counts = (begins.len(), ends.len());
        let begins: Vec<_> = begins.into_iter().map(|(c, then)| (c.subject(), then)).collect();
        told.extend(begins.into_iter().chain(ends));
        counts
    };
    assert_eq!(tell(std::slice::from_ref(&down), &["unreachable"]), (1, 0));
    assert_eq!(tell(std::slice::from_ref(&down), &["unreachable"]), (0, 0));
    // Those of other codes are somebody else's to end.
    assert_eq!(tell(std::slice::from_ref(&other), &["channel-failing"]), (1, 0));
    assert_eq!(tell(&[], &["unreachable"]), (0, 1));
    assert_eq!(tell(&[], &["unreachable"]), (0, 0));
    assert_eq!(tell(std::slice::from_ref(&down), &["unreachable"]), (1, 0));
    assert_eq!(tell(&[], &["unreachable", "channel-failing"]), (0, 2));
}
