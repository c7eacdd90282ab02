//! Errors of operations that were not begun: the request cannot be carried out, or this machine cannot do it. The two
//! have different exit codes (the page `audit` of the guide, "Exit codes"), so the type separates them where the error arises.

use std::fmt;

/// A message for the user, and its kind. It implies nothing about any log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// A fault in the options, in a config, or in a file that they name.
    Usage(String),
    /// A fault in an environment variable.
    Environment(String),
    /// A fault of this machine, such as a full disk, or a lack of descriptors, threads or memory.
    Local(String),
}

impl Error {
    /// Makes an [`Error::Local`] if `is_local`, otherwise an [`Error::Usage`].
    pub fn new(is_local: bool, why: String) -> Error {
        if is_local { Error::Local(why) } else { Error::Usage(why) }
    }

    /// Makes an [`Error::Local`] for `what`, which could not be written.
    pub fn not_written(what: impl fmt::Display, error: &std::io::Error) -> Error {
        Error::Local(format!("cannot write {what}: {error}"))
    }

    /// Adds to the message where the fault was found. The message about an environment variable stays as it is, because
    /// the variable is at fault wherever it is used.
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

/// Makes an [`Error::Usage`].
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
