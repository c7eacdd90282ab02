//! The auditor against every lie of `countersign-testlog serve`, over real HTTP on loopback: one alone,
//! and some together.
//!
//! What is expected stands in the table that `countersign-testlog lies` prints, so the documentation
//! and the test cannot disagree.

use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use support::api::ApiLog;
use support::cli::{Auditor, Outcome, Watched, run_watched};
use support::lab::{on_threads, write_files};
use support::log::{TestKey, honest_log};
use support::served::Served;
use support::{Reply, TestServer};

/// More than two bundles, so that pages and tiles have neighbours.
const ENTRIES: &str = "600";

/// With a log that answers: nothing that holds this machine up makes an answer late.
const PATIENT: [&str; 4] = ["--timeout", "5m", "--retry-for", "5m"];

/// With one that never does, or never what it should: in the proportions of the defaults.
const IMPATIENT: [&str; 4] = ["--timeout", "2s", "--retry-for", "4s"];

/// What one audit may take: both formats of a head, entries and a few answers, each for as long as
/// `IMPATIENT` allows, while other audits have the same two cores.
const LONGEST: Duration = support::HANG;

/// Peak resident memory of an audit, whatever is sent.
const MAX_MEMORY: u64 = 300_000_000;

/// Audits at once. They mostly wait.
const THREADS: usize = 6;

/// The table, as it is printed.
fn table() -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign-testlog"))
        .args(["lies", "--format", "json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How a row is asked for.
fn named(row: &Value) -> String {
    row["option"].as_str().unwrap().to_owned()
}

/// The two ways in which a log is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Interface {
    Tiles,
    Api,
}

const INTERFACES: [Interface; 2] = [Interface::Tiles, Interface::Api];

impl Interface {
    fn expected(self, row: &Value) -> &Value {
        &row[if self == Interface::Tiles { "tiles" } else { "api" }]
    }

    fn url(self, log: &Served) -> String {
        if self == Interface::Tiles { log.tiles_url() } else { log.api_url() }
    }
}

/// An audit by the real program, watched for time and memory.
#[track_caller]
fn audit(auditor: &Auditor, log: &str, patience: &[&str], options: &[&str]) -> Watched {
    let watched = run_watched(auditor.audit_command(log, &[patience, options].concat()));
    assert!(watched.took < LONGEST, "{log} {options:?}: {:?}: {:#?}", watched.took, watched.outcome);
    if let Some(peak) = watched.peak {
        assert!(peak <= MAX_MEMORY, "{log} {options:?}: {peak} bytes");
    }
    watched
}

/// Kinds of all misbehaviour files, each verified by a stranger who has nothing but the log's key.
fn proved(auditor: &Auditor, key: &str) -> Vec<String> {
    let stranger = Auditor::new(key);
    let files = std::fs::read_dir(auditor.directory()).unwrap().map(|entry| entry.unwrap().path());
    let kinds = files.filter(|path| path.to_string_lossy().contains("misbehaviour-")).map(|path| {
        let outcome = stranger.command(&["evidence", "verify", "--format", "json", path.to_str().unwrap()]);
        assert_eq!(outcome.exit, 0, "{outcome:?}");
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["kind"].as_str().unwrap().to_owned()
    });
    kinds.collect::<BTreeSet<String>>().into_iter().collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Runs the audits that a row asks for, and gives what is wrong with the answer.
fn check_row(row: &Value, interface: Interface) -> Option<String> {
    let expected = interface.expected(row);
    if expected.is_null() {
        return None;
    }
    let log = Served::start(&["--entries", ENTRIES, "--lie", &named(row)]);
    let auditor = Auditor::new(log.log_key());
    let options = texts(&expected["options"]);
    let mut last: Option<Outcome> = None;
    let mut slowest = Duration::ZERO;
    let audits = expected["audits"].as_u64().unwrap();
    for number in 0..audits {
        let patience = if number + 1 == audits && expected["exit"] == 3 { IMPATIENT } else { PATIENT };
        let init = ["--init"];
        let first: &[&str] = if number == 0 { &init } else { &[] };
        let options: Vec<&str> = first.iter().copied().chain(options.iter().map(String::as_str)).collect();
        let watched = audit(&auditor, &interface.url(&log), &patience, &options);
        slowest = slowest.max(watched.took);
        last = Some(watched.outcome);
    }
    let last = last.unwrap();
    let (found, proofs) = (last.codes(), proved(&auditor, log.log_key()));
    let outcome = (last.exit, last.verdict(), found, proofs);
    let wanted = (
        i32::try_from(expected["exit"].as_i64().unwrap()).unwrap(),
        expected["verdict"].as_str().unwrap().to_owned(),
        texts(&expected["codes"]),
        texts(&expected["evidence"]),
    );
    println!("{:<22} {interface:?}: exit {} {:?} in {slowest:?}", named(row), outcome.0, outcome.2);
    (outcome != wanted).then(|| {
        format!("{} {interface:?}: {outcome:?}, expected {wanted:?}: {:#?}", named(row), last.report())
    })
}

#[test]
fn every_lie_has_its_documented_verdict() {
    let rows: Vec<Value> = table().into_iter().filter(|row| row["kind"] == "lie").collect();
    assert!(rows.len() >= 45, "only {} lies", rows.len());
    let wrong = std::sync::Mutex::new(Vec::new());
    on_threads(THREADS, rows.len() * INTERFACES.len(), |piece| {
        let (row, interface) = (&rows[piece / INTERFACES.len()], INTERFACES[piece % INTERFACES.len()]);
        if let Some(why) = check_row(row, interface) {
            wrong.lock().unwrap().push(why);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

/// Several lies in random combinations: no panic, no hang, never clean.
#[test]
fn no_combination_of_lies_is_clean() {
    const MIXTURES: usize = 36;
    let seed: u64 =
        std::env::var("COUNTERSIGN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20261124);
    let rows: Vec<Value> = table().into_iter().filter(|row| row["kind"] == "lie").collect();
    on_threads(THREADS, MIXTURES, |number| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
        let interface = INTERFACES[number % 2];
        // A fork by client shows only when two clients compare.
        let mut usable: Vec<&Value> = rows
            .iter()
            .filter(|row| !interface.expected(row).is_null() && row["name"] != "fork-by-client")
            .collect();
        random.shuffle(&mut usable);
        let mut lies: Vec<String> = Vec::new();
        for row in usable.into_iter().take(random.usize(2..=4)) {
            let kinds = ["head", "entries", "proofs", "all"];
            let name = row["name"].as_str().unwrap();
            // Where on the wire it happens is drawn, too.
            let lie = match row["argument"].as_str() {
                Some("KIND") => format!("{name}:{}", kinds[random.usize(..kinds.len())]),
                _ => named(row),
            };
            if !lies.iter().any(|other| other.split(':').next() == Some(name)) {
                lies.push(lie);
            }
        }
        let mut args = vec!["--entries".to_owned(), ENTRIES.to_owned()];
        args.extend(lies.iter().flat_map(|lie| ["--lie".to_owned(), lie.clone()]));
        let log = Served::start(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let auditor = Auditor::new(log.log_key());
        let strict = ["--max-head-age", "36h", "--deny-warnings"];
        audit(&auditor, &interface.url(&log), &IMPATIENT, &[&["--init"][..], &strict].concat());
        let last = audit(&auditor, &interface.url(&log), &IMPATIENT, &strict).outcome;
        println!("{interface:?} {lies:?}: exit {} {:?}", last.exit, last.codes());
        assert!(
            last.exit != 0 && last.exit != 2,
            "seed {seed} number {number}: {interface:?} {lies:?}: {last:#?}"
        );
        assert_ne!(last.exit, 5, "nothing is wrong on this side: {interface:?} {lies:?}: {last:#?}");
    });
}

#[test]
fn two_auditors_find_a_fork_by_client() {
    for interface in INTERFACES {
        let log = Served::start(&["--entries", ENTRIES, "--lie", "fork-by-client:mallory"]);
        let [victim, other] = ["mallory@example.org", "bob@example.org"].map(|contact| {
            let auditor = Auditor::new(log.log_key());
            let outcome =
                audit(&auditor, &interface.url(&log), &PATIENT, &["--init", "--contact", contact]).outcome;
            assert_eq!((outcome.exit, outcome.verdict().as_str()), (0, "clean"), "{outcome:?}");
            auditor
        });
        for (from, to, by_url) in [(&victim, &other, false), (&other, &victim, true)] {
            let exported = from.command(&["heads", "export", "--db", "{db}"]);
            assert_eq!(exported.exit, 0, "{exported:?}");
            std::fs::write(from.directory().join("heads.jsonl"), &exported.stdout).unwrap();
            let server = support::serve_dir(from.directory());
            let place = if by_url {
                format!("{}heads.jsonl", server.url())
            } else {
                from.directory().join("heads.jsonl").display().to_string()
            };
            let imported = to.command(&["heads", "import", "--db", "{db}", &place]);
            assert_eq!(imported.exit, 4, "{imported:?}");
            assert_eq!(proved(to, log.log_key()), ["same-size-fork"]);
        }
        // From then on, each audit reports it.
        let again =
            audit(&victim, &interface.url(&log), &PATIENT, &["--contact", "mallory@example.org"]).outcome;
        assert_eq!(again.exit, 4, "{again:#?}");
        assert!(again.codes().contains(&"same-size-fork".to_owned()), "{again:#?}");
    }
}

/// Entries as long as entries can be, every one of them junk: four full bundles of 16 MiB, over both
/// ways, on eight threads.
#[test]
fn the_longest_entries_stay_within_memory() {
    let key = TestKey::new(1);
    let leaves: Vec<Vec<u8>> =
        (0..1024u32).map(|n| n.to_be_bytes().repeat(16_384)[..65_535].to_vec()).collect();
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), &honest_log(&key, &leaves));
    let tiles = support::serve_dir(directory.path());
    let log = ApiLog::new(&key, &leaves, &[leaves.len()]);
    let api = TestServer::start(move |request| match log.answer(request.path.trim_start_matches('/')) {
        Some(body) => Reply::ok(body),
        None => Reply::status("404 Not Found", "", "{}"),
    });
    for url in [tiles.url(), format!("api+{}", api.url())] {
        let auditor = Auditor::new(&key.vkey());
        let watched = run_watched(auditor.audit_command(&url, &["--init", "--workers", "8"]));
        watched.outcome.expect(1, &["leaf-malformed"]);
        println!("{url}: {:?} bytes, {:?}", watched.peak, watched.took);
        assert!(watched.peak.is_none_or(|peak| peak <= MAX_MEMORY), "{url}: {:?}", watched.peak);
    }
}

/// The table, with help for each lie.
#[test]
fn the_table_of_lies_is_documented() {
    let rows = table();
    let names: BTreeSet<(&str, String)> =
        rows.iter().map(|row| (row["kind"].as_str().unwrap(), named(row))).collect();
    assert_eq!(names.len(), rows.len(), "a row stands twice");
    for row in &rows {
        assert!(row["does"].as_str().is_some_and(|does| does.len() > 20), "{row}");
        let expectations = INTERFACES.map(|interface| interface.expected(row));
        assert!(expectations.iter().any(|expected| !expected.is_null()), "{row}");
        // What an approval service lies about is for a gate to refuse, or for an audit to find.
        if row["kind"] == "service-lie" {
            let found =
                expectations.iter().any(|expected| expected["exit"].as_u64().is_some_and(|exit| exit != 0));
            assert!(found || row["gate"]["reason"].is_string(), "{row}");
            continue;
        }
        // Only a fork by client can be clean for one auditor, and only transient faults for all.
        for expected in expectations.into_iter().filter(|expected| !expected.is_null()) {
            let clean = row["kind"] == "disturbance" || row["name"] == "fork-by-client";
            assert_eq!(expected["exit"] == 0, clean, "{row}");
        }
    }
}
