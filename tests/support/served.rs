//! `countersign-testlog serve`, started for one test and ended with it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A log over HTTP in a process of its own.
pub struct Served {
    /// The base of both ways.
    pub url: String,
    /// What it said when it was ready: url, logKey, rpId, allowOrigins, treeSize.
    pub told: Value,
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
        let told: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{args:?}: {error}: {line:?}"));
        Served { url: told["url"].as_str().unwrap().to_owned(), told, child }
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
        self.told["logKey"].as_str().unwrap()
    }

    /// What was asked of it so far.
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

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself, which some tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
