//! The dispatcher and its outbox: each distinct finding is notified once, even if the monitor is killed at any moment.

use support::receiver;

use countersign::alerts::{AuditOutcome, Delivered, Dispatcher, DispatcherConfig};
use countersign::audit::acknowledge::Acknowledgement;
use countersign::audit::finding::Finding;
use countersign::audit::subject::Subject;
use countersign::core::finding::{Code, Severity};
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::mirror::Mirror;
use receiver::{Answer, Fake, HOUR, Home, MINUTE, NOW, dispatcher, end, find, pair, well};
use serde_json::Value;
use support::case::named;

#[test]
fn channels_get_alerts_of_their_least_severity() {
    let home = Home::new();
    let fakes = [Fake::default(), Fake::default(), Fake::default(), Fake::default()];
    let severities = [Severity::Info, Severity::Warning, Severity::Invalid, Severity::Violation];
    let channels =
        fakes.iter().zip(severities).map(|(fake, least)| fake.channel(least.as_str(), least)).collect();
    let dispatcher = dispatcher(channels);
    let mut mirror = home.open();
    for code in [Code::CredentialNew, Code::HeadStale, Code::Gap, Code::SameSizeFork] {
        find(&mut mirror, &Finding::of_log(code, Subject::decode("s"), "m"), NOW);
    }
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap(), 4);
    let delivered = dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
    assert_eq!(delivered, Delivered { sent: 10, failed: 0, pending: 0, next_try: None });
    let counts: Vec<usize> = fakes.iter().map(|fake| fake.take().len()).collect();
    assert_eq!(counts, [4, 3, 2, 1]);
    // The end is sent to the channels that got the beginning.
    end(&mut mirror, &Finding::of_log(Code::HeadStale, Subject::decode("s"), "m"), NOW + 1);
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 2)).unwrap();
    dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + 2)).unwrap();
    let counts: Vec<usize> = fakes.iter().map(|fake| fake.take().len()).collect();
    assert_eq!(counts, [1, 1, 0, 0]);
}

#[test]
fn the_start_and_end_of_outages_and_faults_are_notified_once() {
    let home = Home::new();
    let (all, violations) = (Fake::default(), Fake::default());
    let dispatcher = dispatcher(vec![
        all.channel("all", Severity::Warning),
        violations.channel("worst", Severity::Violation),
    ]);
    let mut mirror = home.open();
    let down = AuditOutcome { unreachable: Some("no answer\u{1b}[2J".to_owned()), ..well() };
    let fault = AuditOutcome { fault: Some("the disk is full".to_owned()), ..well() };
    let mut now = NOW;
    for audited in [&down, &down, &well(), &well(), &down, &fault, &fault, &well()] {
        now += MINUTE;
        dispatcher.note(&mut mirror, "log", audited, UnixMillis::new(now)).unwrap();
        drop(mirror);
        mirror = home.open();
        dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap();
    }
    let got = all.take();
    assert!(got.iter().all(|alert| !alert["message"].as_str().unwrap().contains('\u{1b}')));
    let kinds: Vec<&str> = got.iter().map(|alert| alert["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unreachable", "recovered", "unreachable", "local", "recovered", "recovered"]);
    // That the auditor itself is at fault is for everybody who relies on it.
    assert_eq!(violations.kinds(), [pair("local", "local-fault"), pair("recovered", "local-fault")]);
}

/// An interrupted audit shows neither an outage nor a recovery.
#[test]
fn an_interrupted_audit_notifies_no_outage_and_no_recovery() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let mut mirror = home.open();
    let cut = AuditOutcome { unreachable: Some("told to stop".to_owned()), cut_short: true, ..well() };
    let down = AuditOutcome { unreachable: Some("no answer".to_owned()), ..well() };
    for (audited, notified) in [
        (&cut, 0),
        (&well(), 0),
        (&down, 1),
        (&cut, 0),
        (&AuditOutcome { cut_short: true, ..well() }, 0),
        (&well(), 1),
    ] {
        assert_eq!(
            dispatcher.note(&mut mirror, "log", audited, UnixMillis::new(NOW)).unwrap(),
            notified,
            "{audited:?}"
        );
    }
    // Its findings are still notified.
    find(&mut mirror, &Finding::of_log(Code::Gap, Subject::decode("s"), "m"), NOW);
    assert_eq!(dispatcher.note(&mut mirror, "log", &cut, UnixMillis::new(NOW)).unwrap(), 1);
    // After a stop nothing more is sent, and nothing is lost.
    let delivered = dispatcher.deliver_until(&mut mirror, UnixMillis::new(NOW), &|| true).unwrap();
    assert_eq!((delivered.sent, delivered.pending, fake.take().len()), (0, 3, 0));
    assert_eq!(dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap().sent, 3);
}

#[test]
fn a_failing_peer_is_notified_once_and_is_not_the_log() {
    let home = Home::new();
    let (all, violations) = (Fake::default(), Fake::default());
    let dispatcher = dispatcher(vec![
        all.channel("all", Severity::Warning),
        violations.channel("worst", Severity::Violation),
    ]);
    let mut mirror = home.open();
    let asked = |failing: &[&str]| AuditOutcome {
        peers: Some(failing.iter().map(|name| ((*name).to_owned(), "gone\u{1b}[2J".to_owned())).collect()),
        ..AuditOutcome::default()
    };
    // Where no peer was asked, as after a fault, nothing is known of them, and nothing is over.
    let fault = AuditOutcome { fault: Some("the disk is full".to_owned()), ..AuditOutcome::default() };
    let mut now = NOW;
    for audited in [
        &asked(&["a", "b/c"]),
        &asked(&["a", "b/c"]),
        &fault,
        &asked(&["b/c"]),
        &asked(&["b/c"]),
        &asked(&["a", "b/c"]),
        &asked(&[]),
    ] {
        now += MINUTE;
        dispatcher.note(&mut mirror, "log", audited, UnixMillis::new(now)).unwrap();
        drop(mirror);
        mirror = home.open();
        dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap();
    }
    let got = all.take();
    let contains = |alert: &serde_json::Value, part: &str| alert["message"].as_str().unwrap().contains(part);
    assert!(got.iter().all(|alert| !contains(alert, "\u{1b}")));
    let notified: Vec<(&str, bool)> = got
        .iter()
        .filter(|alert| alert["code"] == "peer-failing")
        .map(|alert| (alert["kind"].as_str().unwrap(), contains(alert, "\"b/c\"")))
        .collect();
    assert_eq!(
        notified,
        [
            ("unreachable", false),
            ("unreachable", true),
            ("recovered", false),
            ("unreachable", false),
            ("recovered", false),
            ("recovered", true)
        ]
    );
    let expected = [pair("local", "local-fault"), pair("recovered", "local-fault")];
    assert_eq!(violations.kinds(), expected, "only what everybody relies on");
}

#[test]
fn a_failing_channel_is_retried_and_reported_and_blocks_no_other() {
    let home = Home::new();
    let (bad, good) = (Fake::default(), Fake::default());
    let dispatcher =
        dispatcher(vec![bad.channel("bad", Severity::Info), good.channel("good", Severity::Violation)]);
    let mut mirror = home.open();
    find(&mut mirror, &Finding::of_log(Code::SameSizeFork, Subject::decode("a"), "m"), NOW);
    find(&mut mirror, &Finding::of_log(Code::SameSizeFork, Subject::decode("b"), "m"), NOW);
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap();
    let mut now = NOW;
    let mut tries = 0;
    while now < NOW + 2 * HOUR {
        bad.script(vec![Answer::Down; 9]);
        tries += dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap().failed;
        now += MINUTE;
    }
    assert!((6..=9).contains(&tries), "{tries}: not ever more rarely");
    let queue = dispatcher.queue(&mirror).unwrap();
    assert_eq!((queue["bad"].pending, queue["bad"].failed, queue["good"].delivered), (2, 1, 3));
    let failing = queue["bad"].failing.clone().unwrap();
    assert_eq!((failing.failures, failing.error.as_str()), (tries, "away"));
    let kinds = good.kinds();
    assert_eq!(
        kinds,
        [pair("new", "same-size-fork"), pair("new", "same-size-fork"), pair("local", "channel-failing")]
    );
    bad.script(Vec::new());
    now += HOUR;
    let delivered = dispatcher.deliver(&mut mirror, UnixMillis::new(now)).unwrap();
    assert_eq!((delivered.pending, bad.kinds().len()), (0, 2));
    assert_eq!(good.kinds(), [pair("recovered", "channel-failing")]);
}

#[test]
fn a_refused_alert_delays_no_other_and_expires() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let mut mirror = home.open();
    for subject in ["a", "b", "c"] {
        find(&mut mirror, &Finding::of_log(Code::Gap, Subject::Other(subject.to_owned()), subject), NOW);
    }
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap();
    fake.script(vec![Answer::Refuse]);
    let delivered = dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
    assert_eq!((delivered.sent, delivered.failed, delivered.pending), (2, 1, 1));
    let next = delivered.next_try.unwrap().get();
    assert!((NOW + MINUTE..NOW + 2 * MINUTE).contains(&next), "{next}");
    // The clock alone does not give up.
    for n in 0..5 {
        fake.script(vec![Answer::Refuse; 1]);
        let pending =
            dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + (100 + 2 * n) * HOUR)).unwrap().pending;
        assert_eq!(pending, u64::from(n < 4));
    }
    let queue = dispatcher.queue(&mirror).unwrap()["a"].clone();
    assert_eq!((queue.delivered, queue.given_up), (2, 1));
    // The answer of a receiver is shown on one line.
    assert!(!queue.failing.unwrap().error.contains(['\n', '\u{202e}']));
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 109 * HOUR)).unwrap(), 0);
    // Much later, the notifications are still recorded, and the outbox is empty.
    find(&mut mirror, &Finding::of_log(Code::Gap, Subject::decode("d"), "d"), NOW);
    assert_eq!(
        dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 100 * 24 * HOUR)).unwrap(),
        1
    );
    let queue = dispatcher.queue(&mirror).unwrap()["a"].clone();
    assert_eq!((queue.pending, queue.delivered, queue.given_up), (1, 0, 0));
}

/// A day ahead, and then right again.
#[test]
fn a_clock_error_silences_no_channel() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let mut mirror = home.open();
    find(&mut mirror, &Finding::of_log(Code::Gap, Subject::decode("a"), "a"), NOW);
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 24 * HOUR)).unwrap();
    fake.script(vec![Answer::Down]);
    assert_eq!(dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + 24 * HOUR)).unwrap().failed, 1);
    fake.script(vec![Answer::Down]);
    let delivered = dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
    assert_eq!(delivered.failed, 1);
    assert!(delivered.next_try.unwrap().get() <= NOW + HOUR);
    let since = dispatcher.queue(&mirror).unwrap()["a"].failing.clone().unwrap().since;
    assert!((NOW..NOW + MINUTE).contains(&since.get()));
    assert_eq!(dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + HOUR)).unwrap().sent, 1);
}

#[test]
fn acknowledged_findings_raise_no_alert_until_the_rule_ends() {
    let home = Home::new();
    let fake = Fake::default();
    let rule = Acknowledgement {
        code: Code::Gap,
        index: Some(7),
        id: None,
        approver: None,
        rule: None,
        until: UnixMillis::new(NOW + HOUR),
        until_text: "2030-03-17".to_owned(),
        comment: "known".to_owned(),
    };
    let config = DispatcherConfig {
        channels: vec![fake.channel("a", Severity::Info)],
        acknowledgements: vec![rule],
        ..DispatcherConfig::default()
    };
    let dispatcher = Dispatcher::new(config).unwrap();
    let mut mirror = home.open();
    for index in [7, 8] {
        find(&mut mirror, &Finding::of_entry(Code::Gap, index, None, "m"), NOW);
    }
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap(), 1);
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + HOUR - 1)).unwrap(), 0);
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + HOUR)).unwrap(), 1);
    dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + HOUR)).unwrap();
    let indices: Vec<u64> = fake.take().iter().map(|alert| alert["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [8, 7]);
}

#[test]
fn a_thousand_findings_are_one_alert_that_lists_the_first() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
    let mut mirror = home.open();
    mirror
        .transact(|mirror, _| {
            (0..1000).try_for_each(|n| {
                mirror
                    .findings_mut()
                    .put(&Finding::of_entry(Code::KeyShared, n, None, "m"), UnixMillis::new(NOW))
            })
        })
        .unwrap();
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap(), 1);
    assert_eq!(dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 1)).unwrap(), 0);
    dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
    let got = fake.take();
    assert_eq!((got.len(), got[0]["count"].as_u64()), (1, Some(1000)));
    let first: Vec<u64> =
        got[0]["first"].as_array().unwrap().iter().map(|item| item["index"].as_u64().unwrap()).collect();
    assert_eq!(first, (0..20).collect::<Vec<u64>>());
}

#[test]
fn a_damaged_outbox_accuses_nobody() {
    for sql in [
        "UPDATE alerts SET payload = replace(payload, 'warning', 'violation')",
        "UPDATE alerts SET severity = 'violation'",
        "UPDATE alerts SET payload = '{}'",
        "UPDATE alerts SET digest = zeroblob(32)",
    ] {
        let home = Home::new();
        let fake = Fake::default();
        let dispatcher = dispatcher(vec![fake.channel("a", Severity::Info)]);
        let mut mirror = home.open();
        find(&mut mirror, &Finding::of_log(Code::HeadStale, Subject::decode("s"), "m"), NOW);
        dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap();
        drop(mirror);
        rusqlite::Connection::open(home.path()).unwrap().execute_batch(sql).unwrap();
        let mut mirror = home.open();
        assert!(dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).is_err(), "{sql}");
        assert!(fake.take().is_empty(), "{sql}");
    }
}

#[test]
fn two_channels_of_one_name_are_wrong_usage() {
    let fake = Fake::default();
    let channels = vec![fake.channel("a", Severity::Info), fake.channel("a", Severity::Info)];
    assert!(
        Dispatcher::new(DispatcherConfig { channels, ..DispatcherConfig::default() })
            .err()
            .unwrap()
            .to_string()
            .contains("two alert channels")
    );
}

/// From the real program's audit of a log that shows two histories to an alert with the proof in it.
#[test]
fn a_fork_is_notified_with_its_proof() {
    let case = named("history-same-size-fork");
    let auditor = case.auditor();
    for step in case.steps() {
        auditor.audit(&step, &["--init"]);
    }
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("a", Severity::Violation)]);
    let key = LogKey::parse(&case.log_key).unwrap();
    for _ in 0..3 {
        let mut mirror = Mirror::open(&auditor.db(), &key).unwrap();
        dispatcher.note(&mut mirror, "ours", &well(), UnixMillis::new(NOW)).unwrap();
        dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
    }
    let got = fake.take();
    assert_eq!(got.len(), 1, "{got:#?}");
    assert_eq!((&got[0]["code"], &got[0]["severity"]), (&"same-size-fork".into(), &"violation".into()));
    assert_eq!((&got[0]["log"]["name"], &got[0]["log"]["origin"]), (&"ours".into(), &key.origin().into()));
    let proof = auditor.directory().join("proof.json");
    std::fs::write(&proof, got[0]["evidenceContent"].as_str().unwrap()).unwrap();
    let outcome = auditor.command(&["evidence", "verify", proof.to_str().unwrap()]);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
}

/// Who may write the directory must not have root mail him a secret, nor wait for ever.
#[cfg(unix)]
#[test]
fn other_files_in_place_of_a_proof_are_not_sent() {
    let case = named("history-same-size-fork");
    for odd in ["pipe", "link", "endless", "long"] {
        let auditor = case.auditor();
        for step in case.steps() {
            auditor.audit(&step, &["--init"]);
        }
        let is_proof = |path: &std::path::PathBuf| path.to_string_lossy().contains("misbehaviour-");
        let files = std::fs::read_dir(auditor.directory()).unwrap().map(|entry| entry.unwrap().path());
        for proof in files.filter(is_proof).collect::<Vec<_>>() {
            std::fs::remove_file(&proof).unwrap();
            let secret = auditor.directory().join("secret");
            std::fs::write(&secret, "a secret").unwrap();
            match odd {
                "pipe" => {
                    assert!(std::process::Command::new("mkfifo").arg(&proof).status().unwrap().success())
                }
                "link" => std::os::unix::fs::symlink(&secret, &proof).unwrap(),
                "endless" => std::os::unix::fs::symlink("/dev/zero", &proof).unwrap(),
                _ => std::fs::write(&proof, vec![b' '; 1024 * 1024 + 1]).unwrap(),
            }
        }
        let fake = Fake::default();
        let dispatcher = dispatcher(vec![fake.channel("a", Severity::Violation)]);
        let mut mirror = Mirror::open(&auditor.db(), &LogKey::parse(&case.log_key).unwrap()).unwrap();
        dispatcher.note(&mut mirror, "ours", &well(), UnixMillis::new(NOW)).unwrap();
        dispatcher.deliver(&mut mirror, UnixMillis::new(NOW)).unwrap();
        let got = fake.take();
        assert_eq!(got.len(), 1, "{odd}: {got:#?}");
        assert!(got[0].get("evidenceContent").is_none_or(Value::is_null), "{odd}: {got:#?}");
        let reason = got[0]["evidenceMissing"].as_str().unwrap();
        let part = if odd == "long" { "longer than" } else { "not a file" };
        assert!(reason.contains(part), "{odd}: {reason}");
    }
}

#[test]
fn an_acknowledged_finding_still_counts_in_the_report() {
    let case = named("assertion-signature-flipped");
    let auditor = case.auditor();
    let config = auditor.directory().join("c.toml");
    let text =
        "[[acknowledge]]\ncode = \"signature-invalid\"\nuntil = 2999-12-31\ncomment = \"known\\u001b[2J\"\n";
    std::fs::write(&config, text).unwrap();
    let outcome = auditor.audit(case.last_step(), &["--init", "--config", config.to_str().unwrap()]);
    assert_eq!(outcome.exit, case.exit, "{outcome:#?}");
    let report = outcome.report();
    let of = |finding: &Value| (finding["code"].clone(), finding["acknowledged"].clone());
    let found: Vec<_> = report["findings"].as_array().unwrap().iter().map(of).collect();
    assert!(
        found.contains(&("signature-invalid".into(), "until 2999-12-31: known\\u{1b}[2J".into())),
        "{found:?}"
    );
    let mut command = support::cli::program();
    command.arg("audit").arg("--log").arg(case.last_step()).arg("--db").arg(auditor.db());
    let text = support::cli::run({
        command.arg("--config").arg(&config).args(&auditor.trust);
        command
    });
    assert!(text.stdout.contains("[acknowledged until 2999-12-31: known"), "{}", text.stdout);
}
