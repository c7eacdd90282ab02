//! Alerts to a program: the JSON on its stdin, and its exit code 0 is the yes.
//!
//! It is run directly, with no shell, so nothing of an alert can become part of a command. Where this
//! process is killed between the program's end and the note of it, the program is run again with the same
//! alert: one that must not act twice keeps the alert's `key`.

use super::channels::{Fate, Message, Way};
use crate::core::text::quoted;
use std::io::{Read as _, Write as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A program that takes longer is killed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of what it says on stderr is repeated.
const MAX_SAID: u64 = 400;

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

impl Way for Command {
    fn send(&self, message: &Message<'_>) -> Fate {
        let child = std::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return Fate::Down(format!("{} cannot be run: {error}", self.name())),
        };
        feed(&mut child, format!("{}\n", message.json));
        let said = listen(&mut child);
        match wait(&mut child, self.timeout) {
            Ok(Some(status)) if status.success() => Fate::Delivered,
            Ok(Some(status)) => Fate::Refused(format!("{} ended with {status}{}", self.name(), tail(&said))),
            Ok(None) => Fate::Down(format!(
                "{} did not end within {} s and was killed",
                self.name(),
                self.timeout.as_secs()
            )),
            Err(error) => Fate::Down(format!("{}: {error}", self.name())),
        }
    }
}

/// In a thread: a program that reads nothing, or says more than a pipe holds before it reads, would
/// otherwise hold us up. A program that ended without reading all has had its say with its exit code.
fn feed(child: &mut Child, text: String) {
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    }
}

fn listen(child: &mut Child) -> Receiver<String> {
    let (sender, said) = channel();
    if let Some(mut stderr) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut start = Vec::new();
            let _ = stderr.by_ref().take(MAX_SAID).read_to_end(&mut start);
            let _ = sender.send(String::from_utf8_lossy(&start).trim().to_owned());
            // Or it would stand still, or be killed by a closed pipe, for saying much.
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        });
    }
    said
}

/// What was heard, if it is there: a grandchild may hold the pipe open for ever.
fn tail(said: &Receiver<String>) -> String {
    match said.recv_timeout(Duration::from_millis(200)) {
        Ok(text) if !text.is_empty() => format!(": {text}"),
        _ => String::new(),
    }
}

/// Its end, or `None` where it had to be killed.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= timeout {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(Duration::from_millis(50));
    }
}
