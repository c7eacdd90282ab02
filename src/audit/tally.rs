//! Which checks were made. A result lists every check, those not made included.

use std::collections::BTreeMap;

/// How one check went, over all that it was applied to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Count {
    /// Held.
    pub passed: u64,
    /// Did not hold.
    pub failed: u64,
    /// Could not be made, or was not asked for.
    pub not_checked: u64,
}

/// Counts by check name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tally(BTreeMap<String, Count>);

impl Tally {
    /// Adds to a check's counts.
    pub fn add(&mut self, name: &str, passed: u64, failed: u64, not_checked: u64) {
        let count = match self.0.get_mut(name) {
            Some(count) => count,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        count.passed = count.passed.saturating_add(passed);
        count.failed = count.failed.saturating_add(failed);
        count.not_checked = count.not_checked.saturating_add(not_checked);
    }

    /// Records one application of a check.
    pub fn record(&mut self, name: &str, held: bool) {
        self.add(name, u64::from(held), u64::from(!held), 0);
    }

    /// Adds all of another tally.
    pub fn merge(&mut self, other: &Tally) {
        for (name, count) in &other.0 {
            self.add(name, count.passed, count.failed, count.not_checked);
        }
    }

    /// The counts by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Count)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// One check's counts.
    pub fn get(&self, name: &str) -> Count {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl Tally {
    /// Applications of a check that could not be made when they were recorded, and were made since.
    pub fn settle(&mut self, name: &str, passed: u64, failed: u64) {
        self.add(name, passed, failed, 0);
        if let Some(count) = self.0.get_mut(name) {
            count.not_checked = count.not_checked.saturating_sub(passed.saturating_add(failed));
        }
    }

    /// Turns one pass of a check, already recorded, into a failure.
    pub fn fail_instead(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            count.passed = count.passed.saturating_sub(1);
            count.failed = count.failed.saturating_add(1);
        }
    }
}
