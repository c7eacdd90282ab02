//! Rejects file names that have a special meaning to a shell, to SQLite or to a browser, but not here. Such a file
//! would be created in a directory called `~`, or would not outlive the run.

use super::error::Error;
use crate::core::text::quoted;
use std::path::Path;

/// Checks the path of a database. `said` names the option or the config key that it comes from, and `what` is in it.
///
/// # Errors
/// Returns [`Error::Usage`] if the path is empty, a URL, in memory, or begins with `~`.
pub(super) fn check_database(option: &str, what: &str, db: &Path) -> Result<(), Error> {
    let name = db.to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let why = match () {
        () if name.is_empty() => format!("the name is empty: write the path of the {what}"),
        () if lower.starts_with("file:") => {
            "write only the path: the file: URLs of SQLite are not supported here".to_owned()
        }
        () if lower.starts_with(":memory:") => {
            format!(
                "a {what} must outlast the run, and this name stands for a database in memory: write the path of a \
             file"
            )
        }
        () if name.contains("://") => {
            format!("a {what} is a file on this machine, not a URL: write its path")
        }
        () => return check_home(option, db),
    };
    Err(format!("{option} {}: {why}", quoted(&name)).into())
}

/// Checks that a path does not begin with `~`. A shell replaces it by the home directory, but only at the start of a
/// word.
///
/// # Errors
/// Returns [`Error::Usage`] if the path is `~`, or begins with `~` and has a `/`.
pub fn check_home(option: &str, path: &Path) -> Result<(), Error> {
    let name = path.to_string_lossy();
    let is_home = name == "~" || (name.starts_with('~') && name.contains('/'));
    if !is_home {
        return Ok(());
    }
    Err(format!(
        "{option} {}: the shell did not expand ~ to the home directory (it does not in a config, after = or in \
         quotation marks): write the whole path, or ./~ for a directory of that name",
        quoted(&name)
    )
    .into())
}
