//! When a directory is looked at again. It may be being copied this very moment, by `rsync` or from a backup, and
//! what is not there yet, or not all there, is no gap.
//!
//! A moment is short, and there are few of them: a log of which much is missing keeps nobody here.

use super::FetchError;
use super::options::HttpOptions;
use super::stop::Stop;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Files that stayed away through all looks, after which every other is believed to be missing at the first look:
/// one is enough to say that the log has a gap.
const MAX_RESOLVING: usize = 4;

/// Waits for what was there and wrong, after which it is looked at again at once.
const MAX_SETTLED: u32 = 8;

/// How soon a wait notices that it is to end.
const STEP: Duration = Duration::from_millis(20);

/// Lets a moment pass; `false` where the run was told to stop.
pub(super) type Pass = Box<dyn Fn() -> bool + Send + Sync>;

/// The moments of one directory.
pub(super) struct Moments {
    pass: Pass,
    /// Looks at a missing file besides the first.
    further: u32,
    away: Mutex<BTreeSet<String>>,
    settled: AtomicU32,
}

impl Moments {
    /// As for a log over HTTP: as many looks, and as long a wait before each.
    pub(super) fn new(options: &HttpOptions) -> Moments {
        let (stop, length) = (options.stop.clone(), options.missing_delay);
        Moments::of(options.missing_retries, Box::new(move || wait(&stop, length)))
    }

    /// With a way of their own to let a moment pass.
    pub(super) fn passing(self, pass: Pass) -> Moments {
        Moments { pass, ..self }
    }

    fn of(further: u32, pass: Pass) -> Moments {
        Moments { pass, further, away: Mutex::default(), settled: AtomicU32::new(0) }
    }

    /// What `look` finds, or else what it finds a moment later, and again; then `None`: the file is not there.
    /// `name` is by what the file is known.
    ///
    /// # Errors
    /// What `look` fails with, or that the run was told to stop before the last look.
    pub(super) fn find<T>(
        &self,
        name: &str,
        look: impl Fn() -> Result<Option<T>, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        for _ in 0..self.further {
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            if self.is_away(name) {
                return Ok(None);
            }
            self.pass(name)?;
        }
        let last = look()?;
        if last.is_none() {
            self.away().insert(name.to_owned());
        }
        Ok(last)
    }

    /// Lets as long pass before what was wrong is looked at again as goes by until a file is missing.
    ///
    /// # Errors
    /// That the run was told to stop.
    pub(super) fn settle(&self, name: &str) -> Result<(), FetchError> {
        match self.settled.fetch_add(1, Relaxed) < MAX_SETTLED {
            true => (0..self.further).try_for_each(|_| self.pass(name)),
            false => Ok(()),
        }
    }

    fn pass(&self, name: &str) -> Result<(), FetchError> {
        match (self.pass)() {
            true => Ok(()),
            false => Err(FetchError::unavailable(name, Stop::SAID)),
        }
    }

    fn is_away(&self, name: &str) -> bool {
        let away = self.away();
        away.len() >= MAX_RESOLVING || away.contains(name)
    }

    fn away(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Moments that are counted, and take no time.
    fn counted(further: u32) -> (Moments, Arc<AtomicU32>) {
        let passed = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&passed);
        let pass = move || {
            count.fetch_add(1, Relaxed);
            true
        };
        (Moments::of(further, Box::new(pass)), passed)
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
    fn a_log_of_which_much_is_missing_keeps_nobody() {
        let (all, passed) = counted(2);
        for _ in 0..3 {
            for n in 0..5_000 {
                assert_eq!(all.find(&n.to_string(), || Ok(None::<()>)), Ok(None));
                all.settle("a").unwrap();
            }
        }
        let most = u32::try_from(MAX_RESOLVING).unwrap() * 2 + MAX_SETTLED * 2;
        assert_eq!(passed.load(Relaxed), most);
    }

    #[test]
    fn what_comes_late_costs_the_others_no_look() {
        let (all, passed) = counted(2);
        for n in 0..100 {
            let looks = AtomicU32::new(0);
            let look = || Ok((looks.fetch_add(1, Relaxed) == 2).then_some(n));
            assert_eq!(all.find(&n.to_string(), look), Ok(Some(n)));
        }
        assert_eq!(passed.load(Relaxed), 200);
    }

    #[test]
    fn nothing_is_called_missing_by_who_was_told_to_stop() {
        let options = HttpOptions { missing_delay: Duration::from_secs(3600), ..HttpOptions::default() };
        options.stop.stop();
        let moments = Moments::new(&options);
        let error = moments.find("a", || Ok(None::<()>)).unwrap_err();
        assert!(matches!(&error, FetchError::Unavailable { cause, .. } if cause == Stop::SAID), "{error:?}");
        assert!(moments.settle("a").is_err());
        assert_eq!(moments.find("a", || Ok(Some(1))), Ok(Some(1)));
    }
}
