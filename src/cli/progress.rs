//! Progress on stderr: a bar with rate and time left on a terminal, plain lines with `-v`. The bar is drawn when it
//! moves and not by a thread of the library's, because that would panic if the thread could not be started.

use crate::run::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Draws the progress of a run.
pub struct Bar {
    bar: Mutex<Option<ProgressBar>>,
    draw: bool,
    say: bool,
}

impl Bar {
    /// `draw`: stderr is a terminal and `--quiet` is not set. `say`: `-v` is set.
    pub fn new(draw: bool, say: bool) -> Bar {
        Bar { bar: Mutex::new(None), draw, say }
    }

    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        act(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn begin(&self, phase: &str, total: u64) {
        if self.say {
            super::output::error(&format!("{phase}: {total}"));
        }
        if !self.draw {
            return;
        }
        let template = "{msg} [{bar:30}] {human_pos}/{human_len} ({per_sec}, {eta} left)";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style).with_message(phase.to_owned());
        bar.tick();
        self.with(|slot| *slot = Some(bar));
    }

    fn advance(&self, entries: u64) {
        self.with(|slot| {
            if let Some(bar) = slot {
                // A bar that is at its end stays there.
                bar.inc(entries.min(bar.length().unwrap_or(u64::MAX).saturating_sub(bar.position())));
            }
        });
    }

    fn end(&self) {
        self.with(|slot| {
            if let Some(bar) = slot.take() {
                bar.finish_and_clear();
            }
        });
    }
}

/// Draws a count of finished items if the total is not known.
pub struct EntryCounter(Option<ProgressBar>);

impl EntryCounter {
    /// `draw`: as for [`Bar::new`].
    pub fn new(draw: bool, what: &str) -> EntryCounter {
        EntryCounter(draw.then(|| {
            let style = ProgressStyle::with_template("{msg} {human_pos} ({per_sec})");
            let bar = ProgressBar::no_length().with_message(what.to_owned());
            let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.tick();
            bar
        }))
    }

    /// Adds to the count.
    pub fn advance(&self, more: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(more as u64);
        }
    }
}

impl Drop for EntryCounter {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Draws the time that is left, until it is dropped. Without a thread nothing is drawn.
pub struct TimeLeft {
    /// Dropping it ends the thread.
    ends: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TimeLeft {
    /// For this long from now on.
    pub fn new(left: Duration) -> TimeLeft {
        let style = ProgressStyle::with_template("[{bar:30}] {msg} left");
        let bar = ProgressBar::new(left.as_secs())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let (ends, ended) = channel::<()>();
        let began = Instant::now();
        let draw = move || {
            loop {
                let rest = Duration::from_secs(left.saturating_sub(began.elapsed()).as_secs());
                bar.set_message(humantime::format_duration(rest).to_string());
                bar.set_position(rest.as_secs());
                if ended.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return bar.finish_and_clear();
                }
            }
        };
        let thread = std::thread::Builder::new().name("time left".to_owned()).spawn(draw).ok();
        TimeLeft { ends: Some(ends), thread }
    }
}

impl Drop for TimeLeft {
    fn drop(&mut self) {
        self.ends.take();
        // A panic in it would have been printed, and changes nothing here.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
