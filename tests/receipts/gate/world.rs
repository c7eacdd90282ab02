//! A service, a log and a caller, as a test wants them.

use countersign::core::encoding::encode_base64url;
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
use support::log::rejected;
use support::passkey::Passkey;
use support::receipt::{bundle_of, log_key};
use support::text::assert_fit_for_a_terminal;
use support::{Reply, Request, TestServer};
use tempfile::TempDir;

pub const API_KEY: &str = "k3y-0f-the-service";

/// What is asked, as somebody may write it, and its canonical form.
pub const PAYLOAD: &str = "{\"service\": \"api\",\n \"replicas\": 3.0}";
pub const CANONICAL: &str = r#"{"replicas":3,"service":"api"}"#;

pub type Change = fn(Value) -> Value;

/// Makes the service or the log lie.
pub type Lie = fn(&mut Play);

/// What the service and the log do.
pub struct Play {
    pub status: &'static str,
    pub is_logged: bool,
    /// Of the answer to the request.
    pub confirmation: Change,
    /// Of the answer to a look.
    pub look: Change,
    /// Of the entry, before it is signed.
    pub entry: Change,
    /// Of the first bundles alone.
    pub first_bundle: Change,
    /// How many these are.
    pub changed_bundles: usize,
    /// The seed of the passkey that signs.
    pub passkey: u8,
    /// Answers to the next requests, in the place of confirmations.
    pub instead: Vec<Reply>,
}

pub struct State {
    pub play: Play,
    /// What was asked, and when.
    pub posts: Vec<(Value, u64)>,
    pub looks: usize,
    pub bundles: usize,
}

/// A service with a log, and a caller with a journal.
pub struct World {
    pub folder: TempDir,
    pub server: TestServer,
    pub state: Arc<Mutex<State>>,
}

pub fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub fn json_reply(value: &Value) -> Reply {
    Reply::status("200 OK", "Content-Type: application/json\r\n", value.to_string())
}

pub fn not_found() -> Reply {
    Reply::status("404 Not Found", "", r#"{"error":"nothing here"}"#)
}

impl State {
    pub fn answer(&mut self, request: &Request) -> Reply {
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
                json_reply(&if self.bundles <= self.play.changed_bundles {
                    (self.play.first_bundle)(bundle)
                } else {
                    bundle
                })
            }
            _ => not_found(),
        }
    }

    pub fn bundle(&self, number: usize) -> Value {
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
pub struct Ran {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// Asserts a refusal without a command.
    #[track_caller]
    pub fn refused(&self, reason: &str, exit: i32) -> &Ran {
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
    pub fn approved(&self) -> Value {
        assert_eq!(self.exit, Some(0), "{self:?}");
        let json = self.json();
        assert_eq!(json["result"], "approved");
        json
    }
}

impl World {
    pub fn new() -> World {
        let play = Play {
            status: "approved",
            is_logged: true,
            confirmation: |answer| answer,
            look: |answer| answer,
            entry: |entry| entry,
            first_bundle: |bundle| bundle,
            changed_bundles: 1,
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn play(&self, change: impl FnOnce(&mut Play)) {
        change(&mut self.state.lock().unwrap().play);
    }

    pub fn posts(&self) -> usize {
        self.state.lock().unwrap().posts.len()
    }

    /// `gate` with the journal alone.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("gate").args(arguments).arg("--journal").arg(self.path("gate.db"));
        command.current_dir(self.folder.path()).env("COSIGNET_API_KEY", API_KEY).env_remove("XDG_STATE_HOME");
        command
    }

    /// A gate that asks, with these options and then a command.
    pub fn gate(&self, options: &[&str], run: &[&str]) -> Command {
        self.gate_without("", options, run)
    }

    /// The same without one of the options that it needs.
    pub fn gate_without(&self, left_out: &str, options: &[&str], run: &[&str]) -> Command {
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

    pub fn start(&self, mut command: Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn end(&self, command: Command) -> Ran {
        self.wait(self.start(command))
    }

    pub fn wait(&self, mut child: Child) -> Ran {
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

    pub fn run(&self, options: &[&str]) -> Ran {
        self.end(self.gate(options, &[]))
    }

    pub fn rows(&self) -> Vec<Value> {
        let exported = self.end(self.bare(&["export"]));
        assert_eq!(exported.exit, Some(0), "{exported:?}");
        exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
