//! `countersign monitor`, the real program, started for one test and ended with it.

use super::cli::{RP_ID, WEB_ORIGIN, program};
use super::text::assert_fit_for_a_terminal;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No event that a test waits for comes later.
const PATIENCE: Duration = super::HANG;

/// A running monitor.
pub struct Monitor {
    /// The process; killed when this is dropped.
    pub child: Child,
    events: Arc<Mutex<Vec<Value>>>,
}

/// A `[[log]]` table for a log that always answers in the end; `more` is further lines.
pub fn log_table(name: &str, log: &str, db: &Path, key: &str, more: &str) -> String {
    table(name, log, db, key, &format!("timeout = \"5m\"\nretry-for = \"5m\"\n{more}"))
}

/// The same for a log with outages, with short limits.
pub fn hasty_log_table(name: &str, log: &str, db: &Path, key: &str, more: &str) -> String {
    table(name, log, db, key, &format!("timeout = \"5m\"\nretry-for = \"2s\"\n{more}"))
}

fn table(name: &str, log: &str, db: &Path, key: &str, more: &str) -> String {
    format!(
        "[[log]]\nname = {name:?}\nlog = {log:?}\ndb = {db:?}\nlog-key = {key:?}\nrp-id = {RP_ID:?}\n\
         allow-origin = [{WEB_ORIGIN:?}]\n{more}\n"
    )
}

/// A config file in `directory`: a short interval, any free port, and these tables.
pub fn config(directory: &Path, tables: &str) -> PathBuf {
    let path = directory.join("monitor.toml");
    std::fs::write(&path, format!("listen = \"0\"\ninterval = \"300ms\"\nlog-format = \"json\"\n{tables}"))
        .unwrap();
    path
}

impl Monitor {
    /// Starts it.
    pub fn start(config: &Path) -> Monitor {
        let mut command = program();
        command.arg("monitor").arg("--config").arg(config);
        Monitor::spawn(command)
    }

    /// Starts it with this command.
    pub fn spawn(mut command: Command) -> Monitor {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (heard, stderr) = (Arc::clone(&events), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                assert_fit_for_a_terminal(&line);
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                heard.lock().unwrap().push(event);
            }
        });
        Monitor { child, events }
    }

    /// Every event so far. Other lines are texts.
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }

    /// Events of this kind so far.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// The first event, from the `after`th on, that fits.
    #[track_caller]
    pub fn wait_after(&self, after: usize, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(event) = self.events().into_iter().skip(after).find(&fits) {
                return event;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {what} in {:#?}", self.events());
    }

    /// The first event of this kind.
    #[track_caller]
    pub fn wait(&self, kind: &str) -> Value {
        self.wait_after(0, kind, |event| event["event"] == kind)
    }

    /// Waits for so many more audits.
    #[track_caller]
    pub fn wait_audits(&self, more: usize) {
        let wanted = self.of_kind("audited").len() + more;
        let begun = Instant::now();
        while self.of_kind("audited").len() < wanted {
            assert!(begun.elapsed() < PATIENCE, "no {more} more audits: {:#?}", self.events());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Status and body of a page.
    #[track_caller]
    pub fn page(&self, path: &str) -> (u16, String) {
        let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let answer = client.get(self.url(path)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    }

    /// Requests a page beside callers that sent only `request`, and asserts that it is answered while they are connected.
    /// The monitor closes their connections in time: if this machine was delayed for so long, it is tried again.
    #[track_caller]
    pub fn assert_answers_beside(&self, callers: usize, request: &[u8], page: &str) {
        let url = self.url("");
        let address = url.strip_prefix("http://").unwrap();
        super::until("answered beside them", || {
            let call = |_| {
                let mut caller = TcpStream::connect(address).unwrap();
                // The first callers may be disconnected already.
                let _ = caller.write_all(request);
                caller
            };
            let callers: Vec<TcpStream> = (0..callers).map(call).collect();
            assert_eq!(self.page(page).0, 200, "{page}");
            callers.iter().any(super::is_open)
        });
    }

    /// Where a page is.
    #[track_caller]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.wait("started")["listen"].as_str().unwrap())
    }

    /// The value of a metric, with its labels as they are written.
    #[track_caller]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// Waits until `/healthz` says this.
    #[track_caller]
    pub fn wait_health(&self, status: u16, word: &str) {
        let begun = Instant::now();
        loop {
            let (now, text) = self.page("/healthz");
            if now == status && text.contains(word) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{now} {text}, not {status} {word}: {:#?}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, within `within`, and gives the exit code.
    #[track_caller]
    pub fn end(&mut self, within: Duration) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("it was killed");
            }
            assert!(begun.elapsed() < within, "no end within {within:?}: {:#?}", self.events());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it, which must be quick and exit with 0.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.end(super::HANG), 0, "{:#?}", self.events());
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
