//! Is a mirror what was written, and what can be made again of one that is not?

use super::Error;
use crate::config::Settings;
use crate::core::head::LogKey;
use crate::mirror::{Checked, Mirror, MirrorError, Rebuilt, rebuild};
use crate::source::Stop;
use std::path::Path;

/// What came of a check.
pub enum MirrorCheck {
    /// It was ended before it was done: nothing is known.
    Stopped,
    /// Each part was checked.
    Checked(Checked),
    /// It was damaged and was made again.
    Rebuilt(Rebuilt),
    /// It cannot be used at all, which is nobody's fault but this side's.
    Fault(MirrorError),
}

/// Checks every part of the mirror; where it is damaged and `again` asks for it, makes it again.
///
/// # Errors
/// [`Error`]: wrong usage.
pub fn check_mirror(settings: &Settings, again: bool, stop: &Stop) -> Result<MirrorCheck, Error> {
    let (db, key) = mirror_of(settings)?;
    let checked = match checked(db, key, stop) {
        Ok(None) => Ok(MirrorCheck::Stopped),
        Ok(Some(found)) if again && !found.is_whole() => rebuild(db, key).map(MirrorCheck::Rebuilt),
        Ok(Some(found)) => Ok(MirrorCheck::Checked(found)),
        // What of it can be read is for the rebuilding to find out.
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

/// The mirror that is meant, and whose it must be.
///
/// # Errors
/// [`Error`]: that is not said.
pub fn mirror_of(settings: &Settings) -> Result<(&Path, &LogKey), Error> {
    let db = settings.require_db()?;
    let key = settings.one_log_key()?;
    Ok((db, key.ok_or("which log? Give its public key with --log-key, or a --config that has it")?))
}

fn checked(db: &Path, key: &LogKey, stop: &Stop) -> Result<Option<Checked>, MirrorError> {
    Mirror::open_to_check(db, key)?.check_parts(key, &|| stop.is_stopped())
}
