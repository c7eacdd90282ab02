//! One watched log and three receivers, taken through the stages of a case by monitors that are killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::cli::Auditor;
use support::monitor::{Monitor, config, hasty_log_table};
use support::receivers::{Got, Receivers};
use support::served::Served;

/// No alert comes later.
const PATIENCE: Duration = Duration::from_secs(300);

/// An alert as it must be: kind, code, severity, and whether a misbehaviour file is with it.
pub type Expected = (&'static str, &'static str, &'static str, bool);

/// What happens to the world at the beginning of a stage.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Nothing but time.
    Pass,
    /// The log's server is stopped.
    Down,
    /// It comes back where it was.
    Up,
    /// The mirror is moved away.
    TakeMirror,
    /// It is put back.
    PutBack,
    /// Another process takes the mirror's lock.
    Hold,
    /// It gives it back.
    Release,
    /// Heads of another history are imported, from an auditor that saw it.
    ImportFork,
}

/// How a monitor ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// As in a power failure, but for the disk.
    Kill,
    /// As it is asked to, also in the middle of an audit.
    Stop,
}

/// One row of the matrix.
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// Arguments of `countersign-testlog serve`.
    pub log: &'static [&'static str],
    /// Further lines of the log's table.
    pub more: &'static str,
    /// Tables after it, such as those of rules. `{peer}` is the history that another monitor of the same log serves,
    /// one that a log with `fork-by-client:mallory` shows another history.
    pub tables: &'static str,
    /// What happens, and exactly the alerts that must follow.
    pub stages: &'static [(Act, &'static [Expected])],
}

/// One run of one case.
pub struct World {
    case: &'static Case,
    seed: u64,
    log: Option<Served>,
    address: String,
    auditor: Auditor,
    receivers: Receivers,
    path: PathBuf,
    held: Option<File>,
    /// The other monitor, with its mirror.
    peer: Option<(Monitor, Auditor)>,
    monitor: Option<Monitor>,
    /// Every kill so far: none of them may cost more than one alert sent twice, for each receiver.
    kills: usize,
}

impl World {
    pub fn of(case: &'static Case, seed: u64) -> World {
        let log = serve(case, "127.0.0.1:0");
        let address = log.url.trim_start_matches("http://").trim_end_matches("/log").to_owned();
        let auditor = Auditor::new(log.log_key());
        let receivers = Receivers::start(auditor.directory());
        let path = auditor.directory().join("monitor.toml");
        let peer = case.tables.contains("{peer}").then(|| peer(&log));
        let world = World {
            case,
            seed,
            log: Some(log),
            address,
            auditor,
            receivers,
            path,
            held: None,
            peer,
            monitor: None,
            kills: 0,
        };
        world.configure("init = true\n");
        world
    }

    fn configure(&self, init: &str) {
        let log = self.log.as_ref().expect("it is configured while its log is there");
        let more = format!("{init}{}", self.case.more);
        let table = hasty_log_table("main", &log.tiles_url(), &self.auditor.db(), log.log_key(), &more);
        let peer = self.peer.as_ref().map_or(String::new(), |(monitor, _)| monitor.url("/heads?log=main"));
        let after = self.case.tables.replace("{peer}", &peer);
        let tables = format!("{}\n{table}{after}", self.receivers.tables());
        assert_eq!(config(self.auditor.directory(), &tables), self.path);
    }

    /// Takes it through all stages. In each, as many monitors end as `ends` says, after as long as it says and as it
    /// says; then one is let live until everything is told. Where none ends, it lives on.
    pub fn live(&mut self, mut ends: impl FnMut() -> Vec<(Duration, End)>) {
        let mut expected: Vec<Expected> = Vec::new();
        for (number, (act, expected_alerts)) in self.case.stages.iter().enumerate() {
            let lives = ends();
            if let Some((_, end)) = lives.first() {
                self.end(*end);
            }
            self.act(*act);
            for (life, end) in lives {
                self.monitor = Some(Monitor::start(&self.path));
                std::thread::sleep(life);
                self.end(end);
            }
            if self.monitor.is_none() {
                self.monitor = Some(Monitor::start(&self.path));
            }
            expected.extend(*expected_alerts);
            self.settle(number, &expected);
            if number == 0 {
                self.configure("");
                self.monitor.as_ref().unwrap().signal("HUP");
            }
        }
        if let Some(mut monitor) = self.monitor.take() {
            monitor.stop();
        }
        self.check(&expected);
    }

    /// Ends the monitor.
    fn end(&mut self, end: End) {
        let Some(mut monitor) = self.monitor.take() else { return };
        match end {
            End::Kill => {
                monitor.signal("KILL");
                self.kills += 1;
            }
            End::Stop => {
                monitor.signal("TERM");
                let begun = Instant::now();
                // One that has not begun to listen for signals just dies, which is an end, too.
                while monitor.child.try_wait().unwrap().is_none() {
                    assert!(begun.elapsed() < PATIENCE, "{}: it does not stop", self.describe());
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    fn act(&mut self, act: Act) {
        let (db, aside) = (self.auditor.db(), self.auditor.beside_db(".aside"));
        match act {
            Act::Pass => {}
            Act::Down => drop(self.log.take()),
            Act::Up => self.log = Some(serve(self.case, &self.address)),
            Act::TakeMirror => std::fs::rename(db, aside).unwrap(),
            Act::PutBack => std::fs::rename(aside, db).unwrap(),
            Act::Hold => {
                let file = File::options().write(true).open(self.auditor.beside_db(".lock")).unwrap();
                file.lock().unwrap();
                self.held = Some(file);
            }
            Act::Release => drop(self.held.take()),
            Act::ImportFork => self.import_fork(),
        }
    }

    fn import_fork(&self) {
        let log = self.log.as_ref().unwrap();
        let other = Auditor::new(log.log_key());
        assert_eq!(other.audit(log.tiles_url(), &["--init", "--contact", "mallory"]).exit, 0);
        let heads = other.command(&["heads", "export", "--db", "{db}"]).stdout;
        let file = other.directory().join("heads");
        std::fs::write(&file, heads).unwrap();
        let begun = Instant::now();
        // A monitor may be at its audit.
        while self.auditor.command(&["heads", "import", "--db", "{db}", file.to_str().unwrap()]).exit != 4 {
            assert!(begun.elapsed() < PATIENCE, "{}: the fork cannot be imported", self.describe());
        }
    }

    /// Waits until all that is expected came everywhere, and for two audits more.
    fn settle(&self, stage: usize, expected: &[Expected]) {
        let begun = Instant::now();
        let wanted = sorted(expected);
        while !self.receivers.got().values().all(|got| distinct(got).len() >= wanted.len()) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{}: lost in stage {stage}: {wanted:#?} of {:#?}\n{:#?}",
                self.describe(),
                self.receivers.got(),
                self.monitor.as_ref().map(Monitor::events)
            );
            std::thread::sleep(Duration::from_millis(15));
        }
        let monitor = self.monitor.as_ref().unwrap();
        let ended = |monitor: &Monitor| {
            let kinds = ["audited", "in-use", "fault"];
            kinds.iter().map(|kind| monitor.of_kind(kind).len()).sum::<usize>()
        };
        let before = ended(monitor);
        while ended(monitor) < before + 2 {
            assert!(begun.elapsed() < PATIENCE * 2, "{}: {:#?}", self.describe(), monitor.events());
            std::thread::sleep(Duration::from_millis(15));
        }
        self.check(expected);
    }

    /// Each receiver has exactly what is expected, each under one key, and no more of it twice than was killed.
    fn check(&self, expected: &[Expected]) {
        let wanted = sorted(expected);
        for (receiver, got) in self.receivers.got() {
            let all = distinct(&got);
            let mut whats: Vec<_> =
                all.values().map(|got| (got.what.clone(), got.evidence.is_some())).collect();
            whats.sort();
            let events = || self.monitor.as_ref().map(Monitor::events);
            assert_eq!(whats, wanted, "{}, {receiver}: {:#?}", self.describe(), events());
            let twice = got.len() - all.len();
            assert!(twice <= self.kills, "{}, {receiver}: {twice} twice: {got:#?}", self.describe());
            for evidence in all.values().filter_map(|got| got.evidence.as_ref()) {
                let file = self.auditor.directory().join(format!("{receiver}.proof"));
                std::fs::write(&file, evidence).unwrap();
                let verified = self.auditor.command(&["evidence", "verify", file.to_str().unwrap()]);
                assert_eq!(verified.exit, 0, "{}, {receiver}: {verified:?}", self.describe());
            }
        }
    }

    /// Nothing is on its way any more; how many alerts came more than once.
    pub fn check_outbox(&self) -> usize {
        let db = rusqlite::Connection::open(self.auditor.db()).unwrap();
        let sql = "SELECT count(*) FROM alert_deliveries WHERE state <> 'delivered'";
        let left: u64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{}: still on their way", self.describe());
        self.receivers.got().values().map(|got| got.len() - distinct(got).len()).sum()
    }

    fn describe(&self) -> String {
        format!("{}, seed {}, {} kills", self.case.name, self.seed, self.kills)
    }
}

/// A monitor that is shown the other history.
fn peer(log: &Served) -> (Monitor, Auditor) {
    let auditor = Auditor::new(log.log_key());
    let more = "init = true\ncontact = \"mallory\"\n";
    let table = hasty_log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), more);
    let monitor = Monitor::start(&config(auditor.directory(), &table));
    monitor.wait("audited");
    (monitor, auditor)
}

fn serve(case: &Case, address: &str) -> Served {
    let begun = ["--listen", address, "--approvers", "4", "--mix", "es256=1"];
    Served::start(&[&begun[..], case.log].concat())
}

type What = ([String; 3], bool);

fn sorted(expected: &[Expected]) -> Vec<What> {
    let what = |(kind, code, severity, evidence): &Expected| {
        ([kind, code, severity].map(|word| (*word).to_owned()), *evidence)
    };
    let mut all: Vec<What> = expected.iter().map(what).collect();
    all.sort();
    all
}

/// As a receiver that keeps keys has it. What comes again under a key must be the same.
fn distinct(got: &[Got]) -> BTreeMap<String, Got> {
    let mut all: BTreeMap<String, Got> = BTreeMap::new();
    for got in got {
        let before = all.insert(got.key.clone(), got.clone());
        assert!(before.is_none_or(|before| before == *got), "one key, two alerts: {got:?}");
    }
    all
}
