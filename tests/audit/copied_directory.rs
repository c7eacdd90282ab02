//! A directory that is read while it is being copied: missing and truncated files are read again a moment later, so that
//! an honest log is not accused. Files that stay missing or wrong are findings.

use countersign::core::head::LogKey;
use countersign::run::receipts::served::{Wanted as WantedReceipt, make};
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{self, FetchError, HttpOptions, LogSource, Stop};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use support::cli::Auditor;
use support::lab::{Files, Lab, MemoryLog, quick_tempdir, write_files};
use support::log::{TestKey, honest_log, rejected_leaves};

fn key() -> TestKey {
    TestKey::new(1)
}

fn lab() -> Lab {
    Lab::of_key(&key().vkey())
}

/// A log one of whose files is only copied in part until so many moments have passed.
struct Copied<'a> {
    whole: &'a Files,
    part: Files,
    moments: AtomicU32,
    /// `None`: for ever.
    copied_after: Option<u32>,
    stop: bool,
}

impl<'a> Copied<'a> {
    fn new(whole: &'a Files, file: &str, part: Vec<u8>, copied_after: Option<u32>) -> Copied<'a> {
        let part = Files::from([(file.to_owned(), part)]);
        Copied { whole, part, moments: AtomicU32::new(0), copied_after, stop: false }
    }
}

impl Fetcher for &Copied<'_> {
    fn location(&self) -> String {
        "a copy".to_owned()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let partly = self.copied_after.is_none_or(|moments| self.moments.load(SeqCst) < moments);
        let part = self.part.iter().next().filter(|_| partly);
        let instead = part.map(|(name, bytes)| (name.as_str(), bytes.clone()));
        MemoryLog { files: self.whole, instead }.fetch(wanted)
    }

    fn settle(&self) -> Result<(), FetchError> {
        self.moments.fetch_add(1, SeqCst);
        let why = || FetchError::Unavailable { what: String::new(), cause: Stop::MESSAGE.to_owned() };
        if self.stop { Err(why()) } else { Ok(()) }
    }
}

/// What a copy that is not done may have of a file: nothing, a part, or a part and zeros for the rest.
fn parts_of(file: &[u8]) -> Vec<Vec<u8>> {
    let half = file.len() / 2;
    let mut zeros = file[..half].to_vec();
    zeros.resize(file.len(), 0);
    vec![Vec::new(), file[..half].to_vec(), file[..file.len() - 1].to_vec(), zeros]
}

const FILES: [&str; 6] =
    ["checkpoint", "sth", "tile/0/000", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"];

#[test]
fn a_partial_copy_is_read_again() {
    let (lab, whole) = (lab(), honest_log(&key(), &rejected_leaves(300)));
    for file in FILES {
        for part in parts_of(&whole[file]) {
            let copied = Copied::new(&whole, file, part.clone(), Some(1));
            let answer = lab.workspace(0).audit(&Tiled::new(&copied));
            assert!(answer.is_clean() && answer.checked == 300, "{file}, {} bytes: {answer:?}", part.len());
            assert_eq!(copied.moments.load(SeqCst), 1, "{file}");
            let stays = Copied::new(&whole, file, part, None);
            let answer = lab.workspace(0).audit(&Tiled::new(&stays));
            assert!(!answer.findings.is_empty(), "{file}: {answer:?}");
        }
    }
}

#[test]
fn a_log_extended_by_a_copy_is_read_again() {
    let lab = lab();
    let before = honest_log(&key(), &rejected_leaves(300));
    let whole = honest_log(&key(), &rejected_leaves(70_000));
    for file in [
        "tile/0/001",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
        "tile/entries/001",
        "tile/0/273.p/112",
    ] {
        let workspace = lab.workspace(0);
        assert!(workspace.audit(&MemoryLog { files: &before, instead: None }.source()).is_clean());
        let part = parts_of(&whole[file]).remove(1);
        let answer = workspace.audit_again(&Tiled::new(&Copied::new(&whole, file, part, Some(1))));
        assert!(answer.is_clean() && answer.checked == 70_000, "{file}: {answer:?}");
    }
}

#[test]
fn a_receipt_is_made_during_a_copy() {
    let whole = honest_log(&key(), &rejected_leaves(300));
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    let made =
        |source: &dyn LogSource| make(source, WantedReceipt::Index(7), &log_key).map(|made| made.receipt);
    let expected = made(&MemoryLog { files: &whole, instead: None }.source()).unwrap();
    for file in ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"] {
        for part in parts_of(&whole[file]) {
            let copied = Copied::new(&whole, file, part, Some(1));
            assert_eq!(made(&Tiled::new(&copied)).as_ref(), Ok(&expected), "{file}");
        }
    }
}

#[test]
fn a_run_stopped_during_a_copy_has_no_findings() {
    let (lab, whole) = (lab(), honest_log(&key(), &rejected_leaves(300)));
    for file in FILES {
        let stopped = Copied { stop: true, ..Copied::new(&whole, file, whole[file][..20].to_vec(), None) };
        let answer = lab.workspace(0).audit(&Tiled::new(&stopped));
        assert!(answer.findings.is_empty() && !answer.incomplete.is_empty(), "{file}: {answer:?}");
    }
}

/// As `rsync` copies: each file appears under its name when it is complete, in any order.
#[test]
fn a_copy_in_any_order_is_waited_for() {
    let whole = honest_log(&key(), &rejected_leaves(600));
    for forwards in [true, false] {
        let home = quick_tempdir();
        let log = home.path().join("log");
        fs::create_dir(&log).unwrap();
        // So that the test does not hang on how fast the copy is.
        let patient = HttpOptions {
            missing_retries: u32::MAX,
            missing_delay: Duration::from_millis(1),
            ..HttpOptions::default()
        };
        let source = source::open(log.to_str().unwrap(), false, &patient).map_err(|e| e.to_string()).unwrap();
        let lab = lab();
        let answer = std::thread::scope(|scope| {
            let auditing = scope.spawn(|| lab.workspace(0).audit(source.as_ref()));
            let mut files: Vec<_> = whole.iter().collect();
            if !forwards {
                files.reverse();
            }
            for (name, bytes) in files {
                let part = home.path().join("part");
                fs::write(&part, bytes).unwrap();
                fs::create_dir_all(log.join(name).parent().unwrap()).unwrap();
                fs::rename(&part, log.join(name)).unwrap();
                std::thread::yield_now();
            }
            auditing.join().unwrap()
        });
        assert!(answer.is_clean() && answer.checked == 600, "{answer:?}");
    }
}

/// Through the real program: what is missing stays a gap, however much of it.
#[test]
fn files_that_stay_missing_are_gaps() {
    let whole = honest_log(&key(), &rejected_leaves(3_000));
    for (missing, codes) in [
        ("tile/entries/003", &["gap"][..]),
        ("tile/entries/", &["gap"]),
        ("tile/0/", &["gap"]),
        ("checkpoint", &["gap"]),
        ("sth", &[]),
    ] {
        let auditor = Auditor::new(&key().vkey());
        let log = auditor.directory().join("log");
        let mut files = whole.clone();
        files.retain(|name, _| !name.starts_with(missing));
        write_files(&log, &files);
        let outcome = auditor.init(&log);
        outcome.expect(i32::from(!codes.is_empty()), codes);
    }
}
