//! Audits as a program calls them: no command line, nothing printed, several at once.

use countersign::config::Given;
use countersign::core::time::UnixMillis;
use countersign::run::{Progress, Silent};
use countersign::service::{AuditSpec, Clock, Error, SystemClock, audit};
use countersign::source::Stop;
use countersign::{Conclusion, report};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const KEY: &str = "log.approvals.example/demo+8510316a+AW1WNZCZA1cmce/hLEL8UdRcAicdDrQ7a0EjMoTz7QD2";

fn given(db: PathBuf) -> Given {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    Given {
        log: Some(demo.to_str().unwrap().to_owned()),
        db: Some(db),
        init: true,
        log_key: Some(KEY.to_owned()),
        rp_id: Some("approvals.example".to_owned()),
        allow_origin: vec!["https://approvals.example".to_owned()],
        ..Given::default()
    }
}

/// A clock that stands still.
struct Stopped(UnixMillis);

impl Clock for Stopped {
    fn now(&self) -> UnixMillis {
        self.0
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

/// Records the reported progress.
#[derive(Default)]
struct RecordedProgress {
    phases: Mutex<Vec<String>>,
    entries: AtomicU64,
}

impl Progress for RecordedProgress {
    fn begin(&self, phase: &str, _: u64) {
        self.phases.lock().unwrap().push(phase.to_owned());
    }

    fn advance(&self, entries: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    fn end(&self) {}
}

/// Each has a clock of its own, and nothing of one is in the report of the other.
#[test]
fn two_audits_run_at_once_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let times = [1_900_000_000_000, 1_900_000_000_000 + 86_400_000];
    let begin = |(number, now): (usize, u64)| {
        let spec = AuditSpec::of(given(folder.path().join(format!("{number}.db")))).unwrap();
        let progress = RecordedProgress::default();
        let report = audit(&spec, &Stopped(UnixMillis::new(now)), &Stop::default(), &progress).unwrap();
        assert!(progress.entries.load(Ordering::Relaxed) >= 800, "{:?}", progress.phases);
        report
    };
    let reports: Vec<report::Report> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            times.into_iter().enumerate().map(|each| scope.spawn(move || begin(each))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for report in &reports {
        assert_eq!(report.verdict(), Conclusion::Clean, "{:#?}", report.input());
        assert_eq!((report.input().entries.total, report.input().entries.new), (800, 800));
        assert_eq!(report.input().took, Duration::ZERO);
    }
    let began: Vec<String> = reports.iter().map(|report| report.input().started_at.to_string()).collect();
    let days: Vec<&str> = began.iter().map(|moment| &moment[..10]).collect();
    assert_eq!(days, ["2030-03-17", "2030-03-18"]);
}

/// An audit that cannot begin is an error that says whose fault it is. A stop signal stops one audit only.
#[test]
fn errors_and_stop_signals_affect_one_audit() {
    let folder = tempfile::tempdir().unwrap();
    let without = |given: Given| AuditSpec::of(given).map(drop);
    let error = without(Given { log: None, ..given(folder.path().join("a.db")) });
    assert_eq!(error, Err(Error::Usage("missing --log URL-or-DIR".to_owned())));
    let missing = AuditSpec::of(Given { init: false, ..given(folder.path().join("none.db")) }).unwrap();
    let report = audit(&missing, &SystemClock::default(), &Stop::default(), &Silent).unwrap();
    assert_eq!(report.verdict(), Conclusion::LocalFault);
    let spec = AuditSpec::of(given(folder.path().join("b.db"))).unwrap();
    let stop = Stop::default();
    stop.stop();
    let stopped = audit(&spec, &SystemClock::default(), &stop, &Silent).unwrap();
    assert_eq!(stopped.verdict(), Conclusion::Incomplete);
    let whole = audit(&spec, &SystemClock::default(), &Stop::default(), &Silent).unwrap();
    assert_eq!(whole.verdict(), Conclusion::Clean, "{:#?}", whole.input());
}
