//! Signals to a command in the foreground.

use crate::audit::conclusion::Conclusion;
use crate::monitor;
use crate::monitor::Signal;
use crate::service::Error;
use crate::source::Stop;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stops the run in order on a signal.
///
/// # Errors
/// Returns [`Error`] if signals cannot be caught.
pub fn stop_on_signal(stop: &Stop) -> Result<(), Error> {
    monitor::stop_on_signal(stop.clone(), i32::from(Conclusion::Incomplete.exit_code())).map_err(uncaught)
}

fn uncaught(error: io::Error) -> Error {
    Error::Local(format!("signals cannot be caught: {error}"))
}

/// Whose the signals are.
enum Whose {
    /// This program's: it stops on the first, and ends on the second.
    Ours(Stop, i32),
    /// Of a program that is being started: those that came meanwhile are for it.
    Starting(Vec<Signal>),
    /// Of the program with this process id.
    Theirs(u32),
    /// Nobody's: the program has ended, and only that is still to be written down.
    Nobodys,
}

/// Signals that stop this program first, and are those of a program that it runs later.
pub struct Handover(Arc<Mutex<Whose>>);

impl Handover {
    /// Catches signals: the first sets `stop`, a second one ends the process with this exit code.
    ///
    /// # Errors
    /// Returns [`Error`] if signals cannot be caught.
    pub fn new(stop: &Stop, exit: u8) -> Result<Handover, Error> {
        let whose = Arc::new(Mutex::new(Whose::Ours(stop.clone(), i32::from(exit))));
        let shared = Arc::clone(&whose);
        let act = move |signal| match &mut *locked(&shared) {
            Whose::Ours(stop, exit) if stop.is_stopped() => std::process::exit(*exit),
            Whose::Ours(stop, _) => stop.stop(),
            Whose::Starting(waiting) => waiting.push(signal),
            Whose::Theirs(process) => pass(*process, signal),
            Whose::Nobodys => {}
        };
        monitor::on_signal(act).map_err(uncaught)?;
        Ok(Handover(whose))
    }

    /// From now on nothing here stops. `false`, and nothing is handed over, if a signal came before.
    pub fn hand_over(&self) -> bool {
        let mut whose = locked(&self.0);
        if matches!(&*whose, Whose::Ours(stop, _) if stop.is_stopped()) {
            return false;
        }
        *whose = Whose::Starting(Vec::new());
        true
    }

    /// The program was started.
    pub fn pass_to(&self, process: u32) {
        let mut whose = locked(&self.0);
        if let Whose::Starting(waiting) = std::mem::replace(&mut *whose, Whose::Theirs(process)) {
            waiting.into_iter().for_each(|signal| pass(process, signal));
        }
    }

    /// Waits until the program has ended. Its process id is still its own then: no signal can reach another process.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be waited for.
    pub fn until_ended(&self, process: u32) -> io::Result<()> {
        let ended = wait_without_reaping(process);
        *locked(&self.0) = Whose::Nobodys;
        ended
    }
}

fn locked(whose: &Mutex<Whose>) -> MutexGuard<'_, Whose> {
    whose.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn wait_without_reaping(process: u32) -> io::Result<()> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return Ok(()) };
    loop {
        match waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Other systems have no signals to pass on.
#[cfg(not(unix))]
fn wait_without_reaping(_: u32) -> io::Result<()> {
    Ok(())
}

/// Passes a signal on. Control-C on a terminal has reached the program as well, which is in the foreground with this one.
#[cfg(unix)]
fn pass(process: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as Number, kill_process};
    let number = match signal {
        Signal::Interrupt if super::output::is_on_terminal() => return,
        Signal::Interrupt => Number::INT,
        Signal::Terminate => Number::TERM,
        Signal::HangUp => Number::HUP,
    };
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended in the meantime.
        let _ = kill_process(process, number);
    }
}

#[cfg(not(unix))]
fn pass(_: u32, _: Signal) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_told_to_stop_hands_nothing_over() {
        let stop = Stop::default();
        let handover = Handover(Arc::new(Mutex::new(Whose::Ours(stop.clone(), 0))));
        stop.stop();
        assert!(!handover.hand_over());
        assert!(matches!(&*locked(&handover.0), Whose::Ours(..)));
        let handover = Handover(Arc::new(Mutex::new(Whose::Ours(Stop::default(), 0))));
        assert!(handover.hand_over());
        assert!(matches!(&*locked(&handover.0), Whose::Starting(_)));
    }
}
