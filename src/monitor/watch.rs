//! The thread of a log: audits, reports the result, waits, and starts again.

use super::clock::Clock;
use super::event::Event;
use super::state::StatusRegistry;
use super::{Auditable, WatchedLog};
use crate::audit::conclusion::Conclusion;
use crate::report::Report;
use crate::service::Error;
use crate::source::Stop;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, ScopedJoinHandle};
use std::time::Duration;

/// A log with its thread.
pub(super) struct Watch {
    /// The name of the log.
    pub(super) name: String,
    stop: Stop,
    /// Dropped to wake the thread.
    wake: Option<Sender<()>>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts the thread; the first audit begins at once.
    pub(super) fn start(
        watched: WatchedLog,
        registry: Arc<StatusRegistry>,
        clock: Clock,
    ) -> std::io::Result<Watch> {
        let stop = Stop::default();
        let (wake, woken) = channel();
        let (stopped, name) = (stop.clone(), watched.name.clone());
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || watch(&watched, &registry, clock, &stopped, &woken))?;
        Ok(Watch { name, stop, wake: Some(wake), thread })
    }

    /// Starts no further audit, and ends the running one after its current batch.
    pub(super) fn stop(&mut self) {
        self.stop.stop();
        self.wake = None;
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Runs one audit in a thread of its own. When that thread ends, the memory that the C library keeps for it is
/// released. Otherwise, little of the memory of a first audit would be released while this thread waits.
fn audit(subject: &dyn Auditable, stop: &Stop) -> Result<Report, Error> {
    let joined = std::thread::scope(|scope| {
        let audit = std::thread::Builder::new().name("one audit".to_owned());
        audit.spawn_scoped(scope, || subject.audit(stop)).map(ScopedJoinHandle::join)
    });
    match joined {
        Ok(Ok(result)) => result,
        // A panic is a bug, which counts as a fault on our side. It must not stop the monitoring of other logs.
        Ok(Err(_)) => Err(Error::Local(
            "this is a bug in countersign, and says nothing about the log; please report the message above"
                .to_owned(),
        )),
        Err(error) => Err(Error::Local(format!("its thread could not be started: {error}"))),
    }
}

fn watch(watched: &WatchedLog, registry: &StatusRegistry, clock: Clock, stop: &Stop, woken: &Receiver<()>) {
    let mut wait = Duration::ZERO;
    loop {
        if woken.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        registry.begun(&watched.name, clock.now());
        let result = audit(watched.subject.as_ref(), stop);
        let cut_short = result.as_ref().is_ok_and(|report| {
            stop.is_stopped()
                && !report.input().incomplete.is_empty()
                && report.verdict() != Conclusion::Violation
        });
        if cut_short {
            let message =
                "the audit was stopped; what it fetched is kept, and the next one continues from there";
            Event::of(&watched.name, "audit-stopped", message).say();
            return;
        }
        let (events, next) = registry.finished(&watched.name, &result, clock.now(), fastrand::f64());
        events.iter().for_each(Event::say);
        wait = next;
    }
}
