//! The commands beside `audit`: receipts, heads, evidence, the mirror.

use super::{PARTY, audit};
use serde_json::Value;
use support::case::{fixtures, named};
use support::receipt_cli::{DEMO_ID, DEMO_KEY};
use support::recorded::{Record, Session};

/// One session, or a few that belong together.
pub type Job = Box<dyn Fn() -> Vec<Record> + Send + Sync>;

/// All of them.
pub fn jobs() -> Vec<Job> {
    let mut jobs: Vec<Job> = vec![Box::new(receipts_from_the_mirror), Box::new(receipts_from_the_log)];
    for log in ["honest-grows", "history-same-size-fork", "history-rewritten", "history-rollback"] {
        for ours in [0, 1] {
            jobs.push(Box::new(move || heads_of_others(log, ours)));
        }
    }
    for (number, damage) in DAMAGES.iter().enumerate() {
        jobs.push(Box::new(move || damaged_mirror(number, damage)));
    }
    jobs.push(Box::new(evidence));
    jobs
}

/// A receipt of the independent implementation, and how it is checked.
pub struct Case {
    name: String,
    args: Vec<String>,
    trust: Value,
}

/// All of `fixtures/receipts/cases.json`.
pub fn receipt_cases() -> Vec<Case> {
    let trust: Value =
        serde_json::from_slice(&std::fs::read(fixtures().join("receipts/cases.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let cases = trust["cases"].as_array().unwrap().iter().map(|case| {
        let skip = |name: &str| case[name].as_bool() == Some(true);
        let mut args = vec![format!("{{fixtures}}/receipts/{}", text(&case["file"]))];
        let mut own = case["args"].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        if let Some(at) = own.iter().position(|arg| arg == "--payload") {
            own[at + 1] = format!("{{fixtures}}/receipts/{}", own[at + 1]);
        }
        args.extend(own);
        let trusted = |option: &str, value: &Value| vec![option.to_owned(), text(value)];
        if !skip("withoutKey") {
            args.extend(["--log-key".to_owned(), "{key}".to_owned()]);
        }
        if !skip("withoutRp") {
            args.extend(trusted("--rp-id", &trust["rpId"]));
            args.extend(trusted("--allow-origin", &trust["allowOrigins"][0]));
        }
        Case { name: text(&case["name"]), args, trust: trust["logKey"].clone() }
    });
    cases.collect()
}

/// The reports on one: with its options, with warnings denied, and with expectations that it does not meet.
pub fn verify(case: &Case) -> Vec<Record> {
    let mut session = Session::new(case.name.clone());
    session.place("key", case.trust.as_str().unwrap());
    let args: Vec<&str> = case.args.iter().map(String::as_str).collect();
    let base = [&["verify", "--format", "json", "--evidence-dir", "{dir}"], &args[..]].concat();
    session.run("verify", &base);
    session.run("warnings denied", &[&base[..], &["--deny-warnings", "--approver", "nobody"]].concat());
    session.into_records()
}

fn demo(name: &str) -> Session {
    let mut session = Session::new(name);
    session.place("log", fixtures().join("demo").canonicalize().unwrap().display().to_string());
    session.place("key", DEMO_KEY);
    session
}

fn trusting(session: &mut Session, step: &str, options: &[&str]) {
    audit(session, step, &[&["--init", "--log-key", "{key}"], &PARTY[..], options].concat());
}

const VERIFY: [&str; 7] = ["verify", "{dir}/receipt", "--format", "json", "--log-key", "{key}", "--approver"];

/// Asks for a receipt, and checks what was written.
fn receipt(session: &mut Session, step: &str, options: &[&str]) {
    let trust = [&["receipt", "--log-key", "{key}"][..], &PARTY].concat();
    let written = session.run(step, &[&trust, options].concat());
    if !written.is_empty() {
        session.write("receipt", written);
        session.run(&format!("{step}: verify"), &[&VERIFY[..], &["alex"], &PARTY].concat());
    }
}

fn receipts_from_the_mirror() -> Vec<Record> {
    let mut session = demo("receipts from the mirror");
    trusting(&mut session, "audit", &[]);
    receipt(&mut session, "by id", &["--db", "{db}", DEMO_ID]);
    receipt(&mut session, "tlog-proof", &["--db", "{db}", DEMO_ID, "--format", "tlog-proof"]);
    for index in ["0", "5", "255", "256", "799", "800"] {
        receipt(&mut session, &format!("of {index}"), &["--db", "{db}", "--index", index]);
    }
    receipt(&mut session, "of nobody", &["--db", "{db}", "nobody"]);
    let mut records = session.into_records();
    let mut session = Session::new("receipts of one approver");
    let small = named("assertion-signature-flipped");
    session.place("key", small.log_key.clone());
    session.place("log", small.last_step().canonicalize().unwrap().display().to_string());
    trusting(&mut session, "audit", &[]);
    receipt(&mut session, "all of alex", &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all"]);
    let all = ["verify", "{dir}/all", "--format", "json", "--log-key", "{key}"];
    session.run("verify all", &[&all[..], &PARTY].concat());
    records.extend(session.into_records());
    records
}

fn receipts_from_the_log() -> Vec<Record> {
    let mut session = demo("receipts from the log");
    for index in ["0", "5", "799", "800"] {
        receipt(&mut session, &format!("of {index}"), &["--from-log", "--log", "{log}", "--index", index]);
    }
    receipt(&mut session, "by id", &["--from-log", "--log", "{log}", DEMO_ID]);
    for log in ["assertion-signature-flipped", "head-wrong-root", "served-bundle-missing"] {
        let case = named(log);
        session.place("key", case.log_key.clone());
        session.place("log", case.last_step().canonicalize().unwrap().display().to_string());
        for index in ["0", "5"] {
            let step = format!("of {index} of {log}");
            receipt(&mut session, &step, &["--from-log", "--log", "{log}", "--index", index]);
        }
    }
    session.into_records()
}

fn heads_of_others(log: &str, ours: usize) -> Vec<Record> {
    let theirs = 1 - ours;
    let case = named(log);
    let [at, other] =
        [ours, theirs].map(|step| case.steps()[step].canonicalize().unwrap().display().to_string());
    let mut session = Session::new(format!("heads of t{theirs} of {log}"));
    session.place("key", case.log_key);
    session.place("log", at);
    session.place("theirs", other);
    trusting(&mut session, "audit", &[]);
    let command = |words: &[&'static str]| {
        [words, &["--db", "{db}", "--log-key", "{key}", "--format", "json"]].concat()
    };
    session.run("import", &command(&["heads", "import", "{theirs}/checkpoint"]));
    session.run("import again", &command(&["heads", "import", "{theirs}/checkpoint"]));
    session.run("import sth", &command(&["heads", "import", "{theirs}/sth"]));
    session.run("import nothing", &command(&["heads", "import", "{dir}/mirror.db.mark"]));
    session.run("export", &command(&["heads", "export"]));
    session.run("list", &command(&["heads", "list"]));
    trusting(&mut session, "audit later", &[]);
    session.verify_evidence("{key}");
    session.into_records()
}

/// Statements that damage a mirror.
const DAMAGES: [&str; 8] = [
    "SELECT 1",
    "DELETE FROM heads WHERE size = (SELECT min(size) FROM heads)",
    "DELETE FROM heads",
    "DELETE FROM keys",
    "DELETE FROM findings",
    "UPDATE leaves SET leaf = x'7b7d' WHERE idx = 5",
    "UPDATE nodes SET hash = zeroblob(32) WHERE n = 0",
    "UPDATE entry_columns SET approver = 'x' WHERE idx = 3",
];

fn damaged_mirror(number: usize, damage: &str) -> Vec<Record> {
    let case = named("across-replay-between-runs");
    let mut session = Session::new(format!("damaged mirror {number}"));
    session.place("key", case.log_key.clone());
    for step in case.steps() {
        session.place("log", step.canonicalize().unwrap().display().to_string());
        trusting(&mut session, "audit", &[]);
    }
    let db = session.directory().join("mirror.db");
    rusqlite::Connection::open(db).unwrap().execute_batch(damage).unwrap();
    let check = ["mirror", "check", "--db", "{db}", "--log-key", "{key}", "--format", "json"];
    trusting(&mut session, "audit, damaged", &[]);
    session.run("check", &check);
    session.run("rebuild", &[&check[..], &["--rebuild"]].concat());
    session.run("check again", &check);
    trusting(&mut session, "audit, made again", &[]);
    trusting(&mut session, "in full", &["--full"]);
    session.into_records()
}

fn evidence() -> Vec<Record> {
    let mut session = Session::new("evidence");
    let trust: Value =
        serde_json::from_slice(&std::fs::read(fixtures().join("receipts/cases.json")).unwrap()).unwrap();
    session.place("key", trust["logKey"].as_str().unwrap());
    session.place("other", DEMO_KEY);
    let file = "{fixtures}/receipts/misbehaviour-same-size-fork-7536ad63887f930c.json";
    for (step, key, file) in [
        ("of this log", "{key}", file),
        ("with another log's key", "{other}", file),
        ("no evidence", "{key}", "{fixtures}/receipts/good-0-of-1.json"),
        ("no file", "{key}", "{dir}/nowhere"),
    ] {
        session.run(step, &["evidence", "verify", file, "--log-key", key, "--format", "json"]);
    }
    session.into_records()
}
