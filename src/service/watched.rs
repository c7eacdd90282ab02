//! The logs that a monitor watches: one or several, each with settings of its own.

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

/// What is to be watched, as it was given.
#[derive(Clone, Default)]
pub struct WatchSpec<'a> {
    /// Where the config is.
    pub config: Option<&'a Path>,
    /// Which of its logs is meant.
    pub name: Option<&'a str>,
    /// What was given of one log, or of how all are reported.
    pub given: Given,
    /// What was given of all.
    pub monitor: GivenMonitor,
}

/// One log that is watched.
pub struct LogConfig {
    /// What it is called, once among all.
    pub name: String,
    /// Between two audits.
    pub interval: Duration,
    /// Its settings.
    pub settings: Settings,
}

/// All that are watched, and how.
pub struct Watched {
    /// Where pages are served, if anywhere.
    pub listen: Option<SocketAddr>,
    /// Whether what happens is written as JSON.
    pub json: bool,
    /// At least one.
    pub logs: Vec<LogConfig>,
}

/// Puts what was given and the config together, and reads all that they name.
///
/// # Errors
/// [`Error`]: wrong usage, or something cannot be read.
pub fn watched(spec: &WatchSpec<'_>) -> Result<Watched, Error> {
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
        let said =
            file.name().map_or_else(|| format!("log {number}"), |name| format!("log {}", quoted(name)));
        let log = one_log(spec, file, several);
        logs.push(
            log.map_err(|error| error.within(|why| if several { format!("{said}: {why}") } else { why }))?,
        );
    }
    if logs.is_empty() {
        return Err(NO_LOG.into());
    }
    apart(&logs)?;
    let listen = spec.monitor.listen.as_ref().or(monitor.listen.as_ref());
    let listen = listen.map(|text| address(text)).transpose()?;
    let json = spec.monitor.log_format.or(monitor.log_format).unwrap_or_default() == LogFormat::Json;
    Ok(Watched { listen, json, logs })
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
    // Secrets and certificates are read here, so that a slip is said now and not tonight.
    open_log(&settings, location)?;
    dispatcher(&settings)?;
    if let Some(key) = settings.one_log_key()? {
        peers::open(&settings, key, &Stop::default())?;
    }
    Ok(LogConfig { name, interval: interval(every.as_deref())?, settings })
}

/// Two logs must not share a name, nor a mirror, which is of one log.
fn apart(logs: &[LogConfig]) -> Result<(), Error> {
    let (mut names, mut places, mut files) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for log in logs {
        if !names.insert(&log.name) {
            return Err(format!("two logs have the name {}", quoted(&log.name)).into());
        }
        // However it is spelt, and whatever links lead to it.
        let (place, file) = identity_of(log.settings.require_db()?);
        if !places.insert(place) || file.is_some_and(|file| !files.insert(file)) {
            return Err(
                format!("log {} has the mirror of another: each needs its own", quoted(&log.name)).into()
            );
        }
    }
    Ok(())
}
