//! The lies of `countersign-testlog serve`, over HTTP, as tiles and behind the JSON API.
//!
//! Left out are those that are answered by waiting: how often a program asks, and what it says of the last try, is a
//! matter of time.

use super::audit;
use serde_json::Value;
use support::recorded::{Record, Session};
use support::served::Served;

/// Lies that leave something undecided, and are answered at once.
const AT_ONCE: [&str; 6] =
    ["no-head:404", "no-entries:short", "history-omits", "redirect-loop", "redirect-elsewhere", "html"];

/// One lie, in one way of being served.
pub struct Row {
    lie: String,
    way: &'static str,
    audits: u64,
    options: Vec<String>,
}

/// Those whose answer takes no time, from the table that the test log prints.
pub fn rows() -> Vec<Row> {
    let table = std::process::Command::new(support::built("countersign-testlog"))
        .args(["lies", "--format", "json"])
        .output()
        .unwrap();
    let table: Vec<Value> = serde_json::from_slice(&table.stdout).unwrap();
    let mut rows = Vec::new();
    for row in table.iter().filter(|row| row["kind"] == "lie") {
        for way in ["tiles", "api"] {
            let expected = &row[way];
            let waits = expected["exit"] == 3 && !AT_ONCE.contains(&row["option"].as_str().unwrap());
            if expected.is_null() || waits {
                continue;
            }
            let options = expected["options"].as_array().unwrap().iter();
            rows.push(Row {
                lie: row["option"].as_str().unwrap().to_owned(),
                way,
                audits: expected["audits"].as_u64().unwrap(),
                options: options.map(|option| option.as_str().unwrap().to_owned()).collect(),
            });
        }
    }
    rows
}

/// The reports on one lie.
pub fn records(row: &Row) -> Vec<Record> {
    let log = Served::start(&["--entries", "300", "--lie", &row.lie]);
    let mut session = Session::new(format!("{} by {}", row.lie, row.way));
    session.place("key", log.log_key());
    // Its heads are dated now.
    session.hide("headTime");
    if row.way == "api" {
        // Which proofs are asked for is drawn.
        session.hide("served-proofs");
    }
    session.place("log", if row.way == "tiles" { log.tiles_url() } else { log.api_url() });
    session.place("url", log.url.clone());
    let options: Vec<&str> = row.options.iter().map(String::as_str).collect();
    for number in 0..row.audits {
        let first: &[&str] = if number == 0 { &["--init"] } else { &[] };
        let trust = [&["--log-key", "{key}"][..], &super::PARTY, &["--timeout", "30s", "--retry-for", "30s"]];
        audit(&mut session, &format!("audit {number}"), &[&trust.concat()[..], &options, first].concat());
    }
    session.verify_evidence("{key}");
    session.into_records()
}
