//! Reads the files that settings are made of.

use super::Error;
use super::files;
use crate::config::{Config, Given, LogTable, MAX_CONFIG, NAME_OF_WHAT, Outside, Settings};
use crate::source::host_of;
use crate::source::user_file::{ReadError, read_text};
use std::fs::File;
use std::path::Path;

/// What was given, the config at `config` and what both name become settings. `name` says which of several logs of the
/// config is meant.
///
/// # Errors
/// [`Error`]: wrong usage, or a file cannot be read.
pub fn settings(config: Option<&Path>, name: Option<&str>, given: Given) -> Result<Settings, Error> {
    let file = match (config, name) {
        (Some(path), name) => read(path, name)?.into_one(path)?,
        (None, None) => LogTable::default(),
        (None, Some(_)) => return Err(NAME_OF_WHAT.into()),
    };
    settle(given, file, config)
}

/// What was given, and what a config says of one log.
///
/// # Errors
/// As [`settings`].
pub(super) fn settle(given: Given, file: LogTable, config: Option<&Path>) -> Result<Settings, Error> {
    Settings::resolve(given, file, config, &Outside { read: &files::read_file, host_of })
}

/// Reads a config; with a name, the log of this name is the only one in it.
///
/// # Errors
/// As [`settings`].
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Config, Error> {
    let text = File::open(path)
        .map_err(ReadError::from)
        .and_then(|mut file| read_text(&mut file, MAX_CONFIG))
        .map_err(|error| Error::new(error.is_local, format!("config {path:?}: {}", error.why)))?;
    Config::parse(&text, path, name)
}
