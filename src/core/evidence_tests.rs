use super::*;
use crate::core::checkpoint::CheckpointBody;
use crate::core::encoding::encode_base64;
use crate::core::hash::leaf_hash;
use crate::core::note::{KeyKind, derive_key_id};
use crate::core::proof::consistency_ranges;
use crate::core::sth::{SthBody, sth_key_id};
use crate::core::time::UnixMillis;
use crate::core::tree::CompactRange;
use ed25519_dalek::{Signer as _, SigningKey};

const ORIGIN: &str = "log.example/1";

struct Log(SigningKey);

impl Log {
    fn new() -> Log {
        Log(SigningKey::from_bytes(&[7; 32]))
    }

    fn key(&self) -> LogKey {
        let raw = self.0.verifying_key().to_bytes();
        let id = derive_key_id(ORIGIN, KeyKind::Ed25519, &raw);
        let typed = [&[1][..], &raw].concat();
        let hex = crate::core::encoding::encode_hex(&id);
        LogKey::parse(&format!("{ORIGIN}+{hex}+{}", encode_base64(&typed))).unwrap()
    }

    fn checkpoint(&self, size: u64, root: Hash) -> Head {
        let body = CheckpointBody { origin: ORIGIN.to_owned(), size, root, extensions: Vec::new() };
        let text = body.to_text();
        let id = derive_key_id(ORIGIN, KeyKind::Ed25519, &self.0.verifying_key().to_bytes());
        let line = [&id[..], &self.0.sign(text.as_bytes()).to_bytes()].concat();
        let note = format!("{text}\n\u{2014} {ORIGIN} {}\n", encode_base64(&line));
        Head::verify(note.as_bytes(), &self.key()).unwrap()
    }

    fn sth(&self, size: u64, root: Hash, timestamp: u64) -> Head {
        let key_id = sth_key_id(&self.0.verifying_key().to_bytes());
        let body =
            SthBody { origin: ORIGIN.to_owned(), size, root, timestamp: UnixMillis::new(timestamp), key_id };
        let json = body.to_json(&self.0.sign(&body.signed_bytes()).to_bytes());
        Head::verify(&json, &self.key()).unwrap()
    }
}

fn range(leaves: &[u8], range: Range<u64>) -> Hash {
    let mut folded = CompactRange::new(range.start);
    for leaf in &leaves[range.start as usize..range.end as usize] {
        folded.append_leaf(leaf_hash(&[*leaf])).unwrap();
    }
    folded.root()
}

use std::ops::Range;

fn nodes(leaves: &[u8], smaller: u64) -> Vec<Hash> {
    let ranges = consistency_ranges(smaller, leaves.len() as u64).unwrap();
    ranges.into_iter().map(|r| range(leaves, r)).collect()
}

fn leaves(n: u8) -> Vec<u8> {
    (0..n).collect()
}

#[test]
fn a_fork_is_proved_in_either_format_and_order() {
    let log = Log::new();
    let heads = [log.checkpoint(3, Hash([1; 32])), log.sth(3, Hash([2; 32]), 5)];
    for pair in [[&heads[0], &heads[1]], [&heads[1], &heads[0]]] {
        let file = make(EvidenceKind::SameSizeFork, pair, None, &[("observer", "me".to_owned())]).unwrap();
        assert_eq!(verify(&file, &log.key()).unwrap().kind(), EvidenceKind::SameSizeFork);
    }
    let same = make(EvidenceKind::SameSizeFork, [&heads[0], &heads[0]], None, &[]).unwrap();
    assert!(matches!(verify(&same, &log.key()), Err(EvidenceError::NotProved(_))));
}

#[test]
fn rewritten_history_is_proved_at_every_size() {
    let log = Log::new();
    for n in 2..=17u8 {
        let new = leaves(n);
        let larger = log.checkpoint(u64::from(n), range(&new, 0..u64::from(n)));
        for m in 1..n {
            let mut old = leaves(m);
            old[usize::from(m) - 1] ^= 0x80;
            let smaller = log.sth(u64::from(m), range(&old, 0..u64::from(m)), 1);
            let nodes = nodes(&new, u64::from(m));
            let file = make(EvidenceKind::InconsistentHeads, [&larger, &smaller], Some(&nodes), &[]).unwrap();
            assert!(verify(&file, &log.key()).is_ok(), "{m} {n}");
            // An honest pair proves nothing, with the same nodes.
            let honest = log.sth(u64::from(m), range(&new, 0..u64::from(m)), 1);
            let file = make(EvidenceKind::InconsistentHeads, [&honest, &larger], Some(&nodes), &[]).unwrap();
            assert!(matches!(verify(&file, &log.key()), Err(EvidenceError::NotProved(_))), "{m} {n}");
            // Too few, too many or wrong nodes prove nothing either.
            let mut wrong = nodes.clone();
            wrong[0].0[0] ^= 1;
            for bad in [&nodes[1..], &[&nodes[..], &nodes[..1]].concat()[..], &wrong[..]] {
                let file =
                    make(EvidenceKind::InconsistentHeads, [&smaller, &larger], Some(bad), &[]).unwrap();
                assert!(verify(&file, &log.key()).is_err(), "{m} {n}");
            }
        }
    }
}

#[test]
fn time_contradictions_need_two_sths() {
    let log = Log::new();
    let (early, late) = (log.sth(9, Hash([1; 32]), 10), log.sth(4, Hash([2; 32]), 60_011));
    let file = make(EvidenceKind::SthTimeContradiction, [&early, &late], None, &[]).unwrap();
    assert_eq!(verify(&file, &log.key()).unwrap().heads().0.size(), 4);
    let same_time = log.sth(4, Hash([2; 32]), 10);
    let note = log.checkpoint(4, Hash([2; 32]));
    let clocks = log.sth(4, Hash([2; 32]), 60_010);
    for other in [&same_time, &clocks, &note] {
        let file = make(EvidenceKind::SthTimeContradiction, [&early, other], None, &[]).unwrap();
        assert!(verify(&file, &log.key()).is_err());
    }
}

#[test]
fn only_a_contradiction_is_proved() {
    let log = Log::new();
    let (a, b) = (log.checkpoint(3, Hash([1; 32])), log.checkpoint(3, Hash([2; 32])));
    let (file, proved) = prove(EvidenceKind::SameSizeFork, [&a, &b], None, &[], &log.key()).unwrap();
    assert_eq!(verify(&file, &log.key()), Ok(proved));
    let same = prove(EvidenceKind::SameSizeFork, [&a, &a], None, &[], &log.key());
    assert!(matches!(same, Err(EvidenceError::NotProved(_))));
}

#[test]
fn every_flipped_bit_proves_the_same_or_nothing() {
    let log = Log::new();
    let new = leaves(7);
    let larger = log.checkpoint(7, range(&new, 0..7));
    let smaller = log.checkpoint(4, Hash([3; 32]));
    let file = make(
        EvidenceKind::InconsistentHeads,
        [&smaller, &larger],
        Some(&nodes(&new, 4)),
        &[("a", "b".to_owned())],
    )
    .unwrap();
    let proved = verify(&file, &log.key()).unwrap();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(other) = verify(&flipped, &log.key()) {
                assert_eq!(other.to_string(), proved.to_string(), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn other_keys_and_other_forms_prove_nothing() {
    let log = Log::new();
    let heads = [log.checkpoint(3, Hash([1; 32])), log.checkpoint(3, Hash([2; 32]))];
    let file = make(EvidenceKind::SameSizeFork, [&heads[0], &heads[1]], None, &[]).unwrap();
    let other = Log(SigningKey::from_bytes(&[8; 32]));
    assert!(verify(&file, &other.key()).is_err());
    let text = String::from_utf8(file).unwrap();
    for (from, to) in [
        ("same-size-fork", "fork"),
        ("misbehaviour/v1", "misbehaviour/v2"),
        ("\"origin\": \"log.example/1\"", "\"origin\": \"log.example/2\""),
        ("\"nodes\": null", "\"nodes\": []"),
        ("\"nodes\": null", "\"nodes\": null, \"nodes\": null"),
        ("\"nodes\": null,", ""),
        ("\"context\": {}", "\"context\": {}, \"more\": 1"),
        ("\"context\": {}", "\"context\": {\"a\":1,\"a\":1}"),
        ("\"context\": {}", "\"context\": 1"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        assert!(verify(bad.as_bytes(), &log.key()).is_err(), "{to}");
    }
    assert!(verify(&vec![b' '; limits::MAX_EVIDENCE + 1], &log.key()).is_err());
    assert!(verify("[".repeat(100_000).as_bytes(), &log.key()).is_err());
}
