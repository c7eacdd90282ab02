//! What the operating system asks of us: SIGTERM and SIGINT to stop, SIGHUP to reload.

use crate::source::{Stop, runtime};
use std::io;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Stop,
    Reload,
}

/// The signals, caught from when this is made.
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

/// Elsewhere there is only Ctrl-C.
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
            // Nobody can ask, so nobody does.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Tells `stop` when the operating system asks us to stop, for a run in the foreground. A second time
/// ends the process, as nothing here needs an orderly end.
///
/// # Errors
/// Signals cannot be caught.
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
                // There is nothing to reload: a terminal that was closed asks to stop, too.
                signals.next().await;
                asked = asked.saturating_add(1);
                stop.stop();
            }
        });
        std::process::exit(interrupted_exit_code);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// From now on a file that reaches the size that this process may write (`ulimit -f`) is an error of the writing, as a
/// full disk is, where the signal would end the process without a word. Programs that are started from here get the
/// signal as ever: what is caught is not inherited.
///
/// # Errors
/// The signal cannot be caught.
#[cfg(unix)]
pub fn outlive_file_size_limit() -> io::Result<()> {
    let runtime = runtime::runtime()?;
    let _inside = runtime.enter();
    // Caught for as long as the process lives, also when nobody asks whether it came.
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub fn outlive_file_size_limit() -> io::Result<()> {
    Ok(())
}
