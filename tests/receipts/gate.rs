//! `countersign gate`, the real program, against a service and a log that do as a test says.
#![cfg(unix)] // The commands behind the gate are for a shell.

use countersign::core::encoding::{decode_hex, encode_base64url};
use countersign::core::hash::sha256;
use countersign::core::jcs::canonicalize;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::cli::{RP_ID, WEB_ORIGIN, program};
use support::log::{HEAD_TIME, rejected};
use support::passkey::Passkey;
use support::receipt::{bundle_of, log_key};
use support::text::assert_fit_for_a_terminal;
use support::{Reply, Request, TestServer};
use tempfile::TempDir;

const API_KEY: &str = "k3y-0f-the-service";

/// What is asked, as somebody may write it, and its canonical form.
const PAYLOAD: &str = "{\"service\": \"api\",\n \"replicas\": 3.0}";
const CANONICAL: &str = r#"{"replicas":3,"service":"api"}"#;

type Change = fn(Value) -> Value;

/// Makes the service or the log lie.
type Lie = fn(&mut Play);

/// What the service and the log do.
struct Play {
    status: &'static str,
    is_logged: bool,
    /// Of the answer to the request.
    confirmation: Change,
    /// Of the answer to a look.
    look: Change,
    /// Of the entry, before it is signed.
    entry: Change,
    /// Of the first bundle alone.
    first_bundle: Change,
    /// The seed of the passkey that signs.
    passkey: u8,
    /// Answers to the next requests, in the place of confirmations.
    instead: Vec<Reply>,
}

struct State {
    play: Play,
    /// What was asked, and when.
    posts: Vec<(Value, u64)>,
    looks: usize,
    bundles: usize,
}

/// A service with a log, and a caller with a journal.
struct World {
    folder: TempDir,
    server: TestServer,
    state: Arc<Mutex<State>>,
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn json_reply(value: &Value) -> Reply {
    Reply::status("200 OK", "Content-Type: application/json\r\n", value.to_string())
}

fn not_found() -> Reply {
    Reply::status("404 Not Found", "", r#"{"error":"nothing here"}"#)
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let id =
            |path: &str| path.split(['/', '?']).nth(3).and_then(|id| id.strip_prefix("c-")?.parse().ok());
        if request.path == "/api/confirmations" {
            self.posts.push((serde_json::from_slice(&request.body).unwrap(), now()));
            if !self.play.instead.is_empty() {
                return self.play.instead.remove(0);
            }
            let (asked, time) = self.posts.last().unwrap();
            let hash = sha256(&canonicalize(asked["payload"].to_string().as_bytes(), 8).unwrap());
            let id = format!("c-{}", self.posts.len() - 1);
            return json_reply(&(self.play.confirmation)(json!({
                "id": id, "url": format!("https://service.example/{id}"), "payloadHash": hash.to_string(),
                "expiresAt": time + 300_000, "more": {"a": [1]},
            })));
        }
        if request.path.starts_with("/api/confirmations/") {
            self.looks += 1;
            let Some(number): Option<usize> = id(&request.path) else { return not_found() };
            return json_reply(&(self.play.look)(
                json!({"id": format!("c-{number}"), "status": self.play.status}),
            ));
        }
        match id(&request.path) {
            Some(number) if self.play.is_logged => {
                self.bundles += 1;
                let bundle = self.bundle(number);
                json_reply(&if self.bundles == 1 { (self.play.first_bundle)(bundle) } else { bundle })
            }
            _ => not_found(),
        }
    }

    fn bundle(&self, number: usize) -> Value {
        let (asked, time) = &self.posts[number];
        let mut entry = rejected(&format!("c-{number}"));
        let hash = sha256(&canonicalize(asked["payload"].to_string().as_bytes(), 8).unwrap());
        entry["payloadHash"] = hash.to_string().into();
        entry["approver"] = asked["username"].clone();
        for (name, at) in [("requestedAt", *time), ("decidedAt", *time), ("expiresAt", time + 300_000)] {
            entry[name] = at.into();
        }
        // Another passkey has another nonce.
        let nonce = sha256(format!("{number} {}", self.play.passkey).as_bytes());
        entry["nonce"] = encode_base64url(nonce.as_bytes()).into();
        bundle_of(&Passkey::new(self.play.passkey).approve((self.play.entry)(entry)))
    }
}

/// How one run ended.
#[derive(Debug)]
struct Ran {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// Asserts a refusal without a command.
    #[track_caller]
    fn refused(&self, reason: &str, exit: i32) -> &Ran {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        let json = self.json();
        assert_eq!((&json["result"], &json["reason"]), (&json!("refused"), &json!(reason)), "{self:?}");
        assert_eq!(
            (&json["exitCode"], &json["receipt"], &json["payload"]),
            (&json!(exit), &json!(null), &json!(null))
        );
        assert!(self.stderr.contains(&format!("refused ({reason})")), "{self:?}");
        self
    }

    #[track_caller]
    fn approved(&self) -> Value {
        assert_eq!(self.exit, Some(0), "{self:?}");
        let json = self.json();
        assert_eq!(json["result"], "approved");
        json
    }
}

impl World {
    fn new() -> World {
        let play = Play {
            status: "approved",
            is_logged: true,
            confirmation: |answer| answer,
            look: |answer| answer,
            entry: |entry| entry,
            first_bundle: |bundle| bundle,
            passkey: 7,
            instead: Vec::new(),
        };
        let state = Arc::new(Mutex::new(State { play, posts: Vec::new(), looks: 0, bundles: 0 }));
        let shared = Arc::clone(&state);
        let server = TestServer::start(move |request| shared.lock().unwrap().answer(request));
        let world = World { folder: tempfile::tempdir().unwrap(), server, state };
        fs::write(world.path("payload.json"), PAYLOAD).unwrap();
        let made = world.end(world.bare(&["--init"]));
        assert_eq!((made.exit, made.stdout.as_str()), (Some(0), ""), "{made:?}");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn play(&self, change: impl FnOnce(&mut Play)) {
        change(&mut self.state.lock().unwrap().play);
    }

    fn posts(&self) -> usize {
        self.state.lock().unwrap().posts.len()
    }

    /// `gate` with the journal alone.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("gate").args(arguments).arg("--journal").arg(self.path("gate.db"));
        command.current_dir(self.folder.path()).env("COSIGNET_API_KEY", API_KEY).env_remove("XDG_STATE_HOME");
        command
    }

    /// A gate that asks, with these options and then a command.
    fn gate(&self, options: &[&str], run: &[&str]) -> Command {
        self.gate_without("", options, run)
    }

    /// The same without one of the options that it needs.
    fn gate_without(&self, left_out: &str, options: &[&str], run: &[&str]) -> Command {
        let (url, key) = (self.server.url(), log_key().vkey());
        let mut command = self.bare(&[]);
        for (name, value) in [
            ("--service", url.as_str()),
            ("--log", &format!("api+{url}log")),
            ("--log-key", &key),
            ("--rp-id", RP_ID),
            ("--allow-origin", WEB_ORIGIN),
            ("--log-wait", "1s"),
            ("--username", "alex"),
            ("--action", "Deploy"),
            ("--payload", "payload.json"),
        ] {
            if name != left_out && !options.contains(&name) {
                command.args([name, value]);
            }
        }
        command.args(options);
        if !run.is_empty() {
            command.arg("--").args(run);
        }
        command
    }

    fn start(&self, mut command: Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn end(&self, command: Command) -> Ran {
        self.wait(self.start(command))
    }

    fn wait(&self, mut child: Child) -> Ran {
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < support::HANG, "no end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let (mut stdout, mut stderr) = (String::new(), String::new());
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        for text in [&stdout, &stderr] {
            assert_fit_for_a_terminal(text);
            assert!(!text.contains(API_KEY) && !text.contains("panicked"), "{text}");
        }
        Ran { exit: child.wait().unwrap().code(), stdout, stderr }
    }

    fn run(&self, options: &[&str]) -> Ran {
        self.end(self.gate(options, &[]))
    }

    fn rows(&self) -> Vec<Value> {
        let exported = self.end(self.bare(&["export"]));
        assert_eq!(exported.exit, Some(0), "{exported:?}");
        exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn an_approval_runs_the_command_once_with_the_checked_bytes() {
    let world = World::new();
    let script = "cat > got; cp \"$COUNTERSIGN_RECEIPT\" receipt; stat -c %a \"$COUNTERSIGN_RECEIPT\" > mode; env > env; \
                  echo said; echo \"$COUNTERSIGN_RECEIPT\" > where; exit 7";
    let ran = world.end(world.gate(&["--key", "k"], &["sh", "-c", script]));
    assert_eq!((ran.exit, ran.stdout.as_str()), (Some(7), "said\n"), "{ran:?}");
    let read = |name: &str| fs::read_to_string(world.path(name)).unwrap();
    assert_eq!(read("got"), CANONICAL);
    assert_eq!(read("mode"), "600\n");
    assert!(!PathBuf::from(read("where").trim()).exists());
    let row = &world.rows()[0];
    let env = read("env");
    assert!(env.contains(&format!("COUNTERSIGN_NONCE={}\n", row["nonce"].as_str().unwrap())));
    assert!(!env.contains(API_KEY) && !env.contains("COSIGNET_API_KEY"), "{env}");
    assert_eq!((&row["state"], &row["failure"]), (&json!("used, failed"), &json!("exit code 7")));

    // The receipt is one, and the journal has it.
    let mut verify = program();
    verify.arg("verify").arg(world.path("receipt")).args(["--log-key", &log_key().vkey(), "--rp-id", RP_ID]);
    verify.args(["--allow-origin", WEB_ORIGIN, "--payload"]).arg(world.path("got"));
    assert_eq!(world.end(verify).exit, Some(0));
    let receipt: Value = serde_json::from_str(&read("receipt")).unwrap();
    assert_eq!(row["receipt"], receipt);

    let again = world.end(world.gate(&["--key", "k"], &["touch", "ran-again"]));
    assert_eq!((again.exit, world.path("ran-again").exists()), (Some(125), false), "{again:?}");
    assert!(again.stderr.contains("refused (replayed)"), "{again:?}");
    assert_eq!(world.posts(), 1);
}

#[test]
fn without_a_command_the_approval_is_printed_and_used_up() {
    let world = World::new();
    let approved = world.run(&["--key", "k"]).approved();
    for (name, value) in [
        ("tool", json!("countersign")),
        ("command", json!("gate")),
        ("exitCode", json!(0)),
        ("reason", json!(null)),
        ("message", json!(null)),
        ("key", json!("k")),
        ("id", json!("c-0")),
        ("url", json!("https://service.example/c-0")),
        ("username", json!("alex")),
        ("action", json!("Deploy")),
        ("payload", json!({"service": "api", "replicas": 3})),
        ("payloadHash", json!(sha256(CANONICAL.as_bytes()).to_string())),
        ("payloadEncoding", json!("jcs-payload")),
        ("approver", json!("alex")),
        ("keyPinned", json!(false)),
        ("actionSigned", json!(false)),
    ] {
        assert_eq!(approved[name], value, "{name}");
    }
    assert!(approved["receipt"]["entry"]["nonce"] == approved["nonce"] && approved["requestedAt"].is_u64());
    world.run(&["--key", "k"]).refused("replayed", 1);

    let asked = &world.state.lock().unwrap().posts[0].0.clone();
    assert_eq!(
        *asked,
        json!({"username": "alex", "action": "Deploy", "payload": {"service": "api", "replicas": 3}})
    );
    let requests = world.server.requests();
    let post = requests.iter().find(|request| !request.body.is_empty()).unwrap();
    assert_eq!(post.header("x-api-key"), Some(API_KEY));
    assert_eq!(decode_hex(post.header("idempotency-key").unwrap()).unwrap(), sha256(b"k").0);
    for request in requests.iter().filter(|request| request.path.starts_with("/log/")) {
        assert_eq!(request.header("x-api-key"), None, "the log gets no key of the service");
    }
    // Each run without a key asks anew, and says its key.
    assert_eq!(world.run(&[]).approved()["key"].as_str().map(str::len), Some(32));
    assert_eq!(world.posts(), 2);
}

#[test]
fn what_the_person_or_the_service_refuses_is_refused_again() {
    for (status, reason, exit) in [("rejected", "rejected", 1), ("expired", "expired", 1)] {
        let world = World::new();
        world.play(|play| play.status = status);
        world.run(&["--key", "k"]).refused(reason, exit);
        world.play(|play| play.status = "approved");
        world.run(&["--key", "k"]).refused(reason, exit);
        assert_eq!((world.posts(), world.state.lock().unwrap().looks), (1, 1));
    }
    for status in ["400 Bad", "401 No", "403 No", "404 No", "409 No", "413 No", "422 No"] {
        let world = World::new();
        world.play(|play| play.instead = vec![Reply::status(status, "", r#"{"error":"no \u001b[2J"}"#)]);
        world.run(&["--key", "k"]).refused("denied", 2);
        world.run(&["--key", "k"]).refused("denied", 2);
        assert_eq!(world.posts(), 1, "{status}");
    }
}

#[test]
fn a_refusal_that_quotes_the_key_is_one_all_the_same() {
    let world = World::new();
    let said = format!("{{\"error\":\"no such key: {API_KEY}\"}}");
    world.play(|play| play.instead = vec![Reply::status("401 No", "", said)]);
    let ran = world.end(world.gate(&["--key", "k", "--format", "json"], &["touch", "ran"]));
    assert_eq!((ran.exit, ran.stdout.as_str()), (Some(125), ""), "{ran:?}");
    let line: Value = ran.stderr.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    assert_eq!((&line["reason"], &line["exitCode"]), (&json!("denied"), &json!(125)));
}

#[test]
fn what_had_expired_when_it_was_asked_is_not_waited_for() {
    let world = World::new();
    world.play(|play| {
        play.confirmation = |mut answer| {
            answer["expiresAt"] = "2026-01-01T00:00:00+01:00".into();
            answer
        };
    });
    world.run(&["--key", "k"]).refused("expired", 1);
    assert_eq!(world.state.lock().unwrap().looks, 0);
}

#[test]
fn an_unknown_status_is_no_approval_and_no_decision() {
    let world = World::new();
    world.play(|play| play.status = "sort-of-approved");
    world.run(&["--key", "k"]).refused("unavailable", 3);
    world.play(|play| play.status = "approved");
    world.run(&["--key", "k"]).approved();
    assert_eq!(world.posts(), 1);
}

#[test]
fn lies_of_the_service_are_mismatches() {
    let lies: [(&str, Lie); 8] = [
        ("hash of another payload", |play| {
            play.confirmation = |mut answer| {
                answer["payloadHash"] = "00".repeat(32).into();
                answer
            };
        }),
        ("an id that leads elsewhere", |play| {
            play.confirmation = |mut answer| {
                answer["id"] = "..".into();
                answer
            };
        }),
        ("answers about another id", |play| {
            play.look = |mut answer| {
                answer["id"] = "c-7".into();
                answer
            };
        }),
        ("answers about another payload", |play| {
            play.look = |mut answer| {
                answer["payloadHash"] = "00".repeat(32).into();
                answer
            };
        }),
        ("another payload", |play| {
            play.entry = |mut entry| {
                entry["payloadHash"] = "00".repeat(32).into();
                entry
            };
        }),
        ("another person", |play| {
            play.entry = |mut entry| {
                entry["approver"] = "bruna".into();
                entry
            };
        }),
        ("an earlier approval", |play| {
            play.entry = |mut entry| {
                entry["requestedAt"] = (entry["requestedAt"].as_u64().unwrap() - 61_000).into();
                entry
            };
        }),
        ("decided after its end", |play| {
            play.entry = |mut entry| {
                for name in ["decidedAt", "expiresAt"] {
                    entry[name] = (entry["expiresAt"].as_u64().unwrap() + 1).into();
                }
                entry
            };
        }),
    ];
    for (lie, change) in lies {
        let world = World::new();
        world.play(change);
        let ran = world.end(world.gate(&["--key", "k"], &["touch", "ran"]));
        assert!(ran.exit == Some(125) && ran.stderr.contains("refused (mismatch)"), "{lie}: {ran:?}");
        assert!(!world.path("ran").exists(), "{lie}");
        world.run(&["--key", "k"]).refused("mismatch", 1);
    }
}

#[test]
fn a_key_is_for_one_request() {
    let world = World::new();
    world.run(&["--key", "k"]).approved();
    world.run(&["--key", "k", "--action", "Delete"]).refused("mismatch", 1);
    world.run(&["--key", "k", "--username", "bruna"]).refused("mismatch", 1);
    fs::write(world.path("payload.json"), "{}").unwrap();
    world.run(&["--key", "k"]).refused("mismatch", 1);
    assert_eq!(world.posts(), 1);
}

#[test]
fn an_approval_that_is_not_in_the_log_is_none() {
    let world = World::new();
    world.play(|play| play.is_logged = false);
    world.run(&["--key", "k"]).refused("not-logged", 3);
    world.play(|play| play.is_logged = true);
    world.run(&["--key", "k"]).approved();
    assert_eq!((world.posts(), world.state.lock().unwrap().looks), (1, 1), "the decision was written down");
}

/// Its heads are of two trees in one answer, as where an honest log grew between its reading of them.
#[test]
fn a_log_that_grew_meanwhile_is_looked_at_again() {
    let world = World::new();
    world.play(|play| {
        play.first_bundle = |mut bundle| {
            let sth = log_key().sth(8, sha256(b"a larger tree"), HEAD_TIME);
            bundle["sth"] = serde_json::from_slice(&sth).unwrap();
            bundle
        };
    });
    world.run(&["--key", "k"]).approved();
    assert_eq!(world.state.lock().unwrap().bundles, 2);
}

#[test]
fn a_log_of_two_histories_is_proved_and_refused() {
    let world = World::new();
    world.play(|play| {
        play.first_bundle = |mut bundle| {
            let sth = log_key().sth(7, sha256(b"another tree"), HEAD_TIME);
            bundle["sth"] = serde_json::from_slice(&sth).unwrap();
            bundle
        };
    });
    world.run(&["--key", "k"]).refused("violation", 4);
    world.run(&["--key", "k"]).refused("violation", 4);
    let names = fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let proofs: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("misbehaviour-")).collect();
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    let mut check = program();
    check.args(["evidence", "verify"]).arg(world.path(proofs[0].to_str().unwrap()));
    check.args(["--log-key", &log_key().vkey()]);
    assert_eq!(world.end(check).exit, Some(0));
}

#[test]
fn an_action_text_can_be_signed_too() {
    fn with_action() -> String {
        let both = format!(r#"{{"action":"Deploy","payload":{CANONICAL}}}"#);
        sha256(both.as_bytes()).to_string()
    }
    let world = World::new();
    world.play(|play| {
        play.confirmation = |mut answer| {
            answer["payloadHash"] = with_action().into();
            answer
        };
        play.entry = |mut entry| {
            entry["payloadHash"] = with_action().into();
            entry["payloadEncoding"] = "jcs-action-payload".into();
            entry
        };
    });
    let approved = world.run(&["--key", "k", "--require-signed-action"]).approved();
    assert_eq!((&approved["actionSigned"], &approved["payloadHash"]), (&json!(true), &json!(with_action())));
    // What was asked so is not answered by a signature over the payload alone.
    world.play(|play| play.entry = |entry| entry);
    world.run(&["--key", "l"]).refused("mismatch", 1);
}

#[test]
fn another_passkey_needs_a_person_who_accepts_it() {
    let world = World::new();
    world.run(&["--key", "a"]).approved();
    world.play(|play| play.passkey = 8);
    world.run(&["--key", "b"]).refused("unverified", 1);
    let trusted = world.end(world.bare(&["trust", "alex"]));
    assert_eq!(trusted.exit, Some(0), "{trusted:?}");
    world.run(&["--key", "b"]).refused("unverified", 1);
    world.run(&["--key", "c"]).approved();
    assert_eq!(world.end(world.bare(&["trust", "bruna"])).exit, Some(2));
    world.run(&["--key", "d", "--require-pinned-key"]).refused("unverified", 1);
    world.run(&["--key", "e", "--require-signed-action"]).refused("unverified", 1);
}

#[test]
fn a_request_whose_outcome_is_unknown_is_not_made_again_by_itself() {
    for lost in [
        Reply::raw(""),
        Reply::status("500 No", "", ""),
        Reply::status("302 Found", "Location: /api/confirmations\r\n", ""),
        Reply::status("200 OK", "", "<html>"),
        Reply::status("202 Accepted", "", "{}"),
        // It repeats the API key, which is not to be kept.
        Reply::status("200 OK", "", format!("{{\"id\":\"{API_KEY}\"}}")),
    ] {
        let world = World::new();
        world.play(|play| play.instead = vec![lost]);
        let options = ["--key", "k", "--timeout", "1s"];
        world.run(&options).refused("unavailable", 3);
        world.run(&options).refused("unavailable", 3);
        assert_eq!(world.posts(), 1);
        let again = [&options[..], &["--ask-again"]].concat();
        world.run(&again).approved();
        assert_eq!(world.posts(), 2);
    }
}

#[test]
fn a_service_that_is_busy_is_asked_again_when_it_says() {
    let world = World::new();
    let busy = |status| Reply::status(status, "Retry-After: 1\r\n", "");
    world.play(|play| play.instead = vec![busy("503 Busy"), busy("429 Slow")]);
    let began = Instant::now();
    world.run(&["--key", "k"]).approved();
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(world.posts(), 3);
    let posts = world.server.requests();
    let mut keys: Vec<_> = posts.iter().filter_map(|request| request.header("idempotency-key")).collect();
    keys.dedup();
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_person_who_takes_longer_is_waited_for_under_the_same_key() {
    let world = World::new();
    world.play(|play| play.status = "pending");
    let ran = world.run(&["--key", "k", "--timeout", "1s"]);
    ran.refused("timed-out", 3);
    assert!(ran.stderr.contains("https://service.example/c-0"), "{ran:?}");
    assert_eq!(ran.json()["url"], "https://service.example/c-0");
    world.play(|play| play.status = "approved");
    world.run(&["--key", "k"]).approved();
    assert_eq!(world.posts(), 1);
}

#[test]
fn an_interrupted_gate_refuses_and_can_go_on() {
    for (name, run, exit) in [("INT", &[][..], 3), ("TERM", &["touch", "ran"], 125)] {
        let world = World::new();
        world.play(|play| play.status = "pending");
        let child = world.start(world.gate(&["--key", "k"], run));
        support::until("looked", || world.state.lock().unwrap().looks > 0);
        signal(&child, name);
        let ran = world.wait(child);
        assert!(ran.exit == Some(exit) && ran.stderr.contains("refused (interrupted)"), "{ran:?}");
        assert!(!world.path("ran").exists());
        world.play(|play| play.status = "approved");
        world.run(&["--key", "k"]).approved();
        assert_eq!(world.posts(), 1);
    }
}

#[test]
fn a_signal_is_the_commands_once_it_runs() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let world = World::new();
        let child = world.start(world.gate(&["--key", "k"], &["sh", "-c", "touch runs; exec sleep 60"]));
        support::until("running", || world.path("runs").exists());
        // The shell becomes the program that is waited for.
        std::thread::sleep(Duration::from_millis(100));
        signal(&child, name);
        let ran = world.wait(child);
        assert_eq!(ran.exit, Some(128 + number), "{ran:?}");
        assert_eq!(world.rows()[0]["failure"], json!(format!("ended by signal {number}")));
    }
}

#[test]
fn a_killed_gate_goes_on_or_has_used_the_approval_up() {
    let killed = |world: &World, run: &[&str], is_there: &dyn Fn() -> bool| {
        let mut child = world.start(world.gate(&["--key", "k"], run));
        support::until("that far", is_there);
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let world = World::new();
    world.play(|play| play.status = "pending");
    killed(&world, &["touch", "ran"], &|| world.state.lock().unwrap().looks > 0);
    world.play(|play| (play.status, play.is_logged) = ("approved", false));
    killed(&world, &["touch", "ran"], &|| world.state.lock().unwrap().looks > 1);
    world.play(|play| play.is_logged = true);
    killed(&world, &["sh", "-c", "echo ran >> times; exec sleep 1"], &|| world.path("times").exists());
    let again = world.end(world.gate(&["--key", "k"], &["sh", "-c", "echo ran >> times"]));
    assert!(again.exit == Some(125) && again.stderr.contains("refused (replayed)"), "{again:?}");
    assert_eq!(fs::read_to_string(world.path("times")).unwrap(), "ran\n");
    assert!(!world.path("ran").exists());
    assert_eq!((world.posts(), &world.rows()[0]["state"]), (1, &json!("used, end unknown")));
}

#[test]
fn a_command_that_reads_nothing_is_no_error() {
    let world = World::new();
    fs::write(world.path("payload.json"), format!("[\"{}\"]", "x".repeat(1 << 20))).unwrap();
    let ran = world.end(world.gate(&["--key", "k"], &["true"]));
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(world.rows()[0]["state"], "used, ended ok");
}

#[test]
fn what_could_never_run_asks_nobody() {
    let world = World::new();
    let script = world.path("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    for (run, exit) in [("no-such-program", 127), (script.to_str().unwrap(), 126), ("/", 126)] {
        let ran = world.end(world.gate(&[], &[run]));
        assert_eq!((ran.exit, ran.stdout.as_str()), (Some(exit), ""), "{ran:?}");
    }
    assert!(world.server.requests().is_empty() && world.rows().is_empty());
}

#[test]
fn wrong_usage_asks_nobody() {
    let world = World::new();
    let folder = world.folder.path().to_str().unwrap().to_owned();
    fs::write(world.path("twice.json"), r#"{"a":1,"a":2}"#).unwrap();
    fs::write(world.path("empty-key"), "\n").unwrap();
    for options in [
        &["--payload", "twice.json"][..],
        &["--payload", "none.json"],
        &["--username", ""],
        &["--action", ""],
        &["--key", ""],
        &["--service", "http://service.example/"],
        &["--service", "ftp://service.example/"],
        &["--service", "https://user:s3cret@service.example/"],
        &["--log", &folder],
        &["--log", &world.server.url()],
        &["--timeout", "0s"],
        &["--log-wait", "soon"],
        &["--api-key-env", "NO_SUCH_VARIABLE"],
        &["--api-key-file", "empty-key"],
        &["--ask-again"],
        &["--require-nothing"],
    ] {
        let ran = world.run(options);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Some(2), ""), "{options:?}: {ran:?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
    for left_out in [
        "--service",
        "--username",
        "--action",
        "--payload",
        "--log",
        "--log-key",
        "--rp-id",
        "--allow-origin",
    ] {
        let ran = world.end(world.gate_without(left_out, &[], &[]));
        assert_eq!((ran.exit, ran.stdout.as_str()), (Some(2), ""), "{left_out}: {ran:?}");
    }
    assert!(world.server.requests().is_empty() && world.rows().is_empty());
}

#[test]
fn without_its_journal_nothing_runs() {
    let world = World::new();
    fs::rename(world.path("gate.db"), world.path("elsewhere.db")).unwrap();
    let ran = world.run(&["--key", "k"]);
    ran.refused("local-fault", 5);
    assert_eq!(world.end(world.gate(&["--key", "k"], &["touch", "ran"])).exit, Some(125));
    assert!(world.server.requests().is_empty() && !world.path("ran").exists());
    assert_eq!(world.end(world.bare(&["list"])).exit, Some(5));
}

#[test]
fn ten_at_once_for_one_key_ask_once_and_run_once() {
    let world = World::new();
    let run = ["sh", "-c", "echo ran >> times"];
    let children: Vec<Child> = (0..10).map(|_| world.start(world.gate(&["--key", "k"], &run))).collect();
    let mut exits: Vec<i32> = children.into_iter().map(|child| world.wait(child).exit.unwrap()).collect();
    exits.sort_unstable();
    assert_eq!(exits, [&[0][..], &[125; 9]].concat());
    assert_eq!(fs::read_to_string(world.path("times")).unwrap(), "ran\n");
    assert_eq!(world.posts(), 1);
}

#[test]
fn the_journal_tells_what_came_of_each_key() {
    let world = World::new();
    world.run(&["--key", "used"]).approved();
    world.play(|play| play.status = "rejected");
    world.run(&["--key", "rejected"]).refused("rejected", 1);
    let list = world.end(world.bare(&["list"]));
    for state in ["used, end unknown", "rejected"] {
        assert!(list.stdout.contains(state), "{list:?}");
    }
    let show = |key: &str| world.end(world.bare(&["show", key, "--format", "json"])).json();
    assert_eq!(show("used")["state"], "used, end unknown");
    let done = |arguments: &[&str]| world.end(world.bare(&[&["done"], arguments].concat())).exit;
    assert_eq!(done(&["used"]), Some(2), "how it ended must be said");
    assert_eq!(done(&["used", "--failed", "no\u{1b}[2J"]), Some(0));
    assert_eq!(done(&["used", "--ok"]), Some(2), "once");
    assert_eq!(done(&["rejected", "--ok"]), Some(2));
    assert_eq!(done(&["unknown", "--ok"]), Some(2));
    assert_eq!(show("used")["failure"], "no\u{1b}[2J");
    assert!(world.end(world.bare(&["show", "used"])).stdout.contains("failed: no\\u{1b}[2J"));
    assert_eq!(world.end(world.bare(&["show", "unknown"])).exit, Some(2));
    let jsonl = world.end(world.bare(&["list", "--format", "json"]));
    assert_eq!(jsonl.stdout.lines().count(), 2);
    assert!(!jsonl.stdout.contains("\"receipt\"") && world.rows()[0]["receipt"].is_object());
    assert_eq!(world.end(world.bare(&["list", "--username", "alex"])).exit, Some(2));
}

#[test]
fn the_key_of_the_service_is_kept_nowhere() {
    let world = World::new();
    fs::write(world.path("key"), format!("{API_KEY}\n")).unwrap();
    let mut command = world.gate(&["--key", "k", "--api-key-file", "key"], &[]);
    world
        .end({
            command.env_remove("COSIGNET_API_KEY");
            command
        })
        .approved();
    world.play(|play| {
        play.look = |mut answer| {
            answer["status"] = API_KEY.into();
            answer
        };
    });
    world.run(&["--key", "l", "--timeout", "1s"]).refused("unavailable", 3);
    for entry in fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&entry).unwrap();
        let has_it = bytes.windows(API_KEY.len()).any(|window| window == API_KEY.as_bytes());
        assert_eq!(has_it, entry.ends_with("key"), "{entry:?}");
    }
}

#[test]
fn a_config_says_who_is_asked_and_options_win() {
    let world = World::new();
    let url = world.server.url();
    let config = format!(
        "log = 'api+{url}log'\nlog-key = '{}'\nrp-id = '{RP_ID}'\nallow-origin = ['{WEB_ORIGIN}']\n[gate]\nservice = '{url}'\n\
         username = 'bruna'\naction = 'Deploy'\npayload = 'payload.json'\njournal = 'gate.db'\nlog-wait = '1s'\n",
        log_key().vkey()
    );
    fs::write(world.path("gate.toml"), &config).unwrap();
    let gate = |options: &[&str]| {
        let mut command = program();
        command.args(["gate", "--config", "gate.toml"]).args(options).env("COSIGNET_API_KEY", API_KEY);
        command.current_dir(world.folder.path());
        world.end(command)
    };
    assert_eq!(gate(&[]).approved()["username"], "bruna");
    assert_eq!(gate(&["--username", "alex"]).approved()["username"], "alex");
    assert_eq!(gate(&["list"]).stdout.lines().count(), 3);
    let pins = format!("[approvers]\nalex = ['{}']\n", encode_base64url(&Passkey::new(7).cose()));
    fs::write(world.path("gate.toml"), config + &pins).unwrap();
    let pinned = gate(&["--username", "alex", "--require-pinned-key"]).approved();
    assert_eq!(pinned["keyPinned"], true);
    world.play(|play| play.passkey = 8);
    gate(&["--username", "alex"]).refused("unverified", 1);
}

#[test]
fn the_default_journal_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for (variable, place) in
        [("XDG_STATE_HOME", "state/countersign"), ("HOME", "home/.local/state/countersign")]
    {
        let mut command = program();
        command.args(["gate", "--init"]).env_remove("XDG_STATE_HOME").env_remove("HOME");
        let value = folder.path().join(place.split('/').next().unwrap());
        command.env(variable, value);
        assert!(command.output().unwrap().status.success());
        let place = folder.path().join(place);
        assert!(place.join("gate.db").is_file());
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
