//! Opens the log as the settings say, and checks that this process may open enough files to read it.

use super::{Error, http};
use crate::config::{Settings, check_home};
use crate::core::tlog_policy::TlogPolicy;
use crate::report::Asked;
use crate::source::{self, HttpOptions, LogSource, RequestCounters, Stop, runtime, user_file};
use std::path::Path;

/// The message if there is no log key.
pub const NO_LOG_KEY: &str = "the log's public key was not given, and without it no head means anything: get it from \
                              the log's operator (not from the log) and give it with --log-key, or in a policy with --policy";

/// File descriptors that an audit uses besides two for each reading thread: the mirror with its lock, its write-ahead
/// log and its temporary files, and the files beside it. An audit that ran out of them halfway would look as if the log
/// could not be read.
const OF_AN_AUDIT: usize = 12;

/// A log that is ready for requests.
pub struct OpenLog {
    /// The log.
    pub source: Box<dyn LogSource>,
    /// The note for the user if secrets of the config were not sent to this log.
    pub note: Option<&'static str>,
}

/// Opens the log at `location`, without a way to stop it and without counting its requests.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if this machine cannot open the log.
pub fn open_log(settings: &Settings, location: &str) -> Result<OpenLog, Error> {
    open_log_until(settings, location, &RequestCounters::default(), &Stop::default())
}

/// Opens the log at `location`. Its requests are counted in `requests` and end when `stop` is set.
pub(super) fn open_log_until(
    settings: &Settings,
    location: &str,
    requests: &RequestCounters,
    stop: &Stop,
) -> Result<OpenLog, Error> {
    open_log_with(settings, location, requests, |options| HttpOptions { stop: stop.clone(), ..options })
}

/// Opens the log at `location`, with these options but for what `tune` changes in them.
pub(super) fn open_log_with(
    settings: &Settings,
    location: &str,
    requests: &RequestCounters,
    tune: impl FnOnce(HttpOptions) -> HttpOptions,
) -> Result<OpenLog, Error> {
    if !Path::new(location).is_dir() {
        let option = if settings.log.as_deref() == Some(location) { &settings.log_said } else { "--log" };
        check_home(option, Path::new(location))?;
    }
    // The secrets of a config that names a log are for that log.
    let owner = settings.config_log.as_deref().unwrap_or(location);
    let (options, left_out) = http::options_for(&settings.net, location, Some(owner), requests)?;
    let source = source::open(location, settings.api, &tune(options))
        .map_err(|error| http::opening(&error, |error| format!("--log: {error}")))?;
    check_free_descriptors(workers(settings, source.as_ref()))?;
    let note = "the secrets in the config are for the log that it names, and were not sent to this one: give those \
                for this log as options";
    Ok(OpenLog { source, note: left_out.then_some(note) })
}

/// Checks that this process may open enough files to read from the network into the mirror.
///
/// # Errors
/// Returns [`Error`] if the process may not open so many files.
pub(super) fn room_to_read() -> Result<(), Error> {
    check_free_descriptors(1)
}

fn check_free_descriptors(threads: usize) -> Result<(), Error> {
    // A saturated number is more than a process can have, and is refused as that.
    runtime::check_free_descriptors(OF_AN_AUDIT.saturating_add(threads.saturating_mul(2)))
        .map_err(|error| Error::new(user_file::is_local(&error), format!("cannot start: {error}")))
}

/// Which optional checks the settings ask for.
pub fn asked(settings: &Settings) -> Asked {
    Asked {
        rp_id: settings.relying_party.rp_id.is_some(),
        origins: settings.relying_party.allowed_origins.is_some(),
        head_age: settings.max_head_age.is_some(),
        quorum: settings.witnesses.as_ref().map(TlogPolicy::has_quorum),
        pinned_keys: !settings.pinned_keys.is_empty(),
        peers: !settings.peers.is_empty(),
        deny_warnings: settings.deny_warnings,
        heads_only: settings.heads_only,
        journal: settings.journal.is_some(),
    }
}

/// The number of reading threads. By default it is one for each core, or more if the source serves more requests at
/// once.
pub(super) fn workers(settings: &Settings, source: &dyn LogSource) -> usize {
    match settings.workers {
        Some(workers) => usize::from(workers),
        None => source.parallelism().max(cores()),
    }
}

/// The number of threads that can run at once on this machine, at least 1.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
