//! A run that is stopped at any moment: what it stored is valid, an honest log is not accused, a bad
//! one does not pass, and the next run continues.

use countersign::run::{Progress, Silent};
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{FetchError, Stop};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::lab::{Files, Lab, MemoryLog, Workspace};
use support::log::{TestKey, honest_log, leaf, rejected, root_of};

/// Serves a number of files, and then the run is stopped: further answers are those of a stopped HTTP source.
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

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.stop.stop();
            return Err(FetchError::Unavailable {
                what: "memory".to_owned(),
                cause: Stop::MESSAGE.to_owned(),
            });
        }
        self.log.fetch(wanted)
    }
}

fn log(entries: usize) -> (Files, String) {
    let key = TestKey::new(1);
    let leaves: Vec<Vec<u8>> = (0..entries).map(|n| leaf(&rejected(&format!("entry-{n}")))).collect();
    (honest_log(&key, &leaves), key.vkey())
}

/// Stops after every number of files in turn; gives how many moments there were. `before`: what is served first, of
/// which the heads alone are followed then, and after.
fn stop_everywhere(files: &Files, before: Option<&Files>, vkey: &str) -> usize {
    let lab = Lab::of_key(vkey);
    let desk_of = |number| {
        let workspace = lab.workspace(number);
        workspace.begin();
        if let Some(files) = before {
            workspace.follow(&MemoryLog { files, instead: None }.source());
        }
        workspace
    };
    let again = |workspace: &Workspace<'_>| {
        let log = MemoryLog { files, instead: None }.source();
        if before.is_some() { workspace.follow(&log) } else { workspace.audit_again(&log) }
    };
    let whole = again(&desk_of(0));
    for moment in 0.. {
        let stop = Stop::default();
        let log = MemoryLog { files, instead: None };
        let until = Until { log, left: AtomicUsize::new(moment), stop: stop.clone() };
        let workspace = desk_of(1);
        let stopped = workspace.run_with(&Tiled::new(until), &Silent, |options| {
            options.stop = stop.clone();
            options.heads_only = before.is_some();
        });
        assert_eq!(stopped.faults, Vec::<String>::new(), "stopped after {moment} files");
        assert!(stopped.findings.is_subset(&whole.findings), "stopped after {moment} files: {stopped:?}");
        if !stop.is_stopped() {
            assert_eq!(stopped, whole);
            return moment;
        }
        assert!(!stopped.is_clean(), "stopped after {moment} files, and clean");
        let next = again(&workspace);
        assert_eq!(next, whole, "the run after one that was stopped after {moment} files");
    }
    0
}

#[test]
fn a_stopped_audit_never_accuses_an_honest_log() {
    let (files, vkey) = log(1500);
    let moments = stop_everywhere(&files, None, &vkey);
    assert!(moments >= 10, "only {moments} moments");
}

#[test]
fn a_stopped_audit_never_passes_a_bad_log() {
    for name in ["tile/entries/002", "tile/0/003"] {
        let (mut files, vkey) = log(1500);
        files.get_mut(name).unwrap()[100] ^= 1;
        assert!(stop_everywhere(&files, None, &vkey) >= 10, "{name}");
    }
}

/// A recheck of mirrored entries needs no requests, and ends at once as well.
#[test]
fn a_recheck_of_the_mirror_can_be_stopped() {
    let (files, vkey) = log(1500);
    let lab = Lab::of_key(&vkey);
    let workspace = lab.workspace(0);
    let log = || MemoryLog { files: &files, instead: None }.source();
    let whole = workspace.audit(&log());
    let mut moments = Vec::new();
    for moment in 0.. {
        let watch = Watch::stops_after(moment);
        let stopped = workspace.run_with(&log(), &watch, |options| {
            options.full = true;
            options.stop = watch.stop.clone();
        });
        if !watch.stop.is_stopped() {
            assert_eq!(stopped, whole);
            break;
        }
        assert_eq!((stopped.findings.len(), stopped.faults.len()), (0, 0), "{moment}: {stopped:?}");
        // Stopped at the last bundle, nothing is left to do.
        let done = stopped.checked == whole.checked && moment > 0;
        assert!(done || stopped.incomplete.iter().any(|why| why == Stop::MESSAGE), "{moment}: {stopped:?}");
        moments.push(watch.phase());
        assert_eq!(workspace.audit_again(&log()), whole, "{moment}");
    }
    for phase in ["hashing the mirror again", "checking mirrored entries"] {
        assert!(moments.iter().any(|of| of == phase), "{moments:?}");
    }
}

/// Tells a run to stop after so many steps of its progress; remembers in which phase.
struct Watch {
    left: AtomicUsize,
    stop: Stop,
    phases: Mutex<Vec<String>>,
}

impl Watch {
    fn stops_after(steps: usize) -> Watch {
        let watch = Watch { left: AtomicUsize::new(steps), stop: Stop::default(), phases: Mutex::default() };
        if steps == 0 {
            watch.stop.stop();
        }
        watch
    }

    fn phase(&self) -> String {
        self.phases.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

impl Progress for Watch {
    fn begin(&self, phase: &str, _: u64) {
        if !self.stop.is_stopped() {
            self.phases.lock().unwrap().push(phase.to_owned());
        }
    }

    fn advance(&self, _: u64) {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left == Ok(1) {
            self.stop.stop();
        }
    }

    fn end(&self) {}
}

/// What would be held against a log rests on mirrored bytes, which are hashed again first: half of that bears out
/// nothing.
#[test]
fn unconfirmed_faults_are_not_findings() {
    let (files, vkey) = log(1500);
    let lab = Lab::of_key(&vkey);
    let workspace = lab.workspace(0);
    let honest = || MemoryLog { files: &files, instead: None }.source();
    let mut confirmed = 0;
    for heads_only in [false, true] {
        workspace.audit(&honest());
        // An older head, of another history.
        let leaves: Vec<Vec<u8>> = (0..700).map(|n| leaf(&rejected(&format!("other-{n}")))).collect();
        let mut other = honest_log(&TestKey::new(1), &leaves);
        other.insert("checkpoint".to_owned(), TestKey::new(1).checkpoint(700, root_of(&leaves)));
        other.remove("sth");
        let lying = || MemoryLog { files: &other, instead: None }.source();
        for moment in 0.. {
            let watch = Watch::stops_after(moment);
            let stopped = workspace.run_with(&lying(), &watch, |options| {
                options.heads_only = heads_only;
                options.stop = watch.stop.clone();
            });
            assert!(stopped.faults.is_empty(), "{stopped:?}");
            if stopped.codes().contains(&"inconsistent-heads") {
                break;
            }
            assert!(stopped.incomplete.iter().any(|why| why == Stop::MESSAGE), "{moment}: {stopped:?}");
            confirmed += usize::from(watch.phase() == "hashing the mirror again");
        }
    }
    assert!(confirmed >= 8, "{confirmed}");
}

/// Heads alone: stopped at any moment, an honest log is not accused, a bad one does not pass.
#[test]
fn heads_only_can_be_stopped_at_any_moment() {
    let ((old, vkey), (new, _)) = (log(700), log(1500));
    assert!(stop_everywhere(&new, Some(&old), &vkey) >= 5);
    let mut other = honest_log(&TestKey::new(1), &[leaf(&rejected("other"))]);
    other.remove("sth");
    assert!(stop_everywhere(&new, Some(&other), &vkey) >= 3);
}
