//! What the operating system asks of us: SIGTERM and SIGINT to stop, SIGHUP to reload.

use crate::source::Stop;

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
    pub(super) fn catch() -> std::io::Result<Signals> {
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
    pub(super) fn catch() -> std::io::Result<Signals> {
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
/// A sentence for the person: signals cannot be caught.
pub fn stop_on_signal(stop: Stop, interrupted_exit_code: i32) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("signals cannot be caught: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch().map_err(fail)?
    };
    std::thread::spawn(move || {
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
    });
    Ok(())
}
