//! The logs that a monitor watches: one or several, each with its own settings.

use super::dispatcher::dispatcher;
use super::log::open_log;
use super::{Error, load, peers};
use crate::config::{
    Config, Given, GivenMonitor, LogFormat, LogTable, NAME_OF_WHAT, NO_LOG, Settings, address, check_name,
    interval, refuse_options_of_one_log,
};
use crate::core::text::quoted;
use crate::mirror::identity_of;
use crate::source::Stop;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What to watch, as given by the caller.
#[derive(Clone, Default)]
pub struct WatchSpec<'a> {
    /// The path of the config.
    pub config: Option<&'a Path>,
    /// The name of one log in the config, if only that one is to be watched.
    pub name: Option<&'a str>,
    /// Options for one log, and options for how all logs are reported.
    pub given: Given,
    /// Options for all logs.
    pub monitor: GivenMonitor,
}

/// One log that is watched.
pub struct LogConfig {
    /// The name of the log, unique among all.
    pub name: String,
    /// The time between two audits.
    pub interval: Duration,
    /// The settings of the log.
    pub settings: Settings,
}

/// All watched logs, and the options that apply to all of them.
pub struct WatchedLogs {
    /// The address on which pages are served, if any.
    pub listen: Option<SocketAddr>,
    /// Whether events are written as JSON.
    pub json: bool,
    /// The logs, at least one.
    pub logs: Vec<LogConfig>,
}

/// Combines the given options with the config, and reads all files that they name.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if a file cannot be read.
pub fn watched(spec: &WatchSpec<'_>) -> Result<WatchedLogs, Error> {
    let config = match (spec.config, spec.name) {
        (Some(path), name) => load::read(path, name)?,
        (None, None) => Config::One(Box::default()),
        (None, Some(_)) => return Err(NAME_OF_WHAT.into()),
    };
    let several = matches!(config, Config::Several(_));
    let (monitor, files) = config.into_logs();
    if files.len() > 1 {
        refuse_options_of_one_log(&spec.given)?;
    }
    let mut logs = Vec::new();
    for (number, file) in (1_usize..).zip(files) {
        let label =
            file.name().map_or_else(|| format!("log {number}"), |name| format!("log {}", quoted(name)));
        let log = one_log(spec, file, several);
        logs.push(
            log.map_err(|error| error.within(|why| if several { format!("{label}: {why}") } else { why }))?,
        );
    }
    if logs.is_empty() {
        return Err(NO_LOG.into());
    }
    apart(&logs)?;
    let listen = spec.monitor.listen.as_ref().or(monitor.listen.as_ref());
    let listen = listen.map(|text| address(text)).transpose()?;
    let json = spec.monitor.log_format.or(monitor.log_format).unwrap_or_default() == LogFormat::Json;
    Ok(WatchedLogs { listen, json, logs })
}

fn one_log(spec: &WatchSpec<'_>, file: LogTable, several: bool) -> Result<LogConfig, Error> {
    if several && file.is_of_monitor() {
        return Err("listen and log-format are for all logs: write them above the first [[log]]".into());
    }
    let name = file.name().map(str::to_owned);
    let every = spec.monitor.interval.clone().or(file.interval().map(str::to_owned));
    let settings = load::settle(spec.given.clone(), file, spec.config)?;
    let location = settings.require_log()?;
    settings.require_db()?;
    let key = settings.one_log_key()?;
    let name = match (name, key) {
        (Some(name), _) => name,
        (None, _) if several => return Err("give it a name".into()),
        (None, Some(key)) => key.origin().to_owned(),
        (None, None) => "log".to_owned(),
    };
    check_name(&name)?;
    // Secrets and certificates are read now, so that a mistake is reported at the start and not at a later audit.
    open_log(&settings, location)?;
    dispatcher(&settings)?;
    if let Some(key) = settings.one_log_key()? {
        peers::open(&settings, key, &Stop::default())?;
    }
    Ok(LogConfig { name, interval: interval(every.as_deref())?, settings })
}

/// Checks that no two logs share a name or a mirror: a mirror belongs to one log.
fn apart(logs: &[LogConfig]) -> Result<(), Error> {
    let (mut names, mut places, mut files) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for log in logs {
        if !names.insert(&log.name) {
            return Err(format!("two logs have the name {}", quoted(&log.name)).into());
        }
        // Compares files and not spellings: different paths and links may lead to the same mirror.
        let (place, file) = identity_of(log.settings.require_db()?);
        if !places.insert(place) || file.is_some_and(|file| !files.insert(file)) {
            return Err(format!(
                "log {} has the same mirror as another log: each needs its own",
                quoted(&log.name)
            )
            .into());
        }
    }
    Ok(())
}
