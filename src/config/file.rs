//! The config file: of one log, or of several, of which other commands than `monitor` take one.

use super::acknowledge::AcknowledgeTable;
use super::alert::AlertTable;
use super::error::Error;
use super::given::GivenMonitor;
use super::log::LogTable;
use super::toml_error;
use super::values::LogFormat;
use super::watch::WatchTable;
use crate::core::text::quoted;
use serde::Deserialize;
use std::path::Path;

/// A config file longer than this is none.
pub const MAX_CONFIG: usize = 512 * 1024;

/// A config of several logs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeveralLogs {
    /// Where to listen.
    pub(super) listen: Option<String>,
    /// How often logs are audited that do not say it themselves.
    pub(super) interval: Option<String>,
    /// How what happens is written.
    pub(super) log_format: Option<LogFormat>,
    /// Who is told of what any of the logs does.
    #[serde(default)]
    pub(super) alert: Vec<AlertTable>,
    /// When they are told again.
    pub(super) alert_reminder: Option<String>,
    /// What is known of any of the logs.
    #[serde(default)]
    pub(super) acknowledge: Vec<AcknowledgeTable>,
    /// Which entries of any of the logs somebody wants to hear of.
    #[serde(default)]
    pub(super) watch: Vec<WatchTable>,
    /// The logs.
    pub(super) log: Vec<LogTable>,
}

impl SeveralLogs {
    /// Gives each log what stands above all of them; what a log says itself comes first.
    fn hand_down(&mut self) {
        for file in &mut self.log {
            file.alert.extend(self.alert.iter().cloned());
            file.acknowledge.extend(self.acknowledge.iter().cloned());
            file.watch.extend(self.watch.iter().cloned());
            file.alert_reminder = file.alert_reminder.take().or(self.alert_reminder.clone());
            file.interval = file.interval.take().or(self.interval.clone());
        }
    }

    /// Leaves the log of this name alone.
    fn keep(&mut self, name: &str) -> Result<(), String> {
        let names = self.names();
        self.log.retain(|file| file.name.as_deref() == Some(name));
        match self.log.len() {
            1 => Ok(()),
            0 => Err(format!("there is no [[log]] with the name {}: there is {names}", quoted(name))),
            _ => Err(format!("two logs have the name {}", quoted(name))),
        }
    }

    /// The names that there are, for the person.
    fn names(&self) -> String {
        let names = self.log.iter().map(|file| match &file.name {
            Some(name) => quoted(name),
            None => "one without a name".to_owned(),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// What a config is of.
pub enum Config {
    /// One log, whose values stand at the top.
    One(Box<LogTable>),
    /// Several, each a `[[log]]`.
    Several(SeveralLogs),
}

/// There are tables for logs, and none in them.
pub const NO_LOG: &str = "there is no [[log]] in the config";

/// A name without a config.
pub const NAME_OF_WHAT: &str =
    "--name says which [[log]] of a config is meant: give the config with --config FILE";

impl Config {
    /// Reads the text of a config, which is at `path`; with a name, the log of this name is the only one in it.
    ///
    /// # Errors
    /// A sentence for the person.
    pub fn parse(text: &str, path: &Path, name: Option<&str>) -> Result<Config, Error> {
        let fail = |why: String| format!("config {path:?}: {why}");
        let mut config = parse(text).map_err(fail)?;
        config.choose(name).map_err(fail)?;
        Ok(config)
    }

    fn choose(&mut self, name: Option<&str>) -> Result<(), String> {
        match (self, name) {
            (Config::Several(several), name) => {
                several.hand_down();
                name.map_or(Ok(()), |name| several.keep(name))
            }
            (Config::One(_), None) => Ok(()),
            (Config::One(file), Some(name)) => match file.name() {
                Some(its) if its == name => Ok(()),
                Some(its) => Err(format!("--name {}: it is of one log, {}", quoted(name), quoted(its))),
                None => Err(format!("--name {}: it is of one log, which has no name in it", quoted(name))),
            },
        }
    }

    /// What it says of its only log.
    ///
    /// # Errors
    /// A sentence for the person: there is none, or there are several.
    pub fn into_one(self, path: &Path) -> Result<LogTable, Error> {
        match self {
            Config::One(file) => Ok(*file),
            Config::Several(mut several) => match (several.log.pop(), several.log.is_empty()) {
                (Some(file), true) => Ok(file),
                (None, _) => Err(format!("config {path:?}: {NO_LOG}").into()),
                (Some(file), false) => {
                    several.log.push(file);
                    Err(format!(
                        "config {path:?} is of several logs ([[log]]): say which with --name NAME ({})",
                        several.names()
                    )
                    .into())
                }
            },
        }
    }

    /// What it says of all logs, and the logs.
    pub fn into_logs(self) -> (GivenMonitor, Vec<LogTable>) {
        match self {
            Config::One(file) => {
                let given =
                    GivenMonitor { listen: file.listen.clone(), interval: None, log_format: file.log_format };
                (given, vec![*file])
            }
            Config::Several(SeveralLogs { listen, log_format, log, .. }) => {
                (GivenMonitor { listen, interval: None, log_format }, log)
            }
        }
    }
}

/// The same key names one log and several: `log = "…"` and `[[log]]`.
fn parse(text: &str) -> Result<Config, String> {
    let said = |error: toml::de::Error| toml_error::said(&error, text);
    let table: toml::Table = toml::from_str(text).map_err(said)?;
    match table.get("log").is_some_and(toml::Value::is_array) {
        true => toml::from_str(text).map(Config::Several).map_err(said),
        false => toml::from_str(text).map(|file| Config::One(Box::new(file))).map_err(said),
    }
}
