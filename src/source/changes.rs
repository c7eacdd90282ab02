//! Whether a directory changes while it is read: a copy that is under way, however slow, is no gap.
//!
//! Only once something is missing or wrong does anybody look. Then a summary is taken of the log's files: of each its
//! name, its length and when it was changed last. Another one is taken before the log is accused; where the two differ,
//! somebody is writing there, and what was read is not what will be. What the summary costs is bounded, and so is what
//! all of a run cost together.

use super::FetchError;
use super::stop::Stop;
use std::collections::BinaryHeap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Files and folders in one summary: those of a log of ten million entries and more. The folders changed last come
/// first, so that a copy into a larger log is seen as well.
const MAX_ENTRIES: usize = 100_000;

/// The same for all summaries of one run. A log of which much is missing keeps nobody here.
const MAX_TOTAL: usize = 20 * MAX_ENTRIES;

/// What a tiled log has below its prefix (specification section 4). Whatever else lies there, the mirror perhaps, is
/// none of the log's.
const OF_THE_LOG: [&str; 5] = ["checkpoint", "sth", "tile", "reveal", "anchor"];

const CHANGING: &str = "something is missing or wrong there, and the directory was changing while it was read, as it does \
                        while it is being copied: run again when the copy is complete";

/// The changes of one directory.
pub(super) struct Changes {
    root: PathBuf,
    stop: Stop,
    seen: Mutex<Seen>,
}

/// What was seen of them in one run.
struct Seen {
    /// A directory that changes is not accused.
    forgiving: bool,
    first: Option<Summary>,
    /// Entries that may still be looked at.
    left: usize,
    changed: bool,
    /// Something was not held against the log for it.
    forgiven: bool,
}

impl Seen {
    fn new(forgiving: bool) -> Seen {
        Seen { forgiving, first: None, left: MAX_TOTAL, changed: false, forgiven: false }
    }
}

impl Changes {
    pub(super) fn new(root: PathBuf, stop: Stop) -> Changes {
        Changes { root, stop, seen: Mutex::new(Seen::new(true)) }
    }

    /// Another run begins.
    pub(super) fn look_anew(&self, forgiving: bool) {
        *self.seen() = Seen::new(forgiving);
    }

    /// Something is missing or wrong. The first time, the directory is looked at as it is now.
    ///
    /// # Errors
    /// That the run was told to stop.
    pub(super) fn suspect(&self) -> Result<(), FetchError> {
        let mut seen = self.seen();
        if seen.forgiving && seen.first.is_none() {
            seen.first = Some(self.summary(&mut seen)?);
        }
        Ok(())
    }

    /// That what is still missing or wrong may be held against the log.
    ///
    /// # Errors
    /// The directory changed since something was first suspected; or the run was told to stop.
    pub(super) fn confirm(&self) -> Result<(), FetchError> {
        let mut seen = self.seen();
        if !seen.forgiving {
            return Ok(());
        }
        if !seen.changed && seen.left > 0 {
            let now = self.summary(&mut seen)?;
            seen.changed = seen.first.as_ref().is_some_and(|first| *first != now);
        }
        seen.forgiven |= seen.changed;
        match seen.changed {
            true => Err(FetchError::unavailable(&self.root.display().to_string(), CHANGING)),
            false => Ok(()),
        }
    }

    /// Whether something was not held against the log in this run.
    pub(super) fn were_forgiven(&self) -> bool {
        self.seen().forgiven
    }

    fn summary(&self, seen: &mut Seen) -> Result<Summary, FetchError> {
        let summary = Summary::of(&self.root, MAX_ENTRIES, &self.stop)
            .ok_or_else(|| FetchError::unavailable(&self.root.display().to_string(), Stop::SAID))?;
        seen.left = seen.left.saturating_sub(summary.entries.max(1));
        Ok(summary)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log's files as they are at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Summary {
    entries: usize,
    /// Over all of them, in whatever order they were met.
    digest: u64,
}

impl Summary {
    /// Of the first `most` of them; `None` where the run was told to stop.
    fn of(root: &Path, most: usize, stop: &Stop) -> Option<Summary> {
        let mut summary = Summary { entries: 0, digest: 0 };
        let mut folders = BinaryHeap::new();
        for name in OF_THE_LOG {
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

/// What differs where a file was written to: its length, when it was written last, and on Unix when anything about it
/// was changed last, as a copy that keeps times sets the former back.
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

    fn changes(root: &Path) -> Changes {
        Changes::new(root.to_owned(), Stop::default())
    }

    /// Sets the time back to what it was, as a copy does that keeps times.
    fn keeping_time(path: &Path, change: impl FnOnce()) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        change();
        File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    }

    #[test]
    fn what_stays_as_it_is_does_not_change() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        write(home.path(), "mirror.db", b"ours");
        write(home.path(), ".checkpoint.new", b"not yet the log's");
        for _ in 0..3 {
            assert_eq!((changes.confirm(), changes.were_forgiven()), (Ok(()), false));
        }
    }

    #[test]
    fn every_kind_of_change_is_seen() {
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
            assert!(changes.were_forgiven(), "{n}");
            // What was seen once holds for the run, and no longer.
            assert!(changes.suspect().is_ok() && changes.confirm().is_err(), "{n}");
            changes.look_anew(true);
            assert!(
                changes.suspect().is_ok() && changes.confirm().is_ok() && !changes.were_forgiven(),
                "{n}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_that_keeps_times_is_seen() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        // The clock of a file system may tick no more than some hundred times a second.
        let path = home.path().join("checkpoint");
        let before = Summary::of(home.path(), MAX_ENTRIES, &Stop::default());
        while Summary::of(home.path(), MAX_ENTRIES, &Stop::default()) == before {
            keeping_time(&path, || fs::write(&path, "torn").unwrap());
        }
        assert!(changes.confirm().is_err());
    }

    #[test]
    fn who_may_not_be_forgiven_is_not_looked_at() {
        let home = a_log();
        let changes = changes(home.path());
        changes.look_anew(false);
        changes.suspect().unwrap();
        write(home.path(), "checkpoint", b"something else");
        assert_eq!((changes.confirm(), changes.were_forgiven()), (Ok(()), false));
        assert!(changes.seen().first.is_none());
    }

    #[test]
    fn the_work_is_bounded() {
        let home = a_log();
        for n in 0..50 {
            write(home.path(), &format!("tile/entries/x{n:03}/000"), b"");
        }
        let of = |most| Summary::of(home.path(), most, &Stop::default()).unwrap();
        assert_eq!(of(MAX_ENTRIES).entries, OF_THE_LOG.len() + 2 + 2 + 2 + 50 + 50);
        assert_eq!(of(20).entries, 20);
        let changes = changes(home.path());
        changes.suspect().unwrap();
        changes.seen().left = 1;
        assert_eq!(changes.confirm(), Ok(()));
        write(home.path(), "checkpoint", b"something else");
        assert_eq!((changes.confirm(), changes.seen().left), (Ok(()), 0), "nobody looks any more");
    }

    /// Of a log that is too large to be looked at whole, the place where somebody writes is looked at first.
    #[test]
    fn where_somebody_writes_is_looked_at_first() {
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
    fn a_folder_that_holds_itself_ends() {
        let home = a_log();
        std::os::unix::fs::symlink(home.path().join("tile"), home.path().join("tile/again")).unwrap();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        assert_eq!(changes.confirm(), Ok(()));
    }

    #[test]
    fn who_was_told_to_stop_accuses_nobody() {
        let home = a_log();
        let changes = changes(home.path());
        changes.suspect().unwrap();
        changes.stop.stop();
        let error = changes.confirm().unwrap_err();
        assert!(matches!(&error, FetchError::Unavailable { cause, .. } if cause == Stop::SAID), "{error:?}");
    }
}
