//! A sequence of reports, and the events, pages and waits that follow.

use super::*;
use crate::audit::finding::Finding;
use crate::audit::peer::PeerResult;
use crate::audit::subject::Subject;
use crate::core::finding::Code;
use crate::core::time::UnixMillis;
use crate::mirror::HeadReader;
use crate::monitor::metrics;
use crate::report::{Asked, Input, LogPart, ReportedFinding};
use crate::source::Stop;

struct Nothing;

impl Auditable for Nothing {
    fn audit(&self, _: &Stop) -> Result<Report, Error> {
        Err("not asked here".into())
    }

    fn heads(&self) -> Result<HeadReader, Error> {
        Err("not asked here".into())
    }
}

const MINUTE: u64 = 60_000;

/// When the audit of a report began, and a moment before.
const NOW: UnixMillis = UnixMillis::new(1_782_000_045_000);
const THEN: UnixMillis = UnixMillis::new(1_782_000_000_000);

/// The same time on both clocks.
fn at(now: u64) -> Now {
    both(now, now)
}

/// Two clocks that show different times.
fn both(shown: u64, steady: u64) -> Now {
    Now { shown: UnixMillis::new(shown), steady: Duration::from_millis(steady) }
}

/// The metrics at this time.
fn page(registry: &StatusRegistry, now: u64) -> String {
    metrics::render(registry, UnixMillis::EPOCH, UnixMillis::new(now))
}

/// A registry with one log that is audited every minute, with a deadline of ten seconds.
fn registry(name: &str) -> StatusRegistry {
    let watched = WatchedLog {
        name: name.to_owned(),
        interval: Duration::from_millis(MINUTE),
        deadline: Some(Duration::from_secs(10)),
        subject: Arc::new(Nothing),
    };
    let registry = StatusRegistry::default();
    registry.plan(&[watched], at(0));
    registry
}

fn input(findings: &[(UnixMillis, Code)]) -> Input {
    let found = |(time, code): &(UnixMillis, Code)| ReportedFinding {
        finding: Finding::of_log(*code, Subject::Whole, "as the test says"),
        first_seen: *time,
        ended: None,
        acknowledged: None,
    };
    Input {
        log: LogPart { tree_size: Some(0), head_time: Some(UnixMillis::new(1000)), ..LogPart::default() },
        mirror: MirrorUse::Opened,
        findings: findings.iter().map(found).collect(),
        started_at: NOW,
        ..Input::default()
    }
}

fn unreachable() -> Input {
    Input {
        log: LogPart::default(),
        unreachable: true,
        nothing_judged: true,
        incomplete: vec!["nobody answers".to_owned()],
        ..input(&[])
    }
}

fn fault(mirror: MirrorUse) -> Input {
    Input { mirror, nothing_judged: true, faults: vec!["our disk".to_owned()], ..input(&[]) }
}

/// The events, and the wait without jitter.
fn take(registry: &StatusRegistry, input: Input, now: u64) -> (Vec<&'static str>, Duration) {
    let (events, wait) = registry.finished("main", &Ok(Report::new(input)), at(now), 0.5);
    (events.iter().map(|event| event.event).collect(), wait)
}

#[test]
fn an_unreachable_log_is_retried_with_backoff_and_stays_healthy() {
    let registry = registry("main");
    let mut now = 0;
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let (events, wait) = take(&registry, unreachable(), now);
        assert_eq!(events, ["unreachable", "audited"]);
        assert_eq!(wait, Duration::from_millis(minutes * MINUTE));
        now += minutes * MINUTE;
        assert_eq!(registry.unhealthy_reasons(at(now)), Vec::<String>::new(), "the wait is on purpose");
    }
    assert_eq!(
        take(&registry, input(&[]), now),
        (vec!["reachable", "audited"], Duration::from_millis(MINUTE))
    );
    assert_eq!(take(&registry, unreachable(), now).1, Duration::from_millis(MINUTE), "patience begins anew");
}

fn with_peer(error: Option<&str>) -> Input {
    let peer = PeerResult {
        name: "a\"b".to_owned(),
        reached: error.is_none(),
        heads_new: 0,
        error: error.map(str::to_owned),
        failures: u64::from(error.is_some()),
    };
    Input { asked: Asked { peers: true, ..Asked::default() }, peers: vec![peer], ..input(&[]) }
}

#[test]
fn a_failing_peer_is_logged_once_without_backoff() {
    let registry = registry("main");
    let minute = Duration::from_millis(MINUTE);
    assert_eq!(take(&registry, with_peer(Some("gone")), 1000), (vec!["audited", "peer-failing"], minute));
    assert_eq!(take(&registry, with_peer(Some("gone")), 2000), (vec!["audited"], minute));
    // An audit that ended before it asked the peer reports nothing about it.
    take(&registry, Input { peers: Vec::new(), ..with_peer(None) }, 3000);
    let text = page(&registry, 3000);
    assert!(text.contains("countersign_peer_reachable{log=\"main\",peer=\"a\\\"b\"} 0"), "{text}");
    assert!(!text.contains("countersign_peer_last_success_timestamp_seconds{"), "{text}");
    assert_eq!(take(&registry, with_peer(None), 4000).0, ["audited", "peer-recovered"]);
    assert_eq!(take(&registry, with_peer(Some("gone")), 5000).0, ["audited", "peer-failing"]);
    let text = page(&registry, 5000);
    assert!(text.contains("countersign_peer_last_success_timestamp_seconds{log=\"main\",peer=\"a\\\"b\"} 4"));
    // The peer is no longer in the config.
    take(&registry, input(&[]), 6000);
    assert!(!page(&registry, 6000).contains("countersign_peer_reachable{"));
}

#[test]
fn waits_are_jittered_by_a_tenth() {
    let registry = registry("main");
    for (random, wait) in [(0.0, 54_000), (0.5, 60_000), (1.0, 66_000), (7.0, 66_000)] {
        let (_, next) = registry.finished("main", &Ok(Report::new(input(&[]))), at(0), random);
        assert!(next.abs_diff(Duration::from_millis(wait)) < Duration::from_millis(2), "{random}: {next:?}");
    }
}

#[test]
fn an_interval_is_missed_exactly_after_its_latest_end() {
    let registry = registry("main");
    take(&registry, input(&[]), 1000);
    // Two and a half intervals and the deadline after the last audit ended.
    let latest = 1000 + MINUTE * 5 / 2 + 10_000;
    assert_eq!(registry.unhealthy_reasons(at(latest)), Vec::<String>::new());
    let reasons = registry.unhealthy_reasons(at(latest + 1));
    assert!(reasons.len() == 1 && reasons[0].starts_with("main: an interval was missed"), "{reasons:?}");
    // A running audit does not count as one that ended.
    registry.begun("main", at(latest));
    assert_eq!(registry.unhealthy_reasons(at(latest + 1)).len(), 1);
    take(&registry, input(&[]), latest + 2);
    assert_eq!(registry.unhealthy_reasons(at(latest + 3)), Vec::<String>::new());
    // Before the first audit the same patience holds, from the start.
    let registry = self::registry("main");
    assert_eq!(registry.unhealthy_reasons(at(MINUTE * 3 / 2 + 10_000)), Vec::<String>::new());
    assert_eq!(registry.unhealthy_reasons(at(MINUTE * 3 / 2 + 10_001)).len(), 1);
}

#[test]
fn a_changed_clock_makes_nothing_late_and_hides_nothing() {
    let registry = registry("main");
    take(&registry, input(&[]), 1000);
    let (soon, late) = (1000 + MINUTE, 1000 + MINUTE * 3);
    assert_eq!(registry.unhealthy_reasons(both(4 * 60 * MINUTE, soon)), Vec::<String>::new());
    for shown in [0, soon, 4 * 60 * MINUTE] {
        let reasons = registry.unhealthy_reasons(both(shown, late));
        assert!(reasons.len() == 1 && reasons[0].contains("no audit ended for 3"), "{shown}: {reasons:?}");
    }
}

#[test]
fn local_faults_are_unhealthy_until_an_audit_succeeds() {
    let registry = registry("main");
    for mirror in [MirrorUse::Unopened, MirrorUse::InUse] {
        take(&registry, fault(mirror), 0);
        take(&registry, fault(mirror), 5000);
        let reasons = registry.unhealthy_reasons(at(1));
        let expected = "main: a fault on this side since 1970-01-01T00:00:00.000Z: our disk. Fix it";
        assert!(reasons.len() == 1 && reasons[0].starts_with(expected), "{reasons:?}");
        take(&registry, input(&[(NOW, Code::HeadRollback)]), 0);
        assert_eq!(
            registry.unhealthy_reasons(at(1)),
            Vec::<String>::new(),
            "a finding is not a fault of the monitor"
        );
    }
    let (events, _) = registry.finished("main", &Err("the policy is gone".into()), at(0), 0.5);
    assert_eq!(events[0].event, "fault");
    assert!(registry.unhealthy_reasons(at(1))[0].contains("the policy is gone"));
}

#[test]
fn the_start_and_end_of_each_finding_are_logged_once() {
    let registry = registry("main");
    let rollback = (NOW, Code::HeadRollback);
    assert_eq!(take(&registry, input(&[rollback]), 0).0, ["audited", "finding-new"]);
    assert_eq!(take(&registry, input(&[rollback]), 0).0, ["audited"]);
    // An audit that could not open the mirror, or that reached nobody, neither ends nor repeats a finding.
    take(&registry, fault(MirrorUse::Unopened), 0);
    assert_eq!(take(&registry, fault(MirrorUse::InUse), 0).0, ["in-use"]);
    take(&registry, Input { findings: input(&[rollback]).findings, ..unreachable() }, 0);
    assert_eq!(
        take(&registry, input(&[rollback, (NOW, Code::HeadStale)]), 0).0,
        ["reachable", "audited", "finding-new"]
    );
    assert_eq!(take(&registry, input(&[]), 0).0, ["audited", "finding-ended", "finding-ended"]);
    assert_eq!(
        take(&registry, input(&[rollback]), 0).0,
        ["audited", "finding-new"],
        "again, so it is said again"
    );
    // A finding of severity `info` is counted, but not logged.
    assert_eq!(take(&self::registry("main"), input(&[(NOW, Code::CredentialNew)]), 0).0, ["audited"]);
}

#[test]
fn standing_findings_are_logged_again_after_a_start() {
    let registry = registry("main");
    let findings = [(THEN, Code::HeadRollback), (NOW, Code::Gap)];
    assert_eq!(take(&registry, input(&findings), 0).0, ["audited", "finding-stands", "finding-new"]);
    assert_eq!(take(&registry, input(&findings), 0).0, ["audited"]);
}

#[test]
fn many_findings_are_logged_in_part_and_counted() {
    let registry = registry("main");
    let mut many = input(&[]);
    for index in 0..1000 {
        let finding = Finding::of_entry(Code::SignatureInvalid, index, None, "forged");
        many.findings.push(ReportedFinding { finding, first_seen: NOW, ended: None, acknowledged: None });
    }
    let events = take(&registry, many, 0).0;
    assert_eq!((events.len(), events.last()), (1 + MAX_LINES + 1, Some(&"findings-more")));
}

#[test]
fn a_reload_keeps_the_state_of_remaining_logs() {
    let registry = registry("main");
    take(&registry, input(&[(NOW, Code::HeadRollback)]), 0);
    let again = |name: &str| WatchedLog {
        name: name.to_owned(),
        interval: Duration::from_secs(1),
        deadline: None,
        subject: Arc::new(Nothing),
    };
    registry.plan(&[again("main"), again("other")], at(5));
    assert_eq!(
        take(&registry, input(&[(NOW, Code::HeadRollback)]), 6).0,
        ["audited"],
        "said before the reload"
    );
    assert_eq!(registry.lock().len(), 2);
    registry.plan(&[again("other")], at(7));
    assert_eq!(take(&registry, input(&[]), 8), (Vec::new(), Duration::ZERO), "nobody watches it any more");
}

#[test]
fn metrics_show_only_known_values() {
    let name = "a\"b\\c";
    let registry = registry(name);
    let before = page(&registry, 0);
    assert!(!before.contains("countersign_verdict{"), "no audit yet: {before}");
    let report = Report::new(Input {
        log: LogPart { tree_size: Some(7), ..input(&[]).log },
        ..input(&[(NOW, Code::HeadRollback)])
    });
    registry.finished(name, &Ok(report), at(61_000), 0.5);
    let page = self::page(&registry, 62_000);
    for line in [
        "countersign_head_size{log=\"a\\\"b\\\\c\"} 7",
        "countersign_head_age_seconds{log=\"a\\\"b\\\\c\"} 61",
        "countersign_findings{log=\"a\\\"b\\\\c\",code=\"head-rollback\",severity=\"invalid\"} 1",
        "countersign_verdict{log=\"a\\\"b\\\\c\",verdict=\"invalid\"} 1",
        "countersign_verdict{log=\"a\\\"b\\\\c\",verdict=\"clean\"} 0",
        "countersign_audits_total{log=\"a\\\"b\\\\c\",verdict=\"invalid\"} 1",
        "countersign_last_audit_timestamp_seconds{log=\"a\\\"b\\\\c\"} 61",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\nis not in\n{page}");
    }
    // No audit made every check that it was asked for: this one lacks checks.
    assert!(!page.contains("countersign_last_success_timestamp_seconds{"), "{page}");
    for metric in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = metric.split(' ').next().unwrap();
        assert_eq!(page.matches(&format!("# HELP {name} ")).count(), 1);
    }
}
