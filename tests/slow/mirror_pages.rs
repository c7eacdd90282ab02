//! A disk that loses writes. SQLite has no checksums of its pages: a page that was not written reads as what it was one
//! audit earlier. Here pages of a mirror are put back, emptied, swapped and cut off, and rows deleted behind its back, before
//! a log is audited that does something which only that memory can show. The answer must be a fault of ours, or the one
//! that an undisturbed mirror gives; a bad log never passes, and an honest one is never accused.
//!
//! `MIRROR_PAGES=20000 cargo test --test slow mirror_pages::` tries more than the test run does.

use countersign::core::time::UnixMillis;
use countersign::mirror::Mirror;
use countersign::run::{Options, Run, Silent};
use countersign::source::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use support::lab::{Files, MemoryLog, on_all_cores, policy, quick_tempdir};
use support::log::{HEAD_TIME, TestKey, honest_log, leaf, rejected, root_of};
use support::passkey::Passkey;

/// Entries of the first audit: more than a rotation looks at.
const ENTRIES: usize = 6_000;

/// The size of SQLite's pages in a mirror.
const PAGE: usize = 8192;

/// Trials of each kind in a test run.
const TRIALS: usize = 1_000;

fn trials() -> usize {
    std::env::var("MIRROR_PAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(TRIALS)
}

/// What an audit came to: findings above `info`, whether all was decided; or a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Report(BTreeSet<(String, Option<u64>)>, bool),
    Fault(String),
}

fn audit(db: &Path, vkey: &str, files: &Files, full: bool, hour: u64) -> Answer {
    let policy = policy(vkey);
    let mut mirror = match Mirror::open(db, &policy.log_key) {
        Ok(mirror) => mirror,
        Err(error) => return Answer::Fault(error.to_string()),
    };
    let now = 1_900_000_000_000 + hour * 2 * 3_600_000;
    let options = Options {
        full,
        heads_only: false,
        workers: 1,
        evidence_dir: db.parent().unwrap().to_owned(),
        max_entries: 1_000_000,
        max_findings: 10_000,
        now: UnixMillis::new(now),
        stop: Stop::default(),
    };
    let log = MemoryLog { files, instead: None }.source();
    let summary = Run::new(Some(&log), &mut mirror, &policy, &options, &Silent).audit();
    if let Some(fault) = summary.faults.first() {
        return Answer::Fault(fault.clone());
    }
    let findings = match mirror.findings().standing() {
        Ok(findings) => findings.into_iter().map(|stored| stored.finding),
        Err(error) => return Answer::Fault(error.to_string()),
    };
    let serious = findings.filter(|finding| finding.severity > countersign::core::finding::Severity::Info);
    let findings = serious.map(|finding| (finding.code.as_str().to_owned(), finding.index)).collect();
    Answer::Report(findings, summary.incomplete.is_empty() && summary.follows.is_empty())
}

/// A mirror's files after an audit, with nothing left in the write-ahead log.
#[derive(Clone)]
struct Image {
    db: Vec<u8>,
    mark: Vec<u8>,
}

impl Image {
    fn of(db: &Path) -> Image {
        let connection = rusqlite::Connection::open(db).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        Image { db: fs::read(db).unwrap(), mark: fs::read(beside(db, ".mark")).unwrap() }
    }

    fn put(&self, db: &Path) {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(db, suffix));
        }
        fs::write(db, &self.db).unwrap();
        fs::write(beside(db, ".mark"), &self.mark).unwrap();
    }

    fn page(&self, n: usize) -> Option<&[u8]> {
        self.db.get(n * PAGE..(n + 1) * PAGE)
    }
}

fn beside(db: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", db.display()))
}

/// A log that grew twice and continues in many ways, and the mirror after each growth.
struct Stage {
    vkey: String,
    earlier: Image,
    newest: Image,
    /// How the log continues, and the result with an undamaged mirror.
    finales: Vec<(&'static str, Files, Answer)>,
}

fn stage() -> Stage {
    let key = TestKey::new(1);
    let passkeys: Vec<Passkey> = (1..=40).map(Passkey::new).collect();
    let approved = |n: usize, passkey: usize, approver: &str| {
        let mut entry = rejected(&format!("entry-{n}"));
        entry["approver"] = approver.into();
        leaf(&passkeys[passkey].counting(u32::try_from(n).unwrap()).approve(entry))
    };
    let ordinary = |n: usize| match n {
        n if n % 250 == 7 => approved(n, n / 250, &format!("approver-{}", n / 250)),
        n => leaf(&rejected(&format!("entry-{n}"))),
    };
    let mut leaves: Vec<Vec<u8>> = (0..ENTRIES).map(ordinary).collect();
    let first = honest_log(&key, &leaves);
    leaves.extend((ENTRIES..ENTRIES + 20).map(ordinary));
    leaves.push(approved(90_001, 35, "newcomer"));
    // Something that was found, and must not be forgotten.
    leaves.push(leaf(&rejected("entry-17")));
    let second = with_time(honest_log(&key, &leaves), &key, &leaves, HEAD_TIME + 600_000);
    let (size, root) = (leaves.len() as u64, root_of(&leaves));
    let grown = |more: Vec<Vec<u8>>| {
        let leaves: Vec<Vec<u8>> = leaves.iter().cloned().chain(more).collect();
        with_time(honest_log(&key, &leaves), &key, &leaves, HEAD_TIME + 1_200_000)
    };
    let new = |from: usize| (from..from + 10).map(|n| leaf(&rejected(&format!("new-{n}"))));
    let with_heads = |files: &Files, checkpoint: Vec<u8>, sth: Vec<u8>| {
        let mut files = files.clone();
        files.insert("checkpoint".to_owned(), checkpoint);
        files.insert("sth".to_owned(), sth);
        files
    };
    let other = countersign::core::hash::sha256(b"another history");
    let finales: Vec<(&'static str, Files)> = vec![
        ("growth", grown(new(0).collect())),
        ("nothing new", second.clone()),
        ("replay of the first audit's", grown(new(0).chain([leaf(&rejected("entry-4711"))]).collect())),
        ("replay of the second audit's", grown(vec![leaf(&rejected(&format!("entry-{}", ENTRIES + 5)))])),
        ("a newcomer's key for another", grown(vec![approved(90_002, 35, "mallory")])),
        ("an old key for another", grown(vec![approved(90_003, 3, "mallory")])),
        ("rollback", first.clone()),
        (
            "fork",
            with_heads(&second, key.checkpoint(size, other), key.sth(size, other, HEAD_TIME + 1_200_000)),
        ),
        (
            "rollback with a new date",
            with_heads(
                &first,
                key.checkpoint(ENTRIES as u64, root_of(&leaves[..ENTRIES])),
                key.sth(ENTRIES as u64, root_of(&leaves[..ENTRIES]), HEAD_TIME + 1_200_000),
            ),
        ),
        (
            "signed again",
            with_heads(&second, key.checkpoint(size, root), key.sth(size, root, HEAD_TIME + 1_200_000)),
        ),
    ];
    let home = quick_tempdir();
    let db = home.path().join("stage.db");
    let vkey = key.vkey();
    drop(Mirror::create_or_open(&db, &policy(&vkey).log_key).unwrap());
    assert_eq!(audit(&db, &vkey, &first, false, 1), Answer::Report(BTreeSet::new(), true));
    let earlier = Image::of(&db);
    let found = audit(&db, &vkey, &second, false, 2);
    assert!(matches!(&found, Answer::Report(findings, true) if findings.len() == 2), "{found:?}");
    let newest = Image::of(&db);
    let finales = finales
        .into_iter()
        .map(|(name, files)| {
            newest.put(&db);
            let answer = audit(&db, &vkey, &files, false, 3);
            assert!(matches!(answer, Answer::Report(..)), "{name}: {answer:?}");
            newest.put(&db);
            assert_eq!(audit(&db, &vkey, &files, true, 3), answer, "{name}, in full");
            (name, files, answer)
        })
        .collect::<Vec<_>>();
    let kinds: BTreeSet<String> = finales.iter().map(|(.., answer)| format!("{answer:?}")).collect();
    assert!(kinds.len() >= 7, "the finales do not differ: {kinds:#?}");
    Stage { vkey, earlier, newest, finales }
}

fn with_time(mut files: Files, key: &TestKey, leaves: &[Vec<u8>], time: u64) -> Files {
    files.insert("sth".to_owned(), key.sth(leaves.len() as u64, root_of(leaves), time));
    files
}

/// Audits a damaged mirror of the stage many times, each with other damage; `damage` says what it did.
fn try_all(stage: &Stage, count: usize, damage: impl Fn(usize, &Path) -> String + Sync) {
    let home = quick_tempdir();
    let counts = Mutex::new(BTreeMap::<&str, usize>::new());
    on_all_cores(count, |thread, number| {
        let folder = home.path().join(format!("{thread}"));
        fs::create_dir_all(&folder).unwrap();
        let db = folder.join("mirror.db");
        stage.newest.put(&db);
        let what = damage(number, &db);
        let (name, files, expected) = &stage.finales[number % stage.finales.len()];
        let full = number % 3 == 2;
        let answer = audit(&db, &stage.vkey, files, full, 3);
        let kind = if answer == *expected { "as ever" } else { "fault" };
        assert!(
            answer == *expected || matches!(answer, Answer::Fault(_)),
            "{what}; {name}{}: {answer:?} in place of {expected:?}",
            if full { ", in full" } else { "" }
        );
        *counts.lock().unwrap().entry(kind).or_default() += 1;
    });
    println!("{count} trials: {:?}", counts.lock().unwrap());
}

/// Pages of the newest mirror that are not what they were one audit earlier.
fn changed_pages(stage: &Stage) -> Vec<usize> {
    let pages = stage.newest.db.len() / PAGE;
    (0..pages)
        .filter(|n| stage.earlier.page(*n).is_some_and(|old| Some(old) != stage.newest.page(*n)))
        .collect()
}

#[test]
fn a_lost_write_is_found_or_harmless() {
    let stage = stage();
    let changed = changed_pages(&stage);
    assert!(changed.len() > 10, "{changed:?}");
    let count = trials().max(changed.len() * stage.finales.len());
    // Every changed page alone, with every finale; then any number of them at once.
    try_all(&stage, count, |number, db| {
        let mut random = fastrand::Rng::with_seed(number as u64);
        let alone = number / stage.finales.len();
        let lost: Vec<usize> = match changed.get(alone) {
            Some(page) => vec![*page],
            None => changed.iter().copied().filter(|_| random.bool()).collect(),
        };
        let mut bytes = stage.newest.db.clone();
        for page in &lost {
            bytes[page * PAGE..(page + 1) * PAGE].copy_from_slice(stage.earlier.page(*page).unwrap());
        }
        fs::write(db, bytes).unwrap();
        format!("pages {lost:?} as they were")
    });
}

#[test]
fn emptied_swapped_and_cut_pages_are_found_or_harmless() {
    let stage = stage();
    let pages = stage.newest.db.len() / PAGE;
    try_all(&stage, trials(), |number, db| {
        let mut random = fastrand::Rng::with_seed(1_000_000 + number as u64);
        let mut bytes = stage.newest.db.clone();
        let (a, b) = (random.usize(0..pages), random.usize(0..pages));
        let what = match number % 4 {
            0 => {
                bytes[a * PAGE..(a + 1) * PAGE].fill(0);
                format!("page {a} of zeros")
            }
            1 => {
                let page = bytes[b * PAGE..(b + 1) * PAGE].to_vec();
                bytes[a * PAGE..(a + 1) * PAGE].copy_from_slice(&page);
                format!("page {b} also in the place of {a}")
            }
            2 => {
                let (page, other) =
                    (bytes[a * PAGE..(a + 1) * PAGE].to_vec(), bytes[b * PAGE..(b + 1) * PAGE].to_vec());
                bytes[a * PAGE..(a + 1) * PAGE].copy_from_slice(&other);
                bytes[b * PAGE..(b + 1) * PAGE].copy_from_slice(&page);
                format!("pages {a} and {b} swapped")
            }
            _ => {
                bytes.truncate((a + 1) * PAGE);
                format!("cut after page {a}")
            }
        };
        fs::write(db, bytes).unwrap();
        what
    });
}

#[test]
fn missing_rows_and_tables_are_found_or_harmless() {
    let stage = stage();
    let db = rusqlite::Connection::open_in_memory().unwrap();
    drop(db);
    let home = quick_tempdir();
    let path = home.path().join("names.db");
    stage.newest.put(&path);
    let db = rusqlite::Connection::open(&path).unwrap();
    let names: Vec<String> = db
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(names.len() >= 15, "{names:?}");
    drop(db);
    let kinds = 2 * names.len() * stage.finales.len();
    try_all(&stage, kinds, |number, db| {
        let table = &names[(number / stage.finales.len()) % names.len()];
        let sql = match number / stage.finales.len() / names.len() {
            0 => format!("DELETE FROM {table}"),
            _ => format!(
                "DELETE FROM {table} WHERE (SELECT count(*) FROM {table}) > 1 AND abs(random() % 2) = 1"
            ),
        };
        rusqlite::Connection::open(db).unwrap().execute_batch(&sql).unwrap();
        sql
    });
}
