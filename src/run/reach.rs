//! Whether the log can still be asked.

/// Whether the log could be reached, at the end of a phase that asks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Reach {
    /// It answered, rightly or wrongly.
    Reachable,
    /// It did not, or the run is to end early. The cause is said, and later phases do not ask.
    Unreachable,
}

impl Reach {
    /// Whether later phases may ask the log.
    pub(super) fn is_reachable(self) -> bool {
        self == Reach::Reachable
    }
}
