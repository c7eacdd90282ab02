//! Witness cosignatures on checkpoints: each rule of C2SP tlog-cosignature, and what a policy counts.

use countersign::core::head::Head;
use countersign::core::note::{Note, SignedTime, VerifierKey};
use countersign::core::time::UnixSeconds;
use countersign::core::tlog_policy::{CosignError, FreshnessWindow, QuorumResult, TlogPolicy};
use support::log::{ORIGIN, TestKey, root_of};
use support::witness::{TestWitness, policy, text_of};

const TIME: u64 = 1_782_000_000;

fn checkpoint() -> Vec<u8> {
    TestKey::new(1).checkpoint(3, root_of(&[b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]))
}

fn read(text: &str) -> TlogPolicy {
    TlogPolicy::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn two_kinds() -> [TestWitness; 2] {
    [TestWitness::ed25519("w.example/ed", 1), TestWitness::ml_dsa_44("w.example/pq", 2)]
}

fn names(cosigned: &QuorumResult) -> Vec<&str> {
    cosigned.by.iter().map(|cosignature| cosignature.witness.as_str()).collect()
}

/// The times from one second to another, both included.
fn window(from: u64, to: u64) -> FreshnessWindow {
    FreshnessWindow { not_before: UnixSeconds::new(from), not_after: UnixSeconds::new(to) }
}

/// Keys, cosignatures and policy by Python and OpenSSL: `fixtures/witnesses/README.md`.
#[test]
fn cosignatures_of_another_implementation_verify() {
    let checkpoint = include_bytes!("../../fixtures/witnesses/checkpoint");
    let policy = TlogPolicy::parse(include_bytes!("../../fixtures/witnesses/policy")).unwrap();
    assert!(Head::verify_checkpoint(checkpoint, &policy.logs()[0]).is_ok());
    assert_eq!((policy.quorum_text().as_str(), policy.witness_count()), ("2 of 3 in all-of-them", 3));
    let window = self::window(1_782_000_046, 1_782_000_046);
    let cosigned = policy.check_cosignatures(checkpoint, Some(window)).unwrap();
    let by: Vec<_> =
        cosigned.by.iter().map(|by| (by.witness.as_str(), by.time.map(UnixSeconds::get), by.fresh)).collect();
    assert_eq!(
        by,
        [
            ("W1", Some(1_782_000_045), Some(false)),
            ("W2", Some(1_782_000_046), Some(true)),
            ("W3", None, Some(false)),
        ]
    );
    assert_eq!((cosigned.of, cosigned.quorum, cosigned.fresh_quorum), (3, true, Some(false)));
}

#[test]
fn lines_of_unknown_keys_are_ignored() {
    let [ed, pq] = two_kinds();
    let policy = read(&policy(&[], &[&ed], 1));
    let cosigned = policy.check_cosignatures(&pq.cosign(&checkpoint(), TIME), None).unwrap();
    assert_eq!((cosigned.by.len(), cosigned.of, cosigned.quorum), (0, 1, false));
    // The same name with another key, and the same key with another name: unknown too.
    for other in [TestWitness::ed25519("w.example/ed", 9), TestWitness::ed25519("w.example/other", 1)] {
        assert!(!policy.check_cosignatures(&other.forge(&checkpoint(), TIME), None).unwrap().quorum);
    }
}

#[test]
fn a_changed_byte_is_another_key_or_a_forgery() {
    for witness in two_kinds() {
        let policy = read(&policy(&[], &[&witness], 1));
        let signature = witness.timestamped_signature(text_of(&checkpoint()), TIME);
        let good = [&checkpoint()[..], witness.line(&signature).as_bytes()].concat();
        assert!(policy.check_cosignatures(&good, None).unwrap().quorum);
        for at in (0..signature.len()).filter(|at| *at < 80 || at % 41 == 0 || at + 90 > signature.len()) {
            let mut wrong = signature.clone();
            wrong[at] ^= 1 << (at % 8);
            let note = [&checkpoint()[..], witness.line(&wrong).as_bytes()].concat();
            let verdict = policy.check_cosignatures(&note, None);
            let named =
                matches!(&verdict, Err(CosignError::BadCosignature { witness, .. }) if witness == "w0");
            assert!(named, "{at}: {verdict:?}");
        }
        for length in [0, 7, 8, 71, signature.len() - 1] {
            let note = [&checkpoint()[..], witness.line(&signature[..length]).as_bytes()].concat();
            // A line of nothing but a key id is no signature line at all.
            let refused = policy.check_cosignatures(&note, None);
            let malformed = matches!(refused, Err(CosignError::Malformed(_))) && length == 0;
            assert!(malformed || matches!(refused, Err(CosignError::BadCosignature { .. })), "{length}");
        }
        // The key id is the first thing in the line: with another one it is nobody's.
        let line = witness.line(&signature);
        let blob = line.trim_end().rsplit(' ').next().unwrap();
        for at in 0..5 {
            let mut wrong = blob.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            let line = line.replace(blob, std::str::from_utf8(&wrong).unwrap());
            let cosigned =
                policy.check_cosignatures(&[&checkpoint()[..], line.as_bytes()].concat(), None).unwrap();
            assert_eq!((cosigned.by.len(), cosigned.quorum), (0, false), "{at}");
        }
    }
}

#[test]
fn a_cosignature_covers_log_size_root_and_time() {
    let (key, root) = (TestKey::new(1), root_of(&[b"a".to_vec()]));
    for witness in two_kinds() {
        let policy = read(&policy(&[], &[&witness], 1));
        let signature = witness.timestamped_signature(text_of(&checkpoint()), TIME);
        let text = text_of(&checkpoint()).to_owned();
        let others = [key.checkpoint(4, root_of(&[])), key.checkpoint(3, root), key.checkpoint(2, root)];
        let other_log = [text.replacen(ORIGIN, "log.test.example/2", 1), "\n".to_owned()].concat();
        for other in others.into_iter().chain([other_log.into_bytes()]) {
            let note = [&other[..], witness.line(&signature).as_bytes()].concat();
            assert!(matches!(
                policy.check_cosignatures(&note, None),
                Err(CosignError::BadCosignature { .. })
            ));
        }
        // Ed25519 covers extension lines; ML-DSA-44 makes no statement about them (C2SP tlog-cosignature).
        let extended = format!("{text}extension\n\n{}", witness.line(&signature));
        let verdict = policy.check_cosignatures(extended.as_bytes(), None);
        assert_eq!(verdict.is_ok(), witness.vkey().contains("/pq"), "{verdict:?}");
    }
}

#[test]
fn times_are_positive_and_below_two_to_the_63() {
    for witness in two_kinds() {
        let policy = read(&policy(&[], &[&witness], 1));
        let all = window(0, u64::MAX);
        for time in [1, TIME, (1 << 63) - 1] {
            let cosigned =
                policy.check_cosignatures(&witness.cosign(&checkpoint(), time), Some(all)).unwrap();
            assert_eq!(
                (cosigned.by[0].time, cosigned.fresh_quorum),
                (Some(UnixSeconds::new(time)), Some(true))
            );
        }
        for time in [1 << 63, u64::MAX] {
            let refused =
                policy.check_cosignatures(&witness.cosign(&checkpoint(), time), Some(all)).unwrap_err();
            assert!(refused.to_string().contains("above 2^63 − 1"), "{refused}");
        }
        let cosigned = policy.check_cosignatures(&witness.cosign(&checkpoint(), 0), Some(all)).unwrap();
        assert_eq!((cosigned.by[0].time, cosigned.by[0].fresh), (None, Some(false)));
        assert_eq!((cosigned.quorum, cosigned.fresh_quorum), (true, Some(false)));
    }
}

#[test]
fn a_witness_counts_once_by_its_freshest_line() {
    let [ed, pq] = two_kinds();
    let policy = read(&policy(&[], &[&ed, &pq], 2));
    let window = self::window(TIME - 10, TIME + 10);
    let judge = |lines: &[(&TestWitness, u64)]| {
        let note = lines.iter().fold(checkpoint(), |note, (witness, time)| witness.cosign(&note, *time));
        policy.check_cosignatures(&note, Some(window)).unwrap()
    };
    for (time, fresh) in [(TIME - 11, false), (TIME - 10, true), (TIME + 10, true), (TIME + 11, false)] {
        let cosigned = judge(&[(&ed, TIME), (&pq, time)]);
        assert_eq!((cosigned.quorum, cosigned.fresh_quorum), (true, Some(fresh)), "{time}");
    }
    let twice = judge(&[(&ed, TIME), (&ed, TIME + 1)]);
    assert_eq!((names(&twice), twice.quorum), (vec!["w0"], false));
    for order in [[TIME, TIME + 100, TIME - 5], [TIME + 100, TIME - 5, TIME], [TIME - 5, TIME, TIME + 100]] {
        let cosigned = judge(&order.map(|time| (&pq, time)));
        assert_eq!(
            (cosigned.by[0].time, cosigned.by[0].fresh),
            (Some(UnixSeconds::new(TIME)), Some(true)),
            "{order:?}"
        );
    }
    let unasked = policy.check_cosignatures(&ed.cosign(&checkpoint(), TIME), None).unwrap();
    assert_eq!((unasked.by[0].fresh, unasked.fresh_quorum), (None, None));
}

#[test]
fn a_forged_line_is_named_beside_any_other() {
    let [ed, pq] = two_kinds();
    let policy = read(&policy(&[], &[&ed, &pq], 1));
    for note in [
        pq.forge(&ed.cosign(&checkpoint(), TIME), TIME),
        ed.cosign(&pq.forge(&checkpoint(), TIME), TIME),
        pq.forge(&pq.cosign(&checkpoint(), TIME), TIME),
    ] {
        let error = policy.check_cosignatures(&note, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a signature line that names witness w1 is not by that witness: the signature does not verify"
        );
    }
}

#[test]
fn other_texts_are_malformed_checkpoints() {
    let [ed, _] = two_kinds();
    let policy = read(&policy(&[], &[&ed], 1));
    let good = ed.cosign(&checkpoint(), TIME);
    let many = TestWitness::ed25519(&"n".repeat(1000), 3).line(&[1; 10]).repeat(130);
    let cases: [Vec<u8>; 5] = [
        Vec::new(),
        b"{}".to_vec(),
        good[..good.len() - 1].to_vec(),
        [b"not a checkpoint\n\n", ed.line(&[1; 72]).as_bytes()].concat(),
        [&good[..], many.as_bytes()].concat(),
    ];
    for bytes in cases {
        assert!(matches!(policy.check_cosignatures(&bytes, None), Err(CosignError::Malformed(_))));
    }
}

#[test]
fn a_log_and_a_witness_may_share_a_name() {
    let (log, witness) = (TestKey::new(1), TestWitness::ed25519(ORIGIN, 1));
    let policy = read(&policy(&[&log.vkey()], &[&witness], 1));
    let note = witness.cosign(&checkpoint(), TIME);
    assert!(policy.check_cosignatures(&note, None).unwrap().quorum);
    assert!(!policy.check_cosignatures(&checkpoint(), None).unwrap().quorum);
    assert!(Head::verify_checkpoint(&note, &policy.logs()[0]).is_ok());
}

#[test]
fn cosigner_keys_are_vkeys() {
    for witness in two_kinds() {
        let vkey = witness.vkey();
        assert_eq!(VerifierKey::parse(&vkey).unwrap().to_string(), vkey);
        assert!(VerifierKey::parse(&vkey.replacen("w.", "v.", 1)).is_err(), "the key id is of the name");
        assert!(VerifierKey::parse(&vkey[..vkey.len() - 4]).is_err());
        let keys = [VerifierKey::parse(&vkey).unwrap()];
        let note = witness.cosign(&checkpoint(), TIME);
        let verified = Note::parse(&note).unwrap().verify(&keys).unwrap();
        assert_eq!(verified[0].timestamp, Some(SignedTime::Cosignature(UnixSeconds::new(TIME))));
    }
    // `opaque cosigner_name<1..2^8-1>`, and the same for the origin.
    assert!(VerifierKey::parse(&TestWitness::ml_dsa_44(&"n".repeat(255), 1).vkey()).is_ok());
    assert!(VerifierKey::parse(&TestWitness::ml_dsa_44(&"n".repeat(256), 1).vkey()).is_err());
    let (witness, text) = (&two_kinds()[1], text_of(&checkpoint()).to_owned());
    let long = text.replacen(ORIGIN, &"o".repeat(256), 1);
    let note = format!("{long}\n{}", witness.line(&[0; 2428]));
    let error = read(&policy(&[], &[witness], 1)).check_cosignatures(note.as_bytes(), None).unwrap_err();
    assert!(error.to_string().contains("origin is longer"), "{error}");
}
