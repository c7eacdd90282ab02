//! Faults on our side: they end the run, and nobody is accused.

use crate::mirror::MirrorError;
use crate::source::Stop;
use std::fmt;

/// A fault on our side: the run stops, and nobody is accused.
#[derive(Debug)]
pub enum Fault {
    /// The mirror.
    Mirror(MirrorError),
    /// Two implementations of one algorithm disagree.
    Disagreement(String),
    /// The evidence directory could not be written.
    Evidence(String),
    /// The operating system gave no random numbers.
    Random,
    /// Not a fault: the run was stopped while nothing could be concluded.
    Stopped,
}

impl From<MirrorError> for Fault {
    fn from(error: MirrorError) -> Fault {
        Fault::Mirror(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Mirror(error) => error.fmt(f),
            Fault::Disagreement(what) => write!(
                f,
                "two implementations disagree, so nothing is concluded: {what}. Please report this with the log's \
                 name and the entry; it is a fault in this program or a library of it, or failing hardware"
            ),
            Fault::Evidence(why) => write!(f, "{why}"),
            Fault::Random => f.write_str(
                "the operating system gives no random numbers, so the log could foresee which of its answers are \
                 sampled: check this machine, or audit with --full",
            ),
            Fault::Stopped => f.write_str(Stop::MESSAGE),
        }
    }
}
