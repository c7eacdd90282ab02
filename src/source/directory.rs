//! A tiled log in a directory, such as a backup or a log on the same machine.
//!
//! The files are untrusted: anything that is not a regular file is refused without waiting on it, and no more
//! than the limit is read. Symbolic links are followed, because the user chose the directory. A missing file is
//! looked for again a moment later, because the directory may be being copied. While the directory changes, no
//! file counts as missing.

use super::changes::ChangeDetector;
use super::exhaustion::{ResourceExhaustion, exhaustion_of};
use super::options::HttpOptions;
use super::recheck::Rechecks;
use super::tiled::{FetchedFile, Fetcher, FileRequest};
use super::user_file::open_regular;
use super::{FetchError, OpenError};
use crate::core::text::{escape, without_userinfo};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The parallelism if the number of cores is unknown. Reading is cheap compared with checking, so more readers
/// than cores would only wait for each other.
const PARALLELISM: usize = 4;

/// The files below one directory.
pub struct Directory {
    root: PathBuf,
    rechecks: Rechecks,
    changes: ChangeDetector,
    exhaustion: ResourceExhaustion,
}

impl Directory {
    /// The directory at `root`. It is looked for only when something is fetched, so that a directory that is
    /// temporarily absent (a mount, a sync) means "could not tell" and not wrong usage. Only the options that
    /// say how often and how soon to look again for a missing file apply.
    pub fn new(root: impl Into<PathBuf>, options: &HttpOptions) -> Directory {
        let root = root.into();
        let changes = ChangeDetector::new(root.clone(), options.stop.clone());
        Directory {
            root,
            rechecks: Rechecks::new(options),
            changes,
            exhaustion: ResourceExhaustion::default(),
        }
    }

    /// The same with another way to wait before a file is looked for again. `wait` returns `false` if the run
    /// is to end.
    #[must_use]
    pub fn with_wait(self, wait: impl Fn() -> bool + Send + Sync + 'static) -> Directory {
        Directory { rechecks: self.rechecks.with_wait(Box::new(wait)), ..self }
    }

    /// The directory of a `file://` URL (RFC 8089: percent-encoded, host empty or `localhost`).
    pub(super) fn from_url(text: &str, options: &HttpOptions) -> Result<Directory, OpenError> {
        let url = reqwest::Url::parse(text)
            .map_err(|error| OpenError::url(text, &format!("not a URL ({error})")))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(OpenError::url(text, "it has a query or fragment; write ? as %3F and # as %23"));
        }
        url.to_file_path()
            .map(|root| Directory::new(root, options))
            .map_err(|()| OpenError::url(text, "a file URL names this host or none, as in file:///srv/log"))
    }

    /// `NotFound`, unless the directory itself is missing: an unmounted disk is not a gap.
    fn missing(&self, path: &Path) -> FetchError {
        match std::fs::metadata(&self.root) {
            Ok(metadata) if metadata.is_dir() => {
                FetchError::not_found(&without_userinfo(&path.display().to_string()))
            }
            _ => FetchError::unavailable(
                &without_userinfo(&self.root.display().to_string()),
                "does not exist or is not a directory: check --log",
            ),
        }
    }

    /// Looks for the file as often as the options say. Only then is a required file missing.
    fn find(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let first = wanted.paths.first().map_or_else(|| self.root.clone(), |path| self.root.join(path));
        if !wanted.required {
            return self.look(wanted)?.ok_or_else(|| self.missing(&first));
        }
        let look = || {
            let found = self.look(wanted)?;
            if found.is_none() {
                self.changes.suspect()?;
            }
            Ok(found)
        };
        match self.rechecks.find(&first.display().to_string(), look)? {
            Some(found) => Ok(found),
            None => self.changes.confirm().and_then(|()| Err(self.missing(&first))),
        }
    }

    /// Looks once at each path; `None` if none exists.
    fn look(&self, wanted: &FileRequest<'_>) -> Result<Option<FetchedFile>, FetchError> {
        for (place, path) in wanted.paths.iter().enumerate() {
            match self.read(&self.root.join(path), wanted.limit) {
                Ok(bytes) => return Ok(Some(FetchedFile { place, bytes })),
                Err(FetchError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, FetchError> {
        let name = without_userinfo(&path.display().to_string());
        match read_regular(path, limit) {
            Ok(Content::Whole(bytes)) => Ok(bytes),
            Ok(Content::TooLarge) => Err(FetchError::too_large(&name, limit)),
            Ok(Content::NotAFile) => Err(FetchError::refused(&name, "not a regular file")),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(self.missing(path))
            }
            Err(error) => Err(match exhaustion_of(&error) {
                Some(what) => {
                    self.exhaustion.record(what.clone());
                    FetchError::unavailable(&name, &what)
                }
                None => FetchError::unavailable(&name, &error.to_string()),
            }),
        }
    }
}

impl Fetcher for Directory {
    fn resource_exhaustion(&self) -> Option<String> {
        self.exhaustion.recorded()
    }

    fn location(&self) -> String {
        escape(&without_userinfo(&self.root.display().to_string()))
    }

    fn parallelism(&self) -> usize {
        std::thread::available_parallelism().map_or(PARALLELISM, usize::from)
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let too_large =
            |found: &Result<FetchedFile, FetchError>| matches!(found, Err(FetchError::TooLarge { .. }));
        let first = self.find(wanted);
        if !too_large(&first) {
            return first;
        }
        self.settle()?;
        let again = self.find(wanted);
        if too_large(&again) {
            self.confirm()?;
        }
        again
    }

    fn settle(&self) -> Result<(), FetchError> {
        self.changes.suspect()?;
        self.rechecks.settle(&self.root.display().to_string())
    }

    fn confirm(&self) -> Result<(), FetchError> {
        self.changes.confirm()
    }

    fn start_run(&self, tolerate_changes: bool) {
        self.changes.start_run(tolerate_changes);
    }

    fn tolerated_change(&self) -> bool {
        self.changes.tolerated_change()
    }
}

enum Content {
    Whole(Vec<u8>),
    TooLarge,
    NotAFile,
}

fn read_regular(path: &Path, limit: usize) -> io::Result<Content> {
    match open_regular(path)? {
        Some(file) => read_bounded(file, limit),
        None => Ok(Content::NotAFile),
    }
}

fn read_bounded(file: File, limit: usize) -> io::Result<Content> {
    // The length only sizes the buffer, because the file may grow while it is read. The sums saturate: both are
    // above `limit` then, and the file is too large.
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if expected > limit {
        return Ok(Content::TooLarge);
    }
    let mut bytes = Vec::with_capacity(expected.saturating_add(1));
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > limit { Content::TooLarge } else { Content::Whole(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::{MAX_BUNDLE, MAX_CHECKPOINT, MAX_STH};
    use crate::source::LogSource as _;
    use crate::source::tiled::Tiled;
    use std::fs;
    use std::time::Duration;

    fn log(root: &Path) -> Tiled<Directory> {
        let options = HttpOptions { missing_delay: Duration::ZERO, ..HttpOptions::default() };
        Tiled::new(Directory::new(root, &options))
    }

    #[test]
    fn existing_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tile/entries/000.p")).unwrap();
        fs::write(dir.path().join("checkpoint"), "head").unwrap();
        fs::write(dir.path().join("tile/entries/000.p/1"), b"\0\x01a").unwrap();
        let log = log(dir.path());
        assert_eq!(log.checkpoint().unwrap(), b"head");
        assert_eq!(log.sth(), Ok(None));
        assert_eq!(log.bundle(0, 1).unwrap(), b"\0\x01a");
        fs::write(dir.path().join("tile/entries/000"), b"\0\x01a\0\x01b").unwrap();
        fs::remove_dir_all(dir.path().join("tile/entries/000.p")).unwrap();
        assert_eq!(log.bundle(0, 1).unwrap(), b"\0\x01a");
        // A file in the place of a directory is a missing tile as well.
        fs::write(dir.path().join("tile/0"), "").unwrap();
        assert!(matches!(log.tile(0, 0, 5), Err(FetchError::NotFound { .. })));
    }

    #[test]
    fn the_limit_is_exact() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("checkpoint"), vec![b'a'; MAX_CHECKPOINT]).unwrap();
        fs::write(dir.path().join("sth"), vec![b'a'; MAX_STH + 1]).unwrap();
        // A sparse file of a terabyte that must not be read.
        fs::create_dir_all(dir.path().join("tile/entries")).unwrap();
        File::create(dir.path().join("tile/entries/000")).unwrap().set_len(1 << 40).unwrap();
        let log = log(dir.path());
        assert_eq!(log.checkpoint().unwrap().len(), MAX_CHECKPOINT);
        assert!(matches!(log.sth(), Err(FetchError::TooLarge { limit: MAX_STH, .. })));
        assert!(matches!(log.bundle(0, 256), Err(FetchError::TooLarge { limit: MAX_BUNDLE, .. })));
    }

    #[test]
    fn a_missing_directory_is_not_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir.path().join("unmounted"));
        for error in [log.checkpoint().unwrap_err(), log.sth().unwrap_err(), log.tile(0, 0, 1).unwrap_err()] {
            assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
            assert!(error.to_string().contains("check --log"), "{error}");
        }
        fs::write(dir.path().join("unmounted"), "a file").unwrap();
        assert!(matches!(log.checkpoint(), Err(FetchError::Unavailable { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn special_files_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("checkpoint");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        fs::create_dir(dir.path().join("sth")).unwrap();
        fs::create_dir_all(dir.path().join("tile/entries")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("tile/entries/000")).unwrap();
        let log = log(dir.path());
        assert!(matches!(log.checkpoint(), Err(FetchError::Refused { .. })));
        assert!(matches!(log.sth(), Err(FetchError::Refused { .. })));
        assert!(matches!(log.bundle(0, 256), Err(FetchError::Refused { .. })));
    }

    /// A directory that `copy` writes to between two looks.
    fn copied_meanwhile(root: &Path, copy: impl Fn(&Path) + Send + Sync + 'static) -> Tiled<Directory> {
        let to = root.to_owned();
        let pass = move || {
            copy(&to);
            true
        };
        Tiled::new(Directory::new(root, &HttpOptions::default()).with_wait(pass))
    }

    #[test]
    fn files_that_a_copy_adds_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let log = copied_meanwhile(dir.path(), |to| {
            fs::create_dir_all(to.join("tile/entries/001.p")).unwrap();
            fs::create_dir_all(to.join("tile/0")).unwrap();
            fs::write(to.join("checkpoint"), "head").unwrap();
            fs::write(to.join("tile/entries/000"), b"\0\x01a").unwrap();
            fs::write(to.join("tile/entries/001.p/1"), b"\0\x01b").unwrap();
            fs::write(to.join("tile/0/000"), [7; 64]).unwrap();
        });
        assert_eq!(log.bundle(0, 1).unwrap(), b"\0\x01a");
        fs::remove_dir_all(dir.path().join("tile")).unwrap();
        assert_eq!(log.bundle(1, 1).unwrap(), b"\0\x01b");
        fs::remove_dir_all(dir.path().join("tile")).unwrap();
        assert_eq!(log.tile(0, 0, 1).unwrap(), [7; 32], "cut out of the full one");
        fs::remove_file(dir.path().join("checkpoint")).unwrap();
        assert_eq!(log.checkpoint().unwrap(), b"head");
        // Optional files are not waited for.
        let log = copied_meanwhile(dir.path(), |_| panic!("waited for the sth"));
        assert_eq!(log.sth(), Ok(None));
        assert_eq!(log.reveal("a-1"), Ok(None));
    }

    /// A directory that disappears between two looks, as when a disk is unmounted, has no gap.
    #[test]
    fn a_directory_that_disappears_is_not_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("log");
        fs::create_dir(&root).unwrap();
        let log = copied_meanwhile(&root, |root| drop(fs::remove_dir(root)));
        let error = log.checkpoint().unwrap_err();
        assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
    }

    #[test]
    fn names_are_escaped() {
        let log = log(Path::new("/no/\u{202e}such\n"));
        assert!(log.checkpoint().unwrap_err().to_string().contains("/no/\\u{202e}such\\u{a}"));
        assert_eq!(log.location(), "/no/\\u{202e}such\\u{a}");
    }
}
