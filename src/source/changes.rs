//! Detects that a directory changes while it is read: a copy in progress, however slow, is not a gap.
//!
//! Nothing is recorded until something is missing or wrong. Then a summary of the log's files is taken: the
//! name, the length and the time of the last change of each. A second summary is taken before the log is
//! accused. If the two differ, somebody is writing to the directory, and what was read is not final. The cost
//! of one summary is bounded, and so is the cost of all summaries of a run.
//!
//! Counters saturate: `left` at zero, where no further summary is taken, and `entries` at a bound that
//! [`MAX_ENTRIES`] keeps far away.

use super::FetchError;
use super::stop::Stop;
use std::collections::BinaryHeap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Files and folders in one summary: enough for a log of more than ten million entries. The folders changed
/// last are read first, so that a copy into a larger log is noticed as well.
const MAX_ENTRIES: usize = 100_000;

/// The same for all summaries of one run, so that a log with many missing files does not slow the run down.
const MAX_TOTAL: usize = 20 * MAX_ENTRIES;

/// What a tiled log has below its prefix (specification section 4). Anything else there, such as the mirror,
/// does not belong to the log.
const LOG_PATHS: [&str; 5] = ["checkpoint", "sth", "tile", "reveal", "anchor"];

const CHANGING: &str = "something is missing or wrong there, and the directory was changing while it was read, as it does \
                        while it is being copied: run again when the copy is complete";

/// Detects changes of one directory.
pub(super) struct ChangeDetector {
    root: PathBuf,
    stop: Stop,
    state: Mutex<RunState>,
}

/// The state of one run.
struct RunState {
    /// Whether a changing directory is not held against the log.
    tolerate_changes: bool,
    first: Option<Summary>,
    /// Entries that may still be read.
    left: usize,
    changed: bool,
    /// Whether an accusation was withheld because of a change.
    tolerated: bool,
}

impl RunState {
    fn new(tolerate_changes: bool) -> RunState {
        RunState { tolerate_changes, first: None, left: MAX_TOTAL, changed: false, tolerated: false }
    }
}

impl ChangeDetector {
    pub(super) fn new(root: PathBuf, stop: Stop) -> ChangeDetector {
        ChangeDetector { root, stop, state: Mutex::new(RunState::new(true)) }
    }

    /// Starts a run.
    pub(super) fn start_run(&self, tolerate_changes: bool) {
        *self.state() = RunState::new(tolerate_changes);
    }

    /// Records that something is missing or wrong. The first call takes the first summary.
    ///
    /// # Errors
    /// The run was told to stop.
    pub(super) fn suspect(&self) -> Result<(), FetchError> {
        let mut state = self.state();
        if state.tolerate_changes && state.first.is_none() {
            state.first = Some(self.summary(&mut state)?);
        }
        Ok(())
    }

    /// Returns whether what is still missing or wrong may be held against the log.
    ///
    /// # Errors
    /// The directory changed since the first [`suspect`](Self::suspect), or the run was told to stop.
    pub(super) fn confirm(&self) -> Result<(), FetchError> {
        let mut state = self.state();
        if !state.tolerate_changes {
            return Ok(());
        }
        if !state.changed && state.left > 0 {
            let now = self.summary(&mut state)?;
            state.changed = state.first.as_ref().is_some_and(|first| *first != now);
        }
        state.tolerated |= state.changed;
        match state.changed {
            true => Err(FetchError::unavailable(&self.root.display().to_string(), CHANGING)),
            false => Ok(()),
        }
    }

    /// Whether an accusation was withheld in this run.
    pub(super) fn tolerated_change(&self) -> bool {
        self.state().tolerated
    }

    fn summary(&self, state: &mut RunState) -> Result<Summary, FetchError> {
        let summary = Summary::of(&self.root, MAX_ENTRIES, &self.stop)
            .ok_or_else(|| FetchError::unavailable(&self.root.display().to_string(), Stop::MESSAGE))?;
        state.left = state.left.saturating_sub(summary.entries.max(1));
        Ok(summary)
    }

    fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log's files at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Summary {
    entries: usize,
    /// A digest over all of them, independent of their order.
    digest: u64,
}

impl Summary {
    /// Summarises the first `most` entries; `None` if the run was told to stop.
    fn of(root: &Path, most: usize, stop: &Stop) -> Option<Summary> {
        let mut summary = Summary { entries: 0, digest: 0 };
        let mut folders = BinaryHeap::new();
        for name in LOG_PATHS {
            summary.add(root.join(name), &mut folders);
        }
        while let Some((_, folder)) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                if stop.is_stopped() {
                    return None;
                }
                if summary.entries >= most {
                    return Some(summary);
                }
                summary.add(entry.path(), &mut folders);
            }
        }
        Some(summary)
    }

    fn add(&mut self, path: PathBuf, folders: &mut BinaryHeap<(Option<SystemTime>, PathBuf)>) {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let metadata = fs::metadata(&path);
        match &metadata {
            Ok(metadata) => stamp(metadata).hash(&mut hasher),
            Err(error) => error.kind().hash(&mut hasher),
        }
        self.entries = self.entries.saturating_add(1);
        self.digest = self.digest.wrapping_add(hasher.finish());
        if let Ok(metadata) = metadata
            && metadata.is_dir()
        {
            folders.push((metadata.modified().ok(), path));
        }
    }
}

/// What changes when a file is written: its length, its modification time, and on Unix the time of its last
/// status change, because a copy that keeps times sets the modification time back.
fn stamp(metadata: &Metadata) -> (u64, Option<SystemTime>, [i64; 2]) {
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        [metadata.ctime(), metadata.ctime_nsec()]
    };
    #[cfg(not(unix))]
    let changed = [0; 2];
    (metadata.len(), metadata.modified().ok(), changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    fn write(root: &Path, name: &str, bytes: &[u8]) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn a_log() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), "checkpoint", b"head");
        write(home.path(), "tile/0/000.p/7", b"tile");
        write(home.path(), "tile/entries/000.p/7", b"entries");
        home
    }

    fn changes(root: &Path) -> ChangeDetector {
        ChangeDetector::new(root.to_owned(), Stop::default())
    }

    /// Restores the modification time, as a copy that keeps times does.
    fn keeping_time(path: &Path, change: impl FnOnce()) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        change();
        File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    }

    #[test]
    fn an_unchanged_log_is_confirmed() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        write(home.path(), "mirror.db", b"ours");
        write(home.path(), ".checkpoint.new", b"not yet the log's");
        for _ in 0..3 {
            assert_eq!((changes.confirm(), changes.tolerated_change()), (Ok(()), false));
        }
    }

    #[test]
    fn every_kind_of_change_is_detected() {
        let grown = |root: &Path| write(root, "tile/0/000.p/7", b"tile and more");
        let cut = |root: &Path| write(root, "checkpoint", b"he");
        let new = |root: &Path| write(root, "tile/entries/.000.a1B2c3", b"");
        let gone = |root: &Path| fs::remove_file(root.join("tile/entries/000.p/7")).unwrap();
        let renamed = |root: &Path| fs::rename(root.join("tile/0"), root.join("tile/1")).unwrap();
        let folder = |root: &Path| fs::create_dir_all(root.join("tile/8/x001")).unwrap();
        let written = |root: &Path| {
            let path = root.join("checkpoint");
            let later = fs::metadata(&path).unwrap().modified().unwrap() + Duration::from_secs(1);
            fs::write(&path, "torn").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        };
        let ways: [&dyn Fn(&Path); 7] = [&grown, &cut, &new, &gone, &renamed, &folder, &written];
        for (n, way) in ways.iter().enumerate() {
            let home = a_log();
            let changes = changes(home.path());
            changes.suspect().unwrap();
            way(home.path());
            let error = changes.confirm().unwrap_err();
            assert!(matches!(&error, FetchError::Unavailable { .. }), "{n}: {error:?}");
            assert!(error.to_string().ends_with("run again when the copy is complete"), "{n}: {error}");
            assert!(changes.tolerated_change(), "{n}");
            // A change that was seen counts until the end of the run.
            assert!(changes.suspect().is_ok() && changes.confirm().is_err(), "{n}");
            changes.start_run(true);
            assert!(
                changes.suspect().is_ok() && changes.confirm().is_ok() && !changes.tolerated_change(),
                "{n}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_that_keeps_times_is_detected() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        // The clock of a file system may tick only a few hundred times a second.
        let path = home.path().join("checkpoint");
        let before = Summary::of(home.path(), MAX_ENTRIES, &Stop::default());
        while Summary::of(home.path(), MAX_ENTRIES, &Stop::default()) == before {
            keeping_time(&path, || fs::write(&path, "torn").unwrap());
        }
        assert!(changes.confirm().is_err());
    }

    #[test]
    fn without_tolerance_no_summary_is_taken() {
        let home = a_log();
        let changes = changes(home.path());
        changes.start_run(false);
        changes.suspect().unwrap();
        write(home.path(), "checkpoint", b"something else");
        assert_eq!((changes.confirm(), changes.tolerated_change()), (Ok(()), false));
        assert!(changes.state().first.is_none());
    }

    #[test]
    fn the_work_is_bounded() {
        let home = a_log();
        for n in 0..50 {
            write(home.path(), &format!("tile/entries/x{n:03}/000"), b"");
        }
        let of = |most| Summary::of(home.path(), most, &Stop::default()).unwrap();
        assert_eq!(of(MAX_ENTRIES).entries, LOG_PATHS.len() + 2 + 2 + 2 + 50 + 50);
        assert_eq!(of(20).entries, 20);
        let changes = changes(home.path());
        changes.suspect().unwrap();
        changes.state().left = 1;
        assert_eq!(changes.confirm(), Ok(()));
        write(home.path(), "checkpoint", b"something else");
        assert_eq!((changes.confirm(), changes.state().left), (Ok(()), 0), "nobody looks any more");
    }

    /// In a log that is too large for one summary, the folders changed last are read first.
    #[test]
    fn recently_changed_folders_are_read_first() {
        let home = a_log();
        for n in 0..50 {
            write(home.path(), &format!("tile/0/x{n:03}/000"), b"");
        }
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let entries = home.path().join("tile/0");
        for folder in fs::read_dir(&entries).unwrap().map(|entry| entry.unwrap().path()) {
            File::open(folder).unwrap().set_modified(old).unwrap();
        }
        write(home.path(), "tile/0/x033/001", b"");
        let of = || Summary::of(home.path(), 5 + 2 + 2 + 2 + 51 + 2, &Stop::default()).unwrap();
        let before = of();
        write(home.path(), "tile/0/x033/001", b"more");
        assert_ne!(of(), before);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_loop_ends() {
        let home = a_log();
        std::os::unix::fs::symlink(home.path().join("tile"), home.path().join("tile/again")).unwrap();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        assert_eq!(changes.confirm(), Ok(()));
    }

    #[test]
    fn a_stopped_run_accuses_nobody() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        changes.stop.stop();
        let error = changes.confirm().unwrap_err();
        assert!(
            matches!(&error, FetchError::Unavailable { cause, .. } if cause == Stop::MESSAGE),
            "{error:?}"
        );
    }
}
