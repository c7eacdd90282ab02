//! Sends alerts to a program: the JSON on its stdin. Exit code 0 means that it accepted the alert.
//!
//! The program is run directly, without a shell, so nothing in an alert can become part of a command. If this
//! process is killed after the program ended and before that was recorded, the program is run again with the
//! same alert. A program that must not act twice remembers the alert's `key`.
//!
//! The pipes are non-blocking, and the waiting thread itself reads and writes them: processes that the program
//! leaves behind may hold its pipes for ever without blocking us.
//!
//! Byte counts saturate, far above the bounds that they are compared with, and so does the pause, which is cut
//! to its cap.

use super::channels::{Delivery, Message, Transport};
use super::error::SetupError;
use crate::core::text::quoted;
use crate::source::exhaustion_of;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program that takes longer is killed, with all processes that it started.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many bytes of its stderr are quoted.
const MAX_STDERR: usize = 400;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct CommandTransport {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl CommandTransport {
    /// The program first, then its arguments.
    ///
    /// # Errors
    /// [`SetupError::NoProgram`]: there is no program.
    pub fn new(command: &[String]) -> Result<CommandTransport, SetupError> {
        match command.split_first() {
            Some((program, arguments)) if !program.is_empty() => Ok(CommandTransport {
                program: program.clone(),
                arguments: arguments.to_vec(),
                timeout: TIMEOUT,
            }),
            _ => Err(SetupError::NoProgram),
        }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> CommandTransport {
        CommandTransport { timeout, ..self }
    }

    fn name(&self) -> String {
        quoted(&self.program)
    }
}

impl Transport for CommandTransport {
    fn send(&self, message: &Message<'_>) -> Delivery {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A process group of its own, so that all its processes can be killed.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return match exhaustion_of(&error) {
                    Some(what) => {
                        Delivery::ResourceExhausted(format!("{} cannot be run: {what}", self.name()))
                    }
                    None => Delivery::Retryable(format!("{} cannot be run: {error}", self.name())),
                };
            }
        };
        let mut pipes = Pipes::with(&mut child, format!("{}\n", message.json));
        match wait(&mut child, &mut pipes, self.timeout) {
            Ok(Some(status)) if status.success() => Delivery::Delivered,
            Ok(Some(status)) => {
                Delivery::Refused(format!("{} ended with {status}{}", self.name(), pipes.stderr_suffix()))
            }
            Ok(None) => Delivery::Retryable(format!(
                "{} did not end within {} s and was killed",
                self.name(),
                self.timeout.as_secs()
            )),
            Err(error) => {
                kill(&mut child);
                Delivery::Retryable(format!("{}: {error}", self.name()))
            }
        }
    }
}

/// The pipes to a running program: what remains to be written to its stdin, and what was read from its stderr.
struct Pipes {
    stdin: Option<Box<dyn Write>>,
    input: Vec<u8>,
    written: usize,
    stderr: Option<Box<dyn Read>>,
    captured: Vec<u8>,
}

impl Pipes {
    fn with(child: &mut Child, text: String) -> Pipes {
        let stdin = child.stdin.take().filter(does_not_block);
        let stderr = child.stderr.take().filter(does_not_block);
        Pipes {
            stdin: stdin.map(|pipe| Box::new(pipe) as Box<dyn Write>),
            input: text.into_bytes(),
            written: 0,
            stderr: stderr.map(|pipe| Box::new(pipe) as Box<dyn Read>),
            captured: Vec::new(),
        }
    }

    /// Writes and reads what is possible now. Returns whether anything was transferred.
    fn transfer(&mut self) -> bool {
        let written = self.write_stdin();
        self.read_errors() || written
    }

    /// Writes to stdin. A program may end without reading all of it: its exit code decides.
    fn write_stdin(&mut self) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        let Some(rest) = self.input.get(self.written..).filter(|rest| !rest.is_empty()) else {
            self.stdin = None;
            return false;
        };
        match stdin.write(rest) {
            Ok(written) if written > 0 => {
                self.written = self.written.saturating_add(written);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            _ => self.stdin = None,
        }
        false
    }

    /// Reads a chunk of stderr. All of it is read, but only the start is kept: a program that writes much would block
    /// otherwise.
    fn read_errors(&mut self) -> bool {
        let Some(stderr) = &mut self.stderr else { return false };
        let mut chunk = [0; 4096];
        match stderr.read(&mut chunk) {
            Ok(0) => self.stderr = None,
            Ok(read) => {
                let room = MAX_STDERR.saturating_sub(self.captured.len()).min(read);
                self.captured.extend(chunk.iter().take(room));
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.stderr = None,
        }
        false
    }

    fn stderr_suffix(&self) -> String {
        let text = String::from_utf8_lossy(&self.captured);
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}

/// Waits for the exit status; `None` if the program had to be killed.
fn wait(child: &mut Child, pipes: &mut Pipes, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let moved = pipes.transfer();
        if let Some(status) = child.try_wait()? {
            // Reads the rest of its output. A process that it left behind may write for ever, so the number of
            // reads is bounded.
            for _ in 0..16 {
                if !pipes.read_errors() {
                    break;
                }
            }
            return Ok(Some(status));
        }
        if begun.elapsed() >= timeout {
            kill(child);
            return Ok(None);
        }
        if moved {
            pause = Duration::from_millis(1);
            continue;
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(Duration::from_millis(50));
    }
}

/// Kills the program and what it started. It was not waited for yet, so its process id is not reused.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(unix)]
fn does_not_block(pipe: &impl std::os::fd::AsFd) -> bool {
    rustix::io::ioctl_fionbio(pipe, true).is_ok()
}

/// Without non-blocking pipes, a program that does not read may block us.
#[cfg(not(unix))]
fn does_not_block<T>(_pipe: &T) -> bool {
    true
}
