//! A log behind the JSON API: its list of heads, and the heads and proofs inside verification bundles.

mod support;

use countersign::core::api::{Bundle, HeadAnswer, HeadsPage};
use countersign::core::hash::Hash;
use countersign::core::proof::InclusionProof;
use support::api::ApiLog;
use support::api_lab::{changed, clean, flip, history, key, lab, log, requests};
use support::lab::Answer;
use support::log::{HEAD_TIME, TestKey, rejected_leaves, root_of};

/// One bundle changed member by member; every other answer is honest.
fn bundle_changed(change: impl Fn(&mut Bundle) + Send + Sync + 'static) -> Answer {
    changed("entries/", 300, move |bytes| {
        let mut bundle = Bundle::read(&bytes).unwrap();
        change(&mut bundle);
        bundle.write().unwrap()
    })
}

#[test]
fn a_bundle_is_the_entry_that_is_in_the_log() {
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
fn a_head_that_only_bundles_or_the_list_have_is_compared_like_all_others() {
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
fn the_list_must_have_every_head_that_is_held() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    let desk = lab.desk(0);
    let honest = |sizes: &[usize]| ApiLog::new(&key(), &leaves[..sizes[sizes.len() - 1]], sizes);
    clean(&desk.audit(&honest(&[100, 200]).source()), 200);
    // The head that is served is not listed: it may be on its way; at the next audit it is missing.
    let lagging = || {
        let mut log = honest(&[100, 200, 300]);
        let newest = log.sths.last().unwrap().0;
        log.change = Box::new(move |path, answer| {
            let Some(query) = path.strip_prefix("heads?after=") else { return Ok(answer) };
            let (after, _) = query.split_once('&').unwrap();
            let mut page = HeadsPage::read(&answer.unwrap(), after.parse().unwrap(), 1000).unwrap();
            page.heads.retain(|head| !String::from_utf8_lossy(head).contains(&newest.to_string()));
            Ok(page.write())
        });
        log
    };
    let answer = desk.audit_again(&lagging().source());
    assert!(answer.findings.is_empty() && answer.incomplete.len() == 1, "{answer:?}");
    let answer = desk.audit_again(&lagging().source());
    assert_eq!(answer.codes(), ["gap"], "{answer:?}");
    clean(&desk.audit_again(&honest(&[100, 200, 300]).source()), 300);
}

/// The specification does not say what the cursor counts; an honest log that counts heads is no liar.
#[test]
fn a_list_whose_cursor_is_no_time_is_read_from_its_beginning() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    let desk = lab.desk(0);
    for sizes in [&[100][..], &[100, 200], &[100, 200, 300]] {
        let log = ApiLog::new(&key(), &leaves[..sizes[sizes.len() - 1]], sizes);
        let sths: Vec<Vec<u8>> = log.sths.iter().map(|(_, sth)| sth.clone()).collect();
        let log = log.change(move |asked, answer| {
            let Some(query) = asked.strip_prefix("heads?after=") else { return answer };
            let after: usize = query.split('&').next().unwrap().parse().unwrap();
            HeadsPage { heads: sths.get(after..).unwrap_or_default().to_vec(), next: None }.write()
        });
        clean(&desk.audit_again_or_first(&log.source()), sizes[sizes.len() - 1] as u64);
    }
}

#[test]
fn a_long_list_is_read_in_pages_and_on_from_where_it_was() {
    let (lab, leaves) = (lab(), rejected_leaves(4));
    let sizes: Vec<usize> = (0..2500).map(|n| 1 + n / 1000).chain([4]).collect();
    let desk = lab.desk(0);
    let log = ApiLog::new(&key(), &leaves, &sizes);
    let asked = requests(&log);
    clean(&desk.audit(&log.source()), 4);
    let pages = |asked: &std::sync::Mutex<Vec<String>>| {
        asked.lock().unwrap().iter().filter(|path| path.starts_with("heads?")).count()
    };
    assert_eq!(pages(&asked), 3);
    let log = ApiLog::new(&key(), &leaves, &sizes);
    let asked = requests(&log);
    clean(&desk.audit_again(&log.source()), 4);
    assert_eq!(pages(&asked), 1);
}

#[test]
fn heads_and_checkpoint_of_one_answer_that_disagree_are_a_fork() {
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
        head.write()
    });
    lab().desk(0).audit(&log.source())
}
