//! A test alert over every channel of a config.

use super::clock::Clock;
use super::dispatcher::dispatcher;
use super::watched::{self, WatchSpec};
use super::{Error, load};
use crate::alerts::{Dispatcher, LogName};
use crate::audit::conclusion::Conclusion;
use crate::config::{Alerting, ChannelTable, Config, Format, Given, Settings};
use crate::core::text::escape;
use std::path::{Path, PathBuf};

/// How one channel took a test.
pub struct Tried {
    /// The log, in the config.
    pub log: String,
    /// The channel.
    pub channel: String,
    /// Why it was not delivered.
    pub error: Option<String>,
}

/// How all of them did.
pub struct TestAlerts {
    /// Each channel once.
    pub tried: Vec<Tried>,
    /// What it comes to.
    pub verdict: Conclusion,
    /// How it is to be written.
    pub format: Format,
}

/// Sends a test alert over every channel. A channel that several logs have is tried once.
///
/// # Errors
/// [`Error`]: the config cannot be used. Nothing was sent.
pub fn test_alerts(
    config: Option<&Path>,
    name: Option<&str>,
    given: &Given,
    clock: &dyn Clock,
) -> Result<TestAlerts, Error> {
    let logs = logs(config, name, given)?;
    let format = logs.first().map(|(_, settings)| settings.format).unwrap_or_default();
    let (mut seen, mut desks) = (Vec::new(), Vec::new());
    for (log, settings) in logs {
        // All are set up before anything is sent: a slip in the config sends nothing.
        let channels =
            settings.alerting.channels.iter().filter(|channel| is_new(&mut seen, &settings, channel));
        let alerting = Alerting { channels: channels.cloned().collect(), ..Alerting::default() };
        let origin = settings.log_key.as_ref().map_or_else(String::new, |key| escape(key.origin()));
        desks.push((LogName { name: log, origin }, dispatcher(&Settings { alerting, ..settings })?));
    }
    if seen.is_empty() {
        return Err("there is no [[alert]] table in the config: give one with --config FILE".into());
    }
    let send = |(log, dispatcher): &(LogName, Dispatcher)| {
        let results = dispatcher.test(log, clock.unix_ms()).into_iter();
        let log = log.name.clone();
        results.map(move |(channel, result)| Tried {
            log: log.clone(),
            channel,
            error: result.err().map(|error| error.to_string()),
        })
    };
    let tried: Vec<Tried> = desks.iter().flat_map(send).collect();
    let delivered = tried.iter().all(|tried| tried.error.is_none());
    let lacked = desks.iter().any(|(_, dispatcher)| dispatcher.resource_exhaustion().is_some());
    let verdict = match delivered {
        true => Conclusion::Clean,
        false if lacked => Conclusion::LocalFault,
        false => Conclusion::Incomplete,
    };
    Ok(TestAlerts { tried, verdict, format })
}

/// The logs of the config. That of one log need not name the log to have its channels tried.
fn logs(config: Option<&Path>, name: Option<&str>, given: &Given) -> Result<Vec<(String, Settings)>, Error> {
    let several = match config {
        Some(path) => matches!(load::read(path, name)?, Config::Several(_)),
        None => false,
    };
    if several {
        let spec = WatchSpec { config, name, given: given.clone(), ..WatchSpec::default() };
        return Ok(watched::watched(&spec)?.logs.into_iter().map(|log| (log.name, log.settings)).collect());
    }
    let settings = load::settings(config, name, given.clone())?;
    let origin = settings.log_key.as_ref().map_or_else(String::new, |key| escape(key.origin()));
    Ok(vec![(origin, settings)])
}

/// Whether this is not yet one of those that were seen, by everything that decides how it sends.
fn is_new(
    seen: &mut Vec<(ChannelTable, Option<PathBuf>)>,
    settings: &Settings,
    channel: &ChannelTable,
) -> bool {
    let channel = (channel.clone(), settings.net.ca_file.clone());
    let is_new = !seen.contains(&channel);
    if is_new {
        seen.push(channel);
    }
    is_new
}
