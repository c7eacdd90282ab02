//! The exit codes of what ended before it had a verdict (command line contract, "Exit codes").

use crate::service::Error;

/// Wrong usage or configuration: nothing was checked.
pub const USAGE: u8 = 2;

/// A fault on this side.
pub const LOCAL_FAULT: u8 = 5;

/// What a command ends with.
pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Usage(_) | Error::Environment(_) => USAGE,
        Error::Local(_) => LOCAL_FAULT,
    }
}
