//! The program killed at random moments (SIGKILL: no handler runs, nothing is flushed), again and
//! again with one mirror. Whatever the moment, the mirror opens, and the audit that gets through
//! says what an undisturbed one says.
//!
//! It does not show that a power failure is survived: what the operating system had taken, it keeps.

use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::cli::{Auditor, Outcome, lasting};
use support::lab::write_files;
use support::log::{TestKey, honest_log, leaf, rejected};
use support::passkey::Passkey;
use support::served::Served;
use tempfile::TempDir;

/// Several batches of the mirror's writer.
const ENTRIES: usize = 30_000;

/// Leaves of all sorts: rejected, approved, and every kind of wrong now and then.
fn leaves() -> Vec<Vec<u8>> {
    let key = Passkey::new(7);
    let entry = |n: usize| {
        let entry = rejected(&format!("entry-{n}"));
        match n {
            n if n % 1_999 == 1_000 => leaf(&rejected(&format!("entry-{}", n / 2))), // id and nonce of another
            n if n % 2_503 == 2_000 => leaf(&entry).into_iter().rev().collect(),
            n if n % 3_001 == 3_000 => {
                let mut forged = key.approve(entry);
                forged["approver"] = "mallory".into();
                leaf(&forged)
            }
            n if n % 40 == 0 => leaf(&key.counting(u32::try_from(n).unwrap() % 10_000).approve(entry)),
            _ => leaf(&entry),
        }
    };
    (0..ENTRIES).map(entry).collect()
}

/// The parts of a report that a run cut in pieces must come to as well: how often the heads were
/// looked at is not among them.
fn settled(report: &Value) -> Value {
    let mut settled = lasting(report);
    for (name, check) in settled["checks"].as_object_mut().unwrap() {
        let asked = ["root", "tiles", "served-proofs", "verification-bundles"];
        if name.starts_with("head-") || asked.contains(&name.as_str()) {
            check.as_object_mut().unwrap().remove("count");
        }
    }
    settled
}

fn options(auditor: &Auditor) -> &'static [&'static str] {
    if auditor.db().exists() { &[] } else { &["--init"] }
}

/// Runs an audit, and kills it after `delay` if it is still at it. `None`: killed.
fn audit_or_kill(auditor: &Auditor, log: &Path, delay: Duration) -> Option<Outcome> {
    let mut command = auditor.audit_command(log, options(auditor));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while started.elapsed() < delay {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(1), "a run that ended by itself");
            return Some(auditor.audit(log, &[]));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Kills at least `kills` audits of a log and compares what comes of them in the end.
fn kill_again_and_again(log: &Path, vkey: &str, kills: usize, seed: u64, full: bool) {
    let started = Instant::now();
    let undisturbed = Auditor::new(vkey);
    let first = undisturbed.init(log);
    let whole = started.elapsed();
    let expected = settled(&first.report());
    assert_eq!((first.exit, expected["entries"]["total"].as_u64()), (1, Some(ENTRIES as u64)), "{first:?}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut killed, mut logs, mut midway) = (0, 0, 0);
    while killed < kills {
        let auditor = Auditor::new(vkey);
        logs += 1;
        let outcome = loop {
            // Most kills should land within the run, and some runs must get through.
            let micros = u64::try_from(whole.as_micros()).unwrap() * 9 / 10;
            match audit_or_kill(&auditor, log, Duration::from_micros(random.u64(0..micros))) {
                Some(outcome) => break outcome,
                None => killed += 1,
            }
            if auditor.db().exists() {
                // What an auditor might look at in between: the mirror opens, without --init.
                let heads = auditor.command(&["heads", "list", "--db", "{db}"]);
                assert_eq!(heads.exit, 0, "after kill {killed} (seed {seed}): {heads:?}");
                midway += usize::from(!auditor.leaves().is_empty());
            }
        };
        assert_eq!(settled(&outcome.report()), expected, "after {killed} kills (seed {seed})");
        assert_eq!(auditor.leaves(), undisturbed.leaves(), "after {killed} kills (seed {seed})");
        if full {
            let again = auditor.audit(log, &["--full"]).report();
            assert_eq!(
                settled(&again),
                expected,
                "checked again in full, after {killed} kills (seed {seed})"
            );
        }
    }
    println!(
        "{killed} kills of {logs} audits of {ENTRIES} entries, {midway} with leaves stored, in {:?}",
        started.elapsed()
    );
    assert!(midway > 0, "no kill came at an interesting moment");
}

fn log_with(change: impl FnOnce(&mut support::lab::Files)) -> (TempDir, String) {
    let key = TestKey::new(1);
    let mut files = honest_log(&key, &leaves());
    change(&mut files);
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), &files);
    (directory, key.vkey())
}

#[test]
fn a_killed_audit_continues() {
    let (log, vkey) = log_with(|_| {});
    kill_again_and_again(log.path(), &vkey, 30, 11, true);
}

/// Behind the JSON API what was taken is proved batch by batch; `--full` would ask about each entry.
#[test]
fn a_killed_audit_of_a_json_api_continues() {
    let (log, vkey) = log_with(|_| {});
    let server = Served::start(&["--dir", log.path().to_str().unwrap()]);
    kill_again_and_again(Path::new(&server.api_url()), &vkey, 15, 14, false);
}

#[test]
fn a_killed_audit_finds_a_wrong_tile() {
    let (log, vkey) = log_with(|files| files.get_mut("tile/0/050").unwrap()[100] ^= 1);
    kill_again_and_again(log.path(), &vkey, 12, 12, true);
}

#[test]
fn a_killed_audit_finds_a_wrong_entry() {
    // Everything up to the wrong bundle is taken; nothing after it.
    let (log, vkey) = log_with(|files| files.get_mut("tile/entries/090").unwrap()[100] ^= 1);
    let undisturbed = Auditor::new(&vkey);
    let expected = settled(&undisturbed.init(log.path()).report());
    let mut random = fastrand::Rng::with_seed(13);
    let auditor = Auditor::new(&vkey);
    for _ in 0..8 {
        let mut child =
            auditor.audit_command(log.path(), options(&auditor)).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(0..900)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let report = settled(&auditor.audit(log.path(), options(&auditor)).report());
    assert_eq!(report, expected);
    assert_eq!(auditor.leaves(), undisturbed.leaves());
}
