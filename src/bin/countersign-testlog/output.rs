//! All that is printed: what cannot be is an error of the command, and a closed pipe is none.

use std::io::{self, Write as _};

/// Prints what was asked for.
///
/// # Errors
/// It could not be written.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    whole(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints help or the version.
///
/// # Errors
/// As [`print()`].
pub fn print_help(help: &clap::Error) -> Result<(), String> {
    whole(help.print().and_then(|()| io::stdout().flush()))
}

fn whole(written: io::Result<()>) -> Result<(), String> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write stdout: {error}"))
        }
        _ => Ok(()),
    }
}

/// Says something besides, on stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
