//! Standard output and standard error. A failed write fails the command, except to a closed pipe.

use crate::error::TestlogError;
use std::io::{self, Write as _};

/// Prints to standard output.
///
/// # Errors
/// Standard output could not be written.
pub fn print(text: &str) -> Result<(), TestlogError> {
    let mut out = io::stdout().lock();
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints help or the version.
///
/// # Errors
/// As [`print()`].
pub fn print_help(help: &clap::Error) -> Result<(), TestlogError> {
    ignore_broken_pipe(help.print().and_then(|()| io::stdout().flush()))
}

fn ignore_broken_pipe(written: io::Result<()>) -> Result<(), TestlogError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write stdout: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Prints a note to standard error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
