//! `serve`: one log over HTTP, as tiles (specification section 4) and as the JSON API (section 5) below the same base URL. It
//! is honest unless lies are requested. With `--approvals` also the approval service that adds to the log.
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
//! | `approvals` | the approval service |
//! | `stats` | counts of requests and bytes |
//! | `announce` | what is printed at the start |
//! | `list` | the command `lies` |

mod announce;
mod answer;
mod approvals;
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
use super::assertion::Site;
use super::build;
use super::output;
use super::seed::Seed;
use crate::error::TestlogError;
use approvals::Approvals;
use lies::ServiceLie;
use served_log::ServedLog;
use server::Server;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

/// The shortest time between two heads.
const TICK: Duration = Duration::from_millis(100);

/// The most entries between two heads.
const MAX_AT_ONCE: u64 = 5_000;

/// Serves until it is stopped.
///
/// # Errors
/// The log or the TLS files cannot be loaded, a lie is impossible for this log, or the address cannot be bound.
pub fn serve(options: &ServeOptions) -> Result<(), TestlogError> {
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let served = runtime.block_on(async {
        // The port is in the origin of the approval service's passkeys, so it is known before entries are made.
        let listener = server::listen(options.listen).await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let site = match options.approvals.approvals {
            // A relying party id is a name, and browsers take this one without TLS.
            true => Site {
                rp_id: "localhost".to_owned(),
                origin: format!("{scheme}://localhost:{}", address.port()),
            },
            false => build::example_site(),
        };
        let served_log = Arc::new(RwLock::new(served_log(options, &site)?));
        let approvals = approval_service(options, &site, &served_log)?;
        let base = format!("{scheme}://{address}");
        announce::announce(&base, &site, &served_log, approvals.as_ref(), &options.approvals)?;
        let server = Arc::new(Server::new(served_log, approvals, options));
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

fn served_log(options: &ServeOptions, site: &Site) -> Result<ServedLog, TestlogError> {
    let loaded = load::load(options, site.clone())?;
    let signs = options.grow.is_some() || options.lies.iter().any(lies::Lie::signs);
    if signs && loaded.signing.is_none() {
        return Err(
            "growing and this lie need the log's private key: give the --seed and --origin (and the other options) \
             that the log was made with; for fixtures/demo --seed 'countersign demo' --origin \
             log.approvals.example/demo"
                .into(),
        );
    }
    ServedLog::new(loaded, &options.lies)
}

/// The approval service, if it was asked for.
fn approval_service(
    options: &ServeOptions,
    site: &Site,
    served_log: &Arc<RwLock<ServedLog>>,
) -> Result<Option<Approvals>, TestlogError> {
    let lies: Vec<ServiceLie> = options.lies.iter().filter_map(lies::Lie::of_service).collect();
    if !options.approvals.approvals {
        return if lies.is_empty() { Ok(None) } else { Err("this lie takes --approvals".into()) };
    }
    let log = (Seed::new(&options.generator.seed), options.generator.origin.clone());
    Approvals::new(&options.approvals, lies, log, site.clone(), Arc::clone(served_log)).map(Some)
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
