//! `--heads-only`: heads alone, by tiles and by proofs. Every pair of small sizes, every tampered tile; and a mirror
//! that changes from heads to entries and back.

use countersign::core::evidence::{self, EvidenceKind};
use countersign::core::head::LogKey;
use countersign::core::tile::{TilePath, tiles_for_size};
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{FetchError, LogSource};
use std::path::Path;
use std::sync::Mutex;
use support::api::ApiLog;
use support::api_lab::{flip_at, history, key, lab};
use support::case::all;
use support::cli::Auditor;
use support::lab::{Answer, Files, Lab, MemoryLog, write_files};
use support::log::{HEAD_TIME, honest_log, rejected_leaves, root_of};

/// A log of these leaves in each of the two ways.
fn tiles(files: &Files) -> Tiled<MemoryLog<'_>> {
    MemoryLog { files, instead: None }.source()
}

fn api(leaves: &[Vec<u8>]) -> ApiLog {
    ApiLog::new(&key(), leaves, &[leaves.len()])
}

/// Kinds of all misbehaviour files of a lab, each verified with the log's key alone.
fn proved(lab: &Lab) -> Vec<EvidenceKind> {
    let key = LogKey::parse(&key().vkey()).unwrap();
    let files = std::fs::read_dir(lab.db(0).parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.to_string_lossy().contains("misbehaviour-"));
    files.map(|path| evidence::verify(&std::fs::read(path).unwrap(), &key).unwrap().kind()).collect()
}

#[track_caller]
fn clean(answer: &Answer) {
    assert!(answer.is_clean() && answer.checked == 0, "{answer:?}");
}

/// Follows a log of `old` leaves and then one of `new`; gives the second answer.
fn follow_two(lab: &Lab, by_api: bool, old: &[Vec<u8>], new: &[Vec<u8>]) -> Answer {
    let workspace = lab.workspace(0);
    workspace.begin();
    let mut last = Answer::default();
    for leaves in [old, new] {
        let files = honest_log(&key(), leaves);
        let source: Box<dyn LogSource> =
            if by_api { Box::new(api(leaves).source()) } else { Box::new(tiles(&files)) };
        last = workspace.follow(source.as_ref());
        if leaves.len() == old.len() {
            clean(&last);
        }
    }
    last
}

#[test]
fn every_pair_of_small_sizes_is_consistent_or_proved_rewritten() {
    let lab = lab();
    let mut rewritten = 0;
    for new in 2..=33 {
        let leaves = rejected_leaves(new);
        for old in 1..new {
            for by_api in [false, true] {
                clean(&follow_two(&lab, by_api, &leaves[..old], &leaves));
                // The old history had another leaf: the first, the last or one between.
                let other = [0, old / 2, old - 1][(old + new) % 3];
                let mut before = leaves[..old].to_vec();
                before[other].clone_from(&history(new, 0)[other]);
                let answer = follow_two(&lab, by_api, &before, &leaves);
                assert_eq!(answer.codes(), ["inconsistent-heads"], "{old} {new} {by_api}: {answer:?}");
                assert!(answer.incomplete.is_empty() && answer.faults.is_empty(), "{answer:?}");
                rewritten += 1;
            }
        }
    }
    // One contradiction is one file, whichever way it was seen.
    let kinds = proved(&lab);
    assert_eq!(kinds.len(), rewritten / 2);
    assert!(kinds.iter().all(|kind| *kind == EvidenceKind::InconsistentHeads));
}

#[test]
fn sizes_around_full_tiles_are_linked() {
    let leaves = rejected_leaves(1100);
    let lab = lab();
    let sizes = [1, 255, 256, 257, 511, 512, 513, 768, 1024, 1100];
    for (place, new) in sizes.iter().enumerate() {
        for old in &sizes[..place] {
            for by_api in [false, true] {
                clean(&follow_two(&lab, by_api, &leaves[..*old], &leaves[..*new]));
            }
            let answer = follow_two(&lab, false, &history(*old, old - 1), &leaves[..*new]);
            assert_eq!(answer.codes(), ["inconsistent-heads"], "{old} {new}: {answer:?}");
        }
    }
}

/// A rewritten history is found however many honest heads lie between, and is one finding, not one for each head.
#[test]
fn no_linked_head_is_forgotten() {
    let lab = lab();
    for by_api in [false, true] {
        let workspace = lab.workspace(0);
        workspace.begin();
        let follow = |leaves: &[Vec<u8>]| {
            let files = honest_log(&key(), leaves);
            if by_api { workspace.follow(&api(leaves).source()) } else { workspace.follow(&tiles(&files)) }
        };
        for size in [100, 200, 200, 300] {
            clean(&follow(&rejected_leaves(size)));
        }
        for size in [301, 302, 400] {
            let answer = follow(&history(size, 50));
            let count = answer.findings.iter().filter(|(code, _)| code == "inconsistent-heads").count();
            assert_eq!((answer.codes(), count), (vec!["inconsistent-heads"], 1), "{size}: {answer:?}");
        }
    }
    let between = proved(&lab).len();
    assert_eq!(between, 1, "300 and 301, both ways");
}

#[test]
fn a_rollback_is_reported_and_loses_no_head() {
    let lab = lab();
    let workspace = lab.workspace(0);
    let follow = |leaves: &[Vec<u8>]| workspace.follow(&tiles(&honest_log(&key(), leaves)));
    clean(&follow(&rejected_leaves(100)));
    clean(&follow(&rejected_leaves(200)));
    // Back to a smaller tree of another history: not yet provable, and no pass.
    let answer = follow(&history(150, 20));
    assert_eq!(answer.codes(), ["head-rollback"], "{answer:?}");
    assert!(answer.incomplete.iter().any(|why| why.contains("150") && why.contains("200")), "{answer:?}");
    // As soon as there is a larger one, either history is proved against it.
    let answer = follow(&rejected_leaves(300));
    assert_eq!(answer.codes(), ["inconsistent-heads"], "{answer:?}");
}

/// A proof that was wrong once is asked for again, also where tiles have proved the head meanwhile.
#[test]
fn a_corrected_proof_ends_the_finding() {
    let (lab, leaves) = (lab(), rejected_leaves(90));
    let workspace = lab.workspace(0);
    workspace.begin();
    let grown = |sizes: &[usize]| ApiLog::new(&key(), &leaves[..*sizes.last().unwrap()], sizes);
    clean(&workspace.follow(&grown(&[40]).source()));
    let log = grown(&[40, 70]).change(|path, answer| match answer {
        Some(_) if path.starts_with("consistency") => Some(b"{}".to_vec()),
        answer => answer,
    });
    assert_eq!(workspace.follow(&log.source()).codes(), ["proof-invalid"]);
    let mut files = honest_log(&key(), &leaves[..80]);
    files.remove("sth");
    assert_eq!(workspace.follow(&tiles(&files)).codes(), ["proof-invalid"], "not looked at");
    clean(&workspace.follow(&grown(&[40, 70, 90]).source()));
}

/// A log that rewrote what it had shown, and refuses the one proof that would tell, until all its heads but one are of
/// the new history.
#[test]
fn a_refused_proof_keeps_the_head() {
    let (lab, leaves) = (lab(), rejected_leaves(100));
    let workspace = lab.workspace(0);
    workspace.begin();
    for size in [50, 100] {
        clean(&workspace.follow(&ApiLog::new(&key(), &leaves[..size], &[50, 100][..size / 50]).source()));
    }
    let rewritten = |size: usize, sizes: &[usize]| {
        let mut log = ApiLog::new(&key(), &history(size, 60), sizes);
        let old = ApiLog::new(&key(), &leaves, &[50, 100]).sths;
        log.sths.splice(..2, old);
        log
    };
    let refusing = rewritten(200, &[50, 100, 150, 200])
        .change(|path, answer| answer.filter(|_| !path.starts_with("consistency?first=100&")));
    let answer = workspace.follow(&refusing.source());
    assert_eq!((answer.codes(), answer.incomplete.len()), (vec!["gap"], 1), "{answer:?}");
    let answer = workspace.follow(&rewritten(250, &[50, 100, 150, 200, 250]).source());
    assert_eq!(answer.codes(), ["gap", "inconsistent-heads"], "{answer:?}");
}

/// Remembers what is asked for.
struct Asked<'a> {
    log: MemoryLog<'a>,
    asked: Mutex<Vec<String>>,
}

impl Fetcher for &Asked<'_> {
    fn location(&self) -> String {
        self.log.location()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        self.asked.lock().unwrap().push(wanted.paths[0].clone());
        self.log.fetch(wanted)
    }
}

#[test]
fn few_requests_are_made_and_none_for_entries() {
    let lab = lab();
    let workspace = lab.workspace(0);
    let leaves = rejected_leaves(70_000);
    let mut asked = Vec::new();
    for size in [69_000, 69_000, 70_000, 70_000] {
        let files = honest_log(&key(), &leaves[..size]);
        let log = Asked { log: MemoryLog { files: &files, instead: None }, asked: Mutex::default() };
        clean(&workspace.follow(&Tiled::new(&log)));
        let paths = log.asked.into_inner().unwrap();
        assert!(!paths.iter().any(|path| path.starts_with("tile/entries")), "{paths:?}");
        asked.push(paths.len());
    }
    // The checkpoint and the STH; and where the head moved, the right edges of the two trees.
    assert_eq!((asked[0], asked[1], asked[3]), (2, 2, 2));
    assert!((4..=8).contains(&asked[2]), "{asked:?}");
    let bytes = |suffix: &str| {
        let path = format!("{}{suffix}", lab.db(0).display());
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    assert!(bytes("") + bytes("-wal") < 1_000_000, "{} {}", bytes(""), bytes("-wal"));
}

#[test]
fn a_tampered_tile_is_not_a_violation() {
    let leaves = rejected_leaves(700);
    let (old, new) = (honest_log(&key(), &leaves[..300]), honest_log(&key(), &leaves));
    let lab = lab();
    let mut seen = 0;
    for run in tiles_for_size(700) {
        for index in run.indices {
            let path = TilePath::Hash { level: run.level, index, width: run.width }.to_path();
            for (what, code) in [("flipped", "tile-mismatch"), ("short", "tile-mismatch"), ("gone", "gap")] {
                let workspace = lab.workspace(0);
                workspace.begin();
                clean(&workspace.follow(&tiles(&old)));
                let mut files = new.clone();
                match what {
                    "flipped" => files.get_mut(&path).unwrap()[5] ^= 1,
                    "short" => drop(files.get_mut(&path).unwrap().pop()),
                    _ => drop(files.remove(&path)),
                }
                let answer = workspace.follow(&tiles(&files));
                if !answer.is_clean() {
                    seen += 1;
                    assert_eq!(answer.codes(), [code], "{path} {what}: {answer:?}");
                    assert_eq!(answer.incomplete.len(), 1, "{path} {what}: {answer:?}");
                }
                // Served as it should be: the finding is over, also where only entries are audited from now on.
                match what {
                    "short" => assert!(workspace.audit_again(&tiles(&new)).is_clean()),
                    _ => clean(&workspace.follow(&tiles(&new))),
                }
            }
        }
    }
    assert!(seen >= 9, "only {seen}");
    assert!(proved(&lab).is_empty());
}

#[test]
fn a_tampered_proof_is_not_a_violation() {
    let leaves = rejected_leaves(70);
    let lab = lab();
    for old in [1, 31, 32, 64, 69] {
        let workspace = lab.workspace(0);
        for (code, change) in [
            ("proof-invalid", flip_at as fn(Vec<u8>) -> Option<Vec<u8>>),
            ("proof-invalid", |_| Some(b"{}".to_vec())),
            ("gap", |_| None),
        ] {
            workspace.begin();
            clean(&workspace.follow(&api(&leaves[..old]).source()));
            let log = api(&leaves).change(move |path, answer| match answer {
                Some(bytes) if path.starts_with("consistency") => change(bytes),
                answer => answer,
            });
            let answer = workspace.follow(&log.source());
            assert_eq!((answer.codes(), answer.incomplete.len()), (vec![code], 1), "{old}: {answer:?}");
            clean(&workspace.follow(&api(&leaves).source()));
        }
    }
    assert!(proved(&lab).is_empty());
}

#[test]
fn a_mirror_changes_between_heads_and_entries() {
    let leaves = rejected_leaves(900);
    for by_api in [false, true] {
        let lab = lab();
        let workspace = lab.workspace(0);
        let run = |size: usize, heads_only: bool| {
            let files = honest_log(&key(), &leaves[..size]);
            let source: Box<dyn LogSource> =
                if by_api { Box::new(api(&leaves[..size]).source()) } else { Box::new(tiles(&files)) };
            let answer = if heads_only {
                workspace.follow(source.as_ref())
            } else {
                workspace.audit_again(source.as_ref())
            };
            assert!(answer.is_clean(), "{size} {heads_only}: {answer:?}");
            answer.checked
        };
        // Heads only, then everything from 0, then heads only again, which neither loses nor fetches an entry.
        let steps = [(200, true), (300, true), (300, false), (300, true), (500, true), (500, true)];
        let checked: Vec<u64> = steps.iter().map(|(size, heads_only)| run(*size, *heads_only)).collect();
        assert_eq!(checked, [0, 0, 300, 300, 300, 300], "by API: {by_api}");
        assert_eq!((run(700, true), run(900, false), run(900, true)), (300, 900, 900), "by API: {by_api}");
    }
}

/// What heads alone had shown is held against the entries, and what the entries had shown against heads.
#[test]
fn both_kinds_of_run_find_a_history_rewritten_between_them() {
    for by_api in [false, true] {
        for heads_first in [true, false] {
            let lab = lab();
            let workspace = lab.workspace(0);
            workspace.begin();
            let run = |leaves: &[Vec<u8>], heads_only: bool| {
                let files = honest_log(&key(), leaves);
                let source: Box<dyn LogSource> =
                    if by_api { Box::new(api(leaves).source()) } else { Box::new(tiles(&files)) };
                if heads_only {
                    workspace.follow(source.as_ref())
                } else {
                    workspace.audit_again(source.as_ref())
                }
            };
            assert!(run(&rejected_leaves(100), heads_first).is_clean());
            assert!(run(&rejected_leaves(200), heads_first).is_clean());
            for grown in [300, 310] {
                let answer = run(&history(grown, 50), !heads_first);
                let codes = answer.codes();
                assert!(codes.contains(&"inconsistent-heads"), "{by_api} {heads_first}: {answer:?}");
                let count = answer.findings.iter().filter(|(code, _)| code == "inconsistent-heads").count();
                assert!(heads_first || count == 1, "{answer:?}");
            }
            assert!(!proved(&lab).is_empty());
        }
    }
}

/// A head from elsewhere, of the mirrored part, is held against the mirrored leaves; a larger one against the log.
#[test]
fn imported_heads_are_proved() {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), &honest_log(&key(), &rejected_leaves(300)));
    let mut auditor = Auditor::new(&key().vkey());
    auditor.trust.truncate(2);
    let follow = |auditor: &Auditor| auditor.audit(directory.path(), &["--heads-only"]);
    assert_eq!(auditor.audit(directory.path(), &["--heads-only", "--init"]).exit, 0);
    let import = |head: Vec<u8>| {
        let path = auditor.directory().join("to-import");
        std::fs::write(&path, head).unwrap();
        auditor.command(&["heads", "import", "--db", "{db}", path.to_str().unwrap()]).exit
    };
    // Honest, and not yet compared; then proved.
    assert_eq!(import(key().sth(100, root_of(&rejected_leaves(100)), HEAD_TIME - 9)), 3);
    follow(&auditor).expect(0, &[]);
    assert_eq!(
        import(key().sth(100, root_of(&rejected_leaves(100)), HEAD_TIME - 8)),
        0,
        "a tree that is known"
    );
    // Another history.
    assert_eq!(import(key().checkpoint(200, root_of(&history(200, 10)))), 3);
    follow(&auditor).expect(4, &["inconsistent-heads"]);
    follow(&auditor).expect(4, &["inconsistent-heads"]);
    // One size, two roots, needs no log.
    assert_eq!(import(key().checkpoint(300, root_of(&history(300, 10)))), 4);
}

/// Findings that heads alone show.
const OF_HEADS: [&str; 3] = ["inconsistent-heads", "head-rollback", "same-size-fork"];

#[test]
fn known_logs_with_honest_heads_are_clean() {
    let mut lies = 0;
    for case in all() {
        let mut auditor = case.auditor();
        auditor.trust.truncate(2);
        let mut last = None;
        for (number, step) in case.steps().iter().enumerate() {
            let outcome = auditor.audit(step, &["--heads-only", "--init"][..if number == 0 { 2 } else { 1 }]);
            if number + 1 < case.steps().len() {
                outcome.expect(0, &[]);
            }
            last = Some(outcome);
        }
        let (last, lying) =
            (last.unwrap(), case.findings.keys().any(|code| OF_HEADS.contains(&code.as_str())));
        match lying {
            true => case.check(&last.report()),
            false => drop(last.expect(0, &[])),
        }
        lies += usize::from(lying);
        assert!(auditor.leaves().is_empty(), "{}", case.name);
        let report = last.report();
        for (name, check) in report["checks"].as_object().unwrap() {
            let of_heads = name.starts_with("head-") || name == "served-proofs" || name == "witnesses";
            assert!(of_heads || check["result"] == "not-checked", "{}: {name}: {check}", case.name);
        }
        let compared = report["checks"]["head-against-tree"]["result"] == "passed";
        assert_eq!(compared, case.steps().len() > 1 && !lying, "{}", case.name);
    }
    assert_eq!(lies, 3);
}

fn text_of(log: &Path, db: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = support::cli::program()
        .args(["audit", "-v", "--heads-only", "--log-key", &key().vkey(), "--log"])
        .arg(log)
        .arg("--db")
        .arg(db)
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn the_report_says_that_entries_were_not_fetched() {
    let directory = tempfile::tempdir().unwrap();
    let (log, db) = (directory.path().join("log"), directory.path().join("mirror.db"));
    write_files(&log, &honest_log(&key(), &rejected_leaves(30)));
    let (exit, text) = text_of(&log, &db, &["--init"]);
    assert_eq!(exit, Some(0), "{text}");
    for part in
        ["CLEAN", "entries were not fetched (--heads-only)", "nothing yet that it could be compared with"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("newest one served is its beginning"), "no pass without a comparison: {text}");
    write_files(&log, &honest_log(&key(), &rejected_leaves(40)));
    let (exit, text) = text_of(&log, &db, &[]);
    assert_eq!(exit, Some(0), "{text}");
    assert!(text.contains("newest one served is its beginning") && !text.contains("nothing yet"), "{text}");
    let (exit, text) = text_of(&log, &db, &["--full"]);
    assert!(exit == Some(2) && text.contains("give only one of them"), "{text}");
    let (exit, _) = text_of(&log, &directory.path().join("other.db"), &[]);
    assert_eq!(exit, Some(5), "a mirror is made by --init alone");
}

#[test]
fn a_config_sets_heads_only_for_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    write_files(&log, &honest_log(&key(), &rejected_leaves(30)));
    let path = directory.path().join("monitor.toml");
    let text = format!(
        "[[log]]\nname = \"a\"\nlog = {log:?}\ndb = {:?}\nlog-key = {:?}\ninit = true\nheads-only = true\n",
        directory.path().join("a.db"),
        key().vkey()
    );
    std::fs::write(&path, text).unwrap();
    let run = |args: &[&str]| {
        let mut command = support::cli::program();
        command.args(args).arg("--config").arg(&path);
        support::cli::run(command)
    };
    let check = run(&["config", "check"]);
    assert_eq!(check.exit, 0, "{check:#?}");
    for text in [
        "NOT checked       every leaf is one entry in canonical form: entries were not fetched (--heads-only)",
        "checked           every signed head up to the newest one served is its beginning",
    ] {
        assert!(check.stdout.contains(text), "{text}: {}", check.stdout);
    }
    let once = run(&["monitor", "--once"]);
    assert_eq!(once.exit, 0, "{once:#?}");
}
