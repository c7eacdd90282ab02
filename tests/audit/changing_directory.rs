//! A directory that changes during the whole run: for an hour it is undecided, in any order and at any speed of the copy.
//! Faults in a directory that does not change are reported at once.

use countersign::audit::conclusion::Conclusion;
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::mirror::Mirror;
use countersign::run::Silent;
use countersign::run::receipts::served::{Wanted as WantedReceipt, make};
use countersign::source::tiled::Tiled;
use countersign::source::{Directory, HttpOptions};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use support::cli::Auditor;
use support::lab::{Answer, Files, Lab, Workspace, quick_tempdir, write_files};
use support::log::{TestKey, honest_log, rejected_leaves};
use support::receipt_cli::{nothing, receipt};
use tempfile::TempDir;

const NOW: u64 = 1_900_000_000_000;
const HOUR: u64 = 60 * 60_000;

fn key() -> TestKey {
    TestKey::new(1)
}

fn lab() -> Lab {
    Lab::of_key(&key().vkey())
}

/// What there is of a file.
enum Part {
    Nothing,
    Bytes(Vec<u8>),
    /// More than any file has, all zeros.
    TooLong,
}

/// A directory with a log in it.
struct OnDisk {
    home: TempDir,
}

impl OnDisk {
    fn new(files: &Files) -> OnDisk {
        let log = OnDisk { home: quick_tempdir() };
        log.write(files);
        log
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn write(&self, files: &Files) {
        write_files(&self.root(), files);
    }

    fn put(&self, file: &str, part: &Part) {
        let path = self.root().join(file);
        match part {
            Part::Nothing => fs::remove_file(path).unwrap(),
            Part::Bytes(bytes) => fs::write(path, bytes).unwrap(),
            Part::TooLong => fs::File::create(path).unwrap().set_len(1 << 30).unwrap(),
        }
    }

    /// As a source, where so much happens in each moment.
    fn with(&self, moment: impl Fn(&Path) + Send + Sync + 'static) -> Tiled<Directory> {
        let root = self.root();
        let pass = move || {
            moment(&root);
            true
        };
        Tiled::new(Directory::new(self.root(), &HttpOptions::default()).with_wait(pass))
    }

    /// The same while an unrelated file grows: the copy has not reached the missing files yet.
    fn copied(&self) -> Tiled<Directory> {
        self.with(|root| grow(&root.join("tile/.being-copied")))
    }

    /// The same where nothing happens but beside the log.
    fn still(&self) -> Tiled<Directory> {
        self.with(|root| grow(&root.join("mirror.db-wal")))
    }
}

fn grow(path: &Path) {
    fs::File::options().append(true).create(true).open(path).unwrap().write_all(b"7").unwrap();
}

fn audit_at(workspace: &Workspace<'_>, source: &Tiled<Directory>, now: u64, heads_only: bool) -> Answer {
    workspace.run_with(source, &Silent, |options| {
        options.now = UnixMillis::new(now);
        options.heads_only = heads_only;
    })
}

#[track_caller]
fn undecided(what: &str, answer: &Answer) {
    assert!(answer.findings.is_empty() && answer.faults.is_empty(), "{what}: {answer:?}");
    let causes = answer.incomplete.concat();
    assert!(
        causes.contains("directory was changing") && causes.contains("run again when"),
        "{what}: {answer:?}"
    );
}

#[track_caller]
fn accused(what: &str, answer: &Answer) {
    assert!(!answer.findings.is_empty() && answer.faults.is_empty(), "{what}: {answer:?}");
}

#[track_caller]
fn clean(what: &str, answer: &Answer, checked: u64) {
    assert!(answer.is_clean() && answer.checked == checked, "{what}: {answer:?}");
}

/// What a copy that is not done may have of a file: nothing, a part, a part and zeros, or all and some of it wrong.
fn parts_of(file: &[u8]) -> Vec<Part> {
    let half = file.len() / 2;
    let mut zeros = file[..half].to_vec();
    zeros.resize(file.len(), 0);
    let mut wrong = file.to_vec();
    wrong[half] ^= 1;
    let parts = [vec![], file[..half].to_vec(), file[..file.len() - 1].to_vec(), zeros, wrong];
    let parts = parts.into_iter().map(Part::Bytes);
    [Part::Nothing, Part::TooLong].into_iter().chain(parts).collect()
}

const FILES: [&str; 6] =
    ["checkpoint", "sth", "tile/0/000", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"];

/// Every file and every part of it, in an audit from scratch and in one of a log that grew.
fn each(mut case: impl FnMut(&str, &OnDisk, &Workspace<'_>)) {
    let lab = lab();
    let whole = honest_log(&key(), &rejected_leaves(300));
    for before in [0, 100] {
        for file in FILES {
            for (n, part) in parts_of(&whole[file]).iter().enumerate() {
                // A log need not have it.
                if file == "sth" && matches!(part, Part::Nothing) {
                    continue;
                }
                let log = OnDisk::new(&honest_log(&key(), &rejected_leaves(before)));
                let workspace = lab.workspace(0);
                workspace.begin();
                clean("before", &audit_at(&workspace, &log.still(), NOW - HOUR, false), before as u64);
                log.write(&whole);
                log.put(file, part);
                case(&format!("{file}, part {n}, {before} before"), &log, &workspace);
            }
        }
    }
}

#[test]
fn a_changing_directory_is_undecided_for_an_hour() {
    let whole = honest_log(&key(), &rejected_leaves(300));
    each(|what, log, workspace| {
        // Looked at often or seldom, by one way or another, the hour is the same one.
        for after in [0, 1, HOUR / 2, HOUR - 1] {
            undecided(what, &audit_at(workspace, &log.copied(), NOW + after, false));
        }
        accused(what, &audit_at(workspace, &log.copied(), NOW + HOUR, false));
        accused(what, &audit_at(workspace, &log.copied(), NOW + 5 * HOUR, false));
        log.write(&whole);
        clean(what, &audit_at(workspace, &log.copied(), NOW + 9 * HOUR, false), 300);
    });
}

#[test]
fn faults_in_an_unchanged_directory_are_reported_at_once() {
    each(|what, log, workspace| accused(what, &audit_at(workspace, &log.still(), NOW, false)));
}

/// The very file that is wrong grows, or comes a piece at a time.
#[test]
fn a_growing_file_is_undecided() {
    each(|what, log, workspace| {
        let file = what.split(',').next().unwrap().to_owned();
        let grows = log.with(move |root| grow(&root.join(&file)));
        undecided(what, &audit_at(workspace, &grows, NOW, false));
    });
}

/// A copy that is done in time leaves nothing behind: the next one has an hour of its own.
#[test]
fn each_copy_gets_its_own_hour() {
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    let leaves = rejected_leaves(900);
    let log = OnDisk::new(&honest_log(&key(), &leaves[..200]));
    for n in 0..5_u64 {
        let size = 300 + 100 * n as usize;
        let whole = honest_log(&key(), &leaves[..size]);
        log.write(&whole);
        let last = format!("tile/entries/{:03}.p/{}", (size - 1) / 256, size % 256);
        log.put(&last, &Part::Nothing);
        let begun = NOW + n * HOUR / 2;
        undecided("copied", &audit_at(&workspace, &log.copied(), begun, false));
        log.write(&whole);
        clean("done", &audit_at(&workspace, &log.still(), begun + HOUR / 4, false), size as u64);
    }
}

/// That a mirror lost heads leaves no run to pass, and each copy has its hour all the same.
#[test]
fn lost_heads_do_not_change_the_hour() {
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    let mut mirror = Mirror::open(&lab.db(0), &log_key).unwrap();
    let lost = mirror.transact(|_, state| {
        state.lost.push("a head".to_owned());
        Ok(())
    });
    lost.unwrap();
    mirror.acknowledge().unwrap();
    drop(mirror);
    let whole = honest_log(&key(), &rejected_leaves(300));
    let log = OnDisk::new(&whole);
    for n in 0..3 {
        log.put("tile/entries/001.p/44", &Part::Nothing);
        let begun = NOW + n * 2 * HOUR;
        let answer = audit_at(&workspace, &log.copied(), begun, false);
        assert!(
            answer.findings.is_empty() && answer.incomplete.iter().any(|why| why.contains("lost")),
            "{answer:?}"
        );
        log.write(&whole);
        let answer = audit_at(&workspace, &log.still(), begun + HOUR / 4, false);
        assert_eq!((answer.findings.len(), answer.incomplete.len()), (0, 1), "{answer:?}");
    }
}

/// A file of which the audit knows that it is missing before anything else is written.
#[test]
fn a_bundle_that_appears_during_the_run_is_not_a_gap() {
    let whole = honest_log(&key(), &rejected_leaves(3000));
    let log = OnDisk::new(&whole);
    let missing: Vec<&String> = whole.keys().filter(|name| name.starts_with("tile/entries/")).collect();
    for file in missing.iter().skip(1) {
        log.put(file, &Part::Nothing);
    }
    let moments = AtomicU64::new(0);
    let slow = log.with(move |root| {
        // By far not all that is missing is waited for.
        if moments.fetch_add(1, SeqCst) == 1 {
            grow(&root.join("tile/entries/.011.p"));
        }
    });
    let lab = lab();
    let answer = lab.workspace(0).audit(&slow);
    undecided("bundles", &answer);
    assert_eq!(answer.checked, 256, "what was proved is kept");
}

#[test]
fn heads_only_counts_its_own_hour() {
    let (old, new) = (rejected_leaves(250), rejected_leaves(700));
    let whole = honest_log(&key(), &new);
    for file in ["checkpoint", "sth", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"] {
        for (n, part) in parts_of(&whole[file]).iter().enumerate() {
            let what = format!("{file}, part {n}");
            if file == "sth" && matches!(part, Part::Nothing) {
                continue;
            }
            let log = OnDisk::new(&honest_log(&key(), &old));
            let lab = lab();
            let workspace = lab.workspace(0);
            workspace.begin();
            clean(&what, &audit_at(&workspace, &log.still(), NOW - HOUR, true), 0);
            log.write(&whole);
            log.put(file, part);
            undecided(&what, &audit_at(&workspace, &log.copied(), NOW, true));
            undecided(&what, &audit_at(&workspace, &log.copied(), NOW + HOUR - 1, true));
            accused(&what, &audit_at(&workspace, &log.copied(), NOW + HOUR, true));
        }
    }
    // It does not see that entries are still missing, and so does not begin the hour of an audit anew.
    let log = OnDisk::new(&whole);
    log.put("tile/entries/001", &Part::Nothing);
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    undecided("bundle", &audit_at(&workspace, &log.copied(), NOW, false));
    assert!(audit_at(&workspace, &log.still(), NOW + HOUR / 2, true).findings.is_empty());
    accused("bundle", &audit_at(&workspace, &log.copied(), NOW + HOUR, false));
}

/// A clock that was ahead does not put the end of the hour off.
#[test]
fn a_clock_error_does_not_extend_the_hour() {
    let log = OnDisk::new(&honest_log(&key(), &rejected_leaves(300)));
    log.put("tile/entries/000", &Part::Nothing);
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    undecided("ahead", &audit_at(&workspace, &log.copied(), NOW + 1000 * HOUR, false));
    undecided("now", &audit_at(&workspace, &log.copied(), NOW, false));
    accused("later", &audit_at(&workspace, &log.copied(), NOW + HOUR, false));
}

#[test]
fn a_receipt_from_a_changing_directory_is_undecided() {
    let whole = honest_log(&key(), &rejected_leaves(300));
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    for file in ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"] {
        for (n, part) in parts_of(&whole[file]).iter().enumerate() {
            let log = OnDisk::new(&whole);
            log.put(file, part);
            let made = |source: &Tiled<Directory>| {
                make(source, WantedReceipt::Index(7), &log_key).map(drop).map_err(|none| none.conclusion)
            };
            if made(&log.still()).is_ok() {
                // The leaf is the same; verification of the receipt shows the other faults.
                continue;
            }
            assert_eq!(made(&log.still()), Err(Conclusion::Invalid), "{file}, part {n}");
            assert_eq!(made(&log.copied()), Err(Conclusion::Incomplete), "{file}, part {n}");
        }
    }
}

/// Acts while somebody writes into a directory without a break.
fn while_written<T>(root: &Path, act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                grow(&root.join("tile/.being-copied"));
            }
        });
        let result = act();
        done.store(true, SeqCst);
        result
    })
}

/// The real program, while somebody writes into the directory from before its start to its end.
#[test]
fn the_program_reports_a_changing_directory() {
    let whole = honest_log(&key(), &rejected_leaves(300));
    for file in FILES {
        let log = OnDisk::new(&whole);
        log.put(file, &Part::Bytes(whole[file][..20].to_vec()));
        let auditor = Auditor::new(&key().vkey());
        let outcome = while_written(&log.root(), || auditor.init(log.root()));
        outcome.expect(3, &[]);
        let report = outcome.report();
        let causes = report["incomplete"].to_string();
        assert!(causes.contains("changing while it was read"), "{file}: {causes}");
        assert!(report["notes"].to_string().contains("has been changing since"), "{file}: {report:#}");
        if file != "tile/entries/001.p/44" {
            let path = log.root().display().to_string();
            let options = ["--index", "7", "--from-log", "--log", &path];
            let outcome = while_written(&log.root(), || receipt(&auditor, &options));
            nothing(&outcome, 3, &["changing while it was read"]);
            nothing(&receipt(&auditor, &options), 1, &[]);
        }
        // It stopped there.
        let outcome = auditor.audit(log.root(), &[]);
        assert_eq!(outcome.exit, 1, "{file}: {outcome:?}");
        log.write(&whole);
        auditor.audit(log.root(), &[]).expect(0, &[]);
    }
}
