//! Every lie and every disturbance of `countersign-testlog serve`, as a client sees it: a lie changes
//! what is answered, from the phase on in which it begins; transient faults change nothing for those who
//! ask again.

use countersign::core::api::path;
use countersign::core::hash::{Hash, sha256};
use reqwest::blocking::Client;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::process::Command;
use std::time::Duration;
use support::lab::on_all_cores;
use support::served::Served;

const DEMO: [&str; 10] = [
    "--dir",
    concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo"),
    "--seed",
    "countersign demo",
    "--origin",
    "log.approvals.example/demo",
    "--approvers",
    "4",
    "--mix",
    "es256=1",
];

/// An entry of the demo log that is neither first, nor last, nor in the middle.
const ID: &str = "2a72431f-a875-40f6-aa04-1e5cbe4fa5d3";

/// What is read of a body: more than any honest one here has.
const MOST: u64 = 2 << 20;

/// Ways of serving the demo log.
fn served(more: &[&str]) -> Served {
    Served::start(&[&DEMO, more].concat())
}

fn client(timeout: Duration) -> Client {
    let builder = Client::builder().no_proxy().no_gzip().no_zstd().timeout(timeout).user_agent("mallory/1");
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The resources that one audit may read of each way, heads first.
fn resources() -> [Vec<String>; 2] {
    let tiles = [
        "checkpoint",
        "sth",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/003.p/32",
        "tile/0/003.p/32",
    ];
    let api = [
        path::HEAD.to_owned(),
        path::entries(0, 256),
        path::entries(256, 256),
        path::entries(768, 32),
        path::consistency(100, 800),
        path::inclusion(7, 800),
        path::heads(0, 100),
        path::verification(ID).unwrap(),
    ];
    [tiles.map(str::to_owned).to_vec(), api.to_vec()]
}

/// The parts of an answer that distinguish two logs: status, relevant headers, and body.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Nothing,
    Answer(u16, Vec<String>, Hash),
}

fn see(client: &Client, log: &Served, resource: &str) -> Seen {
    let Ok(answer) = client.get(format!("{}/{resource}", log.url)).send() else { return Seen::Nothing };
    let status = answer.status().as_u16();
    let headers = ["content-encoding", "content-type", "retry-after"].map(|name| {
        answer.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    });
    let mut body = Vec::new();
    match answer.take(MOST).read_to_end(&mut body) {
        Ok(_) => Seen::Answer(status, headers.to_vec(), sha256(&body)),
        Err(_) => Seen::Nothing,
    }
}

/// Two audits of one way.
fn two_audits(client: &Client, log: &Served, resources: &[String]) -> [Vec<Seen>; 2] {
    [0, 1].map(|_| resources.iter().map(|resource| see(client, log, resource)).collect())
}

fn table() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
    let output = command.args(["lies", "--format", "json"]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    table().into_iter().filter(|row| row["kind"] == kind).collect()
}

#[test]
fn every_lie_and_disturbance_is_listed_once() {
    let rows = table();
    let mut seen = HashSet::new();
    for row in &rows {
        let option = (row["kind"].as_str().unwrap(), row["option"].as_str().unwrap());
        assert!(seen.insert(option), "{option:?} is there twice");
        assert!(option.1.starts_with(row["name"].as_str().unwrap()));
        assert!(!row["does"].as_str().unwrap().is_empty());
        assert!(!(row["tiles"].is_null() && row["api"].is_null()), "{option:?} has no effect");
        for expected in [&row["tiles"], &row["api"]].into_iter().filter(|expected| !expected.is_null()) {
            let verdicts = ["clean", "invalid", "", "incomplete", "violation"];
            let exit = expected["exit"].as_u64().unwrap();
            assert_eq!(expected["verdict"], verdicts[exit as usize], "{option:?}");
            assert_eq!(expected["evidence"].as_array().unwrap().is_empty(), exit != 4, "{option:?}");
        }
    }
    for format in ["text", "markdown"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
        let output = command.args(["lies", "--format", format]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(rows.iter().all(|row| text.contains(row["does"].as_str().unwrap())), "{format}");
    }
}

#[test]
fn every_lie_begins_in_its_phase() {
    let (patient, impatient) = (client(Duration::from_secs(20)), client(Duration::from_millis(400)));
    let honest = resources().map(|resources| {
        let log = served(&[]);
        let [first, second] = two_audits(&patient, &log, &resources);
        assert_eq!(first, second, "an honest log that does not grow answers the same again");
        first
    });
    let lies = of_kind("lie");
    on_all_cores(lies.len(), |_, at| {
        let lie = &lies[at];
        let option = lie["option"].as_str().unwrap();
        let client = if option.contains("timeout") || option == "slow-drip" { &impatient } else { &patient };
        for ((way, resources), honest) in ["tiles", "api"].into_iter().zip(resources()).zip(&honest) {
            let log = served(&["--lie", option]);
            let [first, second] = two_audits(client, &log, &resources);
            if lie[way].is_null() {
                assert_eq!([&first, &second], [honest, honest], "{option} is no lie of {way}");
                continue;
            }
            assert_ne!(second, *honest, "{option} is not served by {way}");
            // A head that is rolled back to was signed, and so listed, from the beginning.
            let later = ["fork-at", "rewrite", "shrink", "key-swap"].contains(&option)
                || option == "rollback" && way == "tiles";
            assert_eq!(first == *honest, later, "{option} by {way}");
            assert_eq!(log.stats()["requests"], 2 * resources.len());
        }
    });
}

#[test]
fn a_lie_changes_only_its_kind_of_answer() {
    let (patient, impatient) = (client(Duration::from_secs(20)), client(Duration::from_millis(400)));
    let [_, resources] = resources();
    let kinds = ["head", "entries", "entries", "entries", "proofs", "proofs", "history", "bundle"];
    let log = served(&[]);
    let honest: Vec<Seen> = resources.iter().map(|resource| see(&patient, &log, resource)).collect();
    let lies: Vec<Value> = of_kind("lie").into_iter().filter(|lie| lie["argument"] == "KIND").collect();
    on_all_cores(lies.len(), |_, at| {
        let name = lies[at]["name"].as_str().unwrap();
        let client = if name == "slow-drip" { &impatient } else { &patient };
        for kind in ["head", "entries", "proofs", "history", "bundle", "all"] {
            let log = served(&["--lie", &format!("{name}:{kind}")]);
            for ((resource, of), truth) in resources.iter().zip(kinds).zip(&honest) {
                let changed = see(client, &log, resource) != *truth;
                assert_eq!(changed, kind == "all" || kind == of, "{name}:{kind} and {resource}");
            }
        }
    });
}

#[test]
fn other_clients_get_honest_answers() {
    let log = served(&["--lie", "fork-by-client:eve"]);
    let honest = served(&[]);
    let client = client(Duration::from_secs(20));
    for resource in resources().concat() {
        assert_eq!(see(&client, &log, &resource), see(&client, &honest, &resource), "{resource}");
    }
}

#[test]
fn lies_can_be_combined() {
    let log = served(&["--lie", "tampered-entry:3", "--lie", "no-head:404", "--lie", "rewrite"]);
    let client = client(Duration::from_secs(20));
    let status = |seen: &Seen| if let Seen::Answer(status, ..) = seen { *status } else { 0 };
    let entries = path::entries(0, 10);
    assert_eq!(status(&see(&client, &log, "checkpoint")), 404);
    let first = see(&client, &log, &entries);
    assert_ne!(first, see(&client, &served(&[]), &entries));
    assert_eq!(status(&see(&client, &log, "checkpoint")), 404);
    assert_ne!(first, see(&client, &log, &entries), "the second head begins phase 2, though it is not shown");
}

#[test]
fn retries_overcome_transient_faults() {
    let honest = served(&[]);
    let client = client(Duration::from_secs(20));
    let all = resources().concat();
    let truth: HashMap<&str, Seen> =
        all.iter().map(|resource| (resource.as_str(), see(&client, &honest, resource))).collect();
    for row in of_kind("disturbance") {
        let name = row["name"].as_str().unwrap();
        let disturbance = format!("{name}:3");
        let log = served(&["--disturb", &disturbance]);
        let mut hit = 0;
        for resource in std::iter::repeat_n(&all, 3).flatten() {
            if see(&client, &log, resource) == truth[resource.as_str()] {
                continue;
            }
            hit += 1;
            if name == "short-pages" {
                continue;
            }
            if name == "restarts" {
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_eq!(
                see(&client, &log, resource),
                truth[resource.as_str()],
                "{disturbance}: {resource}, again"
            );
        }
        // This client accepts no gzip.
        let unseen = ["slow", "gzip-members"].contains(&name);
        assert_eq!(hit == 0, unseen, "{disturbance} hit {hit} times");
    }
}
