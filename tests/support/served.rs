//! `countersign-testlog serve`, started for one test and ended with it.

use super::{Reply, TestServer};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A log over HTTP in a process of its own.
pub struct Served {
    /// The base of both ways.
    pub url: String,
    /// What it announced when it was ready: url, logKey, rpId, allowOrigins, treeSize.
    pub announced: Value,
    /// The process; killed when this is dropped.
    pub child: Child,
}

impl Served {
    /// Starts `countersign-testlog serve` with these arguments, and waits until it listens.
    #[track_caller]
    pub fn start(args: &[&str]) -> Served {
        let mut child = Command::new(crate::built("countersign-testlog"))
            .arg("serve")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{args:?}: {error}: {line:?}"));
        Served { url: announced["url"].as_str().unwrap().to_owned(), announced, child }
    }

    /// What `--log` is for the tiled log.
    pub fn tiles_url(&self) -> String {
        self.url.clone()
    }

    /// What `--log` is for the JSON API.
    pub fn api_url(&self) -> String {
        format!("api+{}", self.url)
    }

    /// The log's verifier key.
    pub fn log_key(&self) -> &str {
        self.announced["logKey"].as_str().unwrap()
    }

    /// The requests so far.
    pub fn stats(&self) -> Value {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}/stats", self.url.trim_end_matches("/log"))).send().unwrap();
        serde_json::from_slice(&answer.bytes().unwrap()).unwrap()
    }

    /// Waits until so many requests have come, whoever they were from.
    #[track_caller]
    pub fn wait_asked(&self, requests: u64) {
        super::until("asked so often", || self.stats()["requests"].as_u64().unwrap() >= requests);
    }
}

/// A log in front of which some requests are held until the test lets them go on.
pub struct Held {
    front: TestServer,
    asked: Arc<AtomicBool>,
    go: Arc<AtomicBool>,
}

impl Held {
    /// Holds every request whose path has this part.
    pub fn at(log: &Served, part: &'static str) -> Held {
        let (asked, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&asked);
        let (may_go, behind) = (Arc::clone(&go), log.url.trim_end_matches('/').to_owned());
        let front = TestServer::start(move |request| {
            if request.path.contains(part) {
                seen.store(true, SeqCst);
                super::until("let go on", || may_go.load(SeqCst));
            }
            let client =
                reqwest::blocking::Client::builder().no_proxy().timeout(super::HANG).build().unwrap();
            let answer = client.get(format!("{behind}{}", request.path)).send().unwrap();
            let status = answer.status().to_string();
            Reply::status(&status, "Content-Type: application/octet-stream\r\n", answer.bytes().unwrap())
        });
        Held { front, asked, go }
    }

    /// What `--log` is for the tiled log, and with `api+` before it for the JSON API.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// Waits until one of them is held.
    #[track_caller]
    pub fn wait_asked(&self) {
        super::until("held", || self.asked.load(SeqCst));
    }

    /// Answers them, and holds none any more.
    pub fn go_on(&self) {
        self.go.store(true, SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.go_on();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself, which some tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
