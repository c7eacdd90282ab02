//! Bundles of an independent implementation, asked for rightly and wrongly.

use super::*;
use crate::core::head::LogKey;
use crate::core::time::TICK;
use serde_json::Value;
use std::fs;
use std::path::Path;

const KEY: &str = "log.approvals.example/2026+9978b3d0+AaRzICHzMeGTiBChYq8/zJub2Q6ZCWwzLfgLcAHvPG2u";
const ORIGIN: &str = "log.approvals.example/2026";

/// Long after all of it.
const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);

fn read(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/receipts").join(name)).unwrap()
}

/// One receipt, with what was asked for it.
struct Asking {
    bundle: Vec<u8>,
    request: Request,
    asked: Asked,
    asked_at: UnixMillis,
    trust: TrustPolicy,
    demands: Demands,
}

impl Asking {
    /// As it was really asked.
    fn of(name: &str, action: &str, payload: &[u8], encoding: Accepted) -> Asking {
        let bundle = read(name);
        let entry = serde_json::from_slice::<Value>(&bundle).unwrap()["entry"].clone();
        let text = |name: &str| entry[name].as_str().unwrap();
        let time = |name: &str| UnixMillis::new(entry[name].as_u64().unwrap());
        let (id, url) = (text("id").to_owned(), "https://service.example/a".to_owned());
        Asking {
            request: Request::new(text("approver"), action, payload).unwrap(),
            asked: Asked { id, url, encoding, expires_at: time("expiresAt") },
            asked_at: time("requestedAt"),
            trust: TrustPolicy::new(
                LogKey::parse(KEY).unwrap(),
                "approvals.example",
                "https://approvals.example",
            ),
            demands: Demands::default(),
            bundle,
        }
    }

    fn bundle() -> Asking {
        Asking::of("good-bundle.json", "Drop", &read("good-payload.payload"), Accepted::JcsPayload)
    }

    fn with_action() -> Asking {
        let payload = read("good-action-payload.payload");
        Asking::of("good-action-payload.json", "Deploy", &payload, Accepted::JcsActionPayload)
    }

    fn with_reveal(action: &str) -> Asking {
        let payload = br#"{"key_id":"e4bf9605040bb41a","regions":["eu-west-1","us-east-1"]}"#;
        Asking::of("good-reveal.json", action, payload, Accepted::JcsPayload)
    }

    fn judge(&self) -> Judged {
        let Asking { bundle, request, asked, asked_at, trust, demands } = self;
        let (asked_at, demands) = (*asked_at, *demands);
        judge(bundle, &Case { request, asked, asked_at, trust, origin: ORIGIN, demands, now: NOW })
    }

    #[track_caller]
    fn approved(&self) -> Checked {
        match self.judge() {
            Judged::Approved(checked) => *checked,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused(&self, reason: Reason) -> String {
        match self.judge() {
            Judged::Refused(refusal) if refusal.reason == reason => refusal.message,
            other => panic!("not {reason:?}: {other:?}"),
        }
    }
}

#[test]
fn what_was_asked_and_answered_is_an_approval() {
    let checked = Asking::bundle().approved();
    assert_eq!(
        (checked.approver.as_str(), checked.key_pinned, checked.action_signed),
        ("bruna", false, false)
    );
    assert_eq!(
        (checked.requested_at.get(), checked.decided_at.get()),
        (1_782_000_180_000, 1_782_000_222_000)
    );
    assert_eq!(checked.receipt, Asking::bundle().bundle);
    assert!(Asking::with_action().approved().action_signed);
    assert!(!Asking::with_reveal("Rotate secret").approved().action_signed);
}

#[test]
fn what_was_not_asked_is_a_mismatch() {
    let other = |change: fn(&mut Asking)| {
        let mut asking = Asking::bundle();
        change(&mut asking);
        asking.refused(Reason::Mismatch)
    };
    let payload = |asking: &mut Asking, payload: &[u8]| {
        asking.request = Request::new("bruna", "Drop", payload).unwrap();
    };
    other(|asking| asking.asked.id = "another".to_owned());
    other(|asking| asking.request = Request::new("alex", "Drop", &read("good-payload.payload")).unwrap());
    let mut asking = Asking::bundle();
    payload(&mut asking, b"{}");
    asking.refused(Reason::Mismatch);

    let mut asking = Asking::with_action();
    asking.request = Request::new("zora", "Deploy all", b"{\"x\":1}").unwrap();
    asking.refused(Reason::Mismatch);
    // The service said that the payload alone is signed, and the log has both: not what was shown.
    let said = Asking {
        asked: Asked { encoding: Accepted::JcsPayload, ..asking.asked.clone() },
        ..Asking::with_action()
    };
    said.refused(Reason::Mismatch);
    let said = Asking::bundle();
    let asked = Asked { encoding: Accepted::JcsActionPayload, ..said.asked.clone() };
    Asking { asked, ..said }.refused(Reason::Mismatch);
    assert!(Asking::with_reveal("Deploy").refused(Reason::Mismatch).contains("Rotate secret"));
}

#[test]
fn an_earlier_or_later_approval_is_a_mismatch() {
    let at = |asked_at: UnixMillis, expires_at: UnixMillis| {
        let mut asking = Asking::bundle();
        (asking.asked_at, asking.asked.expires_at) = (asked_at, expires_at);
        asking
    };
    let (requested, decided) = (UnixMillis::new(1_782_000_180_000), UnixMillis::new(1_782_000_222_000));
    let latest = |time: UnixMillis| time.saturating_add(MAX_SKEW);
    at(latest(requested), decided).approved();
    at(latest(requested).saturating_add(TICK), decided).refused(Reason::Mismatch);
    at(requested, decided.saturating_sub(TICK)).refused(Reason::Mismatch);
    at(latest(decided).saturating_add(TICK), UnixMillis::MAX).refused(Reason::Mismatch);
    at(UnixMillis::EPOCH, decided).approved();
}

#[test]
fn a_pinned_key_is_the_only_one() {
    let mut asking = Asking::bundle();
    let credential = asking.approved().credential.to_string();
    asking.demands.pinned_key = true;
    asking.refused(Reason::Unverified);
    asking.trust.pin("bruna", &credential).unwrap();
    assert!(asking.approved().key_pinned);
    asking.demands.signed_action = true;
    asking.refused(Reason::Unverified);
    let mut other = Asking::bundle();
    other.trust.pin("bruna", &"00".repeat(32)).unwrap();
    other.refused(Reason::Unverified);
    let mut signed = Asking::with_action();
    signed.demands.signed_action = true;
    signed.approved();
}

/// Every way to change a bundle in one place.
#[test]
fn a_changed_bundle_is_refused() {
    let changed = |pointer: &str, value: Value, reason: Reason| {
        let mut asking = Asking::bundle();
        let mut bundle: Value = serde_json::from_slice(&asking.bundle).unwrap();
        let place = bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}"));
        assert_ne!(*place, value, "{pointer}");
        *place = value;
        asking.bundle = bundle.to_string().into_bytes();
        asking.refused(reason);
    };
    for (pointer, value, reason) in [
        ("/index", Value::from(1_000_000), Reason::Unverified),
        ("/inclusion/treeSize", Value::from(1), Reason::Unverified),
        ("/inclusion/proof", Value::Array(Vec::new()), Reason::Unverified),
        ("/checkpoint", "x".into(), Reason::Unverified),
        ("/sth/timestamp", Value::from(1), Reason::Unverified),
        ("/entry/assertion/signature", "AAAA".into(), Reason::Unverified),
        ("/entry/rpId", "other.example".into(), Reason::Unverified),
        ("/entry/origin", "other.example".into(), Reason::Unverified),
        ("/entry/decision", "rejected".into(), Reason::Unverified),
        ("/entry/decision", "none".into(), Reason::Unverified),
        ("/entry/assertion", Value::Null, Reason::Unverified),
        ("/entry/nonce", "AAAAAAAAAAAAAAAAAAAAAA".into(), Reason::Unverified),
        ("/entry/approver", "mallory".into(), Reason::Mismatch),
        ("/entry/id", "another".into(), Reason::Mismatch),
        ("/entry/payloadHash", "00".repeat(32).into(), Reason::Mismatch),
        ("/entry/payloadEncoding", "raw-payload".into(), Reason::Mismatch),
        ("/entry", Value::Null, Reason::Unverified),
    ] {
        changed(pointer, value, reason);
    }
    for bytes in [&b""[..], b"<html>", b"{}", b"null", b"\xff"] {
        let asking = Asking { bundle: bytes.to_vec(), ..Asking::bundle() };
        asking.refused(Reason::Unverified);
    }
}

#[test]
fn without_what_is_trusted_nothing_is_approved() {
    for without in [
        (|trust: &mut TrustPolicy| trust.log_keys.clear()) as fn(&mut TrustPolicy),
        |trust| trust.relying_party.rp_id = None,
        |trust| trust.relying_party.allowed_origins = None,
        |trust| trust.relying_party.rp_id = Some("other.example".to_owned()),
    ] {
        let mut asking = Asking::bundle();
        without(&mut asking.trust);
        asking.refused(Reason::Unverified);
    }
}

#[test]
fn a_log_of_two_histories_is_proved() {
    let mut asking = Asking::bundle();
    asking.bundle = read("sth-other-root.json");
    let Judged::Violation(refusal, evidence) = asking.judge() else { panic!("{:?}", asking.judge()) };
    assert_eq!(refusal.reason, Reason::Violation);
    assert!(!evidence.is_empty());
}
