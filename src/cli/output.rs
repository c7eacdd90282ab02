//! Writes to the terminal.
//!
//! All output on stdout goes through an [`Answer`], and only an [`Answer`] gives the exit code. A failure to write can
//! therefore not be forgotten. No other file of the command line uses stdout, stderr or a macro that prints
//! (`tests/audit/resource_limits.rs` reads the sources).

use super::failure::{LOCAL_FAULT, exit_code};
use crate::core::text;
use crate::service::Error;
use clap::builder::StyledStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Prints an error on stderr. Line breaks are kept, and all other control characters are escaped.
pub fn error(message: &str) {
    let message = text::without_userinfo(message);
    let lines: Vec<String> = message.lines().map(text::escape).collect();
    let _ = writeln!(io::stderr(), "countersign: {}", lines.join("\n"));
}

/// Prints an error on stderr without the name of the program, which the text has already.
pub fn error_text(message: &str) {
    for line in text::without_userinfo(message).lines() {
        let _ = writeln!(io::stderr(), "{}", text::escape(line));
    }
}

/// Prints a note on stderr.
pub fn note(message: &str) {
    let _ = writeln!(io::stderr(), "countersign: {}", text::escape(&text::without_userinfo(message)));
}

/// Writes to stdout. The standard library is not used, because it reports success for a descriptor that cannot be
/// written to.
#[cfg(unix)]
fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes to stdout.
#[cfg(not(unix))]
fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// The output of a command on stdout, and whether all of it was written.
#[must_use = "the exit code comes out of it"]
#[derive(Default)]
pub struct Answer {
    /// The first failure to write. Nothing is written after it.
    lost: Option<io::Error>,
}

impl Answer {
    /// Prints a part of the output. After a part that could not be written, nothing more is: output with a gap would
    /// have another meaning.
    pub fn print(&mut self, text: &str) {
        self.write(|| write_out(text.as_bytes()));
    }

    /// Prints an encoded text. A failure to encode counts as a failure to write.
    pub fn print_encoded<E: std::error::Error + Send + Sync + 'static>(&mut self, text: Result<String, E>) {
        match text {
            Ok(text) => self.print(&text),
            Err(error) => self.write(|| Err(io::Error::other(error))),
        }
    }

    /// Prints help or the version, in colour on a terminal.
    pub fn print_help(&mut self, help: &StyledStr) {
        let text = if stdout_is_terminal() { help.ansi().to_string() } else { help.to_string() };
        self.print(&text);
    }

    fn write(&mut self, write: impl FnOnce() -> io::Result<()>) {
        if self.lost.is_none() {
            self.lost = write().err();
        }
    }

    /// Whether all output so far was written.
    pub fn is_whole(&self) -> bool {
        self.lost.is_none()
    }

    /// Returns the exit code of the result, or that of a local fault if the output was not written. A closed pipe
    /// (`| head`) is not a fault.
    pub fn finish(self, result: Result<u8, Error>) -> ExitCode {
        let code = result.unwrap_or_else(|failure| {
            error(&failure.to_string());
            exit_code(&failure)
        });
        match self.lost {
            Some(why) if why.kind() != io::ErrorKind::BrokenPipe => {
                error(&format!("{}, so the output is not complete", Error::not_written("stdout", &why)));
                ExitCode::from(LOCAL_FAULT)
            }
            _ => ExitCode::from(code),
        }
    }
}

/// The exit code after a panic, which is a bug in this program. It must not look like a verdict, nor like a pass to a
/// caller that knows only the exit codes of the contract.
pub fn bug() -> ExitCode {
    error("this is a bug in countersign, and says nothing about the log; please report the message above");
    ExitCode::from(LOCAL_FAULT)
}

/// Whether progress can be drawn.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a terminal is on one of the three standard descriptors.
pub fn is_on_terminal() -> bool {
    io::stdin().is_terminal() || stdout_is_terminal() || stderr_is_terminal()
}

/// Whether the report goes to a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_failure_is_a_local_fault() {
        let mut answer = Answer::default();
        answer.print_encoded(serde_json::to_string(&std::collections::BTreeMap::from([(vec![1], 1)])));
        assert!(!answer.is_whole());
        assert_eq!(format!("{:?}", answer.finish(Ok(0))), format!("{:?}", ExitCode::from(LOCAL_FAULT)));
    }
}
