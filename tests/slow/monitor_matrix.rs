//! Whatever goes wrong, the right people hear of it, once: every kind of misbehaviour and fault against the real
//! monitor over HTTP, with alerts to a program, a webhook and a mail server, while monitors are killed (`kill -9`).
//!
//! "Exactly once" is for receivers that store keys: each key has one alert, and no alert has two keys. How often
//! one comes again under its key is bounded by the kills.

#![cfg(target_os = "linux")]

mod stage;

use stage::{Act, Case, End, Expected, World};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const NEW: &str = "new";
/// Once for each format: the checkpoint and the STH.
const BAD_KEY: Expected = (NEW, "head-signature-invalid", "invalid", false);

/// What one rule watches for.
const WATCHED: Expected = (NEW, "watch-list", "warning", false);

const LOCAL: Expected = ("local", "local-fault", "warning", false);
const WELL: Expected = ("recovered", "local-fault", "warning", false);

/// A log that lies in one way, and the finding that this is.
const fn lie(
    name: &'static str,
    log: &'static [&'static str],
    stages: &'static [(Act, &'static [Expected])],
) -> Case {
    Case { name, log, more: "", tables: "", stages }
}

/// The matrix. A row more is a case more.
const CASES: &[Case] = &[
    lie(
        "rollback",
        &["--entries", "60", "--lie", "rollback"],
        &[(Act::Pass, &[(NEW, "head-rollback", "invalid", false)])],
    ),
    Case {
        more: "max-head-age = \"36h\"\n",
        ..lie(
            "frozen head",
            &["--entries", "60", "--lie", "frozen"],
            &[(Act::Pass, &[(NEW, "head-stale", "warning", false)])],
        )
    },
    lie(
        "gap",
        &["--entries", "60", "--lie", "no-entries:404"],
        &[(Act::Pass, &[(NEW, "gap", "invalid", false)])],
    ),
    lie("key swap", &["--entries", "60", "--lie", "key-swap"], &[(Act::Pass, &[BAD_KEY, BAD_KEY])]),
    lie(
        "tampered entry",
        &["--entries", "60", "--lie", "tampered-entry:7"],
        &[(Act::Pass, &[(NEW, "root-mismatch", "invalid", false)])],
    ),
    lie(
        "forged entry",
        &["--entries", "60", "--lie", "forged-entry:7"],
        &[(Act::Pass, &[(NEW, "signature-invalid", "invalid", false)])],
    ),
    lie(
        "rewritten history",
        &["--entries", "60", "--lie", "rewrite"],
        &[(Act::Pass, &[(NEW, "inconsistent-heads", "violation", true)])],
    ),
    lie(
        "fork, by imported heads",
        &["--entries", "60", "--lie", "fork-by-client:mallory"],
        &[(Act::Pass, &[]), (Act::ImportFork, &[(NEW, "same-size-fork", "violation", true)])],
    ),
    Case {
        tables: "[[log.peer]]\nname = \"other\"\nheads = \"{peer}\"\n",
        ..lie(
            "fork, seen by another monitor",
            &["--entries", "60", "--lie", "fork-by-client:mallory"],
            &[(Act::Pass, &[(NEW, "same-size-fork", "violation", true)])],
        )
    },
    Case {
        tables: "[[log.watch]]\nname = \"refused by bruna\"\napprover = \"bruna.1\"\ndecision = \"rejected\"\n\
                 [[log.watch]]\nname = \"a key of alex\"\napprover = \"alex.0\"\nnew-key = true\n",
        ..lie("watch list", &["--entries", "60"], &[(Act::Pass, &[WATCHED, WATCHED])])
    },
    lie(
        "outage",
        &["--entries", "60"],
        &[
            (Act::Pass, &[]),
            (Act::Down, &[("unreachable", "unreachable", "warning", false)]),
            (Act::Up, &[("recovered", "unreachable", "warning", false)]),
        ],
    ),
    lie(
        "mirror gone",
        &["--entries", "60"],
        &[(Act::Pass, &[]), (Act::TakeMirror, &[LOCAL]), (Act::PutBack, &[WELL])],
    ),
    lie(
        "mirror held",
        &["--entries", "60"],
        &[(Act::Pass, &[]), (Act::Hold, &[LOCAL]), (Act::Release, &[WELL])],
    ),
    lie(
        "nothing, slowly",
        &["--entries", "60", "--grow", "20", "--disturb", "slow:60"],
        &[(Act::Pass, &[]), (Act::Pass, &[])],
    ),
];

#[test]
fn a_monitor_reports_each_kind_of_fault() {
    in_parallel(CASES.len() as u64, |number| {
        let mut world = World::of(&CASES[number as usize], 0);
        world.live(Vec::new);
        world.check_outbox();
    });
}

/// Monitors are killed at random moments, some of them a few milliseconds after their start.
#[test]
fn fifty_seeded_runs_lose_no_alert() {
    let lives = std::env::var("COUNTERSIGN_LIVES").map_or(50, |lives| lives.parse().unwrap());
    let from = std::env::var("COUNTERSIGN_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (begun, twice) = (Instant::now(), AtomicUsize::new(0));
    in_parallel(lives, |number| {
        let seed = from + number;
        let mut random = fastrand::Rng::with_seed(seed);
        let case = &CASES[seed as usize % CASES.len()];
        println!("seed {seed}: {}", case.name);
        let mut world = World::of(case, seed);
        let each = u64::try_from(case.stages.len()).unwrap();
        world.live(|| {
            let kills = random.u64(1..=(5 / each).max(1));
            let mut end = || {
                let after = if random.u8(..4) == 0 { random.u64(1..25) } else { random.u64(25..600) };
                let end = if random.u8(..5) == 0 { End::Stop } else { End::Kill };
                (Duration::from_millis(after), end)
            };
            (0..kills).map(|_| end()).collect()
        });
        twice.fetch_add(world.check_outbox(), SeqCst);
    });
    println!("{lives} lives in {:?}; {twice:?} alerts came again under their keys", begun.elapsed());
}

/// Three at a time: they wait for most of their time, and a small machine has two cores. Each is tried, whatever becomes of the others.
fn in_parallel(count: u64, one: impl Fn(u64) + Sync) {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= count {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| one(number))).is_err() {
                        failed.lock().unwrap().push(number);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?} failed, see above");
}
