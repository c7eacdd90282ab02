//! Names of files that would be made, and mean something else where they were copied from: to a shell, to SQLite, to a
//! browser. Made here, they would stand in a directory called `~`, or nowhere that outlives the run.

use super::error::Error;
use crate::core::text::quoted;
use std::path::Path;

/// What is wrong with the name of a mirror, which stands where `said` says: in an option or under a key of a config.
///
/// # Errors
/// A sentence for the person.
pub(super) fn check_mirror(said: &str, db: &Path) -> Result<(), Error> {
    let name = db.to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let why = match () {
        () if name.is_empty() => "the name is empty: write the path of the mirror",
        () if lower.starts_with("file:") => {
            "write the path alone: file: is how SQLite writes a URL, and is not read here"
        }
        () if lower.starts_with(":memory:") => {
            "a mirror must outlast the run, and this is one in memory: write the path of a file"
        }
        () if name.contains("://") => "a mirror is a file on this machine, and no URL: write its path",
        () => return check_home(said, db),
    };
    Err(format!("{said} {}: {why}", quoted(&name)).into())
}

/// `~/…` is the home directory to a shell, which replaces it at the start of a word alone.
///
/// # Errors
/// A sentence for the person.
pub fn check_home(said: &str, path: &Path) -> Result<(), Error> {
    let name = path.to_string_lossy();
    let is_home = name == "~" || (name.starts_with('~') && name.contains('/'));
    if !is_home {
        return Ok(());
    }
    Err(format!(
        "{said} {}: no shell has put the home directory in the place of ~ (it does not in a config, nor behind = or in \
         quotation marks): write the whole path, or ./~ where a directory has that name",
        quoted(&name)
    )
    .into())
}
