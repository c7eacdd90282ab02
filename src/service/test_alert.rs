//! Sends a test alert over every channel of a config.

use super::clock::Clock;
use super::dispatcher::dispatcher;
use super::watched::{self, WatchSpec};
use super::{Error, load};
use crate::alerts::{Dispatcher, LogName};
use crate::audit::conclusion::Conclusion;
use crate::config::{Alerting, ChannelTable, Config, Format, Given, Settings};
use crate::core::text::escape;
use std::path::{Path, PathBuf};

/// The result of a test alert over one channel.
pub struct Tried {
    /// The name of the log in the config.
    pub log: String,
    /// The name of the channel.
    pub channel: String,
    /// Why the alert was not delivered.
    pub error: Option<String>,
}

/// The results over all channels.
pub struct TestAlerts {
    /// One result for each channel.
    pub tried: Vec<Tried>,
    /// Clean only if every alert was delivered.
    pub verdict: Conclusion,
    /// The output format.
    pub format: Format,
}

/// Sends a test alert over every channel. A channel that several logs have is tried once.
///
/// # Errors
/// Returns [`Error`] if the config cannot be used. Nothing was then sent.
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
        // All channels are set up before anything is sent, so that a mistake in the config sends nothing.
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
        let results = dispatcher.test(log, clock.now()).into_iter();
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

/// The logs of the config. A config of one log need not name the log for a test of its channels.
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

/// Whether this channel was not seen before. Channels are the same if all settings that affect sending are.
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
