//! `countersign gate` with a person in a real browser: the page of `countersign-testlog serve --approvals` in Chromium,
//! with WebDriver's virtual authenticator.
//!
//! Where Chromium or chromedriver is missing, a part is skipped, which is said on stderr; with
//! `COUNTERSIGN_REQUIRE_INTEGRATIONS=1` that is a failure.
#![cfg(unix)] // The commands behind the gate are for a shell.

use super::integrations::skip;
use countersign::core::hash::sha256;
use countersign::core::jcs::canonicalize;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::approvals::Service;
use support::browser::Browser;
use support::cli::program;
use support::text::assert_fit_for_a_terminal;
use tempfile::TempDir;

const ACTION: &str = "Deploy api to production";

/// Whatever JavaScript and this program could write in two ways: numbers, the order of names, names with a meaning.
const PAYLOAD: &str = r#"{"service": "api", "replicas": 3.0, "canary": 0.10, "most": 1e21, "least": 5e-324, "zero": -0.0,
 "10": true, "9": null, "__proto__": {"toJSON": "x"}, "😀": 1, "\ufb33": 2, "é": "\u00e9\/\"\\\n\t\u001f", "": [[], {}]}"#;

/// Markup, controls, characters that nobody sees, and such as change the order of others.
const MARKED_ACTION: &str =
    "Delete <b>all</b> <img src=x onerror=\"document.title='ran'\"> \u{202e}yadot\u{2066} &amp;";
const MARKED_PAYLOAD: &str = r#"{"\u200b<b>bold</b>": "<script>document.title='ran'</script>",
 "controls": "\u0000\u0007\u001b[2J\u007f\u0085\r\n\t", "hidden": "a\u00ad\u061c\u200d\u2028\u2060\udb40\udc41\ufeff",
 "order": "\u202egpj.exe\u202c \u2067x\u2069"}"#;

/// How the page shows them.
const SHOWN_PAYLOAD: &str = r#"{
  "controls": "\u0000\u0007\u001b[2J\u007f\u0085\r\n\t",
  "hidden": "a\u00ad\u061c\u200d\u2028\u2060\udb40\udc41\ufeff",
  "order": "\u202egpj.exe\u202c \u2067x\u2069",
  "\u200b<b>bold</b>": "<script>document.title='ran'</script>"
}"#;

/// Appends what it is given, so that a second run would show.
const COMMAND: &str = "cat >> ran";

/// One browser at a time: each is many processes.
static TURN: Mutex<()> = Mutex::new(());

/// A browser of its own for one test, if there can be one.
fn browser(part: &str) -> Option<(Browser, MutexGuard<'static, ()>)> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match Browser::start() {
        Ok(browser) => Some((browser, turn)),
        Err(why) => {
            skip(part, &why);
            None
        }
    }
}

/// Who asks: a directory with a journal, and what is asked.
struct Caller<'s> {
    service: &'s Service,
    folder: TempDir,
    action: &'static str,
    payload: String,
}

/// A gate that waits for a person.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Where the person decides.
    url: String,
}

/// How a gate ended.
#[derive(Debug)]
struct Ended {
    exit: Option<i32>,
    stderr: String,
}

impl Caller<'_> {
    fn new<'s>(service: &'s Service, action: &'static str, payload: &str) -> Caller<'s> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.args(["gate", "--init", "--journal"]).arg(folder.path().join("gate.db"));
        assert!(command.output().unwrap().status.success());
        fs::write(folder.path().join("payload.json"), payload).unwrap();
        Caller { service, folder, action, payload: payload.to_owned() }
    }

    /// Starts a gate in front of the command, with these options.
    fn start(&self, options: &[&str]) -> Child {
        let mut command = program();
        command.args(["gate", "--journal", "gate.db", "--service", self.service.base()]);
        command.args(["--log", &self.service.served.api_url(), "--log-key", self.service.served.log_key()]);
        command.args(["--rp-id", "localhost", "--allow-origin", self.service.web_origin()]);
        command.args(["--username", "alex", "--action", self.action, "--payload", "payload.json"]);
        command.args(options).args(["--", "sh", "-c", COMMAND]);
        command.current_dir(self.folder.path()).env("COSIGNET_API_KEY", self.service.api_key());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The same, and reads where the person decides.
    #[track_caller]
    fn ask(&self, options: &[&str]) -> Waiting {
        let mut child = self.start(options);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_fit_for_a_terminal(&line);
        let url = line.split(' ').find(|word| word.contains("/approve/")).unwrap_or_else(|| panic!("{line}"));
        Waiting { child, stderr, url: url.to_owned() }
    }

    /// One that asks nobody, to its end.
    fn run(&self, options: &[&str]) -> Ended {
        let output = self.start(options).wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_fit_for_a_terminal(&stderr);
        Ended { exit: output.status.code(), stderr }
    }

    /// What the command was given; `None` if it did not run.
    fn ran(&self) -> Option<Vec<u8>> {
        fs::read(self.path("ran")).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bytes that are approved.
    fn canonical(&self) -> Vec<u8> {
        canonicalize(self.payload.as_bytes(), 8).unwrap()
    }

    /// Asserts that the command ran once, with the bytes that were approved.
    #[track_caller]
    fn ran_once(&self) {
        let ran = self.ran().map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(ran, Some(String::from_utf8(self.canonical()).unwrap()));
    }
}

impl Waiting {
    #[track_caller]
    fn end(mut self) -> Ended {
        support::until("ended", || self.child.try_wait().unwrap().is_some());
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        assert_fit_for_a_terminal(&stderr);
        Ended { exit: self.child.wait().unwrap().code(), stderr }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended, unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts a refusal, and that nothing ran.
    #[track_caller]
    fn refused(&self, reason: &str, caller: &Caller<'_>) {
        assert_eq!(self.exit, Some(125), "{self:?}");
        assert!(self.stderr.contains(&format!("refused ({reason})")), "{self:?}");
        assert_eq!(caller.ran(), None);
    }

    #[track_caller]
    fn approved(&self) {
        assert_eq!(self.exit, Some(0), "{self:?}");
    }
}

/// Opens the page, and waits until it shows the request.
#[track_caller]
fn open(browser: &Browser, url: &str) {
    browser.open(url);
    support::until("shown", || browser.shows("#request") || !browser.text("#problem").is_empty());
}

/// Decides, and waits until the page says so.
#[track_caller]
fn decide(browser: &Browser, button: &str, title: &str) {
    browser.click(button);
    support::until("decided", || {
        assert_eq!(browser.text("#problem"), "");
        browser.title() == title
    });
    assert!(!browser.shows("#decide") && !browser.shows("#register"));
    assert_eq!(
        (browser.text("#title").as_str(), browser.text("#outcome").as_str()),
        (title, "You can close this page.")
    );
}

#[track_caller]
fn register(browser: &Browser) {
    assert!(!browser.can_use("#approve"), "no passkey yet");
    browser.click("#register-button");
    support::until("registered", || {
        assert_eq!(browser.text("#problem"), "");
        browser.can_use("#approve")
    });
    assert!(!browser.shows("#register"));
}

/// The page shows the hash that is signed, and has made it itself.
#[track_caller]
fn shows_the_hash(browser: &Browser, signed: &[u8]) {
    assert_eq!(browser.text("#hash"), sha256(&canonicalize(signed, 8).unwrap()).to_string());
    assert_eq!(browser.text("#hash-result"), "It is the hash that the service names.");
}

/// An audit of the log finds nothing, whichever way it is read.
#[track_caller]
fn audits_are_clean(service: &Service) {
    for log in [service.served.tiles_url(), service.served.api_url()] {
        service.auditor().init(log).expect(0, &[]);
    }
}

#[test]
fn an_approval_in_a_browser_runs_the_command_once() {
    let Some((browser, _turn)) = browser("an approval in a browser") else { return };
    let service = Service::start(&[]);
    let caller = Caller::new(&service, ACTION, PAYLOAD);
    let gate = caller.ask(&["--key", "k"]);
    open(&browser, &gate.url);
    assert_eq!((browser.text("#action"), browser.text("#username")), (ACTION.to_owned(), "alex".to_owned()));
    assert_eq!(
        browser.text("#signed"),
        "With your passkey you sign the arguments. The action text is not signed."
    );
    shows_the_hash(&browser, PAYLOAD.as_bytes());
    register(&browser);
    assert_eq!(caller.ran(), None);
    decide(&browser, "#approve", "Approved");
    gate.end().approved();
    caller.ran_once();
    // The same key is used up; nobody is asked.
    let again = caller.run(&["--key", "k"]);
    assert!(again.exit == Some(125) && again.stderr.contains("refused (replayed)"), "{again:?}");
    caller.ran_once();
    // The next time the person has a passkey.
    let next = Caller::new(&service, ACTION, PAYLOAD);
    let gate = next.ask(&[]);
    open(&browser, &gate.url);
    assert!(!browser.shows("#register"));
    decide(&browser, "#approve", "Approved");
    gate.end().approved();
    next.ran_once();
    audits_are_clean(&service);
}

#[test]
fn a_rejection_in_a_browser_runs_nothing() {
    let Some((browser, _turn)) = browser("a rejection in a browser") else { return };
    let service = Service::start(&[]);
    let caller = Caller::new(&service, ACTION, PAYLOAD);
    let gate = caller.ask(&[]);
    open(&browser, &gate.url);
    decide(&browser, "#reject", "Rejected");
    gate.end().refused("rejected", &caller);
    audits_are_clean(&service);
}

#[test]
fn a_browser_signs_the_action_text() {
    let Some((browser, _turn)) = browser("the signed action text") else { return };
    let service = Service::start(&["--sign-action"]);
    let caller = Caller::new(&service, ACTION, PAYLOAD);
    let gate = caller.ask(&["--require-signed-action"]);
    open(&browser, &gate.url);
    assert_eq!(browser.text("#signed"), "With your passkey you sign the action and the arguments.");
    let signed = format!(r#"{{"action":{},"payload":{PAYLOAD}}}"#, json!(ACTION));
    shows_the_hash(&browser, signed.as_bytes());
    register(&browser);
    decide(&browser, "#approve", "Approved");
    gate.end().approved();
    caller.ran_once();
    audits_are_clean(&service);
    // A service that has the payload alone signed: what would be refused in any case is not waited for.
    let service = Service::start(&[]);
    let caller = Caller::new(&service, ACTION, PAYLOAD);
    caller.run(&["--require-signed-action"]).refused("unverified", &caller);
}

#[test]
fn the_page_does_not_approve_another_hash() {
    let Some((browser, _turn)) = browser("the page of a service that lies") else { return };
    let service = Service::start(&["--lie", "other-hash"]);
    let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
    let (_, asked) = service.ask("alex", ACTION, &payload).unwrap();
    open(&browser, asked["url"].as_str().unwrap());
    assert_eq!(
        browser.text("#problem"),
        "What is shown is not what would be signed. Approving is not possible."
    );
    let other = format!("The service names another hash: {}", asked["payloadHash"].as_str().unwrap());
    assert_eq!(browser.text("#hash-result"), other);
    assert!(!browser.can_use("#approve") && !browser.shows("#register") && browser.can_use("#reject"));
    // With a passkey it is the hash alone that is in the way.
    browser.script("document.getElementById('register-button').click()");
    support::until("registered", || {
        browser.script("return fetch(location.pathname + '/request').then((answer) => answer.json())")
            ["credentialId"]
            .is_string()
    });
    support::until("usable", || browser.can_use("#reject"));
    assert!(!browser.can_use("#approve"));
    browser.press("#approve");
    assert_eq!(service.wait(asked["id"].as_str().unwrap(), 0).unwrap().1["status"], "pending");
    decide(&browser, "#reject", "Rejected");
    // The gate looks before anybody decides.
    let caller = Caller::new(&service, ACTION, PAYLOAD);
    caller.run(&[]).refused("mismatch", &caller);
}

#[test]
fn the_page_shows_a_request_as_text() {
    let Some((browser, _turn)) = browser("text on the page") else { return };
    let service = Service::start(&[]);
    let caller = Caller::new(&service, MARKED_ACTION, MARKED_PAYLOAD);
    let gate = caller.ask(&[]);
    open(&browser, &gate.url);
    let [action, payload] = ["#action", "#payload"].map(|place| browser.text(place));
    assert_eq!(
        action,
        r#"Delete <b>all</b> <img src=x onerror="document.title='ran'"> \u202eyadot\u2066 &amp;"#
    );
    assert_eq!(payload, SHOWN_PAYLOAD);
    assert_fit_for_a_terminal(&browser.text("body"));
    let elements =
        browser.script("return document.querySelectorAll('#action *, #payload :not(span.line)').length");
    assert_eq!((elements, browser.title()), (json!(0), "Approval".to_owned()));
    shows_the_hash(&browser, MARKED_PAYLOAD.as_bytes());
    register(&browser);
    decide(&browser, "#approve", "Approved");
    gate.end().approved();
    caller.ran_once();
    audits_are_clean(&service);
}
