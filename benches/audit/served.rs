//! The log over loopback HTTP, from a server in a separate process.

use super::log::BenchLog;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server; stops when dropped.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Serves a log, read into memory first.
    pub fn start(log: &BenchLog) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"))
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&log.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built with this one");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let announced: Value = serde_json::from_str(&line).expect("a JSON object");
        Server { child, url: announced["url"].as_str().expect("a URL").to_owned() }
    }

    /// Where its tiles are.
    pub fn tiles(&self) -> String {
        self.url.clone()
    }

    /// Where its JSON API is.
    pub fn api(&self) -> String {
        format!("api+{}", self.url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
