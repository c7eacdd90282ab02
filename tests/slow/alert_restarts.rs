//! Fifty lives of a monitor that is killed at every kind of moment.

use support::receiver;

use countersign::audit::finding::Finding;
use countersign::audit::subject::Subject;
use countersign::core::finding::{Code, Severity};
use countersign::core::time::UnixMillis;
use receiver::{Answer, Fake, HOUR, Home, NOW, dispatcher, end, find, well};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The receivers fail in every way. A
/// receiver that keeps keys sees each alert exactly once, and of each finding its begins and ends in turn.
#[test]
fn no_alert_is_lost_or_repeated_in_fifty_restarts() {
    let (mut kills, mut doubled) = (0, 0);
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let home = Home::new();
        let fakes = [Fake::default(), Fake::default()];
        let dispatcher =
            dispatcher(vec![fakes[0].channel("a", Severity::Info), fakes[1].channel("b", Severity::Info)]);
        // Some can end, one cannot.
        let mut findings: Vec<Finding> =
            (0..6).map(|n| Finding::of_entry(Code::Gap, n, None, format!("m{n}"))).collect();
        findings.push(Finding::of_entry(Code::KeyShared, 3, Some("id"), "m"));
        findings.push(Finding::of_log(Code::HeadRollback, Subject::decode("s"), "m"));
        let mut standing: BTreeSet<String> = BTreeSet::new();
        let (mut found, mut ended): (BTreeSet<String>, BTreeSet<String>) = Default::default();
        let mut now = NOW;
        let mut mirror = home.open();
        dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(now)).unwrap();
        for _ in 0..60 {
            now += random.u64(1..2 * HOUR);
            let finding = &findings[random.usize(..findings.len())];
            match random.u8(..10) {
                0..3 => {
                    find(&mut mirror, finding, now);
                    standing.insert(finding.key());
                    found.insert(finding.key());
                }
                3 if standing.contains(&finding.key()) && finding.code != Code::KeyShared => {
                    end(&mut mirror, finding, now);
                    standing.remove(&finding.key());
                    ended.insert(finding.key());
                }
                4 => {
                    // Killed in the middle of writing a finding.
                    mirror.begin().unwrap();
                    mirror.findings_mut().put(finding, UnixMillis::new(now)).unwrap();
                    drop(mirror);
                    mirror = home.open();
                }
                5..7 => {
                    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(now)).unwrap();
                    if random.bool() {
                        drop(mirror);
                        mirror = home.open();
                    }
                }
                _ => {
                    for fake in &fakes {
                        let answers =
                            [Answer::Take, Answer::Refuse, Answer::Down, Answer::TakeAndKill, Answer::Kill];
                        fake.script((0..4).map(|_| answers[random.usize(..answers.len())]).collect());
                    }
                    let lived = catch_unwind(AssertUnwindSafe(|| {
                        dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap()
                    }));
                    kills += u32::from(lived.is_err());
                    if lived.is_err() {
                        drop(mirror);
                        mirror = home.open();
                    }
                }
            }
        }
        fakes.iter().for_each(|fake| fake.script(Vec::new()));
        now += HOUR;
        dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(now)).unwrap();
        let mut left = u64::MAX;
        for _ in 0..10 {
            now += HOUR;
            assert_eq!(
                dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(now)).unwrap(),
                0,
                "notified twice: seed {seed}"
            );
            left = dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap().pending;
        }
        assert_eq!(left, 0, "seed {seed}");
        for fake in &fakes {
            let got = fake.take();
            let mut alerts: BTreeMap<String, Value> = BTreeMap::new();
            for alert in &got {
                let before = alerts.insert(alert["key"].as_str().unwrap().to_owned(), alert.clone());
                doubled += u32::from(before.is_some());
                assert!(before.is_none_or(|before| before == *alert), "one key, two alerts");
            }
            check_life(seed, &findings, &alerts, (&found, &ended, &standing));
        }
    }
    assert!(kills > 100, "{kills} kills are too few to show anything");
    assert!(doubled > 10, "{doubled}: no crash between the receiver's yes and the note of it was tried");
}

type Keys = BTreeSet<String>;

fn check_life(
    seed: u64,
    findings: &[Finding],
    alerts: &BTreeMap<String, Value>,
    (found, ended, standing): (&Keys, &Keys, &Keys),
) {
    for finding in findings {
        let about = |alert: &&Value| {
            alert["code"] == finding.code.as_str() && alert["index"].as_u64() == finding.index
        };
        let count = |kind: &str| alerts.values().filter(about).filter(|alert| alert["kind"] == kind).count();
        let (new, over) = (count("new"), count("ended"));
        let key = finding.key();
        assert_eq!(new > 0, found.contains(&key), "seed {seed}: {key} lost, or sent without cause");
        assert_eq!(new - over, usize::from(standing.contains(&key)), "seed {seed}: {key}");
        if !ended.contains(&key) {
            assert!(new <= 1, "seed {seed}: {key} was sent {new} times");
        }
    }
}
