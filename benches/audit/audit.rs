//! The real program as a child process, as cron would run it.

use super::log::{BenchLog, home};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One run of the program.
#[derive(Clone, Debug)]
pub struct Measured {
    pub wall: Duration,
    /// Peak resident memory, if the system reports it (Linux).
    pub peak_kib: Option<u64>,
    /// Processor time in ticks, if the system reports it (Linux).
    pub ticks: Option<u64>,
}

/// Processor time of a process so far, user and system. Other load on the machine affects elapsed time but not
/// processor time, so a ratio of ticks is stable.
pub fn ticks(process: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, the name in parentheses, may hold spaces; utime and stime are 14th and 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// A mirror that is deleted when this is dropped.
pub struct Mirror(tempfile::TempDir);

impl Mirror {
    /// No mirror yet: the first audit creates it.
    pub fn new() -> Mirror {
        let dir = tempfile::Builder::new().prefix("mirror-").tempdir_in(home());
        Mirror(dir.expect("target is writable"))
    }

    /// Audits the log, which must be clean.
    pub fn audit(&self, log: &BenchLog) -> Measured {
        self.audit_from(log, &log.dir.display().to_string())
    }

    /// Audits the log as it is served at `from`; it must be clean.
    pub fn audit_from(&self, log: &BenchLog, from: &str) -> Measured {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["audit", "--init", "--format", "json", "--log", from]);
        command.arg("--db").arg(self.0.path().join("mirror.db"));
        command.args(["--log-key", log.text("logKey"), "--rp-id", log.text("rpId")]);
        let origin = log.summary["allowOrigins"][0].as_str().expect("the maker says it");
        command.args(["--allow-origin", origin]).stdout(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().expect("the program was built with this one");
        let (id, done) = (child.id(), AtomicBool::new(false));
        let (status, wall, (peak_kib, ticks), report) = std::thread::scope(|scope| {
            let peak = scope.spawn(|| watch(id, &done));
            let mut report = String::new();
            let stdout = child.stdout.as_mut().expect("it is piped");
            stdout.read_to_string(&mut report).expect("a report");
            let status = child.wait().expect("it is a child of ours");
            let wall = start.elapsed();
            done.store(true, Ordering::Relaxed);
            (status, wall, peak.join().expect("the watch ends"), report)
        });
        assert!(status.success(), "{report}");
        let report: serde_json::Value = serde_json::from_str(&report).expect("a JSON report");
        assert_eq!(
            (&report["verdict"], report["log"]["treeSize"].as_u64()),
            (&"clean".into(), Some(log.size()))
        );
        Measured { wall, peak_kib, ticks }
    }
}

/// Peak memory and ticks. Both only grow, so the last reading misses at most the growth during one pause.
fn watch(process: u32, done: &AtomicBool) -> (Option<u64>, Option<u64>) {
    let (mut peak, mut used) = (None, None);
    while !done.load(Ordering::Relaxed) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).or(peak);
        used = ticks(&process.to_string()).or(used);
        std::thread::sleep(Duration::from_millis(5));
    }
    (peak, used)
}
