//! The real program, run as a cron job would run it, and its report, read as a script would.

use super::text::assert_fit_for_a_terminal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No test needs longer for one run; a run that does hangs.
const PATIENCE: Duration = super::HANG;

/// The relying party id of every test log.
pub const RP_ID: &str = "approvals.example";

/// The web origin of every test log.
pub const WEB_ORIGIN: &str = "https://approvals.example";

/// How one run of the program ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code.
    pub exit: i32,
    /// What was printed.
    pub stdout: String,
    /// What was said besides.
    pub stderr: String,
}

impl Outcome {
    fn new(output: Output) -> Outcome {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "the program panicked:\n{stderr}");
        assert_fit_for_a_terminal(&stdout);
        assert_fit_for_a_terminal(&stderr);
        let exit = output.status.code().expect("the program was killed");
        assert!((0..=5).contains(&exit), "exit code {exit}:\n{stderr}");
        Outcome { exit, stdout, stderr }
    }

    /// The JSON report.
    pub fn report(&self) -> Value {
        let report: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no report ({error}): {}\n{}", self.stdout, self.stderr));
        assert_eq!(report["exitCode"], self.exit, "the report and the exit code differ");
        report
    }

    /// The verdict in the report.
    pub fn verdict(&self) -> String {
        self.report()["verdict"].as_str().unwrap().to_owned()
    }

    /// Every finding as code and index, as the report lists them.
    pub fn findings(&self) -> Vec<(String, Option<u64>)> {
        findings(&self.report())
    }

    /// The codes above `info`, each once, sorted.
    pub fn codes(&self) -> Vec<String> {
        let report = self.report();
        let serious =
            report["findings"].as_array().unwrap().iter().filter(|found| found["severity"] != "info");
        let mut codes: Vec<String> =
            serious.map(|found| found["code"].as_str().unwrap().to_owned()).collect();
        codes.sort();
        codes.dedup();
        codes
    }

    /// Asserts exit code and the codes of all findings above `info`.
    #[track_caller]
    pub fn expect(&self, exit: i32, codes: &[&str]) -> &Outcome {
        assert_eq!(
            (self.exit, self.codes()),
            (exit, codes.iter().map(|code| (*code).to_owned()).collect()),
            "{self:#?}"
        );
        self
    }

    /// Asserts a local fault whose text has all of `words`, and no findings.
    #[track_caller]
    pub fn expect_fault(&self, words: &[&str]) -> &Outcome {
        assert_eq!(self.exit, 5, "{self:#?}");
        let output = format!("{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(output.contains(word), "{word:?} is not said in:\n{output}");
        }
        self
    }
}

/// Every finding of a report as code and index.
pub fn findings(report: &Value) -> Vec<(String, Option<u64>)> {
    let found = report["findings"].as_array().expect("findings");
    found.iter().map(|f| (f["code"].as_str().unwrap().to_owned(), f["index"].as_u64())).collect()
}

/// The parts of a report that must not depend on how often, in how many runs and from which source the
/// log was audited: all but the times, the location and what was new.
pub fn lasting(report: &Value) -> Value {
    let mut lasting = report.clone();
    let report = lasting.as_object_mut().unwrap();
    for name in ["startedAt", "finishedAt", "durationMs", "notes", "ended"] {
        report.remove(name);
    }
    let source = report["log"].as_object_mut().unwrap().remove("source").unwrap();
    let source = source.as_str().unwrap().trim_end_matches('/');
    report["entries"].as_object_mut().unwrap().remove("new");
    report["heads"].as_object_mut().unwrap().remove("new");
    for finding in report["findings"].as_array_mut().unwrap() {
        let finding = finding.as_object_mut().unwrap();
        finding.remove("firstSeen");
        let message = finding["message"].as_str().unwrap().replace(source, "LOG");
        finding.insert("message".to_owned(), message.into());
        if let Some(path) = finding["evidence"].as_str() {
            let name = Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
            finding.insert("evidence".to_owned(), name.into());
        }
    }
    lasting
}

/// One auditor: a directory of its own with the mirror in it, and what it trusts.
pub struct Auditor {
    directory: TempDir,
    /// Options of every run; a test may change them.
    pub trust: Vec<String>,
}

impl Auditor {
    /// An auditor who pins this log key, and the relying party of the test logs.
    pub fn new(log_key: &str) -> Auditor {
        let trust = ["--log-key", log_key, "--rp-id", RP_ID, "--allow-origin", WEB_ORIGIN];
        Auditor { directory: tempfile::tempdir().unwrap(), trust: trust.map(str::to_owned).to_vec() }
    }

    /// Where the auditor keeps things.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The mirror.
    pub fn db(&self) -> PathBuf {
        self.directory().join("mirror.db")
    }

    /// The mirror's name with something appended, such as its mark.
    pub fn beside_db(&self, suffix: &str) -> PathBuf {
        self.directory().join(format!("mirror.db{suffix}"))
    }

    /// `countersign audit` of `log`, not yet started.
    pub fn audit_command(&self, log: impl AsRef<Path>, options: &[&str]) -> Command {
        let mut command = program();
        command.arg("audit").arg("--log").arg(log.as_ref()).arg("--db").arg(self.db());
        command.args(&self.trust).args(["--format", "json"]).args(options);
        command
    }

    /// Runs `countersign audit`.
    #[track_caller]
    pub fn audit(&self, log: impl AsRef<Path>, options: &[&str]) -> Outcome {
        run(self.audit_command(log, options))
    }

    /// The first audit.
    #[track_caller]
    pub fn init(&self, log: impl AsRef<Path>) -> Outcome {
        self.audit(log, &["--init"])
    }

    /// Runs another command with the auditor's log key; `{db}` in `arguments` is the mirror.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Outcome {
        let db = self.db().display().to_string();
        let mut command = program();
        command.args(arguments.iter().map(|argument| argument.replace("{db}", &db)));
        command.args(self.trust.iter().take(2));
        run(command)
    }

    /// Every mirrored leaf, in order.
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        let db = rusqlite::Connection::open_with_flags(self.db(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
        let mut select = db.prepare("SELECT CAST(leaf AS BLOB) FROM leaf_text ORDER BY \"index\"").unwrap();
        let leaves = select.query_map([], |row| row.get(0)).unwrap();
        leaves.map(Result::unwrap).collect()
    }

    /// Changes the mirror with SQL, as anybody who can write the file could.
    pub fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.db()).unwrap().execute_batch(sql).unwrap();
    }
}

/// The program, with no proxy of the machine in its way.
pub fn program() -> Command {
    let mut command = Command::new(crate::built("countersign"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end; one that does not end is killed and fails the test.
#[track_caller]
pub fn run(command: Command) -> Outcome {
    run_watched(command).outcome
}

/// How a run ended, and what it took.
#[derive(Debug)]
pub struct Watched {
    /// How it ended.
    pub outcome: Outcome,
    /// From its start to its end.
    pub took: Duration,
    /// Peak resident memory in bytes, where the system tells (Linux).
    pub peak: Option<u64>,
}

/// Runs a command to its end, watching it; one that does not end is killed and fails the test.
#[track_caller]
pub fn run_watched(mut command: Command) -> Watched {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let started = Instant::now();
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let mut peak = None;
    loop {
        match waiting.recv_timeout(Duration::from_millis(5)) {
            Ok(output) => {
                let (outcome, took) = (Outcome::new(output.unwrap()), started.elapsed());
                return Watched { outcome, took, peak };
            }
            // The peak only grows, so the last reading misses at most what 5 ms brought.
            Err(_) if started.elapsed() < PATIENCE => peak = peak_of(id).or(peak),
            Err(_) => {
                let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
                panic!("no end after {:?}: {command:?}", started.elapsed());
            }
        }
    }
}

fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
