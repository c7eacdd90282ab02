//! Why a command ended before it had a verdict: the caller's slip, or a fault of this machine. The exit code tells the
//! two apart (command line contract, "Exit codes"), and so the type does from where it is known.

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
    /// Of this machine: a full disk, no more descriptors, threads or memory.
    Local(String),
}

impl Failure {
    /// Of this machine where `is_local`, otherwise of what was typed.
    pub fn new(is_local: bool, why: String) -> Failure {
        if is_local { Failure::Local(why) } else { Failure::Usage(why) }
    }

    /// What was to be written and could not be.
    pub fn not_written(what: impl fmt::Display, error: &std::io::Error) -> Failure {
        Failure::Local(format!("cannot write {what}: {error}"))
    }

    /// The same with more words around it.
    pub fn within(self, say: impl FnOnce(String) -> String) -> Failure {
        match self {
            Failure::Usage(why) => Failure::Usage(say(why)),
            Failure::Local(why) => Failure::Local(say(why)),
        }
    }

    /// What a command ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Local(_) => LOCAL_FAULT,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(why) | Failure::Local(why) => f.write_str(why),
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
