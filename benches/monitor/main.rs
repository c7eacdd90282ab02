//! What a monitor costs while nothing happens: `cargo bench --bench monitor` prints a Markdown table.
//!
//! The real program over HTTP, with a mirror of 200,000 entries: after the first audit of them all in the same
//! process, whose memory must be released again, and after a restart. Linux only, for the figures of a process.
//! The log stays in `target/bench-logs`, where `--bench audit` has it as well.
#![forbid(unsafe_code)]

#[expect(dead_code, reason = "the other bench uses more of it")]
#[path = "../audit/log.rs"]
mod log;
#[cfg(target_os = "linux")]
use support::process;
#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "the other bench uses more of it")]
#[path = "../audit/served.rs"]
mod served;

#[cfg(target_os = "linux")]
fn main() {
    rest::print();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this is measured on Linux only");
}

#[cfg(target_os = "linux")]
mod rest {
    use super::log::BenchLog;
    use super::process::Process;
    use super::served::Server;
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    const ENTRIES: u64 = 200_000;

    /// How long a process is measured: several of the shorter intervals.
    const LOOK: Duration = Duration::from_secs(60);

    /// No audit takes longer.
    const PATIENCE: Duration = Duration::from_secs(600);

    /// Ended when it is dropped.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    pub fn print() {
        let log = BenchLog::of(ENTRIES);
        let home = tempfile::tempdir().expect("there is room for a mirror");
        let server = Server::start(&log);
        println!("| monitor at rest | processor | resident | most ever |\n|---|---|---|---|");
        println!("| target | below 1 % | at most 40 MB | |");
        for (what, interval) in [
            ("every 10 s, after the first audit of all", "10s"),
            ("every 10 s, after a restart", "10s"),
            ("every 5 min, after a restart", "5m"),
        ] {
            write_config(home.path(), &log, &server.tiles(), interval);
            let (monitor, audits) = monitor(home.path());
            audits.recv_timeout(PATIENCE).expect("an audit ends");
            let process = Process(monitor.0.id());
            let load = process.load(LOOK);
            let [resident, peak] = [process.resident(), process.peak()].map(|kib| kib as f64 / 1024.0);
            println!("| {what} | {load:.2} % | {resident:.1} MiB | {peak:.1} MiB |");
        }
    }

    fn write_config(home: &Path, log: &BenchLog, url: &str, interval: &str) {
        let db = home.join("mirror.db");
        let init = !db.exists();
        let text = format!(
            "listen = \"0\"\ninterval = {interval:?}\nlog-format = \"json\"\n[[log]]\nname = \"main\"\nlog = {url:?}\n\
             db = {db:?}\nlog-key = {:?}\nrp-id = \"approvals.example\"\n\
             allow-origin = [\"https://approvals.example\"]\ninit = {init}\n",
            log.text("logKey")
        );
        std::fs::write(home.join("monitor.toml"), text).expect("the directory is writable");
    }

    /// A monitor, and the events of its audits.
    fn monitor(home: &Path) -> (Running, Receiver<()>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["monitor", "--config"])
            .arg(home.join("monitor.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built with this one");
        let (say, audits) = channel();
        let stderr = child.stderr.take().expect("it is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("\"event\":\"audited\"") {
                    assert!(line.contains("\"verdict\":\"clean\""), "{line}");
                    let _ = say.send(());
                }
            }
        });
        (Running(child), audits)
    }
}
