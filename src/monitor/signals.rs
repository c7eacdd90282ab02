//! Signals of the operating system: SIGTERM and SIGINT to stop, SIGHUP to reload.

use crate::source::{Stop, runtime};
use std::io;

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

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
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

    pub(super) async fn next(&mut self) -> Asked {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Asked::Stop,
            // If Ctrl-C cannot be caught, no request ever arrives.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Stops `stop` on the first signal that asks the process to stop, for a run in the foreground. A second signal ends
/// the process, because nothing here needs an orderly end.
///
/// # Errors
/// [`io::Error`] if signals cannot be caught.
pub fn stop_on_signal(stop: Stop, interrupted_exit_code: i32) -> io::Result<()> {
    let runtime = runtime::runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch()?
    };
    let wait = move || {
        runtime.block_on(async {
            let mut asked = 0_u8;
            while asked < 2 {
                // There is nothing to reload, and SIGHUP of a closed terminal is a request to stop, too.
                signals.next().await;
                // It counts to two.
                asked = asked.saturating_add(1);
                stop.stop();
            }
        });
        std::process::exit(interrupted_exit_code);
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
