//! Every check of a receipt: that it passes, that it can fail, and that it says when it was not made.

use countersign::audit::verdict::CheckResult;
use countersign::core::check::Check;
use countersign::core::encoding::{decode_base64url, encode_base64url};
use countersign::core::entry::Decision;
use countersign::core::finding::Code;
use countersign::core::hash::Hash;
use countersign::core::time::UnixMillis;
use countersign::core::tlog_policy::TlogPolicy;
use countersign::core::tlog_proof::TlogProof;
use countersign::{Conclusion, Expectation, LogKey, Payload, TrustPolicy, Verdict, verify_receipt};
use serde_json::{Value, json};
use std::time::Duration;
use support::log::HEAD_TIME;
use support::passkey::Passkey;
use support::receipt::{NOW, PAYLOAD, approval, expected, receipt_of, request, reveal, trust};
use support::witness::{TestWitness, policy};

/// A receipt, and everything that its verdict depends on.
struct Scene {
    receipt: Value,
    trust: TrustPolicy,
    expected: Expectation<'static>,
}

impl Scene {
    fn of(entry: &Value) -> Scene {
        Scene { receipt: receipt_of(entry), trust: trust(), expected: expected() }
    }

    fn good() -> Scene {
        Scene::of(&approval())
    }

    /// The log committed to the approval with this done to it.
    fn logged(edit: impl FnOnce(&mut Value)) -> Scene {
        let mut entry = approval();
        edit(&mut entry);
        Scene::of(&entry)
    }

    /// The same with this done to the assertion's client data; its signature is then over another one.
    fn client_data(from: &str, to: &str) -> Scene {
        Scene::logged(|entry| {
            let data = decode_base64url(entry["assertion"]["clientDataJSON"].as_str().unwrap()).unwrap();
            let text = String::from_utf8(data).unwrap();
            let other = text.replacen(from, to, 1);
            assert_ne!(text, other);
            entry["assertion"]["clientDataJSON"] = encode_base64url(other.as_bytes()).into();
        })
    }

    fn flags(flags: u8) -> Scene {
        Scene::of(&Passkey { flags, ..Passkey::new(7) }.approve(request()))
    }

    /// Approved, with a reveal; the second value is done to the reveal after the log committed to it.
    fn revealed(email: Value, edit: impl FnOnce(&mut Value)) -> Scene {
        let (mut revealed, commitment) = reveal("Deploy", email);
        let mut entry = request();
        entry["revealCommitment"] = commitment.into();
        let mut scene = Scene::of(&Passkey::new(7).approve(entry));
        edit(&mut revealed);
        scene.receipt["reveal"] = revealed;
        scene
    }

    /// Cosigned by some of three witnesses, a minute before it is checked; `quorum` of them are asked for.
    fn witnessed(by: &[usize], quorum: usize) -> Scene {
        let all = witnesses();
        Scene::good()
            .with(|scene| {
                let policy = policy(&[], &all.iter().collect::<Vec<_>>(), quorum);
                scene.trust.witnesses = Some(TlogPolicy::parse(policy.as_bytes()).unwrap());
            })
            .cosigned(|checkpoint| {
                by.iter().fold(checkpoint, |note, n| all[*n].cosign(&note, NOW / 1000 - 60))
            })
    }

    fn cosigned(self, cosign: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Scene {
        self.with(|scene| {
            let mut proof = TlogProof::parse(scene.receipt["tlogProof"].as_str().unwrap()).unwrap();
            proof.checkpoint = String::from_utf8(cosign(proof.checkpoint.into_bytes())).unwrap();
            scene.receipt["tlogProof"] = proof.to_text().into();
        })
    }

    fn rejected() -> Scene {
        let mut scene = Scene::of(&request());
        scene.expected.decision = Decision::Rejected;
        scene
    }

    fn without_key() -> Scene {
        let mut scene = Scene::good();
        scene.trust.log_keys.clear();
        scene
    }

    fn malformed_leaf() -> Scene {
        Scene::logged(|entry| entry["more"] = 1.into())
    }

    fn with(mut self, edit: impl FnOnce(&mut Scene)) -> Scene {
        edit(&mut self);
        self
    }

    fn proof(self, from: &str, to: &str) -> Scene {
        self.with(|scene| {
            let text = scene.receipt["tlogProof"].as_str().unwrap();
            let other = text.replacen(from, to, 1);
            assert_ne!(text, other);
            scene.receipt["tlogProof"] = other.into();
        })
    }

    fn verdict(&self) -> Verdict {
        verify_receipt(self.receipt.to_string().as_bytes(), &self.trust, &self.expected, UnixMillis::new(NOW))
    }
}

fn witnesses() -> [TestWitness; 3] {
    [
        TestWitness::ed25519("witness.one.example", 1),
        TestWitness::ml_dsa_44("witness.two.example", 2),
        TestWitness::ed25519("witness.three.example", 3),
    ]
}

/// PBKDF2 of "ada@example.com" with salt "salt" and 100,000 rounds.
fn email() -> Value {
    let mut hash = [0; 32];
    let rounds = std::num::NonZeroU32::new(100_000).unwrap();
    let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
    aws_lc_rs::pbkdf2::derive(algorithm, rounds, b"salt", b"ada@example.com", &mut hash);
    json!({"kdf": "PBKDF2-HMAC-SHA256", "norm": "email-v1", "iterations": 100_000,
        "salt": encode_base64url(b"salt"), "hash": Hash(hash).to_string()})
}

/// A scene in which this check fails, and the code that it then has.
fn failing(check: &str) -> (Scene, Option<&'static str>) {
    let plain = |scene| (scene, None);
    let coded = |scene, code| (scene, Some(code));
    match check {
        "leaf" => coded(Scene::malformed_leaf(), "leaf-malformed"),
        "inclusion" => coded(Scene::good().proof("index 3", "index 2"), "proof-invalid"),
        "sth" => coded(
            Scene::good().with(|scene| scene.receipt["sth"]["timestamp"] = (HEAD_TIME + 1).into()),
            "head-signature-invalid",
        ),
        "checkpoint" => coded(Scene::good().proof("\n7\n", "\n8\n"), "head-signature-invalid"),
        "witnesses" => coded(Scene::witnessed(&[0], 2), "witness-quorum"),
        "entry-origin" => {
            coded(Scene::logged(|entry| entry["origin"] = "log.other".into()), "origin-mismatch")
        }
        "entry-times" => coded(Scene::logged(|entry| entry["requestedAt"] = HEAD_TIME.into()), "time-order"),
        "entry-encoding" => coded(Scene::logged(|entry| entry["nonce"] = "!".into()), "encoding-invalid"),
        "assertion-presence" => {
            coded(Scene::logged(|entry| entry["assertion"] = Value::Null), "assertion-missing")
        }
        "sizes" => {
            let long = encode_base64url(&[1; 1025]);
            coded(Scene::logged(|entry| entry["assertion"]["signature"] = long.into()), "encoding-invalid")
        }
        "client-data" => coded(Scene::client_data("}", ""), "client-data-malformed"),
        "client-data-type" => {
            coded(Scene::client_data("webauthn.get", "webauthn.create"), "client-data-type")
        }
        "challenge" => coded(Scene::client_data("challenge\":\"", "challenge\":\"A"), "challenge-mismatch"),
        "origin" => coded(Scene::client_data("https://", "http://"), "origin-not-allowed"),
        "cross-origin" => coded(Scene::client_data("false", "true"), "cross-origin"),
        "rp-id" => coded(
            Scene::good().with(|scene| scene.trust.relying_party.rp_id = Some("other.example".to_owned())),
            "rp-id-mismatch",
        ),
        "user-present" => coded(Scene::flags(0x04), "user-not-present"),
        "user-verified" => coded(Scene::flags(0x01), "user-not-verified"),
        "backup-flags" => coded(Scene::flags(0x15), "backup-flags"),
        "authenticator-data" => coded(Scene::flags(0x85), "auth-data-malformed"),
        "key" => {
            coded(Scene::logged(|entry| entry["credential"]["publicKey"] = "oA".into()), "key-malformed")
        }
        "signature" => coded(
            Scene::logged(|entry| {
                entry["assertion"]["signature"] =
                    Passkey::new(8).approve(request())["assertion"]["signature"].clone();
            }),
            "signature-invalid",
        ),
        "decision" => plain(Scene::rejected().with(|scene| scene.expected.decision = Decision::Approved)),
        "id" => plain(Scene::good().with(|scene| scene.expected.id = Some("approval-2"))),
        "approver" => plain(Scene::good().with(|scene| scene.expected.approvers = &["mallory"])),
        "approver-key" => coded(
            Scene::good()
                .with(|scene| drop(scene.trust.pinned_keys.insert("alex".to_owned(), vec![Hash([1; 32])]))),
            "key-not-pinned",
        ),
        "payload" => coded(
            Scene::good()
                .with(|scene| scene.expected.payload = Some(Payload::Bytes(b"{\"service\":\"web\"}"))),
            "payload-mismatch",
        ),
        "action" => coded(
            Scene::revealed(Value::Null, |_| ()).with(|scene| scene.expected.action = Some("Delete")),
            "payload-mismatch",
        ),
        "reveal" => coded(
            Scene::revealed(Value::Null, |reveal| reveal["action"] = "Delete".into()),
            "reveal-mismatch",
        ),
        "email" => coded(
            Scene::revealed(email(), |_| ()).with(|scene| scene.expected.email = Some("eve@example.com")),
            "email-mismatch",
        ),
        "age" => {
            plain(Scene::good().with(|scene| scene.expected.max_age = Some(Duration::from_millis(99_999))))
        }
        other => panic!("no failing scene for {other}"),
    }
}

/// A scene in which this check is not made.
fn unmade(check: &str) -> Scene {
    match check {
        // Only where nothing at all says of which log it is.
        "leaf" => Scene::without_key().proof("\n7\n", "\n07\n"),
        "inclusion" | "checkpoint" | "entry-origin" => Scene::without_key(),
        "sth" => Scene::good().with(|scene| scene.receipt["sth"] = Value::Null),
        "entry-times" | "entry-encoding" | "assertion-presence" | "decision" => Scene::malformed_leaf(),
        "witnesses" | "id" | "approver" | "approver-key" | "action" | "reveal" | "email" | "age" => {
            Scene::good()
        }
        "payload" => Scene::good().with(|scene| scene.expected.payload = None),
        _ => Scene::rejected(),
    }
}

#[test]
fn a_good_receipt_is_clean_and_lists_what_is_not_proved() {
    let verdict = Scene::good().verdict();
    assert_eq!(verdict.conclusion(), Conclusion::Clean, "{verdict:#?}");
    assert_eq!(verdict.checks.iter().map(|line| line.check).collect::<Vec<_>>(), Check::OF_RECEIPT);
    assert_eq!((verdict.id.as_deref(), verdict.index), (Some("approval-1"), Some(3)));
    assert_eq!((verdict.decision, verdict.approver.as_deref()), (Some("approved"), Some("alex")));
    for text in ["saw on the screen", "holds the passkey", "used before", "action ran", "everybody the same"]
    {
        assert!(verdict.not_proven.iter().any(|line| line.contains(text)), "{text}");
    }
    assert!(!verdict.not_proven.iter().any(|line| line.contains("none was given")));
}

#[test]
fn every_optional_check_can_pass() {
    let mut scene = Scene::revealed(email(), |_| ());
    scene.expected = Expectation {
        decision: Decision::Approved,
        payload: Some(Payload::Bytes(PAYLOAD)),
        action: None,
        email: Some(" ADA@example.com"),
        approvers: &["alex"],
        id: Some("approval-1"),
        max_age: Some(Duration::from_millis(100_000)),
    };
    let key = scene.verdict().check(Check::ApproverKey).unwrap().message.clone();
    let key = key.split_whitespace().find_map(Hash::from_hex).expect("the key is named");
    scene.trust.pinned_keys.insert("alex".to_owned(), vec![Hash([1; 32]), key]);
    let verdict = scene.verdict();
    assert!(verdict.is_clean(), "{verdict:#?}");
    let open = verdict.checks.iter().filter(|line| line.result != CheckResult::Passed);
    assert_eq!(open.map(|line| line.check.as_str()).collect::<Vec<_>>(), ["witnesses", "action"]);
    assert!(!verdict.not_proven.iter().any(|line| line.contains("holds the passkey")));
}

#[test]
fn every_check_can_fail_and_a_failed_check_is_never_clean() {
    for check in Check::OF_RECEIPT {
        let (scene, code) = failing(check.as_str());
        let verdict = scene.verdict();
        let line = verdict.check(check).unwrap();
        assert_eq!(
            (line.result, line.code.map(|code| code.as_str())),
            (CheckResult::Failed, code),
            "{check}"
        );
        assert_eq!(verdict.conclusion(), Conclusion::Invalid, "{check}");
    }
}

#[test]
fn every_unmade_check_is_listed() {
    for check in Check::OF_RECEIPT {
        let verdict = unmade(check.as_str()).verdict();
        let line = verdict.check(check).unwrap();
        assert_eq!(line.result, CheckResult::NotChecked, "{check}: {}", line.message);
        assert!(!line.message.is_empty(), "{check}");
    }
}

/// What is missing, and which checks then keep the verdict from being clean.
#[test]
fn a_missing_required_part_is_incomplete() {
    let covering = || {
        let mut entry = request();
        entry["payloadEncoding"] = "jcs-action-payload".into();
        Scene::of(&Passkey::new(7).approve(entry))
    };
    let scenes: Vec<(Scene, &[&str])> = vec![
        (Scene::without_key(), &["inclusion", "sth", "checkpoint"]),
        (Scene::good().with(|scene| scene.trust.relying_party.rp_id = None), &["rp-id"]),
        (Scene::good().with(|scene| scene.trust.relying_party.allowed_origins = None), &["origin"]),
        (Scene::good().with(|scene| scene.expected.email = Some("ada@example.com")), &["email"]),
        (
            Scene::revealed(Value::Null, |_| ()).with(|scene| scene.expected.email = Some("ada@example.com")),
            &["email"],
        ),
        // Signed or not, a requested action is either verified or reported as undecided.
        (Scene::good().with(|scene| scene.expected.action = Some("Deploy")), &["action"]),
        (
            Scene::revealed(Value::Null, |_| ()).with(|scene| scene.expected.action = Some("Deploy")),
            &["action"],
        ),
        (covering(), &["payload"]),
        (
            covering().with(|scene| {
                scene.expected = Expectation { action: Some("Deploy"), ..Expectation::default() };
            }),
            &["payload", "action"],
        ),
    ];
    for (scene, open) in scenes {
        let verdict = scene.verdict();
        let missing = verdict.checks.iter().filter(|line| line.required);
        assert_eq!(missing.map(|line| line.check.as_str()).collect::<Vec<_>>(), open);
        assert_eq!(verdict.conclusion(), Conclusion::Incomplete, "{open:?}");
    }
}

#[test]
fn a_payload_that_is_not_json_is_a_caller_fault() {
    for payload in [&b"{\"a\":1,\"a\":1}"[..], b"9007199254740993", b"\"\\ud800\"", b"NaN", b""] {
        let scene = Scene::good().with(|scene| scene.expected.payload = Some(Payload::Bytes(payload)));
        let verdict = scene.verdict();
        assert!(verdict.usage.is_some());
        assert_eq!(verdict.conclusion(), Conclusion::Incomplete);
        assert_eq!(verdict.check(Check::Payload).unwrap().result, CheckResult::NotChecked);
    }
}

#[test]
fn the_action_is_signed_only_in_encodings_that_cover_it() {
    let hash = |action: &str| {
        let payload = Payload::Bytes(PAYLOAD);
        Hash(countersign::core::payload::hash("jcs-action-payload", payload, Some(action)).unwrap())
            .to_string()
    };
    let mut entry = request();
    entry["payloadEncoding"] = "jcs-action-payload".into();
    entry["payloadHash"] = hash("Deploy").into();
    let mut scene = Scene::of(&Passkey::new(7).approve(entry));
    scene.expected.action = Some("Deploy");
    let verdict = scene.verdict();
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!(verdict.check(Check::Action).unwrap().result, CheckResult::Passed);
    scene.expected.action = Some("Deploy all");
    assert_eq!(scene.verdict().conclusion(), Conclusion::Invalid);
}

#[test]
fn only_approvals_are_signed_and_the_verdict_says_so() {
    let verdict = Scene::rejected().verdict();
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.not_proven.iter().any(|line| line.contains("that a person made this decision")));
}

#[test]
fn a_fork_inside_a_receipt_is_a_violation_with_proof() {
    let mut scene = Scene::good();
    let other = support::receipt::sth_of(&request());
    scene.receipt["sth"] = other;
    let verdict = scene.verdict();
    assert_eq!(verdict.conclusion(), Conclusion::Violation);
    let file = verdict.evidence.expect("a misbehaviour file");
    countersign::core::evidence::verify(&file, &scene.trust.log_keys[0]).unwrap();
    // Of another size it is no contradiction; a receipt is of one head all the same.
    let key = support::receipt::log_key();
    scene.receipt["sth"] = serde_json::from_slice(&key.sth(8, Hash([1; 32]), HEAD_TIME)).unwrap();
    let verdict = scene.verdict();
    assert_eq!((verdict.conclusion(), verdict.evidence), (Conclusion::Invalid, None));
}

/// A log that grows between its two heads is honest: ask it again.
#[test]
fn a_bundle_of_two_trees_is_undecided() {
    let mut bundle = support::receipt::bundle_of(&approval());
    let good = support::receipt::check(&bundle.to_string());
    assert!(good.is_clean(), "{good:#?}");
    let key = support::receipt::log_key();
    bundle["sth"] = serde_json::from_slice(&key.sth(8, Hash([1; 32]), HEAD_TIME)).unwrap();
    let verdict = support::receipt::check(&bundle.to_string());
    assert_eq!(verdict.conclusion(), Conclusion::Incomplete, "{verdict:#?}");
    // A proof in a tree of which there is no head shows nothing.
    bundle["inclusion"]["treeSize"] = 9.into();
    assert_eq!(support::receipt::check(&bundle.to_string()).conclusion(), Conclusion::Invalid);
}

/// Some authenticators write `kty` as text. It is the key that is pinned all the same.
#[test]
fn a_named_key_type_is_a_warning() {
    let mut scene = Scene::logged(|entry| {
        let cose = encode_base64url(&Passkey::new(7).named_cose());
        entry["credential"]["publicKey"] = cose.into();
    });
    for pin in [Passkey::new(7).cose(), Passkey::new(7).named_cose()] {
        scene.trust.pinned_keys.clear();
        scene.trust.pin("alex", &encode_base64url(&pin)).unwrap();
        let verdict = scene.verdict();
        let line = verdict.check(Check::Key).unwrap();
        assert_eq!(
            (line.result, line.code),
            (CheckResult::Warning, Some(Code::KeyEncodingOdd)),
            "{verdict:#?}"
        );
        assert_eq!(verdict.check(Check::ApproverKey).unwrap().result, CheckResult::Passed);
        assert!(verdict.is_clean());
    }
    scene.trust.pinned_keys.clear();
    scene.trust.pin("alex", &encode_base64url(&Passkey::new(8).cose())).unwrap();
    assert!(!scene.verdict().is_clean());
}

#[test]
fn future_times_are_warnings() {
    let entry = approval();
    let key = support::receipt::log_key();
    let root = support::log::root_of(&support::receipt::leaves_around(&entry));
    let dated = |time: u64| {
        Scene::good()
            .with(|scene| scene.receipt["sth"] = serde_json::from_slice(&key.sth(7, root, time)).unwrap())
    };
    for (time, check, code) in [
        (NOW + 301_000, Check::Sth, "head-in-future"),
        (HEAD_TIME - 40_000 - 600_001, Check::EntryTimes, "decided-after-head"),
    ] {
        let verdict = dated(time).verdict();
        let line = verdict.check(check).unwrap();
        assert_eq!((line.result, line.code.map(|code| code.as_str())), (CheckResult::Warning, Some(code)));
        assert!(verdict.is_clean());
    }
    assert_eq!(dated(NOW + 299_000).verdict().check(Check::Sth).unwrap().result, CheckResult::Passed);
}

#[test]
fn a_quorum_of_witnesses_is_counted() {
    for (by, quorum, conclusion) in [
        (&[0, 1][..], 2, Conclusion::Clean),
        (&[0, 1, 2], 2, Conclusion::Clean),
        (&[1], 1, Conclusion::Clean),
        (&[0], 2, Conclusion::Invalid),
        (&[0, 0], 2, Conclusion::Invalid),
        (&[], 1, Conclusion::Invalid),
        (&[0, 1], 3, Conclusion::Invalid),
    ] {
        let verdict = Scene::witnessed(by, quorum).verdict();
        assert_eq!(verdict.conclusion(), conclusion, "{by:?} {quorum}: {verdict:#?}");
        let witnessed = conclusion == Conclusion::Clean;
        let split = verdict.not_proven.iter().any(|line| line.contains("everybody the same"));
        assert_eq!(split, !witnessed, "what witnesses vouch for");
    }
    // A line that says it is by a witness of the policy and is not refuses the note, quorum or no quorum.
    let forged = Scene::witnessed(&[0, 1], 2).cosigned(|note| witnesses()[2].forge(&note, NOW / 1000));
    assert_eq!(forged.verdict().conclusion(), Conclusion::Invalid);
    // A policy that asks for nobody shows nothing.
    let nobody = Scene::good()
        .with(|scene| scene.trust.witnesses = Some(TlogPolicy::parse(b"quorum none\n").unwrap()))
        .verdict();
    assert!(nobody.is_clean());
    assert_eq!(nobody.check(Check::Witnesses).unwrap().result, CheckResult::NotChecked);
    // Without the log's key the cosigned checkpoint may be of any log.
    let keyless = Scene::witnessed(&[0, 1], 2).with(|scene| scene.trust.log_keys.clear()).verdict();
    assert_eq!(keyless.check(Check::Witnesses).unwrap().result, CheckResult::NotChecked);
    assert_eq!(keyless.conclusion(), Conclusion::Incomplete);
}

#[test]
fn old_cosignatures_do_not_prove_a_recent_approval() {
    let aged = |age: u64| {
        Scene::witnessed(&[0, 1], 2)
            .with(|scene| scene.expected.max_age = Some(Duration::from_millis(age)))
            .verdict()
    };
    assert!(aged(100_000).is_clean(), "decided 100 s ago, cosigned 60 s ago");
    // The decision's time is the log's word: say that it was a moment ago, and the witnesses still know.
    let mut entry = request();
    for name in ["requestedAt", "decidedAt"] {
        entry[name] = NOW.into();
    }
    entry["expiresAt"] = (NOW + 1).into();
    let fresh = Scene::of(&Passkey::new(7).approve(entry));
    let all = witnesses();
    let backdated = |time: u64| {
        let scene = Scene { receipt: fresh.receipt.clone(), ..Scene::witnessed(&[], 2) };
        scene
            .with(|scene| scene.expected.max_age = Some(Duration::from_millis(100_000)))
            .cosigned(|note| all[1].cosign(&all[0].cosign(&note, time), time))
            .verdict()
    };
    assert!(backdated(NOW / 1000 - 100).is_clean());
    let verdict = backdated(NOW / 1000 - 101);
    let line = verdict.check(Check::Age).unwrap();
    assert_eq!((line.result, line.code.map(|code| code.as_str())), (CheckResult::Failed, Some("head-stale")));
    // Nor may they be dated ahead, or not at all.
    assert!(!backdated(NOW / 1000 + 301).is_clean());
    assert!(!backdated(0).is_clean());
}

/// A log that changed its key has two, and its receipts are by either.
#[test]
fn the_signing_key_of_several_log_keys_is_used() {
    let key = |seed: u8| LogKey::parse(&support::log::TestKey::new(seed).vkey()).unwrap();
    let with = |keys: Vec<LogKey>| Scene::good().with(|scene| scene.trust.log_keys = keys).verdict();
    assert!(with(vec![key(9), key(1)]).is_clean());
    assert!(with(vec![key(1), key(9)]).is_clean());
    assert_eq!(with(vec![key(8), key(9)]).conclusion(), Conclusion::Invalid);
    assert_eq!(with(vec![key(9)]).conclusion(), Conclusion::Invalid);
}
