//! A log behind the JSON API: its list of heads, and the heads and proofs inside verification bundles.

use countersign::core::api::{HeadAnswer, HeadsPage, VerificationBundle};
use countersign::core::hash::{Hash, sha256};
use countersign::core::proof::InclusionProof;
use support::api::ApiLog;
use support::api_lab::{changed, clean, flip, history, key, lab, log, requests};
use support::lab::Answer;
use support::log::{HEAD_TIME, TestKey, leaf, rejected, rejected_leaves, root_of};

/// One bundle changed member by member; every other answer is honest.
fn bundle_changed(change: impl Fn(&mut VerificationBundle) + Send + Sync + 'static) -> Answer {
    changed("entries/", 300, move |bytes| {
        let mut bundle = VerificationBundle::read(&bytes).unwrap();
        change(&mut bundle);
        bundle.write().unwrap()
    })
}

#[test]
fn a_bundle_must_match_the_entry_of_the_log() {
    let other_key = TestKey::new(2);
    let (size, root) = (300, root_of(&rejected_leaves(300)));
    let (foreign_sth, foreign_checkpoint) =
        (other_key.sth(size, root, HEAD_TIME), other_key.checkpoint(size, root));
    let cases: Vec<(&str, Answer, &[&str])> = vec![
        ("index", bundle_changed(|b| b.index += 1), &["proof-invalid"]),
        ("index of the proof", bundle_changed(|b| b.inclusion_index += 1), &["proof-invalid"]),
        ("size", bundle_changed(|b| b.tree_size -= 1), &["proof-invalid"]),
        ("proof", bundle_changed(|b| flip(&mut b.proof.0[0])), &["proof-invalid"]),
        ("longer proof", bundle_changed(|b| b.proof.0.push(Hash([0; 32]))), &["proof-invalid"]),
        ("no proof", bundle_changed(|b| b.proof = InclusionProof(Vec::new())), &["proof-invalid"]),
        ("entry", bundle_changed(|b| b.entry = rejected_leaves(400)[399].clone()), &["proof-invalid"]),
        ("no entry", bundle_changed(|b| b.entry = b"7".to_vec()), &["proof-invalid"]),
        ("sth", bundle_changed(move |b| b.sth = foreign_sth.clone()), &["head-signature-invalid"]),
        (
            "checkpoint",
            bundle_changed(move |b| b.checkpoint = foreign_checkpoint.clone()),
            &["head-signature-invalid"],
        ),
        ("no sth", bundle_changed(|b| b.sth = b"{}".to_vec()), &["head-malformed"]),
        ("reveal", bundle_changed(|b| b.reveal = Some(b"{}".to_vec())), &["reveal-mismatch"]),
    ];
    for (what, answer, codes) in cases {
        assert_eq!(answer.codes(), codes, "{what}: {answer:?}");
    }
    // Other white space and order of members is the same entry.
    let reordered = bundle_changed(|b| {
        let json: serde_json::Value = serde_json::from_slice(&b.entry).unwrap();
        b.entry = serde_json::to_string_pretty(&json).unwrap().into_bytes();
    });
    clean(&reordered, 300);
}

#[test]
fn heads_of_bundles_and_of_the_list_are_compared() {
    let fork = root_of(&history(300, 100));
    let sth = key().sth(300, fork, HEAD_TIME + 7);
    let answer = bundle_changed(move |b| b.sth = sth.clone());
    assert_eq!(answer.codes(), ["same-size-fork"], "{answer:?}");
    let smaller = key().sth(200, root_of(&history(200, 100)), HEAD_TIME - 7);
    let listed = smaller.clone();
    let answer = changed("heads?", 300, move |bytes| {
        let mut page = HeadsPage::read(&bytes, 0, 1000).unwrap();
        page.heads.insert(0, listed.clone());
        page.write().unwrap()
    });
    assert_eq!(answer.codes(), ["inconsistent-heads"], "{answer:?}");
}

#[test]
fn the_list_must_have_every_mirrored_head() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    let workspace = lab.workspace(0);
    let honest = |sizes: &[usize]| ApiLog::new(&key(), &leaves[..sizes[sizes.len() - 1]], sizes);
    clean(&workspace.audit(&honest(&[100, 200]).source()), 200);
    // The head that is served is not listed: it may be on its way; at the next audit it is missing.
    let lagging = || {
        let mut log = honest(&[100, 200, 300]);
        let newest = log.sths.last().unwrap().0;
        log.change = Box::new(move |path, answer| {
            let Some(query) = path.strip_prefix("heads?after=") else { return Ok(answer) };
            let (after, _) = query.split_once('&').unwrap();
            let mut page = HeadsPage::read(&answer.unwrap(), after.parse().unwrap(), 1000).unwrap();
            page.heads.retain(|head| !String::from_utf8_lossy(head).contains(&newest.to_string()));
            Ok(page.write().ok())
        });
        log
    };
    let answer = workspace.audit_again(&lagging().source());
    assert!(answer.findings.is_empty() && answer.incomplete.len() == 1, "{answer:?}");
    let answer = workspace.audit_again(&lagging().source());
    assert_eq!(answer.codes(), ["gap"], "{answer:?}");
    clean(&workspace.audit_again(&honest(&[100, 200, 300]).source()), 300);
}

/// The specification does not define what the cursor counts: a log may honestly count heads.
#[test]
fn a_list_with_an_unknown_cursor_is_read_from_the_beginning() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    let workspace = lab.workspace(0);
    for sizes in [&[100][..], &[100, 200], &[100, 200, 300]] {
        let log = ApiLog::new(&key(), &leaves[..sizes[sizes.len() - 1]], sizes);
        let sths: Vec<Vec<u8>> = log.sths.iter().map(|(_, sth)| sth.clone()).collect();
        let log = log.change(move |asked, answer| {
            let Some(query) = asked.strip_prefix("heads?after=") else { return answer };
            let after: usize = query.split('&').next().unwrap().parse().unwrap();
            HeadsPage { heads: sths.get(after..).unwrap_or_default().to_vec(), next: None }.write().ok()
        });
        clean(&workspace.audit_again_or_first(&log.source()), sizes[sizes.len() - 1] as u64);
    }
}

#[test]
fn a_long_list_is_read_in_pages_and_continued() {
    let (lab, leaves) = (lab(), rejected_leaves(4));
    let sizes: Vec<usize> = (0..2500).map(|n| 1 + n / 1000).chain([4]).collect();
    let workspace = lab.workspace(0);
    let log = ApiLog::new(&key(), &leaves, &sizes);
    let asked = requests(&log);
    clean(&workspace.audit(&log.source()), 4);
    let pages = |asked: &std::sync::Mutex<Vec<String>>| {
        asked.lock().unwrap().iter().filter(|path| path.starts_with("heads?")).count()
    };
    assert_eq!(pages(&asked), 3);
    let log = ApiLog::new(&key(), &leaves, &sizes);
    let asked = requests(&log);
    clean(&workspace.audit_again(&log.source()), 4);
    assert_eq!(pages(&asked), 1);
}

#[test]
fn a_checkpoint_and_sth_that_disagree_are_a_fork() {
    let other = key().checkpoint(300, root_of(&history(300, 1)));
    let answer = changed_head(move |head| head.checkpoint = other.clone());
    assert!(answer.codes().contains(&"same-size-fork"), "{answer:?}");
}

fn changed_head(change: impl Fn(&mut HeadAnswer) + Send + Sync + 'static) -> Answer {
    let log = log(300).change(move |asked, answer| {
        if asked != "head" {
            return answer;
        }
        let mut head = HeadAnswer::read(&answer?).unwrap();
        change(&mut head);
        head.write().ok()
    });
    lab().workspace(0).audit(&log.source())
}

/// What a log committed to, it cannot take back: not by hiding the reveal, nor by a check of everything.
#[test]
fn an_unapproved_payload_stays_a_finding() {
    let reveal =
        r#"{"action":"x","blind":"AA","email":null,"payload":{"a":1},"type":"approval-log-reveal/v1"}"#;
    let commitment = sha256(&[b"approval-log-reveal/v1\0".as_slice(), reveal.as_bytes()].concat());
    let mut entry = rejected("entry-3");
    entry["revealCommitment"] = commitment.to_string().into();
    let mut leaves = rejected_leaves(10);
    leaves[3] = leaf(&entry);
    let with = |reveal: Option<&'static str>| {
        let log = ApiLog::new(&key(), &leaves, &[10]);
        log.change(move |asked, answer| match asked {
            "entries/entry-3/verification" => {
                let mut bundle = VerificationBundle::read(&answer?).unwrap();
                bundle.reveal = reveal.map(|text| text.as_bytes().to_vec());
                bundle.write().ok()
            }
            _ => answer,
        })
    };
    let lab = lab();
    let workspace = lab.workspace(0);
    let expected = [("payload-mismatch".to_owned(), Some(3))];
    let found = |answer: &Answer| answer.findings.iter().cloned().collect::<Vec<_>>();
    assert_eq!(found(&workspace.audit(&with(Some(reveal)).source())), expected);
    assert_eq!(found(&workspace.audit_again(&with(None).source())), expected);
    assert_eq!(found(&workspace.audit_full(&with(None).source())), expected);
    // A reveal that is not the one committed to is about serving, and ends when it is served rightly.
    let workspace = lab.workspace(1);
    let other =
        r#"{"action":"y","blind":"AA","email":null,"payload":{"a":1},"type":"approval-log-reveal/v1"}"#;
    assert_eq!(workspace.audit(&with(Some(other)).source()).codes(), ["reveal-mismatch"]);
    assert_eq!(workspace.audit_full(&with(Some(other)).source()).codes(), ["reveal-mismatch"]);
    clean(&workspace.audit_again(&with(None).source()), 10);
}

/// A head dated far ahead is reported, and does not hide heads that are listed before it later.
#[test]
fn a_listed_future_head_hides_no_later_head() {
    let leaves = rejected_leaves(20);
    let lab = lab();
    let workspace = lab.workspace(0);
    let far = 7_000_000_000_000;
    let mut log = ApiLog::new(&key(), &leaves, &[20]);
    log.sths.push((far, key().sth(20, root_of(&leaves), far)));
    let honest_head = log.sths[0].1.clone();
    let serve_first = move |log: ApiLog| {
        let head = honest_head.clone();
        log.change(move |asked, answer| match asked {
            "head" => {
                let mut answer = HeadAnswer::read(&answer?).unwrap();
                answer.sth = head.clone();
                answer.write().ok()
            }
            _ => answer,
        })
    };
    let sths = log.sths.clone();
    assert_eq!(workspace.audit(&serve_first(log).source()).codes(), ["head-in-future"]);
    let mut log = ApiLog::new(&key(), &leaves, &[20]);
    log.sths = sths;
    let fork = key().sth(15, root_of(&history(15, 3)), HEAD_TIME + 60_000);
    log.sths.insert(1, (HEAD_TIME + 60_000, fork));
    let answer = workspace.audit_again(&serve_first(log).source());
    assert!(answer.codes().contains(&"inconsistent-heads"), "{answer:?}");
}

/// A cache serves an old head, and the log shows a newer one elsewhere: undecided for an hour.
#[test]
fn a_head_may_lag_for_an_hour() {
    let leaves = rejected_leaves(40);
    let lab = lab();
    let workspace = lab.workspace(0);
    let old = ApiLog::new(&key(), &leaves[..20], &[20]);
    let old_head = old.answer("head").unwrap();
    let lagging = || {
        let head = old_head.clone();
        ApiLog::new(&key(), &leaves, &[20, 40])
            .change(move |asked, answer| if asked == "head" { Some(head.clone()) } else { answer })
    };
    let first = workspace.audit(&lagging().source());
    clean(&first, 20);
    // Audits of the lab are hours apart.
    assert_eq!(workspace.audit_again(&lagging().source()).codes(), ["head-rollback"]);
    clean(&workspace.audit_again(&ApiLog::new(&key(), &leaves, &[20, 40]).source()), 40);
}

/// Many heads of one tree, and many trees: the cost of each must not grow with their number.
#[test]
fn thousands_of_heads_are_compared_quickly() {
    let leaves = rejected_leaves(3000);
    let many: Vec<usize> = (0..6000).map(|n| 1 + n / 2).collect();
    let log = ApiLog::new(&key(), &leaves, &many);
    let started = std::time::Instant::now();
    clean(&lab().workspace(0).audit(&log.source()), 3000);
    println!("6,000 heads of 3,000 trees in {:?}", started.elapsed());
    assert!(started.elapsed() < support::HANG, "{:?}", started.elapsed());
}
