//! Checks a mirror for damage, and rebuilds a damaged one.

use super::Error;
use crate::config::Settings;
use crate::core::head::LogKey;
use crate::mirror::{Checked, Mirror, MirrorError, Rebuilt, rebuild};
use crate::source::Stop;
use std::path::Path;

/// The result of a check.
pub enum MirrorCheck {
    /// The check was stopped before it was done. Nothing is known.
    Stopped,
    /// Each part was checked, and nothing was rebuilt.
    Checked(Checked),
    /// The mirror was damaged and was rebuilt.
    Rebuilt(Rebuilt),
    /// The mirror cannot be used at all. This is a local fault and not one of the log.
    Fault(MirrorError),
}

/// Checks every part of the mirror. If it is damaged and `again` is true, rebuilds it.
///
/// # Errors
/// Returns [`Error`] on wrong usage.
pub fn check_mirror(settings: &Settings, again: bool, stop: &Stop) -> Result<MirrorCheck, Error> {
    let (db, key) = mirror_of(settings)?;
    let checked = match checked(db, key, stop) {
        Ok(None) => Ok(MirrorCheck::Stopped),
        Ok(Some(found)) if again && !found.is_whole() => rebuild(db, key).map(MirrorCheck::Rebuilt),
        Ok(Some(found)) => Ok(MirrorCheck::Checked(found)),
        // The rebuild finds out which parts can still be read.
        Err(MirrorError::Damaged(..) | MirrorError::WrongMemory(..) | MirrorError::RolledBack(..))
            if again =>
        {
            rebuild(db, key).map(MirrorCheck::Rebuilt)
        }
        Err(error) => Err(error),
    };
    checked.or_else(|error| match error.is_usage() {
        true => Err(error.to_string().into()),
        false => Ok(MirrorCheck::Fault(error)),
    })
}

/// The path of the mirror, and the key of the log that it must belong to.
///
/// # Errors
/// Returns [`Error`] if the settings lack either of them.
pub fn mirror_of(settings: &Settings) -> Result<(&Path, &LogKey), Error> {
    let db = settings.require_db()?;
    let key = settings.one_log_key()?;
    Ok((db, key.ok_or("missing --log-key VKEY: give the log's public key, or a --config that has it")?))
}

fn checked(db: &Path, key: &LogKey, stop: &Stop) -> Result<Option<Checked>, MirrorError> {
    Mirror::open_to_check(db, key)?.check_parts(key, &|| stop.is_stopped())
}
