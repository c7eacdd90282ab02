//! `serve`: one log over HTTP, as tiles (specification section 4) and as the JSON API (section 5) below
//! the same base; honest, or lying in the ways that are asked for.
//!
//! | file | does |
//! |---|---|
//! | `load`, `history` | the leaves and nodes in memory |
//! | `signing`, `track`, `ids` | signed heads; one history with its heads and ids |
//! | `world`, `tamper` | who is shown which history in which phase |
//! | `request`, `answer` | what is asked for; the honest answer as a value |
//! | `lies` | the table of lies, and those about answers and about sending them |
//! | `disturb` | bad weather around an honest log |
//! | `reply`, `compress`, `tls`, `server` | HTTP |
//! | `stats` | what was asked and sent |
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
mod server;
mod signing;
mod stats;
mod tamper;
mod tls;
mod track;
mod world;

use super::args::ServeOptions;
use super::output;
use server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::World;

/// Between two heads at least.
const TICK: Duration = Duration::from_millis(100);

/// Entries between two heads at most.
const MAX_AT_ONCE: u64 = 5_000;

/// Where the passkeys of every test log are used.
const RP_ID: &str = "approvals.example";
const WEB_ORIGIN: &str = "https://approvals.example";

/// Serves until it is told to stop.
pub fn serve(options: ServeOptions) -> Result<(), String> {
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let loaded = load::load(&options)?;
    let signs = options.grow.is_some() || options.lies.iter().any(lies::Lie::signs);
    if signs && loaded.own.is_none() {
        return Err(
            "growing and this lie take the log's private key: give the --seed and --origin (and the other \
                    options) that the log was made with; for fixtures/demo --seed 'countersign demo' \
                    --origin log.approvals.example/demo"
                .to_owned(),
        );
    }
    let world = World::new(loaded, &options.lies)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let served = runtime.block_on(async {
        let listener = server::listen(options.listen).await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        tell(&format!("{scheme}://{address}/log"), &world)?;
        let server = Arc::new(Server::new(
            world,
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

/// Says on stdout that the log is there, and on stderr how to audit it.
fn tell(url: &str, world: &World) -> Result<(), String> {
    let vkey = world.vkey();
    let size = world.shown(0).current.size;
    let told = serde_json::json!({
        "url": url, "logKey": vkey, "rpId": RP_ID, "allowOrigins": [WEB_ORIGIN], "treeSize": size,
    });
    let key = vkey.unwrap_or_else(|| "VKEY".to_owned());
    // A mirror of its own for each server: all of them have one key, and one that lied is not forgotten.
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default();
    for log in [url.to_owned(), format!("api+{url}")] {
        output::note(&format!(
            "countersign audit --init --db testlog-{port}.db --log '{log}' --log-key '{key}' --rp-id '{RP_ID}' \
             --allow-origin '{WEB_ORIGIN}'"
        ));
    }
    output::print(&format!("{told}\n"))
}

/// Appends `rate` entries a second for as long as the program runs.
fn grow(server: &Server, rate: f64) {
    let started = Instant::now();
    let mut appended = 0;
    loop {
        std::thread::sleep(TICK);
        let due = (started.elapsed().as_secs_f64() * rate) as u64;
        if due == appended {
            continue;
        }
        // Who falls behind catches up in steps that fit into memory.
        let count = (due - appended).min(MAX_AT_ONCE);
        if let Err(why) = world::grow(&server.world, count) {
            output::note(&format!("countersign-testlog: the log no longer grows: {why}"));
            return;
        }
        appended += count;
    }
}

/// Somebody has pressed control-C, or the system wants us to end.
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
