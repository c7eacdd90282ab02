//! Assertions made here, one fault at a time: each must give its own finding, and no other.

use super::*;
use crate::core::check::Check;
use crate::core::encoding::encode_base64url;
use crate::core::finding::Code;
use crate::core::hash::sha256;
use p256::ecdsa::signature::Signer;

const CHALLENGE: &[u8] = b"nonce nonce nonce and a payload hash of thirty-two bytes";

/// Everything that an assertion consists of, to be edited and then signed.
struct Kit {
    secret: p256::ecdsa::SigningKey,
    public_key: Vec<u8>,
    client_data: String,
    auth_data: Vec<u8>,
    credential_id: Vec<u8>,
    rp_id: String,
    policy: RelyingParty,
}

fn cose(secret: &p256::ecdsa::SigningKey) -> Vec<u8> {
    let point = secret.verifying_key().to_sec1_bytes();
    let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    [&head[..], &point[1..33], &[0x22, 0x58, 0x20], &point[33..]].concat()
}

fn auth_data(rp_id: &str, flags: u8, tail: &[u8]) -> Vec<u8> {
    [&sha256(rp_id.as_bytes()).0[..], &[flags, 0, 0, 0, 9], tail].concat()
}

fn client_data(extra: &str) -> String {
    let challenge = encode_base64url(CHALLENGE);
    format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://a.example"{extra}}}"#)
}

fn kit() -> Kit {
    let secret = p256::ecdsa::SigningKey::from_slice(&[8; 32]).unwrap();
    Kit {
        public_key: cose(&secret),
        secret,
        client_data: client_data(r#","crossOrigin":false"#),
        auth_data: auth_data("a.example", 0x05, &[]),
        credential_id: vec![1],
        rp_id: "a.example".into(),
        policy: RelyingParty {
            rp_id: Some("a.example".into()),
            allowed_origins: Some(vec!["https://a.example".into()]),
            allow_cross_origin: false,
            allowed_top_origins: Vec::new(),
            require_user_verification: true,
        },
    }
}

impl Kit {
    fn sign(&self) -> Vec<u8> {
        let hash = sha256(self.client_data.as_bytes());
        let signature: p256::ecdsa::Signature = self.secret.sign(&[&self.auth_data[..], &hash.0].concat());
        signature.to_der().as_bytes().to_vec()
    }

    fn check_with(&self, signature: &[u8]) -> AssertionResult {
        let assertion = Assertion {
            client_data_json: self.client_data.as_bytes(),
            authenticator_data: &self.auth_data,
            signature,
            public_key: &self.public_key,
            credential_id: &self.credential_id,
            challenge: Some(CHALLENGE),
            rp_id: &self.rp_id,
        };
        check_assertion(&assertion, &self.policy, &mut KeyCache::new()).unwrap()
    }

    fn check(&self) -> AssertionResult {
        self.check_with(&self.sign())
    }
}

fn codes(result: &AssertionResult) -> Vec<Code> {
    result.findings.iter().map(|(code, _)| *code).collect()
}

#[test]
fn an_honest_assertion_passes_every_check() {
    let result = kit().check();
    assert_eq!(result.findings, []);
    assert!(result.outcomes().all(|(_, outcome)| outcome == Outcome::Passed));
    assert!(result.signature_valid && result.nothing_failed());
    assert_eq!(result.authenticator, Some(AuthenticatorFacts { backup_eligible: false, sign_count: 9 }));
    let joined = [&kit().auth_data[..], kit().client_data.as_bytes()].concat();
    assert_eq!(result.assertion_hash, sha256(&joined));
}

#[test]
fn the_checks_stand_in_the_order_of_the_specification() {
    assert!(Check::OF_ASSERTION.is_sorted());
    assert!(kit().check().outcomes().map(|(check, _)| check).eq(Check::OF_ASSERTION));
}

fn with_named_kty(cose: &[u8]) -> Vec<u8> {
    [&cose[..2], b"\x63EC2", &cose[3..]].concat()
}

#[test]
fn a_named_key_type_is_a_warning_and_the_same_key() {
    let mut odd = kit();
    odd.public_key = with_named_kty(&odd.public_key);
    let result = odd.check();
    assert_eq!(codes(&result), [Code::KeyEncodingOdd]);
    assert!(result.signature_valid && result.outcomes().all(|(_, outcome)| outcome == Outcome::Passed));
    assert_eq!(result.key_identity, kit().check().key_identity);
    // Attested data may have the key in either encoding.
    for [entrys, attested] in [[false, true], [true, false], [true, true]] {
        let written = |odd: bool| if odd { with_named_kty(&kit().public_key) } else { kit().public_key };
        let mut kit = kit();
        kit.public_key = written(entrys);
        kit.auth_data =
            auth_data("a.example", 0x45, &[&[0; 16][..], &[0, 1, 7], &written(attested)].concat());
        let expected = [&[Code::AttestedDataPresent][..], if entrys { &[Code::KeyEncodingOdd] } else { &[] }];
        assert_eq!(codes(&kit.check()), expected.concat());
    }
}

/// Sizes beyond the caps leave the check unmade, and yet the key made the signature over what is there.
#[test]
fn a_key_is_used_where_its_signature_holds_over_the_bytes_as_they_are() {
    let edits: [fn(&mut Kit); 7] = [
        |kit| kit.auth_data.truncate(36),
        |kit| kit.auth_data.clear(),
        |kit| kit.auth_data.resize(4097, 0),
        |kit| kit.auth_data.push(0),
        |kit| kit.client_data = " ".repeat(8193),
        |kit| kit.client_data.clear(),
        |kit| kit.credential_id.clear(),
    ];
    for edit in edits {
        let mut kit = kit();
        edit(&mut kit);
        let result = kit.check();
        assert!(result.key_used && !result.nothing_failed(), "{:?}", result.findings);
        let sized = result.outcome(Check::Signature) == Outcome::Passed;
        assert_eq!(result.signature_valid, sized, "{:?}", result.findings);
        let forged = kit.check_with(&self::kit().sign()[..]);
        assert_eq!(forged.key_used, forged.signature_valid, "{:?}", forged.findings);
    }
    let mut changed = kit();
    let signature = changed.sign();
    changed.auth_data.truncate(36);
    assert!(!changed.check_with(&signature).key_used);
    assert!(!changed.check_with(&[signature, vec![0; 1024]].concat()).key_used);
}

/// What an edit makes of a kit: the one finding, and the check that it fails.
fn one_fault(edit: impl FnOnce(&mut Kit), code: Code, check: Check) {
    let mut kit = kit();
    edit(&mut kit);
    let result = kit.check();
    assert_eq!(codes(&result), [code]);
    assert_eq!(result.outcome(check), Outcome::Failed);
    assert!(result.signature_valid, "genuinely signed: only the named rule may refuse");
    assert!(!result.nothing_failed());
}

#[test]
fn each_client_data_fault_has_its_finding() {
    let replace = |from: &'static str, to: &'static str| {
        move |kit: &mut Kit| kit.client_data = kit.client_data.replace(from, to)
    };
    one_fault(replace("webauthn.get", "webauthn.create"), Code::ClientDataType, Check::ClientDataType);
    one_fault(replace("\"type\"", "type"), Code::ClientDataMalformed, Check::ClientData);
    one_fault(replace("\",\"origin", "=\",\"origin"), Code::ChallengeMismatch, Check::Challenge);
    one_fault(replace("://a.", "://a.a."), Code::OriginNotAllowed, Check::Origin);
    one_fault(replace("https://a.example", "https://a.example/"), Code::OriginNotAllowed, Check::Origin);
    one_fault(replace(":false", ":true"), Code::CrossOrigin, Check::CrossOrigin);
    let top = |kit: &mut Kit| kit.client_data = client_data(r#","topOrigin":"https://t""#);
    one_fault(top, Code::TopOriginNotAllowed, Check::CrossOrigin);
}

#[test]
fn framing_is_allowed_only_under_allowed_top_origins() {
    let mut kit = kit();
    kit.client_data = client_data(r#","crossOrigin":true,"topOrigin":"https://t""#);
    assert_eq!(codes(&kit.check()), [Code::CrossOrigin, Code::TopOriginNotAllowed]);
    kit.policy.allow_cross_origin = true;
    assert_eq!(codes(&kit.check()), [Code::TopOriginNotAllowed]);
    assert_eq!(kit.check().outcome(Check::CrossOrigin), Outcome::Failed);
    kit.policy.allowed_top_origins = vec!["https://t".into()];
    assert_eq!(codes(&kit.check()), []);
}

#[test]
fn each_authenticator_fault_has_its_finding() {
    let set = |data: Vec<u8>| move |kit: &mut Kit| kit.auth_data = data;
    one_fault(set(auth_data("b.example", 5, &[])), Code::RpIdMismatch, Check::RpId);
    one_fault(|kit| kit.rp_id = "b.example".into(), Code::RpIdMismatch, Check::RpId);
    one_fault(set(auth_data("a.example", 4, &[])), Code::UserNotPresent, Check::UserPresent);
    one_fault(set(auth_data("a.example", 1, &[])), Code::UserNotVerified, Check::UserVerified);
    one_fault(set(auth_data("a.example", 0x15, &[])), Code::BackupFlags, Check::BackupFlags);
    one_fault(set(auth_data("a.example", 5, &[0])), Code::AuthDataMalformed, Check::AuthenticatorData);
    one_fault(set(auth_data("a.example", 0x85, &[])), Code::AuthDataMalformed, Check::AuthenticatorData);
    one_fault(|kit| kit.credential_id.clear(), Code::EncodingInvalid, Check::Sizes);
    one_fault(|kit| kit.credential_id = vec![0; 1024], Code::EncodingInvalid, Check::Sizes);
}

#[test]
fn what_did_not_parse_is_not_checked_rather_than_passed() {
    let mut broken = kit();
    broken.auth_data = auth_data("a.example", 0x85, &[]);
    broken.client_data = "{}".into();
    let result = broken.check();
    assert_eq!(codes(&result), [Code::ClientDataMalformed, Code::AuthDataMalformed]);
    for check in [Check::Challenge, Check::Origin, Check::RpId, Check::UserPresent, Check::UserVerified] {
        assert_eq!(result.outcome(check), Outcome::NotChecked, "{check:?}");
    }
    assert_eq!(result.outcome(Check::Signature), Outcome::Passed);
    assert_eq!(result.authenticator, None);
}

#[test]
fn what_is_not_pinned_is_not_checked() {
    let mut kit = kit();
    kit.policy.rp_id = None;
    kit.policy.allowed_origins = None;
    kit.policy.require_user_verification = false;
    let result = kit.check();
    assert_eq!(codes(&result), []);
    for check in [Check::Origin, Check::RpId, Check::UserVerified] {
        assert_eq!(result.outcome(check), Outcome::NotChecked, "{check:?}");
    }
}

#[test]
fn too_large_inputs_are_not_looked_at() {
    let mut large = kit();
    large.client_data = client_data(&format!(",\"pad\":\"{}\"", "x".repeat(8192)));
    let result = large.check();
    assert_eq!(codes(&result), [Code::EncodingInvalid]);
    assert_eq!(result.outcome(Check::ClientData), Outcome::NotChecked);
    assert_eq!(result.outcome(Check::Signature), Outcome::NotChecked);
    let mut large = kit();
    large.public_key = vec![0; 2049];
    large.auth_data.truncate(36);
    let result = large.check_with(&[0; 1025]);
    assert_eq!(codes(&result), [Code::EncodingInvalid; 3]);
    assert_eq!(result.outcome(Check::Key), Outcome::NotChecked);
    assert_eq!(result.outcome(Check::Challenge), Outcome::Passed);
}

#[test]
fn keys_and_signatures_have_their_findings() {
    let kit = kit();
    let mut signature = kit.sign();
    *signature.last_mut().unwrap() ^= 1;
    assert_eq!(codes(&kit.check_with(&signature)), [Code::SignatureInvalid]);
    assert_eq!(codes(&kit.check_with(&[])), [Code::SignatureMalformed]);
    signature.push(0);
    assert_eq!(codes(&kit.check_with(&signature)), [Code::SignatureMalformed]);
    let mut other = self::kit();
    *other.public_key.last_mut().unwrap() ^= 1;
    let result = other.check();
    assert_eq!(codes(&result), [Code::KeyMalformed]);
    assert_eq!(result.outcome(Check::Signature), Outcome::NotChecked);
    other.public_key = self::kit().public_key;
    other.public_key[4] = 0x25;
    assert_eq!(codes(&other.check()), [Code::KeyUnsupported]);
}

#[test]
fn attested_data_is_tolerated_of_the_entrys_key_alone() {
    let attested = |key: &[u8]| {
        let tail = [&[0; 16][..], &[0, 1, 1], key].concat();
        auth_data("a.example", 0x45, &tail)
    };
    let mut same = kit();
    same.auth_data = attested(&same.public_key);
    let result = same.check();
    assert_eq!(codes(&result), [Code::AttestedDataPresent]);
    assert!(result.nothing_failed());
    // The same key with its label 3 before its label 1.
    let mut reordered = same.public_key.clone();
    reordered[1..5].copy_from_slice(&[0x03, 0x26, 0x01, 0x02]);
    same.auth_data = attested(&reordered);
    assert_eq!(codes(&same.check()), [Code::AttestedDataPresent]);
    for other in [cose(&p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap()), vec![0xa0]] {
        one_fault(|kit| kit.auth_data = attested(&other), Code::AuthDataMalformed, Check::AuthenticatorData);
    }
}

#[test]
fn the_hash_covers_a_byte_order_mark() {
    let mut kit = kit();
    kit.client_data.insert(0, '\u{feff}');
    assert_eq!(codes(&kit.check()), []);
    let signature = kit.sign();
    kit.client_data.remove(0);
    assert_eq!(codes(&kit.check_with(&signature)), [Code::SignatureInvalid]);
}

#[test]
fn messages_do_not_repeat_raw_log_text() {
    let mut kit = kit();
    kit.client_data =
        client_data("").replace("https://a.example", &format!("\\u001b[2J{}", "x".repeat(5000)));
    let (_, message) = kit.check().findings.remove(0);
    assert!(message.is_ascii() || message.contains('…'));
    assert!(message.len() < 200 && !message.contains('\u{1b}'), "{message}");
}
