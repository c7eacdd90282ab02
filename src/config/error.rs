//! Why something was not begun: what was asked for cannot be done, or this machine cannot do it. Whoever ends a process
//! with an exit code tells the two apart (command line contract, "Exit codes"), and so the type does from where it is
//! known.

use std::fmt;

/// A sentence for the person, and whose fault it is. Nothing was concluded about any log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// Of what was given, in options, in a config or in a file that these name.
    Usage(String),
    /// The same of a variable of the environment, whatever it was needed for.
    Environment(String),
    /// Of this machine: a full disk, no more descriptors, threads or memory.
    Local(String),
}

impl Error {
    /// Of this machine where `is_local`, otherwise of what was given.
    pub fn new(is_local: bool, why: String) -> Error {
        if is_local { Error::Local(why) } else { Error::Usage(why) }
    }

    /// What was to be written and could not be.
    pub fn not_written(what: impl fmt::Display, error: &std::io::Error) -> Error {
        Error::Local(format!("cannot write {what}: {error}"))
    }

    /// The same with more words around it, which say where it was found. A variable is at fault everywhere.
    pub fn within(self, say: impl FnOnce(String) -> String) -> Error {
        match self {
            Error::Usage(why) => Error::Usage(say(why)),
            Error::Environment(why) => Error::Environment(why),
            Error::Local(why) => Error::Local(say(why)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(why) | Error::Environment(why) | Error::Local(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

/// A sentence alone is about what was given.
impl From<String> for Error {
    fn from(why: String) -> Error {
        Error::Usage(why)
    }
}

impl From<&str> for Error {
    fn from(why: &str) -> Error {
        Error::Usage(why.to_owned())
    }
}
