//! An honest log with transient faults must never be accused: every recoverable disturbance over real HTTP,
//! alone and together, while the log grows, and while its server is killed and started again.

use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};
use support::case::fixtures;
use support::cli::{Auditor, run};
use support::lab::on_threads;
use support::served::Served;

/// The disturbances of the table, as they are asked for, and whether they change anything for tiles.
fn disturbances() -> Vec<(String, bool)> {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"))
        .args(["lies", "--format", "json"])
        .output()
        .unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows.iter().filter(|row| row["kind"] == "disturbance");
    rows.map(|row| (row["option"].as_str().unwrap().to_owned(), !row["tiles"].is_null())).collect()
}

/// Audits until the log was seen three times, each time clean.
#[track_caller]
fn clean_three_times(log: &Served, url: &str, what: &str) {
    let auditor = Auditor::new(log.log_key());
    let mut sizes = Vec::new();
    for options in [&["--init"][..], &[], &[]] {
        let outcome = auditor.audit(url, options);
        assert_eq!((outcome.exit, outcome.codes()), (0, Vec::new()), "{what}: {outcome:#?}");
        let report = outcome.report();
        assert_eq!(report["entries"]["total"], report["log"]["treeSize"], "{what}: {report:#}");
        sizes.push(report["entries"]["total"].as_u64().unwrap());
    }
    assert!(sizes.is_sorted(), "{what}: {sizes:?}");
}

#[test]
fn an_honest_log_is_clean_under_each_disturbance() {
    let disturbances = disturbances();
    assert!(disturbances.len() >= 8);
    on_threads(4, disturbances.len() * 2, |piece| {
        let (disturbance, tiles) = &disturbances[piece / 2];
        let log = Served::start(&["--entries", "600", "--disturb", disturbance]);
        match piece % 2 {
            0 if *tiles => clean_three_times(&log, &log.tiles_url(), disturbance),
            0 => {}
            _ => clean_three_times(&log, &log.api_url(), disturbance),
        }
    });
}

#[test]
fn a_growing_log_is_clean_under_all_disturbances() {
    let mut arguments = vec!["--entries".to_owned(), "500".to_owned(), "--grow".to_owned(), "20".to_owned()];
    for (disturbance, _) in disturbances() {
        // With pages of a few entries this would take minutes; alone, they are tested above.
        let disturbance =
            if disturbance == "short-pages" { "short-pages:60".to_owned() } else { disturbance };
        arguments.extend(["--disturb".to_owned(), disturbance]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    on_threads(2, 2, |way| {
        let log = Served::start(&arguments);
        let url = if way == 0 { log.tiles_url() } else { log.api_url() };
        clean_three_times(&log, &url, &url);
    });
}

#[test]
fn a_restarted_server_is_waited_for() {
    let demo = fixtures().join("demo");
    let start = |listen: &str| {
        let demo = demo.to_str().unwrap();
        let log = ["--dir", demo, "--seed", "countersign demo", "--origin", "log.approvals.example/demo"];
        let slow = ["--listen", listen, "--disturb", "slow:150", "--page", "20"];
        Served::start(&[&log[..], &slow].concat())
    };
    for way in ["", "api+"] {
        let mut server = start("127.0.0.1:0");
        let address = server.url.trim_start_matches("http://").trim_end_matches("/log").to_owned();
        let url = format!("{way}{}", server.url);
        let auditor = Auditor::new(server.log_key());
        let audit = auditor.audit_command(&url, &["--init", "--workers", "2"]);
        let running = std::thread::spawn(move || run(audit));
        for _ in 0..2 {
            server.wait_asked(4);
            assert!(!running.is_finished(), "it should have been in the middle");
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            std::thread::sleep(Duration::from_millis(200));
            server = start(&address);
        }
        let outcome = running.join().unwrap();
        assert_eq!(outcome.exit, 0, "{way}: {outcome:#?}");
        assert_eq!(outcome.report()["entries"]["total"], 800);
    }
}

#[test]
fn the_log_gets_no_more_requests_than_the_rate() {
    on_threads(2, 2, |way| {
        let log = Served::start(&["--entries", "600", "--disturb", "429:5", "--page", "100"]);
        let url = if way == 0 { log.tiles_url() } else { log.api_url() };
        let auditor = Auditor::new(log.log_key());
        let started = Instant::now();
        let outcome = auditor.audit(&url, &["--init", "--max-rps", "15", "--workers", "8"]);
        assert_eq!(outcome.exit, 0, "{outcome:#?}");
        let (took, stats) = (started.elapsed().as_secs_f64(), log.stats());
        let requests = stats["requests"].as_f64().unwrap();
        // What holds this machine up only makes it longer.
        assert!(requests <= 15.0 * took + 1.0, "{requests} requests in {took} s");
        assert!(requests >= 10.0, "{stats}");
    });
}

/// After days: what was mirrored from an API is not fetched again, however much came since.
#[test]
fn an_audit_continues_after_days() {
    let log = Served::start(&["--entries", "3000"]);
    let auditor = Auditor::new(log.log_key());
    assert_eq!(auditor.init(log.api_url()).exit, 0);
    let longer = Served::start(&["--entries", "9000"]);
    let outcome = auditor.audit(longer.api_url(), &[]);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    let report = outcome.report();
    assert_eq!((&report["entries"]["total"], &report["entries"]["new"]), (&9000.into(), &6000.into()));
    let asked = longer.stats()["paths"]["entries"].as_u64().unwrap();
    assert!(asked <= 6000u64.div_ceil(256) + 2, "{asked} pages for 6000 new entries");
    // A head that the list once had is looked for again with --full; this server never signed the first. While the list
    // ends less than a minute later than that, a signer whose clock is behind may still have to come.
    let outcome = auditor.audit(longer.api_url(), &["--full"]);
    assert_eq!((outcome.exit, outcome.codes()), (3, Vec::new()), "{outcome:#?}");
    assert!(outcome.stdout.contains("does not have the STH of size 3000 yet"), "{outcome:#?}");
}
