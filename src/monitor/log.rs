//! Writes events to stderr, through `tracing`, one line each, without blocking the caller.
//!
//! Only our own events are written. The events of libraries (URLs with tokens, headers, server names) may contain
//! secrets or data from others. They are not written, and no option enables them.
//!
//! Each line is one write. It is done in a separate thread, because a stopped terminal or a pipe that nobody reads
//! would otherwise hold up the audits. Lines that do not fit into the queue are lost, and their number is reported.

use super::event::{self, Event, TARGET};
use crate::core::text;
use crate::core::time::UnixMillis;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// The maximum number of lines that wait to be written.
const MAX_WAITING: usize = 1000;

/// How often to look for a free place in the queue when the process ends.
const LOOK: Duration = Duration::from_millis(5);

/// How a line is formatted.
#[derive(Clone, Copy)]
struct Lines {
    json: bool,
    clock: fn() -> UnixMillis,
}

/// The fields of an event of `tracing`: one of our events, or any other with our target.
#[derive(Default, Serialize)]
struct Heard {
    event: String,
    log: Option<String>,
    message: String,
    #[serde(flatten)]
    parts: Map<String, Value>,
}

impl Visit for Heard {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // Written by `Event::say`, which has already escaped the strings.
            "parts" => self.parts = serde_json::from_str(value).unwrap_or_default(),
            "event" => self.event = text::escape(value),
            "log" => self.log = Some(text::escape(value)),
            "message" => self.message = text::escape(value),
            name => drop(self.parts.insert(name.to_owned(), text::escape(value).into())),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.parts.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N>
    for Lines
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut heard = Heard::default();
        event.record(&mut heard);
        let (time, level) = ((self.clock)().to_string(), *event.metadata().level());
        let line = event::line(&time, level, &heard, heard.log.as_deref(), &heard.message, self.json);
        writer.write_str(&line)
    }
}

/// The subscriber that formats our events as lines.
fn subscriber<W>(json: bool, clock: fn() -> UnixMillis, out: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { json, clock })
        .with_writer(out)
        // An internal error would be printed to stderr, which is what failed, and panic.
        .log_internal_errors(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
    tracing_subscriber::registry().with(lines)
}

enum Order {
    Line(Vec<u8>),
    /// Acknowledges that everything before this was written.
    Tell(SyncSender<()>),
}

/// The sender to the thread that writes.
#[derive(Clone)]
struct Out {
    orders: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

impl Out {
    fn start(sink: impl Write + Send + 'static, lines: Lines) -> io::Result<Out> {
        let (orders, coming) = sync_channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let missed = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(sink, &coming, &missed, lines))?;
        Ok(Out { orders, lost })
    }
}

fn write(mut sink: impl Write, coming: &Receiver<Order>, lost: &AtomicU64, lines: Lines) {
    while let Ok(order) = coming.recv() {
        // If nobody reads stderr, the monitor continues.
        match order {
            Order::Line(line) => drop(sink.write_all(&line)),
            Order::Tell(done) => drop(done.send(())),
        }
        let missed = lost.swap(0, Relaxed);
        if missed > 0 {
            let message =
                format!("{missed} events were not written: nobody read what was written before them");
            let event = Event::new("events-lost", message).with("count", missed);
            drop(sink.write_all(event.line(&(lines.clock)().to_string(), lines.json).as_bytes()));
        }
    }
}

impl Write for Out {
    /// Receives a whole line: the layer writes each event with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.orders.try_send(Order::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Out {
    type Writer = Out;

    fn make_writer(&'a self) -> Out {
        self.clone()
    }
}

/// Events are written for as long as this exists.
pub(super) struct Log(Out);

impl Log {
    /// Starts to write the events of this process to stderr. If the surrounding program has its own subscriber, only
    /// that subscriber receives them.
    pub(super) fn start(json: bool, clock: fn() -> UnixMillis) -> io::Result<Log> {
        let out = Out::start(io::stderr(), Lines { json, clock })?;
        let _ = tracing::subscriber::set_global_default(subscriber(json, clock, out.clone()));
        Ok(Log(out))
    }

    /// Waits until everything so far is written, but no longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let begun = Instant::now();
        let (done, written) = sync_channel(1);
        let mut order = Order::Tell(done);
        loop {
            match self.0.orders.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if begun.elapsed() < patience => order = back,
                Err(_) => return,
            }
            std::thread::sleep(LOOK);
        }
        // If the time is over, it does not wait.
        let _ = written.recv_timeout(patience.saturating_sub(begun.elapsed()));
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
