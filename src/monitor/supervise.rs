//! Start, reload, stop. The main thread waits for signals and serves the pages; the audits have their own threads.
//! The main thread handles signals during every wait, and every wait is bounded.

use super::clock::Clock;
use super::event::Event;
use super::log::Log;
use super::serve::Pages;
use super::signals::{Asked, Signals};
use super::state::StatusRegistry;
use super::watch::Watch;
use super::{Plan, WatchedLog, notify};
use crate::core::text;
use crate::core::time::UnixMillis;
use crate::service::Error;
use crate::source::{runtime, user_file};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How often to check whether the threads have ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a reload waits for the new config, and then for running audits, so that no log holds up the others.
const RELOAD_PATIENCE: Duration = Duration::from_secs(90);

/// How long a stop waits for running audits. Less than `TimeoutStopSec` of the systemd unit.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for background tasks after everything else has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Reads the plan again. It may block: it is called on a thread of its own.
pub type Read = Arc<dyn Fn() -> Result<Plan, Error> + Send + Sync>;

/// Why the monitor could not start or continue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartError {
    /// Whether the fault is on this machine, rather than in the options or the config.
    pub is_local: bool,
    /// A message for the user.
    pub why: String,
}

impl StartError {
    fn new(what: impl std::fmt::Display, error: &std::io::Error) -> StartError {
        StartError { is_local: user_file::is_local(error), why: format!("{what}: {error}") }
    }
}

/// Monitors the logs of `plan` until the operating system asks to stop. On a reload, `read` returns the new plan; if
/// that fails, the old plan stays in force.
///
/// # Errors
/// [`StartError`] if the monitor cannot start, or if a reload cannot start a thread.
pub fn run(plan: Plan, read: &Read, clock: fn() -> UnixMillis) -> Result<(), StartError> {
    let cannot = |error: std::io::Error| StartError::new("cannot start", &error);
    let runtime = runtime::runtime().map_err(cannot)?;
    let log = Log::start(plan.json, clock).map_err(cannot)?;
    let done = runtime.block_on(supervise(plan, read, Clock::start(clock)));
    runtime.shutdown_timeout(LAST_WORDS);
    log.flush(LAST_WORDS);
    done
}

async fn supervise(plan: Plan, read: &Read, clock: Clock) -> Result<(), StartError> {
    let mut signals =
        Signals::catch().map_err(|error| StartError::new("signals cannot be caught", &error))?;
    let registry = Arc::new(StatusRegistry::default());
    let watching = watching(&plan.logs);
    let mut started = Event::new("started", &watching).with("logs", plan.logs.len());
    if let Some(address) = plan.listen {
        let cannot = |error| StartError::new(format_args!("--listen {address}"), &error);
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        let message = format!("{watching}, listening on http://{bound}");
        started =
            Event::new("started", message).with("logs", plan.logs.len()).with("listen", bound.to_string());
        tokio::spawn(Arc::new(Pages::new(Arc::clone(&registry), clock)).serve(listener));
    }
    started.say();
    plan.notes.iter().for_each(Event::say);
    let mut crew = Crew { watches: Vec::new(), held: Vec::new(), registry, clock };
    crew.start(&plan.logs)?;
    notify::say("READY=1");
    if let Some(often) = notify::watchdog() {
        // Runs on the main thread, so that the keep-alive stops if the main thread hangs.
        tokio::spawn(async move {
            loop {
                notify::say("WATCHDOG=1");
                tokio::time::sleep(often).await;
            }
        });
    }
    let unchanging = (plan.listen, plan.json);
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = tokio::time::sleep(LOOK), if !crew.held.is_empty() => {
                crew.start_held()?;
                continue;
            }
        };
        if asked == Asked::Stop || reload(&mut crew, read, &mut signals, unchanging).await? == Asked::Stop {
            break;
        }
    }
    stop(&mut crew, &mut signals).await;
    Ok(())
}

/// Reads the config again and applies it. If another reload is requested meanwhile, does so once more, because the
/// first read may have been too early. Returns `Stop` if a stop was requested meanwhile.
async fn reload(
    crew: &mut Crew,
    read: &Read,
    signals: &mut Signals,
    unchanging: (Option<std::net::SocketAddr>, bool),
) -> Result<Asked, StartError> {
    let mut again = true;
    while again {
        again = false;
        let reading = Arc::clone(read);
        // The file may be on a disk that does not respond, so it is not read on this thread.
        let reading = timeout(RELOAD_PATIENCE, runtime::blocking(move || reading()));
        let plan = match heard(reading, signals, &mut again).await {
            None => return Ok(Asked::Stop),
            Some(Ok(Ok(plan))) => plan.map_err(|error| error.to_string()),
            Some(Ok(Err(error))) => Err(format!("it could not be read: {error}")),
            Some(Err(_)) => Err(format!("it could not be read within {}", shown(RELOAD_PATIENCE))),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                let message = format!("the new config is not used, and the old one is kept: {why}");
                Event::new("reload-refused", message).say();
                continue;
            }
        };
        crew.stop();
        if heard(crew.ended(RELOAD_PATIENCE), signals, &mut again).await.is_none() {
            return Ok(Asked::Stop);
        }
        let message = format!("reloaded: {}", watching(&plan.logs));
        Event::new("reloaded", message).with("logs", plan.logs.len()).say();
        if (plan.listen, plan.json) != unchanging {
            let message = "`listen` and `log-format` change only with a restart";
            Event::new("restart-needed", message).say();
        }
        plan.notes.iter().for_each(Event::say);
        crew.start(&plan.logs)?;
    }
    Ok(Asked::Reload)
}

/// Stops all threads and waits for them for a bounded time, or until a second request to stop. An audit can be cut
/// off at any moment without harm to its mirror.
async fn stop(crew: &mut Crew, signals: &mut Signals) {
    notify::say("STOPPING=1");
    let message = "stopping: no new audit begins, and running audits end after their current batch";
    Event::new("stopping", message).say();
    crew.stop();
    let message = match heard(crew.ended(STOP_PATIENCE), signals, &mut false).await {
        None => "stopped at once, without waiting for running audits".to_owned(),
        Some(true) => "stopped".to_owned(),
        Some(false) => {
            let names: Vec<String> = crew.under_way().map(|name| text::quoted(name)).collect();
            format!(
                "stopped before the running audits of {} had ended, which they did not within {}; the next audit \
                 continues from what is kept",
                names.join(", "),
                shown(STOP_PATIENCE)
            )
        }
    };
    Event::new("stopped", message).say();
}

/// The result of `wait`, or `None` if a stop is requested first. If a reload is requested meanwhile, sets `again`.
async fn heard<T>(wait: impl Future<Output = T>, signals: &mut Signals, again: &mut bool) -> Option<T> {
    tokio::pin!(wait);
    loop {
        tokio::select! {
            done = &mut wait => return Some(done),
            asked = signals.next() => match asked {
                Asked::Stop => return None,
                Asked::Reload => *again = true,
            },
        }
    }
}

fn shown(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn watching(logs: &[WatchedLog]) -> String {
    match logs.len() {
        1 => "watching 1 log".to_owned(),
        more => format!("watching {more} logs"),
    }
}

/// The threads.
struct Crew {
    /// The threads, including those that were told to stop and have not ended yet.
    watches: Vec<Watch>,
    /// Logs that are not started, because an old thread still audits them.
    held: Vec<WatchedLog>,
    registry: Arc<StatusRegistry>,
    clock: Clock,
}

impl Crew {
    /// Starts all logs except those that an old thread still audits, because a mirror has only one user at a time.
    fn start(&mut self, logs: &[WatchedLog]) -> Result<(), StartError> {
        self.registry.plan(logs, self.clock.now());
        self.held = logs.to_vec();
        self.start_held()?;
        for WatchedLog { name, .. } in &self.held {
            let message = "not watched under the new config yet: its running audit has not ended; the other logs are watched";
            Event::of(name, "held-up", message).say();
        }
        Ok(())
    }

    /// Starts the held logs whose old threads have ended.
    fn start_held(&mut self) -> Result<(), StartError> {
        self.watches.retain(|watch| !watch.has_ended());
        for watched in std::mem::take(&mut self.held) {
            if self.under_way().any(|name| *name == watched.name) {
                self.held.push(watched);
                continue;
            }
            let watch = Watch::start(watched, Arc::clone(&self.registry), self.clock);
            self.watches.push(watch.map_err(|error| StartError::new("cannot start a thread", &error))?);
        }
        Ok(())
    }

    /// Tells all threads to stop.
    fn stop(&mut self) {
        self.held.clear();
        self.watches.iter_mut().for_each(Watch::stop);
    }

    /// Waits until all threads have ended, or for at most this long.
    async fn ended(&self, most: Duration) -> bool {
        let all = async {
            while self.under_way().next().is_some() {
                tokio::time::sleep(LOOK).await;
            }
        };
        timeout(most, all).await.is_ok()
    }

    /// The logs whose threads have not ended.
    fn under_way(&self) -> impl Iterator<Item = &String> {
        self.watches.iter().filter(|watch| !watch.has_ended()).map(|watch| &watch.name)
    }
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
