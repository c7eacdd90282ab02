//! Start, reload, stop. The main thread waits for signals and serves the pages; the audits have threads of
//! their own.

use super::event::Event;
use super::log::Log;
use super::serve::Pages;
use super::signals::{Asked, Signals};
use super::state::Board;
use super::watch::Watch;
use super::{Plan, Watched, notify};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How often is looked whether the threads have ended.
const LOOK: Duration = Duration::from_millis(20);

/// For what is under way in the background when everything has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Watches the logs of `plan` until the operating system asks to stop. On a reload `read` gives the plan
/// anew; where it cannot, the old one stays.
///
/// # Errors
/// A sentence for the person: it could not be begun.
pub fn run(plan: Plan, read: &dyn Fn() -> Result<Plan, String>, clock: fn() -> u64) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot start: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let log = Log::start(plan.json, clock).map_err(cannot)?;
    let done = runtime.block_on(supervise(plan, read, clock));
    runtime.shutdown_timeout(LAST_WORDS);
    log.flush(LAST_WORDS);
    done
}

async fn supervise(
    plan: Plan,
    read: &dyn Fn() -> Result<Plan, String>,
    clock: fn() -> u64,
) -> Result<(), String> {
    let mut signals = Signals::catch().map_err(|error| format!("signals cannot be caught: {error}"))?;
    let board = Arc::new(Board::default());
    let watching = watching(&plan.logs);
    let mut started = Event::new("started", &watching).with("logs", plan.logs.len());
    if let Some(address) = plan.listen {
        let listener =
            TcpListener::bind(address).await.map_err(|error| format!("--listen {address}: {error}"))?;
        let bound = listener.local_addr().map_err(|error| format!("--listen {address}: {error}"))?;
        let said = format!("{watching}, listening on http://{bound}");
        started = Event::new("started", said).with("logs", plan.logs.len()).with("listen", bound.to_string());
        tokio::spawn(Arc::new(Pages::new(Arc::clone(&board), clock)).serve(listener));
    }
    started.say();
    plan.notes.iter().for_each(Event::say);
    let mut crew = Crew { watches: Vec::new(), board, clock };
    crew.start(&plan.logs)?;
    notify::say("READY=1");
    if let Some(often) = notify::watchdog() {
        // On the thread that everything here is on: it is silent when that hangs.
        tokio::spawn(async move {
            loop {
                notify::say("WATCHDOG=1");
                tokio::time::sleep(often).await;
            }
        });
    }
    let (listen, json) = (plan.listen, plan.json);
    while signals.next().await == Asked::Reload {
        match read() {
            Err(why) => {
                let said = format!("the new config is not used, the old one stays: {why}");
                Event::new("reload-refused", said).say();
            }
            Ok(plan) => {
                if !crew.stop(&mut signals).await {
                    return Ok(());
                }
                let said = format!("reloaded: {}", self::watching(&plan.logs));
                Event::new("reloaded", said).with("logs", plan.logs.len()).say();
                if plan.listen != listen || plan.json != json {
                    let said = "`listen` and `log-format` change only with a restart";
                    Event::new("restart-needed", said).say();
                }
                plan.notes.iter().for_each(Event::say);
                crew.start(&plan.logs)?;
            }
        }
    }
    notify::say("STOPPING=1");
    let said = "stopping: nothing new is begun, and what is under way ends after its batch";
    Event::new("stopping", said).say();
    if crew.stop(&mut signals).await {
        Event::new("stopped", "stopped").say();
    }
    Ok(())
}

fn watching(logs: &[Watched]) -> String {
    match logs.len() {
        1 => "watching 1 log".to_owned(),
        more => format!("watching {more} logs"),
    }
}

/// The threads.
struct Crew {
    watches: Vec<Watch>,
    board: Arc<Board>,
    clock: fn() -> u64,
}

impl Crew {
    fn start(&mut self, logs: &[Watched]) -> Result<(), String> {
        self.board.plan(logs, (self.clock)());
        for watched in logs {
            let watch = Watch::start(watched.clone(), Arc::clone(&self.board), self.clock);
            self.watches.push(watch.map_err(|error| format!("cannot start a thread: {error}"))?);
        }
        Ok(())
    }

    /// Stops all and waits for them, one mirror having one user. `false`: somebody asked once more to stop,
    /// and there is no time for that; a mirror stands being left at any moment.
    async fn stop(&mut self, signals: &mut Signals) -> bool {
        self.watches.iter_mut().for_each(Watch::stop);
        while !self.watches.iter().all(Watch::has_ended) {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                asked = signals.next() => {
                    if asked == Asked::Stop {
                        Event::new("stopped", "stopped at once, without waiting for the audits").say();
                        return false;
                    }
                }
            }
        }
        self.watches.clear();
        true
    }
}
