//! A log behind the JSON API: what is asked, what is believed, and what becomes of every wrong answer.
//!
//! In the test's own process, with a log in memory; `tests/audit/lies.rs` does it over real HTTP.

use countersign::core::api;
use countersign::core::proof::ConsistencyProof;
use countersign::run::Silent;
use countersign::source::FetchError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::api::ApiLog;
use support::api_lab::{changed, clean, flip, history, key, lab, log, requests};
use support::cli::Auditor;
use support::lab::{Answer, MemoryLog};
use support::log::{HEAD_TIME, honest_log, leaf, rejected, rejected_leaves, root_of};
use support::{Reply, TestServer};

#[test]
fn an_honest_log_of_any_size_and_page_is_clean() {
    let lab = lab();
    for (size, page) in
        [(1, 1000), (2, 1), (3, 1000), (16, 7), (255, 100), (256, 256), (257, 1000), (300, 1), (700, 100)]
    {
        clean(&lab.workspace(0).audit(&log(size).page(page).source()), size as u64);
    }
}

#[test]
fn only_new_entries_are_fetched() {
    let (lab, leaves) = (lab(), rejected_leaves(1200));
    let workspace = lab.workspace(0);
    let mut sizes = Vec::new();
    for size in [0, 1, 100, 256, 300, 301, 700, 1200] {
        sizes.push(size);
        let log = ApiLog::new(&key(), &leaves[..size], &sizes);
        let asked = requests(&log);
        let source = log.source();
        let answer = if size == 0 { workspace.audit(&source) } else { workspace.audit_again(&source) };
        clean(&answer, size as u64);
        let asked = asked.lock().unwrap();
        let oldest =
            asked.iter().filter_map(|path| path.strip_prefix("entries?start=")).min_by_key(|s| s.len());
        if size == 1200 {
            assert!(!asked.iter().any(|path| path.starts_with("entries?start=0")), "{oldest:?}");
        }
    }
    let unchanged = ApiLog::new(&key(), &leaves, &sizes);
    let asked = requests(&unchanged);
    clean(&workspace.audit_again(&unchanged.source()), 1200);
    assert!(!asked.lock().unwrap().iter().any(|path| path.starts_with("entries?")));
}

#[test]
fn a_mirror_may_change_between_tiles_and_api() {
    let (lab, leaves) = (lab(), rejected_leaves(700));
    let workspace = lab.workspace(0);
    let files = honest_log(&key(), &leaves[..300]);
    clean(&workspace.audit(&MemoryLog { files: &files, instead: None }.source()), 300);
    let api = ApiLog::new(&key(), &leaves, &[300, 700]);
    clean(&workspace.audit_again(&api.source()), 700);
}

/// Batches are proved before they are kept: what was taken before an outage is not fetched again.
#[test]
fn an_interrupted_audit_continues() {
    let size = 20_000;
    let (lab, leaves) = (lab(), rejected_leaves(size));
    let workspace = lab.workspace(0);
    let log = ApiLog::new(&key(), &leaves, &[size]).fail(|path, answer| match path.contains("start=19") {
        true => Err(FetchError::Unavailable { what: path.to_owned(), cause: "gone".to_owned() }),
        false => Ok(answer),
    });
    let answer = workspace.audit(&log.source());
    assert!(answer.findings.is_empty() && !answer.incomplete.is_empty(), "{answer:?}");
    assert_eq!(answer.checked, 16_384, "two batches were proved");
    let log = ApiLog::new(&key(), &leaves, &[size]);
    let asked = requests(&log);
    clean(&workspace.audit_again(&log.source()), size as u64);
    assert!(!asked.lock().unwrap().iter().any(|path| path.starts_with("entries?start=0&")));
}

fn swap(from: &'static str, to: &'static str) -> impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync {
    move |bytes| String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
}

#[test]
fn malformed_answers_are_findings_at_any_place() {
    let junk: [&[u8]; 7] =
        [b"", b"null", b"[]", b"{}", b"{\"error\":\"no\"}", b"{\"start\":0.0,\"entries\":[]}", b"\xff\xfe{}"];
    for bytes in junk {
        for (path, code) in [
            ("head", "head-malformed"),
            ("entries?", "gap"),
            ("inclusion", "proof-invalid"),
            ("entries/", "proof-invalid"),
            ("heads", "head-malformed"),
        ] {
            // A question with a longer name is another one.
            let exact = if path == "head" { "head" } else { path };
            let log = log(300).change(move |asked, answer| match asked {
                "head" if exact == "head" => Some(bytes.to_vec()),
                "head" => answer,
                asked if exact != "head" && asked.starts_with(exact) => Some(bytes.to_vec()),
                _ => answer,
            });
            let answer = lab().workspace(0).audit(&log.source());
            assert_eq!(answer.codes(), [code], "{path}: {answer:?}");
            assert!(answer.faults.is_empty());
        }
    }
}

#[test]
fn missing_entries_are_gaps_and_outages_are_undecided() {
    for path in ["head", "entries?", "inclusion", "entries/", "heads?"] {
        let this = move |asked: &str| asked == path || (path != "head" && asked.starts_with(path));
        let missing = log(300).change(move |asked, answer| answer.filter(|_| !this(asked)));
        let (begun, source) = (lab(), missing.source());
        let workspace = begun.workspace(0);
        workspace.begin();
        if path == "head" {
            // At a first contact no log was found.
            let answer = workspace.run_with(&source, &Silent, |_| {});
            assert!(answer.findings.is_empty() && answer.incomplete.len() == 1, "{answer:?}");
            clean(&workspace.run_with(&log(300).source(), &Silent, |_| {}), 300);
        }
        let answer = workspace.run_with(&source, &Silent, |_| {});
        assert_eq!(answer.codes(), ["gap"], "{path}: {answer:?}");
        let unreachable = log(300).fail(move |asked, answer| match this(asked) {
            true => Err(FetchError::Unavailable { what: asked.to_owned(), cause: "HTTP 503".to_owned() }),
            false => Ok(answer),
        });
        let answer = lab().workspace(0).audit(&unreachable.source());
        assert!(answer.findings.is_empty() && !answer.incomplete.is_empty(), "{path}: {answer:?}");
    }
}

#[test]
fn unsigned_entries_are_a_root_mismatch() {
    for (index, size) in [(0usize, 1usize), (0, 300), (299, 300), (256, 700), (511, 700)] {
        let other = history(size, 0);
        let log = log(size).change(move |asked, answer| {
            let start: u64 = asked.strip_prefix("entries?start=")?.split_once('&')?.0.parse().ok()?;
            let mut leaves = api::read_entries(&answer?, start, 1000).unwrap();
            if let Some(leaf) = index.checked_sub(start as usize).and_then(|at| leaves.get_mut(at)) {
                *leaf = other[index].clone();
            }
            api::write_entries(start, leaves.iter().map(Vec::as_slice)).ok()
        });
        // The change answers nothing but entries; everything else stays as it is.
        let log = keep_others(log, size);
        let answer = lab().workspace(0).audit(&log.source());
        assert_eq!(answer.codes(), ["root-mismatch"], "entry {index} of {size}: {answer:?}");
        assert_eq!(answer.checked, index as u64 / 256 * 256, "the bundles before are verified");
    }
}

/// Wraps a change of entries so that other questions are answered honestly.
fn keep_others(changed: ApiLog, size: usize) -> ApiLog {
    let changed = JsonApiFetcher(changed);
    log(size)
        .change(move |asked, answer| if asked.starts_with("entries?") { changed.get(asked) } else { answer })
}

struct JsonApiFetcher(ApiLog);

impl JsonApiFetcher {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        use countersign::source::tiled::{Fetcher as _, FileRequest};
        let wanted = FileRequest { paths: &[path.to_owned()], limit: usize::MAX, required: true };
        self.0.fetch(&wanted).ok().map(|found| found.bytes)
    }
}

#[test]
fn a_wrong_range_of_entries_is_a_finding() {
    let shift = |by: u64| {
        move |bytes: Vec<u8>| {
            let leaves = api::read_entries(&bytes, 0, 1000).or_else(|_| api::read_entries(&bytes, 256, 1000));
            api::write_entries(by, leaves.unwrap().iter().map(Vec::as_slice)).unwrap()
        }
    };
    assert_eq!(changed("entries?", 300, shift(1)).codes(), ["gap"]);
    let more = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let start = if text.starts_with("{\"start\":0") { 0 } else { 256 };
        let mut leaves = api::read_entries(text.as_bytes(), start, 1000).unwrap();
        leaves.push(leaves[0].clone());
        api::write_entries(start, leaves.iter().map(Vec::as_slice)).unwrap()
    };
    assert_eq!(changed("entries?", 300, more).codes(), ["root-mismatch"]);
}

#[test]
fn a_wrong_consistency_proof_is_not_a_violation() {
    let leaves = rejected_leaves(9000);
    for sizes in [&[9000][..], &[300, 9000]] {
        let log = ApiLog::new(&key(), &leaves, sizes).change(|asked, answer| {
            let Some(query) = asked.strip_prefix("consistency?first=") else { return answer };
            let (first, second) = query.split_once("&second=").unwrap();
            let (first, second) = (first.parse().unwrap(), second.parse().unwrap());
            let mut proof = api::read_consistency(&answer?, first, second).unwrap();
            flip(proof.0.last_mut()?);
            api::write_consistency(first, second, &proof).ok()
        });
        let answer = lab().workspace(0).audit(&log.source());
        assert_eq!(answer.codes(), ["proof-invalid"], "{answer:?}");
        assert_eq!(answer.checked, 9000, "the entries have the signed root: {answer:?}");
    }
}

/// The sizes of a log's heads in the tests of the proofs between them.
const SIZES: [usize; 6] = [10, 60, 100, 256, 300, 700];

/// That log; each consistency answer is `change`d.
fn signed_often(
    change: impl Fn(u64, u64, ConsistencyProof) -> ConsistencyProof + Send + Sync + 'static,
) -> ApiLog {
    ApiLog::new(&key(), &rejected_leaves(700), &SIZES).change(move |asked, answer| {
        let Some((first, second)) = pair(asked) else { return answer };
        let proof = api::read_consistency(&answer?, first, second).unwrap();
        api::write_consistency(first, second, &change(first, second, proof)).ok()
    })
}

/// The sizes of a question for a consistency proof.
fn pair(asked: &str) -> Option<(u64, u64)> {
    let (first, second) = asked.strip_prefix("consistency?first=")?.split_once("&second=")?;
    Some((first.parse().unwrap(), second.parse().unwrap()))
}

/// The first audit knows the log's other heads from its list, and asks how they lead to each other.
#[test]
fn a_first_audit_requests_proofs_between_heads() {
    let adjacent: BTreeSet<(u64, u64)> =
        SIZES.windows(2).map(|sizes| (sizes[0] as u64, sizes[1] as u64)).collect();
    for full in [false, true] {
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let log = signed_often(|_, _, proof| proof);
        let asked = requests(&log);
        let source = log.source();
        clean(&if full { workspace.audit_full(&source) } else { workspace.audit(&source) }, 700);
        let asked: BTreeSet<(u64, u64)> =
            asked.lock().unwrap().iter().filter_map(|asked| pair(asked)).collect();
        let count = asked.intersection(&adjacent).count();
        assert!(asked.contains(&(300, 700)), "the newest always: {asked:?}");
        assert!(if full { count == 5 } else { (4..=5).contains(&count) }, "{asked:?}");
        assert!(asked.len() <= count + 2, "{asked:?}");
    }
}

#[test]
fn a_first_audit_refuses_false_proofs() {
    let flipped = |mut proof: ConsistencyProof| {
        flip(proof.0.last_mut().unwrap());
        proof
    };
    type Lie = fn(u64, u64) -> bool;
    let lies: [Lie; 4] = [
        |_, _| true,
        |_, second| second == 700,
        |_, second| second != 700,
        |first, second| first != 256 && second - first < 400,
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        for full in [false, true] {
            let lab = lab();
            let workspace = lab.workspace(0);
            workspace.begin();
            let log = signed_often(
                move |first, second, proof| {
                    if lie(first, second) { flipped(proof) } else { proof }
                },
            );
            let source = log.source();
            let answer = if full { workspace.audit_full(&source) } else { workspace.audit(&source) };
            assert_eq!(answer.codes(), ["proof-invalid"], "{number} {full}: {answer:?}");
            assert_eq!(answer.checked, 700, "{answer:?}");
            clean(&workspace.audit_again(&signed_often(|_, _, proof| proof).source()), 700);
        }
    }
}

/// Nor where the log signed one tree so far: the mirror has all smaller ones.
#[test]
fn false_proofs_of_a_single_tree_are_refused() {
    let leaves = rejected_leaves(700);
    let log = || {
        ApiLog::new(&key(), &leaves, &[700]).change(|asked, answer| {
            if !asked.starts_with("consistency") {
                return answer;
            }
            let text = String::from_utf8(answer?).unwrap();
            let at = text.rfind('"')?;
            let other = if &text[at - 1..at] == "0" { "1" } else { "0" };
            Some([&text[..at - 1], other, &text[at..]].concat().into_bytes())
        })
    };
    for full in [false, true] {
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let source = log().source();
        let answer = if full { workspace.audit_full(&source) } else { workspace.audit(&source) };
        assert_eq!(answer.codes(), ["proof-invalid"], "{full}: {answer:?}");
    }
}

/// The counts in the report are the counts of the server.
#[test]
fn the_report_counts_requested_proofs() {
    for (sizes, options) in [
        (&[300][..], &[][..]),
        (&[300], &["--full"]),
        (&[20, 100, 300], &[]),
        (&[20, 100, 300], &["--full"]),
        // Pages that consistency proofs vouch for besides.
        (&[9000], &[]),
        (&[100, 9000], &[]),
    ] {
        let leaves = rejected_leaves(*sizes.last().unwrap());
        let log = ApiLog::new(&key(), &leaves, sizes);
        let asked = Arc::new(AtomicUsize::new(0));
        let consistency = Arc::new(AtomicUsize::new(0));
        let (counted, of_trees) = (asked.clone(), consistency.clone());
        let server = TestServer::start(move |request| {
            let path = request.path.trim_start_matches('/');
            let proof = path.starts_with("consistency") || path.starts_with("inclusion");
            counted.fetch_add(usize::from(proof), SeqCst);
            of_trees.fetch_add(usize::from(path.starts_with("consistency")), SeqCst);
            match log.answer(path) {
                Some(body) => Reply::ok(body),
                None => Reply::status("404 Not Found", "", ""),
            }
        });
        let auditor = Auditor::new(&key().vkey());
        let outcome = auditor.audit(format!("api+{}", server.url()), &[&["--init"], options].concat());
        outcome.expect(0, &[]);
        let report = outcome.report();
        let count = report["checks"]["served-proofs"]["count"].as_u64().unwrap();
        assert_eq!(count, asked.load(SeqCst) as u64, "{sizes:?} {options:?}: {report:#}");
        // Also of a log that signed one tree: it answers for those of all sizes.
        assert!(consistency.load(SeqCst) > 0, "{sizes:?} {options:?}");
    }
}

/// A page or a proof that was changed in transit is requested again, and is not a finding.
#[test]
fn a_transient_wrong_answer_is_not_a_finding() {
    let leaves = rejected_leaves(9000);
    for (path, times) in
        [("entries?start=512&", 1), ("entries?start=512&", 2), ("consistency?", 1), ("inclusion", 1)]
    {
        let struck = AtomicUsize::new(0);
        let log = ApiLog::new(&key(), &leaves, &[300, 9000]).change(move |asked, answer| {
            if !asked.starts_with(path) || struck.fetch_add(1, SeqCst) >= times {
                return answer;
            }
            if !path.starts_with("entries") {
                let text = String::from_utf8(answer?).unwrap();
                let at = text.rfind('"')?;
                let other = if &text[at - 1..at] == "0" { "1" } else { "0" };
                return Some(format!("{}{other}{}", &text[..at - 1], &text[at..]).into_bytes());
            }
            let mut leaves = api::read_entries(&answer?, 512, 256).unwrap();
            leaves[9] = leaf(&rejected("other"));
            api::write_entries(512, leaves.iter().map(Vec::as_slice)).ok()
        });
        let lab = lab();
        clean(&lab.workspace(0).audit(&log.source()), 9000);
    }
}

#[test]
fn a_proof_with_unused_hashes_is_refused() {
    let answer = changed("inclusion", 300, |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("\"proof\":[", &format!("\"proof\":[\"{}\",", "0".repeat(64))).into_bytes()
    });
    assert_eq!(answer.codes(), ["proof-invalid"], "{answer:?}");
}

#[test]
fn corrected_answers_end_the_finding() {
    let desk_lab = lab();
    for path in ["inclusion", "entries/", "heads?", "consistency"] {
        let leaves = rejected_leaves(300);
        let workspace = desk_lab.workspace(0);
        clean(&workspace.audit(&ApiLog::new(&key(), &leaves[..100], &[100]).source()), 100);
        let bad = ApiLog::new(&key(), &leaves, &[100, 300])
            .change(move |asked, answer| if asked.starts_with(path) { Some(b"{}".to_vec()) } else { answer });
        let answer = workspace.audit_again(&bad.source());
        assert_eq!(answer.findings.len(), answer.findings.iter().filter(|(_, i)| i.is_none()).count());
        assert!(!answer.is_clean(), "{path}: {answer:?}");
        clean(&workspace.audit_again(&ApiLog::new(&key(), &leaves, &[100, 300]).source()), 300);
    }
}

#[test]
fn a_log_that_grows_during_the_audit_is_clean() {
    let leaves = rejected_leaves(600);
    let served = AtomicUsize::new(0);
    let sizes: Vec<usize> = (300..=600).collect();
    let logs: Vec<ApiLog> =
        [300, 310, 420, 600].map(|size| ApiLog::new(&key(), &leaves[..size], &sizes[..=size - 300])).into();
    let growing = log(600).change(move |path, _| {
        // Every answer is of a log a little longer.
        let now = served.fetch_add(1, SeqCst);
        logs[(now / 2).min(3)].answer(path)
    });
    let lab = lab();
    let workspace = lab.workspace(0);
    let source = growing.source();
    for _ in 0..3 {
        let answer = workspace.audit_again_or_first(&source);
        assert!(answer.is_clean(), "{answer:?}");
    }
}

/// Entries that were mirrored before are not fetched again, but for those in a bundle with new ones.
#[test]
fn replaced_entries_are_found() {
    let (lab, leaves) = (lab(), rejected_leaves(700));
    let workspace = lab.workspace(0);
    clean(&workspace.audit(&ApiLog::new(&key(), &leaves[..300], &[300]).source()), 300);
    let log = ApiLog::new(&key(), &leaves, &[300, 700]).change(|asked, answer| {
        let Some(rest) = asked.strip_prefix("entries?start=256&") else { return answer };
        assert_eq!(rest, "count=256");
        let mut leaves = api::read_entries(&answer?, 256, 256).unwrap();
        leaves[7] = leaf(&rejected("other"));
        api::write_entries(256, leaves.iter().map(Vec::as_slice)).ok()
    });
    let answer = workspace.audit_again(&log.source());
    assert_eq!(answer.codes(), ["root-mismatch"], "{answer:?}");
    assert_eq!(answer.checked, 700, "the new ones are right: {answer:?}");
}

/// A log that rewrote an old entry is proved to have, from its own entries.
#[test]
fn a_rewritten_history_becomes_evidence() {
    for kept in [1, 100, 256, 300, 700] {
        let lab = lab();
        let workspace = lab.workspace(0);
        let leaves = rejected_leaves(kept);
        clean(&workspace.audit(&ApiLog::new(&key(), &leaves, &[kept]).source()), kept as u64);
        let mut log = ApiLog::new(&key(), &history(kept + 300, 0), &[kept + 300]);
        log.sths[0] =
            (HEAD_TIME + 1, key().sth(kept as u64 + 300, root_of(&history(kept + 300, 0)), HEAD_TIME + 1));
        let answer = workspace.audit_again(&log.source());
        assert!(answer.codes().contains(&"inconsistent-heads"), "{kept}: {answer:?}");
        assert_eq!(answer.checked, kept as u64);
    }
}

#[test]
fn numbers_must_be_integers() {
    for (path, from, to) in [
        ("head", "\"treeSize\":300", "\"treeSize\":300.0"),
        ("head", "\"treeSize\":300", "\"treeSize\":\"300\""),
        ("entries?", "\"start\":", "\"start\":0e0,\"x\":"),
        ("inclusion", "\"treeSize\":300", "\"treeSize\":3e2"),
        ("entries/", "\"treeSize\":300", "\"treeSize\":\"300\""),
        ("heads?", "\"next\":null", "\"next\":1.5"),
    ] {
        let answer = match path {
            "head" => changed_exactly("head", swap(from, to)),
            _ => changed(path, 300, swap(from, to)),
        };
        assert!(!answer.findings.is_empty(), "{path}: {to}: {answer:?}");
    }
}

fn changed_exactly(
    path: &'static str,
    change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> Answer {
    let log = log(300).change(move |asked, answer| if asked == path { answer.map(&change) } else { answer });
    lab().workspace(0).audit(&log.source())
}

/// Every single bit of every answer to the first questions: never clean with another tree, never a panic.
#[test]
fn no_flipped_bit_of_an_answer_passes() {
    let lab = lab();
    let honest = log(5);
    let paths =
        ["head", "heads?after=0&limit=1000", "entries?start=0&count=5", "inclusion?index=3&treeSize=5"];
    let bundle = "entries/entry-3/verification";
    for path in paths.into_iter().chain([bundle]) {
        let bytes = honest.answer(path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 7);
            let log = log(5)
                .change(move |asked, answer| if asked == path { Some(flipped.clone()) } else { answer });
            let answer = lab.workspace(0).audit(&log.source());
            assert!(answer.faults.is_empty(), "{path} byte {at}: {answer:?}");
            // A flip may leave the meaning as it was (an anchor, white space), and then all is well.
            if answer.is_clean() {
                assert_eq!(answer.checked, 5);
            }
        }
    }
}

#[test]
fn a_proof_between_other_sizes_is_refused() {
    let (leaves, size) = (rejected_leaves(9000), 9000);
    let log = ApiLog::new(&key(), &leaves, &[size]).change(|asked, answer| {
        let Some(query) = asked.strip_prefix("consistency?first=") else { return answer };
        let (first, second) = query.split_once("&second=").unwrap();
        let (first, second): (u64, u64) = (first.parse().unwrap(), second.parse().unwrap());
        api::write_consistency(first, second, &ConsistencyProof(Vec::new())).ok()
    });
    let answer = lab().workspace(0).audit(&log.source());
    assert_eq!(answer.codes(), ["proof-invalid"], "{answer:?}");
}

#[test]
fn full_requests_everything() {
    let lab = lab();
    let workspace = lab.workspace(0);
    clean(&workspace.audit(&log(300).source()), 300);
    let log = log(300);
    let asked = requests(&log);
    clean(&workspace.audit_full(&log.source()), 300);
    let asked = asked.lock().unwrap();
    let count = |start: &str| asked.iter().filter(|path| path.starts_with(start)).count();
    assert_eq!((count("inclusion"), count("entries/")), (300, 300));
}
