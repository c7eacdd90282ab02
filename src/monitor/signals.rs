//! Signals of the operating system: SIGTERM and SIGINT to stop, SIGHUP to reload.

use crate::source::{Stop, runtime};
use std::io;

/// A signal that this program catches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT, or Control-C.
    Interrupt,
    /// SIGHUP.
    HangUp,
}

/// The request that a signal makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Stop,
    Reload,
}

/// The signals, which are caught as soon as this is created.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn catch() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next_signal(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }
}

/// Other systems have only Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn catch() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next_signal(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            // If Ctrl-C cannot be caught, no request ever arrives.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Signals {
    pub(super) async fn next(&mut self) -> Asked {
        match self.next_signal().await {
            Signal::Terminate | Signal::Interrupt => Asked::Stop,
            Signal::HangUp => Asked::Reload,
        }
    }
}

/// Stops `stop` on the first signal that asks the process to stop, for a run in the foreground. A second signal ends
/// the process, because nothing here needs an orderly end.
///
/// # Errors
/// [`io::Error`] if signals cannot be caught.
pub fn stop_on_signal(stop: Stop, interrupted_exit_code: i32) -> io::Result<()> {
    // There is nothing to reload, and SIGHUP of a closed terminal is a request to stop, too.
    let mut is_second = false;
    on_signal(move |_| {
        stop.stop();
        if std::mem::replace(&mut is_second, true) {
            std::process::exit(interrupted_exit_code);
        }
    })
}

/// Calls `act` for each signal from now on, on a thread of its own.
///
/// # Errors
/// [`io::Error`] if signals cannot be caught.
pub fn on_signal(mut act: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = runtime::runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch()?
    };
    let wait = move || {
        runtime.block_on(async {
            loop {
                act(signals.next_signal().await);
            }
        })
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// From now on, a write beyond the process's file size limit (`ulimit -f`) fails with an error, as on a full disk;
/// the default action of the signal would end the process without a message. Child processes get the default action,
/// because a caught signal is not inherited.
///
/// # Errors
/// [`io::Error`] if the signal cannot be caught.
#[cfg(unix)]
pub fn outlive_file_size_limit() -> io::Result<()> {
    let runtime = runtime::runtime()?;
    let _inside = runtime.enter();
    // Stays caught for as long as the process lives, even if nobody waits for it.
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

/// Other systems do not have this signal.
#[cfg(not(unix))]
pub fn outlive_file_size_limit() -> io::Result<()> {
    Ok(())
}
