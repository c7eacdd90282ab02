//! `serve`: one log over HTTP, as tiles (specification section 4) and as the JSON API (section 5) below the same base URL. It
//! is honest unless lies are requested.
//!
//! | file | does |
//! |---|---|
//! | `load`, `history` | leaves and nodes in memory |
//! | `signing`, `view`, `ids` | signed heads; one view of the log: a history with its heads and ids |
//! | `served_log`, `tamper` | which clients get which view in which phase |
//! | `request`, `answer` | the requested resource; the honest response as a value |
//! | `lies` | the table of lies; lies about the content and the transport of responses |
//! | `disturb` | faults around an honest log |
//! | `reply`, `compress`, `tls`, `server` | HTTP |
//! | `stats` | counts of requests and bytes |
//! | `list` | the command `lies` |

mod answer;
mod compress;
pub mod disturb;
mod history;
mod ids;
pub mod lies;
pub mod list;
mod load;
mod reply;
mod request;
mod served_log;
mod server;
mod signing;
mod stats;
mod tamper;
mod tls;
mod view;

use super::args::ServeOptions;
use super::output;
use crate::error::TestlogError;
use served_log::ServedLog;
use server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shortest time between two heads.
const TICK: Duration = Duration::from_millis(100);

/// The most entries between two heads.
const MAX_AT_ONCE: u64 = 5_000;

/// The site of every test log's passkeys.
const RP_ID: &str = "approvals.example";
const WEB_ORIGIN: &str = "https://approvals.example";

/// Serves until it is stopped.
///
/// # Errors
/// The log or the TLS files cannot be loaded, a lie is impossible for this log, or the address cannot be bound.
pub fn serve(options: ServeOptions) -> Result<(), TestlogError> {
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let loaded = load::load(&options)?;
    let signs = options.grow.is_some() || options.lies.iter().any(lies::Lie::signs);
    if signs && loaded.signing.is_none() {
        return Err(
            "growing and this lie need the log's private key: give the --seed and --origin (and the other options) \
             that the log was made with; for fixtures/demo --seed 'countersign demo' --origin \
             log.approvals.example/demo"
                .into(),
        );
    }
    let served_log = ServedLog::new(loaded, &options.lies)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let served = runtime.block_on(async {
        let listener = server::listen(options.listen).await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        announce(&format!("{scheme}://{address}/log"), &served_log)?;
        let server = Arc::new(Server::new(
            served_log,
            &options.lies,
            &options.disturbances,
            options.page,
            options.compress,
        ));
        if let Some(rate) = options.grow {
            let server = Arc::clone(&server);
            std::thread::spawn(move || grow(&server, rate));
        }
        tokio::select! {
            ended = server.run(listener, tls) => ended,
            () = stopped() => Ok(()),
        }
    });
    runtime.shutdown_background();
    served
}

/// Prints the log's address to stdout, and to stderr how to audit it.
fn announce(url: &str, served_log: &ServedLog) -> Result<(), TestlogError> {
    let vkey = served_log.vkey();
    let size = served_log.shown(0).current.size;
    let line = serde_json::json!({
        "url": url, "logKey": vkey, "rpId": RP_ID, "allowOrigins": [WEB_ORIGIN], "treeSize": size,
    });
    let key = vkey.unwrap_or_else(|| "VKEY".to_owned());
    // Each server gets its own mirror: they share one key, and a mirror does not forget a log that lied.
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default();
    for log in [url.to_owned(), format!("api+{url}")] {
        output::note(&format!(
            "countersign audit --init --db testlog-{port}.db --log '{log}' --log-key '{key}' --rp-id '{RP_ID}' \
             --allow-origin '{WEB_ORIGIN}'"
        ));
    }
    output::print(&format!("{line}\n"))
}

/// Appends `rate` entries a second while the program runs.
fn grow(server: &Server, rate: f64) {
    let started = Instant::now();
    let mut appended = 0;
    loop {
        std::thread::sleep(TICK);
        let due = (started.elapsed().as_secs_f64() * rate) as u64;
        if due == appended {
            continue;
        }
        // After a delay the log catches up in steps that fit into memory.
        let count = (due - appended).min(MAX_AT_ONCE);
        if let Err(why) = served_log::grow(&server.served_log, count) {
            output::note(&format!("countersign-testlog: the log no longer grows: {why}"));
            return;
        }
        appended += count;
    }
}

/// Waits for control-C or a termination signal.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
