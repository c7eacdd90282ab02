//! The page of `countersign-testlog serve --approvals`, over HTTP: what it is sent, and what it may send. A passkey in
//! software stands for the browser's.

use countersign::core::encoding::{decode_base64url, decode_hex, encode_base64url};
use countersign::core::hash::sha256;
use countersign::core::time::UnixMillis;
use countersign::{Expectation, verify_receipt};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use support::approvals::Service;
use support::passkey::Passkey;

/// What a request must not be able to put onto the page.
const MARKUP: &str = "<img src=x onerror=alert(1)>\"'&";

/// A person's browser with a passkey.
struct Browser<'s> {
    service: &'s Service,
    id: String,
    client: Client,
    passkey: Passkey,
}

impl Browser<'_> {
    /// Opens the page of a new confirmation for `username`.
    fn open<'s>(service: &'s Service, username: &str) -> Browser<'s> {
        let (_, asked) = service.ask(username, MARKUP, &json!({"text": MARKUP})).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let id = asked["id"].as_str().unwrap().to_owned();
        Browser { service, id, client, passkey: Passkey::new(7) }
    }

    fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.service.base())).send().unwrap()
    }

    /// What the page shows.
    fn shown(&self) -> Value {
        serde_json::from_str(&self.get(&format!("/approve/{}/request", self.id)).text().unwrap()).unwrap()
    }

    /// Sends something from the page of this origin.
    fn send_from(&self, origin: &str, content_type: &str, what: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/approve/{}/{what}", self.service.base(), self.id);
        let request = self.client.post(url).header("content-type", content_type).header("origin", origin);
        Service::send(request.body(body.to_string())).unwrap()
    }

    fn send(&self, what: &str, body: &Value) -> (u16, Value) {
        self.send_from(self.service.web_origin(), "application/json", what, body)
    }

    fn client_data(&self, ceremony: &str, challenge: &[u8]) -> String {
        json!({
            "type": ceremony, "challenge": encode_base64url(challenge), "origin": self.service.web_origin(),
            "crossOrigin": false,
        })
        .to_string()
    }

    /// A new passkey, as the page sends it.
    fn registration(&self) -> Value {
        let challenge = decode_base64url(self.shown()["registrationChallenge"].as_str().unwrap()).unwrap();
        let id = &self.passkey.credential_id;
        let head = [&sha256(b"localhost").0[..], &[0x45], &[0; 4], &[0; 16], &[0, id.len() as u8]].concat();
        json!({
            "credentialId": encode_base64url(id),
            "clientDataJSON": encode_base64url(self.client_data("webauthn.create", &challenge).as_bytes()),
            "authenticatorData": encode_base64url(&[&head[..], id, &self.passkey.cose()].concat()),
        })
    }

    /// An assertion over this hash, with these flags.
    fn assertion(&self, hash: &[u8], flags: u8) -> Value {
        let nonce = decode_base64url(self.shown()["nonce"].as_str().unwrap()).unwrap();
        let client_data = self.client_data("webauthn.get", &[&nonce, hash].concat());
        let data = [&sha256(b"localhost").0[..], &[flags], &[0; 4]].concat();
        let signed = [&data[..], &sha256(client_data.as_bytes()).0].concat();
        let signature: Signature = self.passkey.secret.sign(&signed);
        json!({
            "credentialId": encode_base64url(&self.passkey.credential_id),
            "clientDataJSON": encode_base64url(client_data.as_bytes()),
            "authenticatorData": encode_base64url(&data),
            "signature": encode_base64url(signature.to_der().as_bytes()),
        })
    }

    fn hash(&self) -> Vec<u8> {
        decode_hex(self.shown()["payloadHash"].as_str().unwrap()).unwrap()
    }
}

#[test]
fn a_person_registers_approves_and_is_in_the_log() {
    let service = Service::start(&[]);
    let browser = Browser::open(&service, "alex");
    let shown = browser.shown();
    assert_eq!((&shown["action"], &shown["payload"]["text"]), (&MARKUP.into(), &MARKUP.into()));
    assert_eq!((&shown["status"], &shown["credentialId"]), (&"pending".into(), &Value::Null));
    assert_eq!(browser.send("approval", &browser.assertion(&browser.hash(), 0x05)).0, 400, "no passkey yet");
    let (status, answer) = browser.send("passkey", &browser.registration());
    assert_eq!((status, answer["credentialId"].is_string()), (200, true), "{answer}");
    assert_eq!(browser.send("passkey", &browser.registration()).0, 409, "a second passkey");

    for (wrong, why) in [
        (browser.assertion(&[0; 32], 0x05), "challenge: "),
        (browser.assertion(&browser.hash(), 0x01), "user-verified: "),
        (Browser { passkey: Passkey::new(8), ..Browser::open(&service, "bruna") }.assertion(&[0; 32], 5), ""),
    ] {
        let (status, answer) = browser.send("approval", &wrong);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(service.wait(&browser.id, 0).unwrap().1["status"], "pending");

    let (status, answer) = browser.send("approval", &browser.assertion(&browser.hash(), 0x05));
    assert_eq!((status, &answer["status"]), (200, &"approved".into()), "{answer}");
    assert_eq!(service.wait(&browser.id, 60).unwrap().1["status"], "approved");
    let mut trust = service.trust();
    trust.pin("alex", &encode_base64url(&browser.passkey.cose())).unwrap();
    let expected = Expectation { approvers: &["alex"], id: Some(&browser.id), ..Expectation::default() };
    let verdict = verify_receipt(
        &service.bundle(&browser.id).1,
        &trust,
        &expected,
        UnixMillis::new(shown["expiresAt"].as_u64().unwrap()),
    );
    assert!(verdict.is_clean(), "{verdict:#?}");
    for what in ["approval", "rejection"] {
        let body = if what == "approval" { browser.assertion(&browser.hash(), 0x05) } else { json!({}) };
        assert_eq!(browser.send(what, &body).0, 409, "decided twice");
    }
    // The same person, the next time.
    let next = Browser { passkey: browser.passkey.clone(), ..Browser::open(&service, "alex") };
    assert_eq!(next.shown()["credentialId"], encode_base64url(&next.passkey.credential_id));
    assert_eq!(next.send("approval", &next.assertion(&next.hash(), 0x05)).0, 200);
    for log in [service.served.tiles_url(), service.served.api_url()] {
        service.auditor().init(log).expect(0, &[]);
    }
}

#[test]
fn a_person_rejects() {
    let service = Service::start(&[]);
    let browser = Browser::open(&service, "alex");
    let (status, answer) = browser.send("rejection", &json!({}));
    assert_eq!((status, &answer["status"]), (200, &"rejected".into()));
    assert_eq!(service.wait(&browser.id, 60).unwrap().1["status"], "rejected");
}

#[test]
fn only_the_page_itself_decides() {
    let service = Service::start(&[]);
    let browser = Browser::open(&service, "alex");
    let (own, other) = (service.web_origin(), "http://elsewhere.example");
    for what in ["passkey", "approval", "rejection"] {
        assert_eq!(browser.send_from(other, "application/json", what, &json!({})).0, 403, "{what}");
        assert_eq!(browser.send_from(own, "text/plain", what, &json!({})).0, 400, "{what}");
    }
    assert_eq!(browser.send("passkey", &json!({"credentialId": "AA"})).0, 400);
    assert_eq!(browser.shown()["status"], "pending");
    assert_eq!(browser.get("/approve/no-such-id").status().as_u16(), 404);
}

#[test]
fn the_page_has_nothing_of_the_request_in_it_and_a_strict_policy() {
    let service = Service::start(&[]);
    let browser = Browser::open(&service, "alex");
    let page = browser.get(&format!("/approve/{}", browser.id));
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = page.text().unwrap();
    assert!(!html.contains("onerror") && html.starts_with("<!doctype html>"));
    assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("<script>"), "inline");
    for (file, content_type) in
        [("approve.js", "text/javascript; charset=utf-8"), ("approve.css", "text/css; charset=utf-8")]
    {
        let answer = browser.get(&format!("/{file}"));
        assert_eq!(answer.headers()["content-type"], content_type);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert!(html.contains(&format!("\"/{file}\"")));
    }
    let script = browser.get("/approve.js").text().unwrap();
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(way), "{way}");
    }
}
