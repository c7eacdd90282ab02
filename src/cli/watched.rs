//! The config of `monitor`: one log or several, each resolved to the settings of an audit.

use super::alerts;
use super::args::{AuditOptions, Common};
use super::audit;
use super::config::{self, Settings};
use super::config_file::{self, Config, ConfigFile};
use super::failure::Failure;
use super::monitor_args::{LogFormat, MonitorOptions};
use super::peer_tables;
use crate::core::text::{escape, quoted};
use crate::mirror::identity_of;
use crate::source::Stop;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Between two audits, where nobody says.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Shorter intervals are slips, and a burden to the log.
const SHORTEST: Duration = Duration::from_millis(100);

/// Longer ones are slips, too.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Of a log's name, which is in every line and label.
const MAX_NAME: usize = 100;

/// One log of the config.
pub struct LogConfig {
    pub name: String,
    pub interval: Duration,
    pub settings: Settings,
}

impl LogConfig {
    /// What to say where the mirror is there and would be made anew if it were not.
    pub fn init_left(&self) -> Option<&'static str> {
        let is_there = self.settings.db.as_ref().is_some_and(|db| db.exists());
        (self.settings.init && is_there).then_some(INIT_LEFT)
    }
}

/// Its mirror is made, and it may still be made anew.
const INIT_LEFT: &str = "the mirror is there: take init = true (or --init) out, or a mirror that gets lost is a fresh \
                         start, which forgets every head seen, and no fault that you hear of";

/// A config, resolved.
pub struct Watched {
    pub listen: Option<SocketAddr>,
    pub json: bool,
    /// At least one.
    pub logs: Vec<LogConfig>,
}

/// Puts options and config together, and reads all that they name.
///
/// # Errors
/// A sentence for the person: wrong usage.
pub fn resolve(common: &Common, options: &MonitorOptions) -> Result<Watched, Failure> {
    let file = match (&common.config, &common.name) {
        (Some(path), name) => config_file::read(path, name.as_deref())?,
        (None, None) => Config::One(Box::default()),
        (None, Some(_)) => return Err(config::NAME_OF_WHAT.into()),
    };
    let several = matches!(file, Config::Several(_));
    let (listen, format, files) = match file {
        Config::One(file) => (file.listen.clone(), file.log_format, vec![*file]),
        Config::Several(several) => (several.listen, several.log_format, several.log),
    };
    if files.len() > 1 {
        refuse_options_of_one_log(common, options)?;
    }
    let mut logs = Vec::new();
    for (number, file) in (1_usize..).zip(files) {
        let said = file
            .name
            .clone()
            .map_or_else(|| format!("log {number}"), |name| format!("log {}", quoted(&name)));
        let log = one_log(common, options, file, several);
        logs.push(
            log.map_err(|failure| {
                failure.within(|why| if several { format!("{said}: {why}") } else { why })
            })?,
        );
    }
    if logs.is_empty() {
        return Err(config_file::NO_LOG.into());
    }
    apart(&logs)?;
    let listen = options.listen.as_ref().or(listen.as_ref()).map(|text| address(text)).transpose()?;
    let json = options.log_format.or(format).unwrap_or_default() == LogFormat::Json;
    Ok(Watched { listen, json, logs })
}

/// Options that are of one log would be for each of them, and one key or mirror for all is never right.
fn refuse_options_of_one_log(common: &Common, options: &MonitorOptions) -> Result<(), String> {
    let Common { config, format, quiet, verbose, color, .. } = common.clone();
    let of_all = Common { config, format, quiet, verbose, color, ..Common::default() };
    if *common == of_all && options.audit == AuditOptions::default() {
        return Ok(());
    }
    Err("the config is of several logs: say which is meant with --name NAME, or write what is of one of them into \
         its [[log]] (init = true as well)"
        .to_owned())
}

fn one_log(
    common: &Common,
    options: &MonitorOptions,
    file: ConfigFile,
    several: bool,
) -> Result<LogConfig, Failure> {
    if several && (file.listen.is_some() || file.log_format.is_some()) {
        return Err("listen and log-format are for all logs: write them above the first [[log]]".into());
    }
    let name = file.name.clone();
    let every = options.interval.clone().or(file.interval.clone());
    let settings = config::settle(common.clone(), options.audit.clone(), file)?;
    let location = settings.require_log()?;
    settings.require_db()?;
    let key = settings.one_log_key()?;
    let name = match (name, key) {
        (Some(name), _) => name,
        (None, _) if several => return Err("give it a name".into()),
        (None, Some(key)) => key.origin().to_owned(),
        (None, None) => "log".to_owned(),
    };
    if name.is_empty() || name.len() > MAX_NAME || escape(&name) != name {
        return Err(format!("the name {} is not of 1 to {MAX_NAME} visible characters", quoted(&name)).into());
    }
    // Secrets and certificates are read here, so that a slip is said now and not tonight.
    audit::open_log(&settings, location)?;
    alerts::dispatcher(&settings)?;
    if let Some(key) = settings.one_log_key()? {
        peer_tables::open(&settings, key, &Stop::default())?;
    }
    Ok(LogConfig { name, interval: every.map_or(Ok(INTERVAL), |text| span(&text))?, settings })
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Duration::from_millis(config::duration(text)?);
    match (SHORTEST..=LONGEST).contains(&span) {
        true => Ok(span),
        false => Err(format!("interval {}: not between 100ms and a year", quoted(text))),
    }
}

/// Two logs must not share a name, nor a mirror, which is of one log.
fn apart(logs: &[LogConfig]) -> Result<(), String> {
    let (mut names, mut places, mut files) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for log in logs {
        if !names.insert(&log.name) {
            return Err(format!("two logs have the name {}", quoted(&log.name)));
        }
        // However it is spelt, and whatever links lead to it.
        let (place, file) = identity_of(log.settings.require_db()?);
        if !places.insert(place) || file.is_some_and(|file| !files.insert(file)) {
            return Err(format!("log {} has the mirror of another: each needs its own", quoted(&log.name)));
        }
    }
    Ok(())
}

/// A port alone is on this machine only: who is to be reached by others says so.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        format!("--listen {}: write a port, or address:port with the address in digits", quoted(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machine_only() {
        for (text, expected) in [
            ("9464", Some("127.0.0.1:9464")),
            (":9464", Some("127.0.0.1:9464")),
            ("0.0.0.0:1", Some("0.0.0.0:1")),
            ("[::1]:9464", Some("[::1]:9464")),
            ("localhost:9464", None),
            ("", None),
            ("70000", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(address(text).ok().map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn intervals_have_bounds() {
        assert_eq!(span("100ms").unwrap(), SHORTEST);
        for slip in ["0s", "99ms", "2years", "soon", "", "-5m"] {
            assert!(span(slip).is_err(), "{slip}");
        }
    }
}
