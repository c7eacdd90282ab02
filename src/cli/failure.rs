//! Why a command ended before it had a verdict: the caller's slip, or a fault of this machine. The exit code tells the
//! two apart (command line contract, "Exit codes"), and so the type does from where it is known.

use crate::source::OpenError;
use std::fmt;

/// Wrong usage or configuration: nothing was checked.
const USAGE: u8 = 2;

/// A fault on this side.
pub const LOCAL_FAULT: u8 = 5;

/// A sentence for the person, and whose fault it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Of what was typed or configured.
    Usage(String),
    /// The same of a variable of the environment, whatever it was needed for.
    Environment(String),
    /// Of this machine: a full disk, no more descriptors, threads or memory.
    Local(String),
}

impl Failure {
    /// Of this machine where `is_local`, otherwise of what was typed.
    pub fn new(is_local: bool, why: String) -> Failure {
        if is_local { Failure::Local(why) } else { Failure::Usage(why) }
    }

    /// Of what cannot be opened, in these words; where a variable is at fault, in words about that alone.
    pub fn opening(error: &OpenError, say: impl FnOnce(&OpenError) -> String) -> Failure {
        match error {
            OpenError::Proxy { .. } => Failure::Environment(error.to_string()),
            error => Failure::new(error.is_local(), say(error)),
        }
    }

    /// What was to be written and could not be.
    pub fn not_written(what: impl fmt::Display, error: &std::io::Error) -> Failure {
        Failure::Local(format!("cannot write {what}: {error}"))
    }

    /// The same with more words around it, which say where it was found. A variable is at fault everywhere.
    pub fn within(self, say: impl FnOnce(String) -> String) -> Failure {
        match self {
            Failure::Usage(why) => Failure::Usage(say(why)),
            Failure::Environment(why) => Failure::Environment(why),
            Failure::Local(why) => Failure::Local(say(why)),
        }
    }

    /// What a command ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Environment(_) => USAGE,
            Failure::Local(_) => LOCAL_FAULT,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(why) | Failure::Environment(why) | Failure::Local(why) => f.write_str(why),
        }
    }
}

/// A sentence alone is about what was typed.
impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Usage(why)
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Failure {
        Failure::Usage(why.to_owned())
    }
}
