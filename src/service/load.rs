//! Reads the files that settings come from.

use super::Error;
use super::files;
use crate::config::{Config, Given, LogTable, MAX_CONFIG, NAME_OF_WHAT, Outside, Settings};
use crate::source::host_of;
use crate::source::user_file::{ReadError, read_text};
use std::fs::File;
use std::path::Path;

/// Combines the given options, the config at `config` and the files that both name into settings. `name` selects one of
/// several logs in the config.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if a file cannot be read.
pub fn settings(config: Option<&Path>, name: Option<&str>, given: Given) -> Result<Settings, Error> {
    let file = match (config, name) {
        (Some(path), name) => read(path, name)?.into_one(path)?,
        (None, None) => LogTable::default(),
        (None, Some(_)) => return Err(NAME_OF_WHAT.into()),
    };
    settle(given, file, config)
}

/// Combines the given options with the table of one log from a config.
///
/// # Errors
/// As [`settings`].
pub(super) fn settle(given: Given, file: LogTable, config: Option<&Path>) -> Result<Settings, Error> {
    Settings::resolve(given, file, config, &Outside { read: &files::read_file, host_of })
}

/// Reads a config. With a name, it keeps only the log of that name.
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
