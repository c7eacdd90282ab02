//! The config file as it stands on disk: of one log, or of several, of which other commands than `monitor` take one.

use super::alert_tables::{AcknowledgeTable, AlertTable};
use super::args::{Colour, DecisionOption, ExpectedOptions, Format};
use super::failure::Failure;
use super::monitor_args::LogFormat;
use super::net::NetOptions;
use super::peer_tables::PeerTable;
use super::toml_error;
use super::watch_tables::WatchTable;
use crate::core::text::quoted;
use crate::source::user_file::{ReadError, read_text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A config file longer than this is none.
const MAX_CONFIG: usize = 512 * 1024;

/// What a config says of one log, under the names of the options.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigFile {
    pub format: Option<Format>,
    pub quiet: bool,
    pub verbose: bool,
    pub color: Option<Colour>,
    pub log_key: Option<String>,
    pub policy: Option<PathBuf>,
    pub rp_id: Option<String>,
    pub allow_origin: Vec<String>,
    pub allow_cross_origin: bool,
    pub allow_top_origin: Vec<String>,
    pub log: Option<String>,
    pub api: bool,
    pub db: Option<PathBuf>,
    pub init: bool,
    pub evidence_dir: Option<PathBuf>,
    pub workers: Option<u16>,
    pub full: bool,
    pub heads_only: bool,
    pub max_head_age: Option<String>,
    pub deny_warnings: bool,
    pub max_entries: Option<u64>,
    pub max_findings: Option<u64>,
    pub contact: Option<String>,
    pub max_rps: Option<f64>,
    pub timeout: Option<String>,
    pub retry_for: Option<String>,
    pub deadline: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub bearer_file: Option<PathBuf>,
    pub bearer_env: Option<String>,
    pub header_file: Option<PathBuf>,
    pub header_env: Option<String>,
    pub payload: Option<PathBuf>,
    pub action: Option<String>,
    pub email: Option<String>,
    pub approver: OneOrMore,
    pub expect_id: Option<String>,
    pub max_age: Option<String>,
    pub decision: Option<DecisionOption>,
    /// What the log is called in what `monitor` says, and by `--name`.
    pub name: Option<String>,
    /// How often `monitor` audits it.
    pub interval: Option<String>,
    /// Where `monitor` listens.
    pub listen: Option<String>,
    /// How `monitor` writes what happens.
    pub log_format: Option<LogFormat>,
    /// Approver → keys: COSE_Key as base64url, or the key's identity as the mirror shows it.
    pub approvers: BTreeMap<String, Vec<String>>,
    pub alert: Vec<AlertTable>,
    pub alert_reminder: Option<String>,
    pub acknowledge: Vec<AcknowledgeTable>,
    pub peer: Vec<PeerTable>,
    pub watch: Vec<WatchTable>,
}

/// `approver = "alex"`, or a list of those of whom one must have approved.
#[derive(Clone, Debug, Default)]
pub struct OneOrMore(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<OneOrMore, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a name, or a list of names")]
        enum Names {
            One(String),
            More(Vec<String>),
        }
        Ok(OneOrMore(match Names::deserialize(deserializer)? {
            Names::One(name) => vec![name],
            Names::More(names) => names,
        }))
    }
}

impl ConfigFile {
    /// What receipts are to be of.
    pub fn expected(&mut self) -> ExpectedOptions {
        ExpectedOptions {
            payload: self.payload.take(),
            action: self.action.take(),
            email: self.email.take(),
            approver: std::mem::take(&mut self.approver).0,
            expect_id: self.expect_id.take(),
            max_age: self.max_age.take(),
            decision: self.decision,
        }
    }

    /// How things are fetched.
    pub fn net(&mut self) -> NetOptions {
        NetOptions {
            contact: self.contact.take(),
            max_rps: self.max_rps,
            timeout: self.timeout.take(),
            retry_for: self.retry_for.take(),
            deadline: self.deadline.take(),
            ca_file: self.ca_file.take(),
            bearer_file: self.bearer_file.take(),
            bearer_env: self.bearer_env.take(),
            header_file: self.header_file.take(),
            header_env: self.header_env.take(),
        }
    }
}

/// A config of several logs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeveralLogs {
    /// Where to listen.
    pub listen: Option<String>,
    /// How often logs are audited that do not say it themselves.
    pub interval: Option<String>,
    /// How what happens is written.
    pub log_format: Option<LogFormat>,
    /// Who is told of what any of the logs does.
    #[serde(default)]
    pub alert: Vec<AlertTable>,
    /// When they are told again.
    pub alert_reminder: Option<String>,
    /// What is known of any of the logs.
    #[serde(default)]
    pub acknowledge: Vec<AcknowledgeTable>,
    /// Which entries of any of the logs somebody wants to hear of.
    #[serde(default)]
    pub watch: Vec<WatchTable>,
    /// The logs.
    pub log: Vec<ConfigFile>,
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
    One(Box<ConfigFile>),
    Several(SeveralLogs),
}

/// Reads what a config says of one log, for any command: its only one, or the one with this name.
///
/// # Errors
/// A sentence for the person: wrong usage.
pub fn of_one_log(path: &Path, name: Option<&str>) -> Result<ConfigFile, Failure> {
    match read(path, name)? {
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

/// There are tables for logs, and none in them.
pub const NO_LOG: &str = "there is no [[log]] in the config";

/// Reads a config; with a name, the log of this name is the only one in it.
///
/// # Errors
/// A sentence for the person: wrong usage.
pub fn read(path: &Path, name: Option<&str>) -> Result<Config, Failure> {
    let mut config = read_whole(path)?;
    let chosen = match (&mut config, name) {
        (Config::Several(several), name) => {
            several.hand_down();
            name.map_or(Ok(()), |name| several.keep(name))
        }
        (Config::One(_), None) => Ok(()),
        (Config::One(file), Some(name)) => match file.name.as_deref() {
            Some(its) if its == name => Ok(()),
            Some(its) => Err(format!("--name {}: it is of one log, {}", quoted(name), quoted(its))),
            None => Err(format!("--name {}: it is of one log, which has no name in it", quoted(name))),
        },
    };
    chosen.map(|()| config).map_err(|why| format!("config {path:?}: {why}").into())
}

fn read_whole(path: &Path) -> Result<Config, Failure> {
    let fail = |why: String| format!("config {path:?}: {why}");
    let text = File::open(path)
        .map_err(ReadError::from)
        .and_then(|mut file| read_text(&mut file, MAX_CONFIG))
        .map_err(|error| Failure::new(error.is_local, fail(error.why)))?;
    Ok(parse(&text).map_err(fail)?)
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
