//! Writing to the terminal.
//!
//! All that a command prints on stdout goes through an [`Answer`], and the exit code comes out of it alone, so that
//! nobody can forget that something was not written. No other file of the command line names stdout, stderr or a macro
//! that prints (`tests/audit/scarce.rs` reads the sources).

use super::failure::{LOCAL_FAULT, exit_code};
use crate::core::text;
use crate::service::Error;
use clap::builder::StyledStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// An error for the person, on stderr. Line breaks of ours stay; nothing else that moves a cursor.
pub fn error(message: &str) {
    let message = text::without_userinfo(message);
    let lines: Vec<String> = message.lines().map(text::escape).collect();
    let _ = writeln!(io::stderr(), "countersign: {}", lines.join("\n"));
}

/// The same for a text that says itself who speaks.
pub fn error_text(message: &str) {
    for line in text::without_userinfo(message).lines() {
        let _ = writeln!(io::stderr(), "{}", text::escape(line));
    }
}

/// Something said besides, on stderr.
pub fn note(message: &str) {
    let _ = writeln!(io::stderr(), "countersign: {}", text::escape(&text::without_userinfo(message)));
}

/// Writes to stdout. Not by way of the standard library, which takes a descriptor that cannot be written to for one that
/// was.
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

/// What a command says on stdout, until it ends in an exit code.
#[must_use = "the exit code comes out of it"]
#[derive(Default)]
pub struct Answer {
    /// Why the rest was not written.
    lost: Option<io::Error>,
}

impl Answer {
    /// Prints a part. Behind one that could not be written nothing more is: an answer with a hole in it would be
    /// another one.
    pub fn print(&mut self, text: &str) {
        self.write(|| write_out(text.as_bytes()));
    }

    /// Prints what was to be encoded; what could not be is not written, and said as such.
    pub fn print_encoded<E: std::error::Error + Send + Sync + 'static>(&mut self, text: Result<String, E>) {
        match text {
            Ok(text) => self.print(&text),
            Err(error) => self.write(|| Err(io::Error::other(error))),
        }
    }

    /// Prints help or the version, in colours where the terminal has them.
    pub fn print_help(&mut self, help: &StyledStr) {
        let text = if stdout_is_terminal() { help.ansi().to_string() } else { help.to_string() };
        self.print(&text);
    }

    fn write(&mut self, write: impl FnOnce() -> io::Result<()>) {
        if self.lost.is_none() {
            self.lost = write().err();
        }
    }

    /// Whether somebody has got all of what was printed so far.
    pub fn is_whole(&self) -> bool {
        self.lost.is_none()
    }

    /// The exit code: that of the result, unless what was printed did not get where it should. A closed pipe (`| head`)
    /// has had enough of it, which is no fault.
    pub fn finish(self, result: Result<u8, Error>) -> ExitCode {
        let code = result.unwrap_or_else(|failure| {
            error(&failure.to_string());
            exit_code(&failure)
        });
        match self.lost {
            Some(why) if why.kind() != io::ErrorKind::BrokenPipe => {
                error(&format!(
                    "{}, so what was asked for is not all there",
                    Error::not_written("stdout", &why)
                ));
                ExitCode::from(LOCAL_FAULT)
            }
            _ => ExitCode::from(code),
        }
    }
}

/// The exit code after a panic, which is a bug of ours. It must not look like a verdict, nor like a pass to a caller
/// that knows the exit codes of the contract only.
pub fn bug() -> ExitCode {
    error("this is a bug in countersign, and says nothing about the log; please report what stands above");
    ExitCode::from(LOCAL_FAULT)
}

/// Whether progress can be drawn.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether the report goes to a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_encoded_is_a_fault_of_this_side() {
        let mut answer = Answer::default();
        answer.print_encoded(serde_json::to_string(&std::collections::BTreeMap::from([(vec![1], 1)])));
        assert!(!answer.is_whole());
        assert_eq!(format!("{:?}", answer.finish(Ok(0))), format!("{:?}", ExitCode::from(LOCAL_FAULT)));
    }
}
