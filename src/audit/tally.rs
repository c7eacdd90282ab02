//! Which checks were made. A result lists every check, including those that were not made.

use crate::core::check::Check;

/// The results of one check over everything that it was applied to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Count {
    /// Held.
    pub passed: u64,
    /// Did not hold.
    pub failed: u64,
    /// Could not be made, or was not asked for.
    pub not_checked: u64,
}

/// Counts by check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally([Option<Count>; Check::ALL.len()]);

impl Default for Tally {
    fn default() -> Tally {
        Tally([None; Check::ALL.len()])
    }
}

impl Tally {
    /// Adds to a check's counts.
    pub fn add(&mut self, check: Check, passed: u64, failed: u64, not_checked: u64) {
        if let Some(place) = self.0.get_mut(check as usize) {
            let count = place.get_or_insert_default();
            // No log has so many entries, and no entry so many checks.
            count.passed = count.passed.saturating_add(passed);
            count.failed = count.failed.saturating_add(failed);
            count.not_checked = count.not_checked.saturating_add(not_checked);
        }
    }

    /// Records one application of a check.
    pub fn record(&mut self, check: Check, held: bool) {
        self.add(check, u64::from(held), u64::from(!held), 0);
    }

    /// Adds all of another tally.
    pub fn merge(&mut self, other: &Tally) {
        for (check, count) in other.iter() {
            self.add(check, count.passed, count.failed, count.not_checked);
        }
    }

    /// The counts of every check for which `add` was called, even if only with zeros.
    pub fn iter(&self) -> impl Iterator<Item = (Check, Count)> {
        Check::ALL.iter().zip(&self.0).filter_map(|(check, count)| Some((*check, (*count)?)))
    }

    /// One check's counts.
    pub fn get(&self, check: Check) -> Count {
        self.0.get(check as usize).copied().flatten().unwrap_or_default()
    }

    fn known(&mut self, check: Check) -> Option<&mut Count> {
        self.0.get_mut(check as usize)?.as_mut()
    }

    /// Records results of a check whose applications were counted as not checked before.
    pub fn settle(&mut self, check: Check, passed: u64, failed: u64) {
        self.add(check, passed, failed, 0);
        if let Some(count) = self.known(check) {
            // What is settled was counted as not checked before.
            count.not_checked = count.not_checked.saturating_sub(passed.saturating_add(failed));
        }
    }

    /// Turns one pass of a check, already recorded, into a failure.
    pub fn fail_instead(&mut self, check: Check) {
        if let Some(count) = self.known(check) {
            // What fails instead was counted as passed before.
            count.passed = count.passed.saturating_sub(1);
            count.failed = count.failed.saturating_add(1);
        }
    }
}
