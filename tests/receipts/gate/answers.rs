//! What comes of what the service and the log answer.

use super::world::{API_KEY, CANONICAL, Lie, World};
use countersign::core::hash::sha256;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use support::Reply;
use support::cli::program;
use support::log::HEAD_TIME;
use support::receipt::log_key;

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
fn an_answer_of_the_log_that_is_no_bundle_ends_no_key() {
    let world = World::new();
    world.play(|play| (play.first_bundle, play.changed_bundles) = (|_| json!({}), usize::MAX));
    world.run(&["--key", "k", "--log-wait", "0s"]).refused("unverified", 1);
    world.play(|play| play.changed_bundles = 0);
    world.run(&["--key", "k", "--log-wait", "0s"]).approved();
    assert_eq!(world.posts(), 1);
}

#[test]
fn a_request_that_reached_nobody_is_made_again_by_a_later_run() {
    let world = World::new();
    world.play(|play| play.instead = (0..50).map(|_| Reply::status("503 Busy", "", "")).collect());
    world.run(&["--key", "k", "--timeout", "1s"]).refused("unavailable", 3);
    let posts = world.posts();
    world.play(|play| play.instead.clear());
    world.run(&["--key", "k"]).approved();
    assert_eq!(world.posts(), posts + 1);
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
