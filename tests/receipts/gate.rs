//! `countersign gate`, the real program, against a service and a log that do as a test says.
#![cfg(unix)] // The commands behind the gate are for a shell.

mod answers;
mod world;

use countersign::core::encoding::{decode_hex, encode_base64url};
use countersign::core::hash::sha256;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;
use support::cli::{RP_ID, WEB_ORIGIN, program};
use support::passkey::Passkey;
use support::receipt::log_key;
use world::{API_KEY, CANONICAL, World, signal};

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
