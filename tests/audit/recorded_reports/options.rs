//! What options and configs change in a report.

use super::{PARTY, audit};
use support::case::{fixtures, named};
use support::receipt_cli::DEMO_KEY;
use support::recorded::{Record, Session};

/// Each its own auditor.
pub const SESSIONS: &[fn() -> Vec<Record>] = &[
    what_is_missing,
    another_key,
    limits,
    watch_rules,
    pinned_keys,
    acknowledged,
    a_peer_that_agrees,
    a_peer_that_contradicts,
    peers_that_are_no_peers,
    frames,
];

fn demo(name: &str) -> Session {
    let mut session = Session::new(name);
    session.place("log", fixtures().join("demo").canonicalize().unwrap().display().to_string());
    session.place("key", DEMO_KEY);
    session
}

fn case(name: &str, log: &str, step: usize) -> Session {
    let mut session = Session::new(name);
    let case = named(log);
    session.place("key", case.log_key.clone());
    go_to(&mut session, log, step);
    session
}

fn go_to(session: &mut Session, log: &str, step: usize) {
    session.place("log", named(log).steps()[step].canonicalize().unwrap().display().to_string());
}

/// Audits with all trust and these options.
fn trusting(session: &mut Session, step: &str, options: &[&str]) {
    audit(session, step, &[&["--init", "--log-key", "{key}"], &PARTY[..], options].concat());
}

/// Audits with all trust and this config.
fn configured(session: &mut Session, step: &str, config: &str, options: &[&str]) {
    session.write("config.toml", config);
    trusting(session, step, &[&["--config", "{dir}/config.toml"], options].concat());
}

fn what_is_missing() -> Vec<Record> {
    let mut session = demo("what is missing");
    audit(&mut session, "no log key", &["--init"]);
    audit(&mut session, "no mirror", &["--log-key", "{key}"]);
    session.run("no db", &["audit", "--log", "{log}", "--log-key", "{key}", "--format", "json"]);
    session.run("no log", &["audit", "--db", "{db}", "--log-key", "{key}", "--format", "json"]);
    let nowhere =
        ["audit", "--log", "{dir}/nowhere", "--db", "{db}", "--format", "json", "--log-key", "{key}"];
    session.run("a log that is not there", &[&nowhere[..], &["--init"]].concat());
    trusting(&mut session, "all there", &[]);
    session.run("a log that is gone", &nowhere);
    session.run("a log that is gone, heads alone", &[&nowhere[..], &["--heads-only"]].concat());
    trusting(&mut session, "wrong usage", &["--max-head-age", "soon"]);
    session.into_records()
}

fn another_key() -> Vec<Record> {
    let mut session = demo("another key");
    session.place("other", named("honest-1").log_key);
    audit(&mut session, "first", &["--init", "--log-key", "{other}"]);
    trusting(&mut session, "the mirror is another log's", &[]);
    let mut session_two = demo("another key, same origin");
    session_two
        .place("log", named("accept-high-s").last_step().canonicalize().unwrap().display().to_string());
    session_two.place("key", named("honest-1").log_key);
    trusting(&mut session_two, "first", &[]);
    trusting(&mut session_two, "heads alone", &["--heads-only"]);
    [session.into_records(), session_two.into_records()].concat()
}

fn limits() -> Vec<Record> {
    let mut session = demo("limits");
    trusting(&mut session, "too many entries", &["--max-entries", "799"]);
    trusting(&mut session, "just enough", &["--max-entries", "800"]);
    trusting(&mut session, "one worker", &["--full", "--workers", "1"]);
    trusting(&mut session, "an old head", &["--max-head-age", "1h", "--deny-warnings"]);
    trusting(&mut session, "age is not asked for", &[]);
    session.into_records()
}

const RULES: &str = r#"
[[watch]]
name = "alex"
approver = "alex"
past = true
[[watch]]
name = "not approved"
decision = ["rejected", "expired"]
severity = "info"
past = true
[[watch]]
name = "many"
more-than = { count = 5, within = "1h" }
past = true
[[watch]]
name = "new key"
new-key = true
past = true
[[watch]]
name = "from now on"
any = true
"#;

fn watch_rules() -> Vec<Record> {
    let mut session = case("watch rules", "accept-high-s", 0);
    configured(&mut session, "first", RULES, &[]);
    configured(&mut session, "again", RULES, &["--deny-warnings"]);
    configured(&mut session, "in full", RULES, &["--full"]);
    configured(&mut session, "without them", "", &[]);
    let mut grows = case("watch rules on a log that grows", "honest-grows", 0);
    let of_zora = "[[watch]]\nname = \"zora\"\napprover = \"zora\"\n";
    for step in 0..4 {
        go_to(&mut grows, "honest-grows", step);
        configured(&mut grows, &format!("t{step}"), of_zora, &[]);
    }
    [session.into_records(), grows.into_records()].concat()
}

fn pinned_keys() -> Vec<Record> {
    let mut session = case("pinned keys", "accept-high-s", 0);
    let zeros = "0".repeat(64);
    for approver in ["alex", "nobody"] {
        let config = format!("[approvers]\n{approver} = [\"{zeros}\"]\n");
        configured(&mut session, &format!("another key for {approver}"), &config, &[]);
    }
    configured(&mut session, "no key", "", &[]);
    session.into_records()
}

fn acknowledged() -> Vec<Record> {
    let mut session = case("acknowledged", "assertion-signature-flipped", 0);
    let words = |code: &str, more: &str| {
        format!("[[acknowledge]]\ncode = \"{code}\"\nuntil = 2999-12-31\ncomment = \"known\"\n{more}")
    };
    configured(&mut session, "this one", &words("signature-invalid", "index = 5\n"), &[]);
    configured(&mut session, "another", &words("signature-invalid", "index = 6\n"), &[]);
    configured(&mut session, "another code", &words("gap", ""), &[]);
    configured(&mut session, "no code", &words("no-such-code", ""), &[]);
    session.into_records()
}

fn peer(name: &str, file: &str) -> String {
    format!("[[peer]]\nname = \"{name}\"\nfile = {file:?}\n")
}

fn a_peer_that_agrees() -> Vec<Record> {
    let mut session = case("a peer that agrees", "honest-grows", 2);
    let theirs = |step: usize| {
        named("honest-grows").steps()[step].join("checkpoint").canonicalize().unwrap().display().to_string()
    };
    let config = peer("them", &theirs(0));
    configured(&mut session, "an earlier head", &config, &[]);
    configured(&mut session, "again", &config, &[]);
    configured(&mut session, "a later head", &peer("them", &theirs(3)), &[]);
    go_to(&mut session, "honest-grows", 3);
    configured(&mut session, "which is then served", &peer("them", &theirs(3)), &[]);
    configured(&mut session, "heads alone", &peer("them", &theirs(3)), &["--heads-only"]);
    configured(&mut session, "no peer", "", &["--full"]);
    session.into_records()
}

fn a_peer_that_contradicts() -> Vec<Record> {
    let mut records = Vec::new();
    for log in ["history-same-size-fork", "history-rewritten", "history-rollback"] {
        for (ours, theirs) in [(0, 1), (1, 0)] {
            for options in [&[][..], &["--heads-only"]] {
                let mut session = case(&format!("a peer with t{theirs} of {log}"), log, ours);
                let file = named(log).steps()[theirs]
                    .join("checkpoint")
                    .canonicalize()
                    .unwrap()
                    .display()
                    .to_string();
                configured(&mut session, "first", &peer("them", &file), options);
                configured(&mut session, "again", &peer("them", &file), options);
                configured(&mut session, "no peer any more", "", &[]);
                session.verify_evidence("{key}");
                records.extend(session.into_records());
            }
        }
    }
    records
}

fn peers_that_are_no_peers() -> Vec<Record> {
    let mut session = demo("peers that are none");
    let directory = session.directory().to_owned();
    let at = |name: &str| directory.join(name).display().to_string();
    session.write("garbage", "no head\n");
    session.write("empty", "");
    let other =
        named("honest-1").last_step().join("checkpoint").canonicalize().unwrap().display().to_string();
    let all = [peer("gone", &at("gone")), peer("garbage", &at("garbage")), peer("empty", &at("empty"))];
    configured(&mut session, "three", &all.concat(), &[]);
    configured(&mut session, "again", &all.concat(), &["--deny-warnings"]);
    configured(&mut session, "another log's", &peer("other", &other), &[]);
    configured(&mut session, "two of one name", &[peer("a", &other), peer("a", &other)].concat(), &[]);
    session.into_records()
}

fn frames() -> Vec<Record> {
    let mut session = case("frames", "browser-cross-origin-frame", 0);
    trusting(&mut session, "not allowed", &[]);
    trusting(&mut session, "allowed", &["--allow-cross-origin"]);
    let top = ["--allow-cross-origin", "--allow-top-origin", "https://portal.example"];
    trusting(&mut session, "of another origin", &top);
    trusting(&mut session, "not any more", &[]);
    session.into_records()
}
