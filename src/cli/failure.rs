//! The exit codes of commands that end without a verdict (the page `audit` of the guide, "Exit codes").

use crate::service::Error;

/// Wrong usage or configuration: nothing was checked.
pub const USAGE: u8 = 2;

/// A fault of this machine.
pub const LOCAL_FAULT: u8 = 5;

/// The exit code for an error.
pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Usage(_) | Error::Environment(_) => USAGE,
        Error::Local(_) => LOCAL_FAULT,
    }
}
