//! A run that is told to stop, at every moment: what it kept stands, an honest log is not accused, a bad
//! one does not pass, and the next run goes on from there.

mod support;

use countersign::source::tiled::{Fetcher, Found, Tiled, Wanted};
use countersign::source::{FetchError, Stop};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::lab::{Files, Lab, MemoryLog};
use support::log::{TestKey, honest_log, leaf, rejected};

/// Serves so many files, and is then told to stop: from there on it answers as HTTP does.
struct Until<'a> {
    log: MemoryLog<'a>,
    left: AtomicUsize,
    stop: Stop,
}

impl Fetcher for Until<'_> {
    fn location(&self) -> String {
        self.log.location()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.stop.stop();
            return Err(FetchError::Unavailable { what: "memory".to_owned(), cause: Stop::SAID.to_owned() });
        }
        self.log.fetch(wanted)
    }
}

fn log(entries: usize) -> (Files, String) {
    let key = TestKey::new(1);
    let leaves: Vec<Vec<u8>> = (0..entries).map(|n| leaf(&rejected(&format!("entry-{n}")))).collect();
    (honest_log(&key, &leaves), key.vkey())
}

/// Stops after every number of files in turn; gives how many moments there were.
fn stop_everywhere(files: &Files, vkey: &str) -> usize {
    let lab = Lab::of_key(vkey);
    let whole = lab.desk(0).audit(&MemoryLog { files, instead: None }.source());
    for moment in 0.. {
        let stop = Stop::default();
        let log = MemoryLog { files, instead: None };
        let until = Until { log, left: AtomicUsize::new(moment), stop: stop.clone() };
        let desk = lab.desk(1);
        let stopped = desk.audit_until(&Tiled::new(until), &stop);
        assert_eq!(stopped.faults, Vec::<String>::new(), "stopped after {moment} files");
        assert!(stopped.findings.is_subset(&whole.findings), "stopped after {moment} files: {stopped:?}");
        if !stop.is_stopped() {
            assert_eq!(stopped, whole);
            return moment;
        }
        assert!(!stopped.is_clean(), "stopped after {moment} files, and clean");
        let next = desk.audit_again(&MemoryLog { files, instead: None }.source());
        assert_eq!(next, whole, "the run after one that was stopped after {moment} files");
    }
    0
}

#[test]
fn an_honest_log_is_not_accused_at_any_moment() {
    let (files, vkey) = log(1500);
    let moments = stop_everywhere(&files, &vkey);
    assert!(moments >= 10, "only {moments} moments");
}

#[test]
fn a_bad_log_passes_at_no_moment() {
    for name in ["tile/entries/002", "tile/0/003"] {
        let (mut files, vkey) = log(1500);
        files.get_mut(name).unwrap()[100] ^= 1;
        assert!(stop_everywhere(&files, &vkey) >= 10, "{name}");
    }
}

/// Entries that are checked again from the mirror ask nobody, and end at once as well.
#[test]
fn a_check_of_the_mirror_is_stopped_too() {
    let (files, vkey) = log(1500);
    let lab = Lab::of_key(&vkey);
    let desk = lab.desk(0);
    let log = || MemoryLog { files: &files, instead: None }.source();
    let whole = desk.audit(&log());
    let stop = Stop::default();
    stop.stop();
    let stopped = desk.audit_full_until(&log(), &stop);
    assert_eq!((stopped.checked, stopped.findings.len(), stopped.faults.len()), (0, 0, 0), "{stopped:?}");
    assert!(stopped.incomplete.iter().any(|why| why == Stop::SAID), "{stopped:?}");
    assert_eq!(desk.audit_again(&log()).checked, whole.checked);
}
