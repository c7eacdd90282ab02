//! Alerts to a program: the JSON on its stdin, and its exit code 0 is the yes.
//!
//! It is run directly, with no shell, so nothing of an alert can become part of a command. Where this
//! process is killed between the program's end and the note of it, the program is run again with the same
//! alert: one that must not act twice keeps the alert's `key`.
//!
//! Its pipes are read and written without blocking, by the one who waits for it: what it leaves running may keep
//! them for ever, and keeps nothing of ours.

use super::channels::{Delivery, Message, Transport};
use crate::core::text::quoted;
use crate::source::lack_of;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program that takes longer is killed, and what it started with it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of what it says on stderr is repeated.
const MAX_SAID: usize = 400;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl Command {
    /// The program first, then its arguments.
    ///
    /// # Errors
    /// A sentence for the person: there is no program.
    pub fn new(command: &[String]) -> Result<Command, String> {
        match command.split_first() {
            Some((program, arguments)) if !program.is_empty() => {
                Ok(Command { program: program.clone(), arguments: arguments.to_vec(), timeout: TIMEOUT })
            }
            _ => {
                Err("command: name a program, as in command = [\"/usr/local/bin/page\", \"--now\"]"
                    .to_owned())
            }
        }
    }

    /// The same with another time to answer in.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Command {
        Command { timeout, ..self }
    }

    fn name(&self) -> String {
        quoted(&self.program)
    }
}

impl Transport for Command {
    fn send(&self, message: &Message<'_>) -> Delivery {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A group of its own, so that all of it can be ended.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return match lack_of(&error) {
                    Some(what) => Delivery::Lacking(format!("{} cannot be run: {what}", self.name())),
                    None => Delivery::Retryable(format!("{} cannot be run: {error}", self.name())),
                };
            }
        };
        let mut talk = Talk::with(&mut child, format!("{}\n", message.json));
        match wait(&mut child, &mut talk, self.timeout) {
            Ok(Some(status)) if status.success() => Delivery::Delivered,
            Ok(Some(status)) => {
                Delivery::Refused(format!("{} ended with {status}{}", self.name(), talk.tail()))
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

/// What is still to be said to a program, and what it said.
struct Talk {
    stdin: Option<Box<dyn Write>>,
    left: Vec<u8>,
    fed: usize,
    stderr: Option<Box<dyn Read>>,
    said: Vec<u8>,
}

impl Talk {
    fn with(child: &mut Child, text: String) -> Talk {
        let stdin = child.stdin.take().filter(does_not_block);
        let stderr = child.stderr.take().filter(does_not_block);
        Talk {
            stdin: stdin.map(|pipe| Box::new(pipe) as Box<dyn Write>),
            left: text.into_bytes(),
            fed: 0,
            stderr: stderr.map(|pipe| Box::new(pipe) as Box<dyn Read>),
            said: Vec::new(),
        }
    }

    /// Says and hears what can be now; whether that was anything.
    fn go_on(&mut self) -> bool {
        let fed = self.feed();
        self.listen() || fed
    }

    /// A program that ended without reading all has had its say with its exit code.
    fn feed(&mut self) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        let Some(rest) = self.left.get(self.fed..).filter(|rest| !rest.is_empty()) else {
            self.stdin = None;
            return false;
        };
        match stdin.write(rest) {
            Ok(written) if written > 0 => {
                self.fed = self.fed.saturating_add(written);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            _ => self.stdin = None,
        }
        false
    }

    /// All of it, or a program that says much would stand still.
    fn listen(&mut self) -> bool {
        let Some(stderr) = &mut self.stderr else { return false };
        let mut chunk = [0; 4096];
        match stderr.read(&mut chunk) {
            Ok(0) => self.stderr = None,
            Ok(read) => {
                let room = MAX_SAID.saturating_sub(self.said.len()).min(read);
                self.said.extend(chunk.iter().take(room));
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.stderr = None,
        }
        false
    }

    fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.said);
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}

/// Its end, or `None` where it had to be killed.
fn wait(child: &mut Child, talk: &mut Talk, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let moved = talk.go_on();
        if let Some(status) = child.try_wait()? {
            // What it said last; what it left running may say more, for ever.
            for _ in 0..16 {
                if !talk.listen() {
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

/// It, and what it started. It was not waited for yet, so its number is still its own.
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

/// Where pipes cannot be told so, a program that reads nothing may hold us up.
#[cfg(not(unix))]
fn does_not_block<T>(_pipe: &T) -> bool {
    true
}
