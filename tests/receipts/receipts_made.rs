//! Receipts put together, in the test's own process: from the mirror of every honest log, at every size
//! and index of one, and from logs that grow, lie, or sign two histories.

use countersign::audit::conclusion::Conclusion;
use countersign::core::api::{self, VerificationBundle};
use countersign::core::entry::{Decision, read_leaf};
use countersign::core::evidence::{self, EvidenceKind};
use countersign::core::hash::{Hash, leaf_hash};
use countersign::core::head::LogKey;
use countersign::core::proof::verify_inclusion;
use countersign::core::receipt::{Receipt, ReceiptForm};
use countersign::core::time::UnixMillis;
use countersign::core::tree::CompactRange;
use countersign::mirror::Mirror;
use countersign::run::receipts::compared;
use countersign::run::receipts::mirrored::Mirrored;
use countersign::run::receipts::served::{self, Wanted};
use countersign::run::receipts::{Made, NoReceipt};
use countersign::source::{FetchError, LogSource};
use countersign::{Expectation, TrustPolicy, Verdict, verify_receipt};
use support::api::ApiLog;
use support::api_lab::{flip, history, key, log};
use support::case::{all, fixtures, named};
use support::cli::{Auditor, RP_ID, WEB_ORIGIN};
use support::lab::{MemoryLog, write_files};
use support::log::{HEAD_TIME, honest_log, rejected_leaves, root_of};

/// When receipts are checked: after everything in them.
const NOW: u64 = 1_900_000_000_000;

const DEMO_KEY: &str = "log.approvals.example/demo+8510316a+AW1WNZCZA1cmce/hLEL8UdRcAicdDrQ7a0EjMoTz7QD2";

fn verdict(text: &str, log_key: &str) -> Verdict {
    let key = LogKey::parse(log_key).unwrap();
    let leaf = Receipt::parse(text.as_bytes()).unwrap().leaf;
    let decision = read_leaf(&leaf, key.origin()).entry.map_or(Decision::Approved, |entry| entry.decision);
    let trust = TrustPolicy::new(key, RP_ID, WEB_ORIGIN);
    verify_receipt(
        text.as_bytes(),
        &trust,
        &Expectation { decision, ..Expectation::default() },
        UnixMillis::new(NOW),
    )
}

/// Both texts of a receipt read back as it is, and verify.
#[track_caller]
fn assert_holds(receipt: &Receipt, log_key: &str) {
    let (json, proof) = (receipt.to_json().unwrap(), receipt.to_tlog_proof().unwrap());
    for text in [&json, &proof] {
        let verdict = verdict(text, log_key);
        assert!(verdict.is_clean(), "{text}\n{:#?}", verdict.checks);
    }
    assert_eq!(Receipt::parse(json.as_bytes()).as_ref(), Ok(&as_receipt(receipt)));
    let read = Receipt::parse(proof.as_bytes()).unwrap();
    assert_eq!((&read.leaf, read.index, &read.path), (&receipt.leaf, receipt.index, &receipt.path));
    assert_eq!((read.form, read.checkpoint), (ReceiptForm::TlogProof, receipt.checkpoint.clone()));
}

/// What a receipt reads back as: the tree of its proof is that of its checkpoint.
fn as_receipt(receipt: &Receipt) -> Receipt {
    Receipt { form: ReceiptForm::Receipt, tree_size: None, ..receipt.clone() }
}

#[test]
fn every_entry_of_every_honest_log_has_a_receipt() {
    let mut counted = 0;
    let mut check = |auditor: &Auditor, log_key: &str| {
        let key = LogKey::parse(log_key).unwrap();
        let mirror = Mirror::open(&auditor.db(), &key).unwrap();
        let mut mirrored = Mirrored::new(&mirror, &key).unwrap();
        for index in 0..mirror.state().checked {
            let Made { receipt, notes, .. } = mirrored.make(index).unwrap();
            assert_eq!((receipt.index, notes.len()), (index, 0), "{notes:?}");
            assert_holds(&receipt, log_key);
            let id = read_leaf(&receipt.leaf, key.origin()).entry.unwrap().id;
            assert_eq!(mirrored.find(&id), Ok(index));
            counted += 1;
        }
    };
    for case in all().iter().filter(|case| case.exit == 0) {
        let auditor = case.auditor();
        for (number, step) in case.steps().iter().enumerate() {
            auditor.audit(step, if number == 0 { &["--init"] } else { &[] });
        }
        check(&auditor, &case.log_key);
    }
    let auditor = Auditor::new(DEMO_KEY);
    auditor.init(fixtures().join("demo"));
    check(&auditor, DEMO_KEY);
    assert!(counted > 1400, "only {counted} receipts");
    println!("{counted} receipts out of mirrors");
}

/// Whatever size a checkpoint has, and whichever entry is asked for, the mirror's own tree proves it.
#[test]
fn every_index_at_every_size_is_proved() {
    let case = named("honest-300");
    let auditor = case.auditor();
    auditor.init(case.last_step());
    let key = LogKey::parse(&case.log_key).unwrap();
    let mirror = Mirror::open(&auditor.db(), &key).unwrap();
    let mut mirrored = Mirrored::new(&mirror, &key).unwrap();
    let leaves = mirror.leaves().range(0, 300).unwrap();
    let (mut tree, mut pairs) = (CompactRange::new(0), 0);
    for (size, leaf) in (1u64..).zip(&leaves) {
        tree.append_leaf(leaf_hash(leaf)).unwrap();
        for (index, leaf) in (0..size).zip(&leaves) {
            let path = mirrored.prove(index, size).unwrap();
            verify_inclusion(leaf_hash(leaf), index, size, &path, tree.root()).unwrap();
            pairs += 1;
        }
        for beyond in [size, size + 1, u64::MAX] {
            assert_eq!(mirrored.prove(beyond, size).unwrap_err().conclusion, Conclusion::Incomplete);
        }
    }
    assert_eq!((leaves.len(), pairs), (300, 45_150));
}

/// A mirror of a log made here, which can sign whatever checkpoint a test needs.
fn own_mirror(leaves: &[Vec<u8>]) -> Auditor {
    let auditor = Auditor::new(&key().vkey());
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), &honest_log(&key(), leaves));
    assert_eq!(auditor.init(log.path()).exit, 0);
    auditor
}

#[test]
fn receipts_at_many_sizes_verify() {
    let leaves = rejected_leaves(300);
    let auditor = own_mirror(&leaves);
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    let mirror = Mirror::open(&auditor.db(), &log_key).unwrap();
    let mut mirrored = Mirrored::new(&mirror, &log_key).unwrap();
    let edges = [1u64, 2, 3, 127, 128, 129, 255, 256, 257, 299, 300];
    let all_indices = edges.iter().flat_map(|size| (0..*size).map(move |index| (index, *size)));
    let all_sizes = edges.iter().flat_map(|edge| (*edge..=300).map(move |size| (edge - 1, size)));
    let pairs: std::collections::BTreeSet<(u64, u64)> = all_indices.chain(all_sizes).collect();
    let roots: Vec<Hash> = (0..=300).map(|size| root_of(&leaves[..size])).collect();
    for (index, size) in &pairs {
        let root = roots[*size as usize];
        let made = mirrored.make(*index).unwrap();
        let receipt = Receipt {
            path: mirrored.prove(*index, *size).unwrap(),
            checkpoint: key().checkpoint(*size, root),
            sth: Some(key().sth(*size, root, HEAD_TIME)),
            ..made.receipt
        };
        let text = receipt.to_json().unwrap();
        let verdict = verdict(&text, &key().vkey());
        assert!(verdict.is_clean(), "{index} of {size}: {:#?}", verdict.checks);
    }
    assert!(pairs.len() > 3000, "{}", pairs.len());
}

fn ask(source: &dyn LogSource, wanted: Wanted<'_>) -> Result<Receipt, NoReceipt> {
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    served::make(source, wanted, &log_key).map(|made| made.receipt)
}

/// What comes of a log's answer: the conclusion with which it is written or refused.
fn outcome(source: &dyn LogSource, wanted: Wanted<'_>) -> Conclusion {
    match ask(source, wanted) {
        Ok(receipt) => match receipt.to_json() {
            Some(text) => verdict(&text, &key().vkey()).conclusion(),
            None => Conclusion::Invalid,
        },
        Err(none) => none.conclusion,
    }
}

/// Every way of asking gives the receipt that the mirror gives.
#[test]
fn log_and_mirror_give_the_same_receipt() {
    for size in [1usize, 2, 255, 256, 257, 300] {
        let leaves = rejected_leaves(size);
        let auditor = own_mirror(&leaves);
        let log_key = LogKey::parse(&key().vkey()).unwrap();
        let mirror = Mirror::open(&auditor.db(), &log_key).unwrap();
        let mut mirrored = Mirrored::new(&mirror, &log_key).unwrap();
        let files = honest_log(&key(), &leaves);
        let tiles = MemoryLog { files: &files, instead: None }.source();
        let answers = log(size).source();
        for index in [0, size / 2, size - 1] {
            let (id, index) = (format!("entry-{index}"), index as u64);
            let expected = mirrored.make(index).unwrap().receipt;
            assert_holds(&expected, &key().vkey());
            for (source, wanted) in [
                (&tiles as &dyn LogSource, Wanted::Index(index)),
                (&tiles, Wanted::Both(&id, index)),
                (&answers, Wanted::Id(&id)),
                (&answers, Wanted::Index(index)),
                (&answers, Wanted::Both(&id, index)),
            ] {
                assert_eq!(as_receipt(&ask(source, wanted).unwrap()), expected, "{wanted:?} of {size}");
            }
        }
        for source in [&tiles as &dyn LogSource, &answers] {
            for beyond in [size as u64, u64::MAX] {
                assert_eq!(outcome(source, Wanted::Index(beyond)), Conclusion::Incomplete);
            }
        }
        assert_eq!(outcome(&tiles, Wanted::Id("entry-0")), Conclusion::Incomplete);
        assert_eq!(outcome(&answers, Wanted::Id("nobody")), Conclusion::Incomplete);
        assert_eq!(outcome(&answers, Wanted::Id("..")), Conclusion::Incomplete);
        assert_eq!(outcome(&tiles, Wanted::Both("entry-1", 0)), Conclusion::Invalid);
        assert_eq!(outcome(&answers, Wanted::Both("entry-0", 7)), Conclusion::Invalid);
    }
}

/// A log of 300 entries with its bundles changed.
fn bundles(change: impl Fn(&mut VerificationBundle) + Send + Sync + 'static) -> ApiLog {
    log(300).change(move |path, answer| {
        if !path.ends_with("/verification") {
            return answer;
        }
        let mut bundle = VerificationBundle::read(&answer?).unwrap();
        change(&mut bundle);
        bundle.write().ok()
    })
}

/// In a log that grows, a bundle's proof may be in the tree of either head, and a head of another size is
/// no fault: the receipt is brought into one tree.
#[test]
fn a_log_that_grows_between_its_two_heads_is_honest() {
    let root = |size: usize| root_of(&rejected_leaves(size));
    let later_sth = move |bundle: &mut VerificationBundle| bundle.sth = key().sth(299, root(299), HEAD_TIME);
    let receipt = ask(&bundles(later_sth).source(), Wanted::Id("entry-7")).unwrap();
    assert_eq!(receipt.sth, None);
    assert_holds(&receipt, &key().vkey());
    // The proof is in the tree of the checkpoint's predecessor, or of nothing that is there: asked anew.
    for (index, size) in [(7, 299u64), (7, 8), (298, 299)] {
        let log = bundles(move |bundle| {
            bundle.tree_size = size;
            bundle.proof.0.clear();
        });
        let (asked, source) = (log.asked.clone(), log.source());
        assert_holds(&ask(&source, Wanted::Id(&format!("entry-{index}"))).unwrap(), &key().vkey());
        assert!(asked.lock().unwrap().contains(&api::path::inclusion(index, 300)));
    }
    // A checkpoint that does not reach the entry yet: the newest one is taken.
    let old = move |bundle: &mut VerificationBundle| bundle.checkpoint = key().checkpoint(100, root(100));
    assert_holds(&ask(&bundles(old).source(), Wanted::Id("entry-200")).unwrap(), &key().vkey());
    let behind = bundles(old).fail(move |path, answer| match path {
        "head" => {
            let (sth, checkpoint) = (key().sth(100, root(100), HEAD_TIME), key().checkpoint(100, root(100)));
            Ok(api::HeadAnswer { sth, checkpoint }.write().ok())
        }
        path if path.ends_with("verification") => {
            let mut bundle = VerificationBundle::read(&answer.unwrap()).unwrap();
            old(&mut bundle);
            Ok(bundle.write().ok())
        }
        _ => Ok(answer),
    });
    assert_eq!(outcome(&behind.source(), Wanted::Id("entry-200")), Conclusion::Incomplete);
}

#[test]
fn no_lie_becomes_a_receipt() {
    let other = || rejected_leaves(300)[8].clone();
    type Lie = Box<dyn Fn(&mut VerificationBundle) + Send + Sync>;
    let lies: Vec<(&str, Lie)> = vec![
        ("another entry", Box::new(move |bundle| bundle.entry = other())),
        (
            "another entry as a whole",
            Box::new(move |bundle| {
                (bundle.entry, bundle.index, bundle.inclusion_index) = (other(), 8, 8);
            }),
        ),
        ("another index", Box::new(|bundle| bundle.index = 8)),
        ("a forged proof", Box::new(|bundle| flip(&mut bundle.proof.0[3]))),
        ("a short proof", Box::new(|bundle| bundle.proof.0.truncate(3))),
        (
            "a forged checkpoint",
            Box::new(|bundle| {
                let at = bundle.checkpoint.len() - 9;
                bundle.checkpoint[at] ^= 1;
            }),
        ),
        ("no checkpoint", Box::new(|bundle| bundle.checkpoint = b"none".to_vec())),
        ("no STH", Box::new(|bundle| bundle.sth = b"{}".to_vec())),
        (
            "a forged STH",
            Box::new(|bundle| {
                bundle.sth = support::log::TestKey::new(2).sth(300, Hash([7; 32]), HEAD_TIME);
            }),
        ),
        ("a reveal of nothing", Box::new(|bundle| bundle.reveal = Some(b"{}".to_vec()))),
        ("no anchors", Box::new(|bundle| bundle.anchors = b"[7]".to_vec())),
    ];
    for (name, lie) in lies {
        let conclusion = outcome(&bundles(lie).source(), Wanted::Id("entry-7"));
        assert_eq!(conclusion, Conclusion::Invalid, "{name}");
    }
    let fork = |bundle: &mut VerificationBundle| bundle.sth = key().sth(300, Hash([7; 32]), HEAD_TIME);
    assert_eq!(outcome(&bundles(fork).source(), Wanted::Id("entry-7")), Conclusion::Violation);
    for path in ["head", "entries?", "entries/"] {
        let this = move |asked: &str| asked == path || (path != "head" && asked.starts_with(path));
        let down = log(300).fail(move |asked, answer| match this(asked) {
            true => Err(FetchError::Unavailable { what: asked.to_owned(), cause: "HTTP 503".to_owned() }),
            false => Ok(answer),
        });
        assert_eq!(outcome(&down.source(), Wanted::Index(7)), Conclusion::Incomplete, "{path}");
        let junk =
            log(300).change(move |asked, answer| if this(asked) { Some(b"junk".to_vec()) } else { answer });
        assert_eq!(outcome(&junk.source(), Wanted::Index(7)), Conclusion::Invalid, "{path}");
        let gone = log(300).change(move |asked, answer| answer.filter(|_| !this(asked)));
        assert_eq!(outcome(&gone.source(), Wanted::Index(7)), Conclusion::Invalid, "{path}");
    }
}

/// Every file of a tiled log, with one bit flipped anywhere in it, and every file missing.
#[test]
fn no_flipped_tile_becomes_another_receipt() {
    let leaves = rejected_leaves(300);
    let files = honest_log(&key(), &leaves);
    let expected = ask(&MemoryLog { files: &files, instead: None }.source(), Wanted::Index(280)).unwrap();
    for (path, bytes) in &files {
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let source = MemoryLog { files: &files, instead: Some((path, changed)) }.source();
            if outcome(&source, Wanted::Index(280)) == Conclusion::Clean {
                // Only what the receipt does not need: another bundle, or a tile that is not on its path.
                let receipt = ask(&source, Wanted::Index(280)).unwrap();
                assert_eq!(
                    (receipt.leaf, receipt.path),
                    (expected.leaf.clone(), expected.path.clone()),
                    "{path} {at}"
                );
            }
        }
        let mut fewer = files.clone();
        fewer.remove(path);
        let conclusion = outcome(&MemoryLog { files: &fewer, instead: None }.source(), Wanted::Index(280));
        let needed = !["sth", "tile/entries/000", "tile/0/000"].contains(&path.as_str());
        assert_eq!(conclusion == Conclusion::Clean, !needed, "{path}: {conclusion:?}");
    }
}

/// Whatever a log signs for a receipt alone is held against the mirror, and the proof is a stranger's to check.
#[test]
fn a_receipt_from_another_history_is_evidence() {
    let auditor = own_mirror(&rejected_leaves(300));
    let log_key = LogKey::parse(&key().vkey()).unwrap();
    let mirror = Mirror::open(&auditor.db(), &log_key).unwrap();
    let mirrored = Mirrored::new(&mirror, &log_key).unwrap();
    let compare = |leaves: &[Vec<u8>]| {
        let files = honest_log(&key(), leaves);
        let made =
            served::make(&MemoryLog { files: &files, instead: None }.source(), Wanted::Index(0), &log_key);
        compared::compare(&mirrored, &made.unwrap())
    };
    for size in [1, 2, 100, 255, 256, 257, 299, 300] {
        let notes = compare(&rejected_leaves(size)).unwrap();
        let smaller = notes.iter().filter(|note| note.contains("rolled back")).count();
        assert_eq!((notes.len(), smaller), if size < 300 { (1, 1) } else { (0, 0) }, "{notes:?}");
        let none = compare(&history(size, size - 1)).unwrap_err();
        assert_eq!(none.conclusion, Conclusion::Violation, "{size}");
        let (kind, file) = none.evidence.unwrap();
        assert_eq!(kind == EvidenceKind::SameSizeFork, size == 300);
        assert_eq!(evidence::verify(&file, &log_key).unwrap().kind(), kind);
    }
    let notes = compare(&history(301, 0)).unwrap();
    assert!(notes.len() == 2 && notes.iter().all(|note| note.contains("not compared")), "{notes:?}");
    drop(mirror);
    // What the disk did is not held against the log.
    auditor.sql("UPDATE leaves SET leaf = x'00' WHERE idx = 99");
    let mirror = Mirror::open(&auditor.db(), &log_key).unwrap();
    let files = honest_log(&key(), &rejected_leaves(100));
    let made = served::make(&MemoryLog { files: &files, instead: None }.source(), Wanted::Index(0), &log_key);
    let none = compared::compare(&Mirrored::new(&mirror, &log_key).unwrap(), &made.unwrap()).unwrap_err();
    assert_eq!((none.conclusion, none.evidence), (Conclusion::LocalFault, None));
}
