//! Audits inside the test's own process, thousands of them: a log held in memory, a fresh copy of
//! an empty mirror each time.

use super::case::Case;
use super::cli::{RP_ID, WEB_ORIGIN};
use countersign::audit::policy::Policy;
use countersign::core::finding::Severity;
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::core::tlog_policy::TlogPolicy;
use countersign::core::webauthn::RelyingParty;
use countersign::mirror::Mirror;
use countersign::run::{Options, Progress, Run, Silent};
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{FetchError, LogSource, Stop};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A log's files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Reads all files below a directory.
pub fn read_files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Writes files below a directory.
pub fn write_files(root: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A log in memory, one of its files perhaps replaced.
pub struct MemoryLog<'a> {
    /// What it serves.
    pub files: &'a Files,
    /// A file served in place of the one with its path.
    pub instead: Option<(&'a str, Vec<u8>)>,
}

impl Fetcher for MemoryLog<'_> {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        for (place, path) in wanted.paths.iter().enumerate() {
            let bytes = match &self.instead {
                Some((name, bytes)) if name == path => Some(bytes),
                _ => self.files.get(path),
            };
            match bytes {
                Some(bytes) if bytes.len() > wanted.limit => {
                    return Err(FetchError::TooLarge { what: path.clone(), limit: wanted.limit });
                }
                Some(bytes) => return Ok(FetchedFile { place, bytes: bytes.clone() }),
                None => {}
            }
        }
        Err(FetchError::NotFound { what: wanted.paths.concat() })
    }
}

impl<'a> MemoryLog<'a> {
    /// As a source.
    pub fn source(self) -> Tiled<MemoryLog<'a>> {
        Tiled::new(self)
    }
}

/// The result of an audit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Findings above `info`: code and index.
    pub findings: BTreeSet<(String, Option<u64>)>,
    /// What could not be decided.
    pub incomplete: Vec<String>,
    /// Faults on our side.
    pub faults: Vec<String>,
    /// Entries checked.
    pub checked: u64,
}

impl Answer {
    /// No findings, everything decided.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.incomplete.is_empty() && self.faults.is_empty()
    }

    /// The codes found.
    pub fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = self.findings.iter().map(|(code, _)| code.as_str()).collect();
        codes.dedup();
        codes
    }
}

/// Trust in a log key, and in the relying party of the test logs.
pub fn policy(log_key: &str) -> Policy {
    Policy {
        log_key: LogKey::parse(log_key).unwrap(),
        relying_party: RelyingParty {
            rp_id: Some(RP_ID.to_owned()),
            allowed_origins: Some(vec![WEB_ORIGIN.to_owned()]),
            allow_cross_origin: false,
            allowed_top_origins: Vec::new(),
            require_user_verification: true,
        },
        pinned_keys: BTreeMap::new(),
        max_head_age: None,
        witnesses: None,
    }
}

/// Where an auditor begins: an empty mirror, ready to be copied.
pub struct Lab {
    policy: Policy,
    home: TempDir,
    start: PathBuf,
}

impl Lab {
    /// For one log.
    pub fn new(case: &Case) -> Lab {
        Lab::of_key(&case.log_key)
    }

    /// For the log with this key.
    pub fn of_key(log_key: &str) -> Lab {
        let (policy, home) = (policy(log_key), quick_tempdir());
        let start = home.path().join("start.db");
        drop(Mirror::create_or_open(&start, &policy.log_key).unwrap());
        Lab { policy, home, start }
    }

    /// The same with a witness policy.
    pub fn with_witnesses(mut self, witnesses: TlogPolicy) -> Lab {
        self.policy.witnesses = Some(witnesses);
        self
    }

    /// A workspace, on which one thread does its audits one after another.
    pub fn workspace(&self, number: usize) -> Workspace<'_> {
        Workspace { lab: self, db: self.db(number) }
    }

    /// The mirror on a workspace.
    pub fn db(&self, number: usize) -> PathBuf {
        self.home.path().join(format!("workspace-{number}.db"))
    }
}

/// See [`Lab::workspace`].
pub struct Workspace<'a> {
    lab: &'a Lab,
    db: PathBuf,
}

impl Workspace<'_> {
    fn beside(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.db.display()))
    }

    /// Audits a log from scratch.
    pub fn audit(&self, source: &dyn LogSource) -> Answer {
        self.audit_until(source, &Stop::default())
    }

    /// Audits a log from scratch, until it is stopped.
    pub fn audit_until(&self, source: &dyn LogSource, stop: &Stop) -> Answer {
        self.begin();
        self.run(source, false, stop)
    }

    /// Puts an empty mirror on the workspace.
    pub fn begin(&self) {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.beside(suffix));
        }
        fs::copy(&self.lab.start, &self.db).unwrap();
        fs::copy(format!("{}.mark", self.lab.start.display()), self.beside(".mark")).unwrap();
    }

    /// Audits a log with the mirror that is there, or from scratch where there is none.
    pub fn audit_again_or_first(&self, source: &dyn LogSource) -> Answer {
        if self.db.exists() { self.audit_again(source) } else { self.audit(source) }
    }

    /// Audits a log with the mirror that is there.
    pub fn audit_again(&self, source: &dyn LogSource) -> Answer {
        self.run(source, false, &Stop::default())
    }

    /// Audits a log with the mirror that is there, with `--full`.
    pub fn audit_full(&self, source: &dyn LogSource) -> Answer {
        self.run(source, true, &Stop::default())
    }

    /// Audits a log with the mirror that is there, with `--full`, until it is stopped.
    pub fn audit_full_until(&self, source: &dyn LogSource, stop: &Stop) -> Answer {
        self.run(source, true, stop)
    }

    /// Follows the heads of a log with `--heads-only`, with the mirror that is there, or from scratch.
    pub fn follow(&self, source: &dyn LogSource) -> Answer {
        if !self.db.exists() {
            self.begin();
        }
        self.run_with(source, &Silent, |options| options.heads_only = true)
    }

    fn run(&self, source: &dyn LogSource, full: bool, stop: &Stop) -> Answer {
        self.run_with(source, &Silent, |options| {
            options.full = full;
            options.stop = stop.clone();
        })
    }

    /// Audits a log with the mirror that is there and these options.
    pub fn run_with(
        &self,
        source: &dyn LogSource,
        progress: &dyn Progress,
        change: impl FnOnce(&mut Options),
    ) -> Answer {
        let policy = &self.lab.policy;
        let mut mirror = Mirror::open(&self.db, &policy.log_key).unwrap();
        // Every audit has its own time, as in reality.
        static AUDITS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let hours = 2 * AUDITS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let now = 1_900_000_000_000 + hours * 3_600_000;
        let mut options = Options {
            full: false,
            heads_only: false,
            workers: 1,
            evidence_dir: self.lab.home.path().to_owned(),
            max_entries: 1_000_000,
            max_findings: 10_000,
            now: UnixMillis::new(now),
            stop: Stop::default(),
        };
        change(&mut options);
        let summary = Run::new(Some(source), &mut mirror, policy, &options, progress).audit();
        let findings = mirror.findings().standing().unwrap().into_iter().map(|stored| stored.finding);
        Answer {
            findings: findings
                .filter(|finding| finding.severity > Severity::Info)
                .map(|finding| (finding.code.as_str().to_owned(), finding.index))
                .collect(),
            incomplete: [summary.incomplete, summary.follows].concat(),
            faults: summary.faults,
            checked: mirror.state().checked,
        }
    }
}

/// A temporary directory in memory where the system has one: thousands of mirrors need no disk.
pub fn quick_tempdir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// Runs `work` on every number below `count` in as many threads as there are cores; each thread
/// also gets its own number.
pub fn on_all_cores(count: usize, work: impl Fn(usize, usize) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    in_threads(cores, count, work);
}

/// Runs `work` on every number below `count` in so many threads.
pub fn on_threads(threads: usize, count: usize, work: impl Fn(usize) + Sync) {
    in_threads(threads, count, |_, piece| work(piece));
}

fn in_threads(threads: usize, count: usize, work: impl Fn(usize, usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let piece = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if piece >= count {
                        return;
                    }
                    work(thread, piece);
                }
            });
        }
    });
}
