//! How far a phase of the audit is, for a display.

/// Told about progress; the command line draws it.
pub trait Progress: Sync {
    /// A phase begins that has `total` entries to go through.
    fn begin(&self, phase: &str, total: u64);
    /// So many more entries are done.
    fn advance(&self, entries: u64);
    /// The phase is over.
    fn end(&self);
}

/// No progress is shown.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
