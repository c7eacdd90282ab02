//! A monitor that lives long among disturbances: memory flat, no file or thread leaked, no entry missed, nobody
//! accused. A minute here (`COUNTERSIGN_SOAK_SECONDS`); ten by `tests/soak.sh`.
//!
//! The log grows and answers badly; its server is killed, comes back, and hangs; the monitor is reloaded and stands
//! still; its pages are read all the while.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::cli::Auditor;
use support::monitor::{Monitor, config, hasty_log_table};
use support::process::Process;
use support::receivers::Receivers;
use support::served::Served;

/// Memory at the end may be so much more than at the beginning.
const FLAT: f64 = 1.05;

/// So many rests are looked at, at first and, if need be, at last.
const RESTS: [usize; 2] = [2, 6];

/// What is free goes back to the system step by step, from a second on.
const REST: Duration = Duration::from_secs(5);

/// The entries of the first audit, or as many as `COUNTERSIGN_SOAK_ENTRIES` says: more than are hashed again in one audit,
/// so that an audit needs what it will always need.
const ENTRIES: u64 = 6000;

/// The most that a monitor at rest may hold, whatever its first audit held, in KiB.
const MAX_AT_REST: u64 = 40_000;

/// Entries a second.
const GROWTH: &str = "25";

const DISTURBANCES: &[&str] =
    &["429:41", "503:53", "resets:61", "cut:47", "gzip-members:3", "slow:3", "not-yet:83", "restarts:397"];

/// The log, which may be unreachable.
struct Log {
    server: Option<Served>,
    address: String,
}

impl Log {
    fn start(address: &str, entries: u64) -> Served {
        let entries = entries.to_string();
        let mut arguments = vec!["--listen", address, "--entries", &entries, "--grow", GROWTH];
        arguments.extend(["--approvers", "4", "--mix", "es256=1"]);
        DISTURBANCES.iter().for_each(|disturbance| arguments.extend(["--disturb", disturbance]));
        Served::start(&arguments)
    }

    fn new() -> Log {
        let entries =
            std::env::var("COUNTERSIGN_SOAK_ENTRIES").map_or(ENTRIES, |entries| entries.parse().unwrap());
        let server = Log::start("127.0.0.1:0", entries);
        let address = server.url.trim_start_matches("http://").trim_end_matches("/log").to_owned();
        Log { server: Some(server), address }
    }

    /// Kills the server, and starts another that has all that it had: entries and keys come from one seed.
    fn restart(&mut self, away: Duration) {
        let size = self.size();
        self.server = None;
        std::thread::sleep(away);
        // What it signed since it was asked covers the entries of a moment.
        self.server = Some(Log::start(&self.address, size + 50));
    }

    /// The size of its head now, retried through transient faults.
    fn size(&self) -> u64 {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        loop {
            let answer = client.get(format!("http://{}/log/checkpoint", self.address)).send();
            let text = answer.and_then(reqwest::blocking::Response::text).unwrap_or_default();
            if let Some(size) = text.lines().nth(1).and_then(|line| line.parse().ok()) {
                return size;
            }
        }
    }

    fn hang(&self, time: Duration) {
        let id = self.server.as_ref().unwrap().child.id();
        signal(id, "STOP");
        std::thread::sleep(time);
        signal(id, "CONT");
    }
}

fn signal(process: u32, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_long_run_leaks_misses_and_accuses_nothing() {
    let seconds = std::env::var("COUNTERSIGN_SOAK_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    let length = Duration::from_secs(seconds);
    let seed = std::env::var("COUNTERSIGN_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}, {seconds} s");
    let mut log = Log::new();
    let key = log.server.as_ref().unwrap().log_key().to_owned();
    let url = log.server.as_ref().unwrap().tiles_url();
    let auditor = Auditor::new(&key);
    let receivers = Receivers::start(auditor.directory());
    let write = |interval: &str| {
        let more = format!("interval = {interval:?}\ninit = {}\n", !auditor.db().exists());
        let table = hasty_log_table("main", &url, &auditor.db(), &key, &more);
        config(auditor.directory(), &format!("{}\n{table}", receivers.tables()))
    };
    let path = write("300ms");
    let write = |interval: &str| drop(write(interval));
    let mut monitor = Monitor::start(&path);
    let process = Process(monitor.child.id());
    monitor.wait_audits(3);
    write("300ms");
    let mut random = fastrand::Rng::with_seed(seed);
    // Settled: after every kind of thing has happened a few times.
    let mut kinds = (0..6).cycle().take(30 + usize::try_from(seconds / 10).unwrap());
    live(&monitor, &mut log, &mut random, |_| kinds.next());
    let (first, files) = (resident_at_rest(&monitor, &write, RESTS[0], 0), at_rest(&monitor));
    let limit = (first as f64 * FLAT) as u64;
    let begun = Instant::now();
    live(&monitor, &mut log, &mut random, |random| (begun.elapsed() < length).then(|| random.u8(..6)));
    let (last, after) = (resident_at_rest(&monitor, &write, RESTS[1], limit), at_rest(&monitor));
    println!(
        "resident {first} KiB at first, {last} KiB at last, {} KiB at most; {} files; {} threads; {} audits",
        process.peak(),
        after.0,
        after.1,
        monitor.of_kind("audited").len()
    );
    assert!(last <= limit, "memory grows");
    assert!(last <= MAX_AT_REST, "{last} KiB at rest");
    // What leaks does so with each of more than a hundred audits; a connection more or less is none.
    assert!(after.0 <= files.0 + 2 && after.1 <= files.1 + 2, "files or threads leak: {files:?}, {after:?}");
    check_whole(&monitor, &log, &auditor, &receivers);
    monitor.stop();
}

/// One disturbance after the other while others read the pages.
fn live(
    monitor: &Monitor,
    log: &mut Log,
    random: &mut fastrand::Rng,
    mut next: impl FnMut(&mut fastrand::Rng) -> Option<u8>,
) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| read_pages(monitor, &done));
        while let Some(kind) = next(random) {
            disturb(kind, log, monitor, random);
        }
        done.store(true, Relaxed);
    });
}

/// What it holds at rest, in KiB: the least of several rests, each had by a reload with an interval of an hour, and after
/// some audits. What leaks is held at each of them, so that one with no more than `enough` is the last.
fn resident_at_rest(monitor: &Monitor, write: &dyn Fn(&str), rests: usize, enough: u64) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..rests {
        monitor.wait_audits(3);
        reload(monitor, write, "1h");
        // The audit that comes with a reload is the last for long.
        monitor.wait_audits(1);
        std::thread::sleep(REST);
        let resident = Process(monitor.child.id()).resident();
        println!("at rest: {resident} KiB");
        least = least.min(resident);
        reload(monitor, write, "300ms");
        if least <= enough {
            break;
        }
    }
    least
}

fn reload(monitor: &Monitor, write: &dyn Fn(&str), interval: &str) {
    let before = monitor.events().len();
    write(interval);
    monitor.signal("HUP");
    monitor.wait_after(before, "a reload", |event| event["event"] == "reloaded");
}

/// One disturbance, and a while in which nothing else happens.
fn disturb(kind: u8, log: &mut Log, monitor: &Monitor, random: &mut fastrand::Rng) {
    let ms = |random: &mut fastrand::Rng, most: u64| Duration::from_millis(random.u64(50..most));
    match kind {
        0 => log.restart(ms(random, 700)),
        1 => log.hang(ms(random, 900)),
        2 => monitor.signal("HUP"),
        3 => {
            monitor.signal("STOP");
            std::thread::sleep(ms(random, 1500));
            monitor.signal("CONT");
        }
        _ => {}
    }
    std::thread::sleep(ms(random, 700));
}

/// Others read what the monitor serves, and some close the connection early.
fn read_pages(monitor: &Monitor, done: &AtomicBool) {
    while !done.load(Relaxed) {
        for path in ["/heads", "/heads?log=main", "/metrics", "/healthz", "/nothing"] {
            let client =
                reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build();
            // A monitor that stands still does not answer.
            if let Ok(answer) = client.unwrap().get(monitor.url(path)).send() {
                drop(answer);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Open files and threads while nothing is being done: the fewest of many looks, each, and none of them at a reload.
fn at_rest(monitor: &Monitor) -> (usize, u64) {
    monitor.wait_audits(2);
    let process = Process(monitor.child.id());
    let looks: Vec<(usize, u64)> = (0..300)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            (process.files().len(), process.threads())
        })
        .collect();
    let fewest = |of: fn(&(usize, u64)) -> u64| looks.iter().map(of).min().unwrap();
    (usize::try_from(fewest(|look| look.0 as u64)).unwrap(), fewest(|look| look.1))
}

/// The log no longer grows; the monitor has checked all of it, without findings.
fn check_whole(monitor: &Monitor, log: &Log, auditor: &Auditor, receivers: &Receivers) {
    let verdicts = monitor.of_kind("audited").into_iter().map(|audit| audit["verdict"].clone());
    let wrong: Vec<_> = verdicts.filter(|word| word != "clean" && word != "incomplete").collect();
    assert_eq!(wrong, Vec::<serde_json::Value>::new());
    let accused: Vec<_> = monitor.events().into_iter().filter(|event| !event["code"].is_null()).collect();
    assert!(accused.is_empty(), "{accused:#?}");
    let kinds = ["unreachable", "recovered", "local"];
    for (receiver, got) in receivers.got() {
        let accusing: Vec<_> = got.iter().filter(|got| !kinds.contains(&got.what[0].as_str())).collect();
        assert!(accusing.is_empty(), "{receiver}: {accusing:#?}");
    }
    monitor.wait_audits(3);
    let report = loop {
        let outcome = auditor.audit(log.server.as_ref().unwrap().tiles_url(), &["--full"]);
        // The monitor may be at it.
        if outcome.exit != 5 {
            assert_eq!(outcome.exit, 0, "{outcome:#?}");
            break outcome.report();
        }
    };
    let size = report["log"]["treeSize"].as_u64().unwrap();
    assert_eq!(report["entries"]["total"].as_u64(), Some(size), "{report:#}");
    println!("{size} entries mirrored and checked");
    assert_eq!(indices(&auditor.db()), (0..size).collect::<Vec<u64>>());
}

fn indices(db: &Path) -> Vec<u64> {
    let db = rusqlite::Connection::open_with_flags(db, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut select = db.prepare("SELECT \"index\" FROM leaf_text ORDER BY 1").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
