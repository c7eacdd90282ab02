//! Decides when a directory is looked at again. It may be being copied right now, by `rsync` or from a backup,
//! and a file that is absent or incomplete so far is not a gap.
//!
//! Waits are short and few, so that a log with many missing files does not slow the run down.

use super::FetchError;
use super::options::HttpOptions;
use super::stop::Stop;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this many files stayed missing through all looks, every other file counts as missing at the first
/// look: one is enough to say that the log has a gap.
const MAX_MISSING: usize = 4;

/// The number of waits for files that were wrong. After that they are read again at once.
const MAX_SETTLE_WAITS: u32 = 8;

/// How often a wait checks whether it must end.
const STEP: Duration = Duration::from_millis(20);

/// Waits a moment; `false` if the run was told to stop.
pub(super) type WaitFn = Box<dyn Fn() -> bool + Send + Sync>;

/// The repeated looks at one directory.
pub(super) struct Rechecks {
    wait: WaitFn,
    /// Looks at a missing file after the first.
    retries: u32,
    missing: Mutex<BTreeSet<String>>,
    settled: AtomicU32,
}

impl Rechecks {
    /// As many looks as for a log over HTTP, with the same wait before each.
    pub(super) fn new(options: &HttpOptions) -> Rechecks {
        let (stop, length) = (options.stop.clone(), options.missing_delay);
        Rechecks::of(options.missing_retries, Box::new(move || wait(&stop, length)))
    }

    /// The same with another way to wait.
    pub(super) fn with_wait(self, wait: WaitFn) -> Rechecks {
        Rechecks { wait, ..self }
    }

    fn of(retries: u32, wait: WaitFn) -> Rechecks {
        Rechecks { wait, retries, missing: Mutex::default(), settled: AtomicU32::new(0) }
    }

    /// Looks for a file, and again after a wait as often as the options say. `None` means that the file does
    /// not exist. `name` identifies the file.
    ///
    /// # Errors
    /// The error of `look`, or the run was told to stop before the last look.
    pub(super) fn find<T>(
        &self,
        name: &str,
        look: impl Fn() -> Result<Option<T>, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        for _ in 0..self.retries {
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            if self.is_known_missing(name) {
                return Ok(None);
            }
            self.wait(name)?;
        }
        let last = look()?;
        if last.is_none() {
            self.missing().insert(name.to_owned());
        }
        Ok(last)
    }

    /// Waits before a wrong file is read again, as long in total as for a missing file.
    ///
    /// # Errors
    /// The run was told to stop.
    pub(super) fn settle(&self, name: &str) -> Result<(), FetchError> {
        match self.settled.fetch_add(1, Relaxed) < MAX_SETTLE_WAITS {
            true => (0..self.retries).try_for_each(|_| self.wait(name)),
            false => Ok(()),
        }
    }

    fn wait(&self, name: &str) -> Result<(), FetchError> {
        match (self.wait)() {
            true => Ok(()),
            false => Err(FetchError::unavailable(name, Stop::MESSAGE)),
        }
    }

    fn is_known_missing(&self, name: &str) -> bool {
        let missing = self.missing();
        missing.len() >= MAX_MISSING || missing.contains(name)
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(stop: &Stop, length: Duration) -> bool {
    let begun = Instant::now();
    loop {
        if stop.is_stopped() {
            return false;
        }
        let left = length.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(STEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Rechecks whose waits are counted and take no time.
    fn counted(retries: u32) -> (Rechecks, Arc<AtomicU32>) {
        let passed = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&passed);
        let pass = move || {
            count.fetch_add(1, Relaxed);
            true
        };
        (Rechecks::of(retries, Box::new(pass)), passed)
    }

    #[test]
    fn a_file_is_missing_after_three_looks() {
        for (comes_at, expected, moments) in
            [(1, Some(()), 0), (2, Some(()), 1), (3, Some(()), 2), (4, None, 2)]
        {
            let (all, passed) = counted(2);
            let looks = AtomicU32::new(0);
            let look = || Ok((looks.fetch_add(1, Relaxed) + 1 >= comes_at).then_some(()));
            assert_eq!(all.find("a", look), Ok(expected), "comes at look {comes_at}");
            assert_eq!(passed.load(Relaxed), moments, "comes at look {comes_at}");
        }
    }

    #[test]
    fn waits_for_missing_files_are_bounded() {
        let (all, passed) = counted(2);
        for _ in 0..3 {
            for n in 0..5_000 {
                assert_eq!(all.find(&n.to_string(), || Ok(None::<()>)), Ok(None));
                all.settle("a").unwrap();
            }
        }
        let most = u32::try_from(MAX_MISSING).unwrap() * 2 + MAX_SETTLE_WAITS * 2;
        assert_eq!(passed.load(Relaxed), most);
    }

    #[test]
    fn a_late_file_does_not_reduce_later_looks() {
        let (all, passed) = counted(2);
        for n in 0..100 {
            let looks = AtomicU32::new(0);
            let look = || Ok((looks.fetch_add(1, Relaxed) == 2).then_some(n));
            assert_eq!(all.find(&n.to_string(), look), Ok(Some(n)));
        }
        assert_eq!(passed.load(Relaxed), 200);
    }

    #[test]
    fn a_stopped_run_reports_no_file_missing() {
        let options = HttpOptions { missing_delay: Duration::from_secs(3600), ..HttpOptions::default() };
        options.stop.stop();
        let rechecks = Rechecks::new(&options);
        let error = rechecks.find("a", || Ok(None::<()>)).unwrap_err();
        assert!(
            matches!(&error, FetchError::Unavailable { cause, .. } if cause == Stop::MESSAGE),
            "{error:?}"
        );
        assert!(rechecks.settle("a").is_err());
        assert_eq!(rechecks.find("a", || Ok(Some(1))), Ok(Some(1)));
    }
}
