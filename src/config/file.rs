//! The config file. It describes one log or several; commands other than `monitor` use one of them.

use super::acknowledge::AcknowledgeTable;
use super::alert::AlertTable;
use super::error::Error;
use super::given::GivenMonitor;
use super::journal::JournalTable;
use super::log::LogTable;
use super::toml_error;
use super::values::LogFormat;
use super::watch::WatchTable;
use crate::core::text::quoted;
use serde::Deserialize;
use std::path::Path;

/// The most bytes of a config file.
pub const MAX_CONFIG: usize = 512 * 1024;

/// A config of several logs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeveralLogs {
    /// The address that `monitor` listens on.
    pub(super) listen: Option<String>,
    /// The time between two audits of a log that sets none itself.
    pub(super) interval: Option<String>,
    /// How `monitor` writes events.
    pub(super) log_format: Option<LogFormat>,
    /// Channels for alerts about all logs.
    #[serde(default)]
    pub(super) alert: Vec<AlertTable>,
    /// The time between two reminders.
    pub(super) alert_reminder: Option<String>,
    /// Acknowledged findings of all logs.
    #[serde(default)]
    pub(super) acknowledge: Vec<AcknowledgeTable>,
    /// Watch rules for the entries of all logs.
    #[serde(default)]
    pub(super) watch: Vec<WatchTable>,
    /// The journal of a gate that asks for approvals in several of the logs.
    pub(super) journal: Option<Box<JournalTable>>,
    /// The logs.
    pub(super) log: Vec<LogTable>,
}

impl SeveralLogs {
    /// Adds the common values to each log. The values of a log itself take precedence.
    fn hand_down(&mut self) {
        for file in &mut self.log {
            file.alert.extend(self.alert.iter().cloned());
            file.acknowledge.extend(self.acknowledge.iter().cloned());
            file.watch.extend(self.watch.iter().cloned());
            file.alert_reminder = file.alert_reminder.take().or(self.alert_reminder.clone());
            file.journal = file.journal.take().or(self.journal.as_deref().cloned());
            file.interval = file.interval.take().or(self.interval.clone());
        }
    }

    /// Keeps only the log of this name.
    fn keep(&mut self, name: &str) -> Result<(), String> {
        let names = self.names();
        self.log.retain(|file| file.name.as_deref() == Some(name));
        match self.log.len() {
            1 => Ok(()),
            0 => Err(format!("there is no [[log]] with the name {}: there is {names}", quoted(name))),
            _ => Err(format!("two logs have the name {}", quoted(name))),
        }
    }

    /// The names of all logs, for messages.
    fn names(&self) -> String {
        let names = self.log.iter().map(|file| match &file.name {
            Some(name) => quoted(name),
            None => "one without a name".to_owned(),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A config, of one log or of several.
pub enum Config {
    /// One log, whose values are at the top level.
    One(Box<LogTable>),
    /// Several logs, each a `[[log]]` table.
    Several(SeveralLogs),
}

/// The message if a config of several logs has no log.
pub const NO_LOG: &str = "there is no [[log]] in the config";

/// The message if a name is given without a config.
pub const NAME_OF_WHAT: &str = "--name selects a [[log]] of a config: missing --config FILE";

impl Config {
    /// Parses the text of the config at `path`. With a name, it keeps only the log of that name.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if the text is not a config, or if it has no log of that name.
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
                Some(its) => {
                    Err(format!("--name {}: the config has only one log, {}", quoted(name), quoted(its)))
                }
                None => {
                    Err(format!("--name {}: the config has only one log, which has no name", quoted(name)))
                }
            },
        }
    }

    /// Returns the table of the only log.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if there is no log, or if there are several.
    pub fn into_one(self, path: &Path) -> Result<LogTable, Error> {
        match self {
            Config::One(file) => Ok(*file),
            Config::Several(mut several) => match (several.log.pop(), several.log.is_empty()) {
                (Some(file), true) => Ok(file),
                (None, _) => Err(format!("config {path:?}: {NO_LOG}").into()),
                (Some(file), false) => {
                    several.log.push(file);
                    Err(format!(
                        "config {path:?} has several logs ([[log]]): select one with --name NAME ({})",
                        several.names()
                    )
                    .into())
                }
            },
        }
    }

    /// Splits the config into the values for all logs and the tables of the logs.
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

/// Parses a config of either kind. Both kinds use the key `log`: `log = "…"` for one log, `[[log]]` for several.
fn parse(text: &str) -> Result<Config, String> {
    let describe = |error: toml::de::Error| toml_error::describe(&error, text);
    let table: toml::Table = toml::from_str(text).map_err(describe)?;
    match table.get("log").is_some_and(toml::Value::is_array) {
        true => toml::from_str(text).map(Config::Several).map_err(describe),
        false => toml::from_str(text).map(|file| Config::One(Box::new(file))).map_err(describe),
    }
}
