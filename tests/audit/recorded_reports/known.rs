//! Every log of the fixtures, step by step with one mirror, in several ways.

use super::{PARTY, audit};
use support::case::{all, fixtures};
use support::recorded::{Record, Session};
use support::serve_dir;

/// A log, and what it serves at successive audits.
pub struct Known {
    name: String,
    key: String,
    steps: Vec<String>,
}

/// All of them, the demo log too.
pub fn logs() -> Vec<Known> {
    let root = fixtures().canonicalize().unwrap();
    let mut logs: Vec<Known> = all()
        .iter()
        .map(|case| {
            let steps = case.steps().into_iter().map(|step| {
                let step = step.canonicalize().unwrap();
                format!("{{fixtures}}/{}", step.strip_prefix(&root).unwrap().display())
            });
            Known { name: case.name.clone(), key: case.log_key.clone(), steps: steps.collect() }
        })
        .collect();
    let demo = support::receipt_cli::DEMO_KEY.to_owned();
    logs.push(Known { name: "demo".to_owned(), key: demo, steps: vec!["{fixtures}/demo".to_owned()] });
    logs
}

/// The reports on one log.
pub fn of(log: &Known) -> Vec<Record> {
    let ways = [with_all_trust, without_a_party, heads_alone, over_http];
    ways.iter().flat_map(|way| way(log).into_records()).collect()
}

fn session(log: &Known, way: &str) -> Session {
    let mut session = Session::new(format!("{}, {way}", log.name));
    session.place("key", log.key.clone());
    session
}

/// One audit a step, the first of which makes the mirror.
fn steps(session: &mut Session, log: &Known, options: &[&str]) {
    for (number, step) in log.steps.iter().enumerate() {
        at(session, step);
        let first: &[&str] = if number == 0 { &["--init"] } else { &[] };
        audit(session, &format!("t{number}"), &[&["--log-key", "{key}"], options, first].concat());
    }
}

/// What `{log}` is from now on.
fn at(session: &mut Session, step: &str) {
    let root = fixtures().canonicalize().unwrap().display().to_string();
    session.place("log", step.replace("{fixtures}", &root));
}

fn with_all_trust(log: &Known) -> Session {
    let mut session = session(log, "all trust");
    steps(&mut session, log, &PARTY);
    let trust = [&["--log-key", "{key}"][..], &PARTY].concat();
    audit(&mut session, "again", &trust);
    audit(&mut session, "again, in full", &[&trust[..], &["--full"]].concat());
    audit(&mut session, "warnings denied", &[&trust[..], &["--deny-warnings"]].concat());
    audit(&mut session, "heads alone, later", &[&trust[..], &["--heads-only"]].concat());
    audit(&mut session, "head age", &[&trust[..], &["--max-head-age", "36h"]].concat());
    session.verify_evidence("{key}");
    for command in [&["heads", "list"][..], &["heads", "export"], &["mirror", "check"]] {
        let args = [command, &["--db", "{db}", "--log-key", "{key}", "--format", "json"]].concat();
        session.run(&command.join(" "), &args);
    }
    // An auditor who has what the last step serves goes back to the first.
    if log.steps.len() > 1 {
        at(&mut session, &log.steps[0]);
        audit(&mut session, "the first step again", &trust);
    }
    session
}

fn without_a_party(log: &Known) -> Session {
    let mut session = session(log, "no party");
    steps(&mut session, log, &[]);
    let is_small = log.steps.iter().all(|step| !has_a_whole_bundle(step));
    // It is a finding an entry.
    if is_small {
        audit(
            &mut session,
            "other origin",
            &["--log-key", "{key}", "--allow-origin", "https://other.example"],
        );
    }
    audit(&mut session, "then all trust", &[&["--log-key", "{key}"][..], &PARTY].concat());
    session
}

fn has_a_whole_bundle(step: &str) -> bool {
    let root = fixtures().display().to_string();
    std::path::Path::new(&step.replace("{fixtures}", &root)).join("tile/entries/000").is_file()
}

fn heads_alone(log: &Known) -> Session {
    let mut session = session(log, "heads alone");
    steps(&mut session, log, &["--heads-only"]);
    audit(&mut session, "then entries", &[&["--log-key", "{key}"][..], &PARTY].concat());
    session
}

fn over_http(log: &Known) -> Session {
    let mut session = session(log, "over HTTP");
    for (number, step) in log.steps.iter().enumerate() {
        at(&mut session, step);
        let server =
            serve_dir(std::path::Path::new(&step.replace("{fixtures}", fixtures().to_str().unwrap())));
        session.place("log", server.url());
        let first: &[&str] = if number == 0 { &["--init"] } else { &[] };
        audit(&mut session, &format!("t{number}"), &[&["--log-key", "{key}"], &PARTY[..], first].concat());
    }
    session
}
