//! Secrets out of files and variables. Neither they nor where they stand are ever shown: a person may have typed the
//! secret itself there.

use super::Error;
use crate::config::SecretPlaces;
use crate::source::SecretHeaders;
use crate::source::user_file::{ReadError, read_text};
use std::path::Path;

/// A file of secrets longer than this is the wrong file.
const MAX_SECRETS: usize = 64 * 1024;

/// The headers that these places have.
///
/// # Errors
/// A sentence for the person, without any secret.
pub(super) fn headers(places: &SecretPlaces) -> Result<SecretHeaders, Error> {
    let mut headers = SecretHeaders::default();
    let found = [
        ("--bearer-file", places.bearer_file.as_deref().map(read)),
        ("--bearer-env", places.bearer_env.as_deref().map(environment)),
        ("--header-file", places.header_file.as_deref().map(read)),
        ("--header-env", places.header_env.as_deref().map(environment)),
    ];
    for (name, secret) in found {
        let Some(secret) = secret else { continue };
        let added = secret.and_then(|secret| match name {
            "--bearer-file" | "--bearer-env" => {
                Ok(headers.add_bearer(&secret).map_err(|error| error.to_string())?)
            }
            _ => Ok(headers.add_lines(&secret).map_err(|error| error.to_string())?),
        });
        added.map_err(|error: Error| error.within(|why| format!("{name}: {why}")))?;
    }
    Ok(headers)
}

/// A secret out of a file. Does not say which file. Opening what is no file, such as a pipe with a name, could wait for
/// ever; what a shell hands over is open already.
///
/// # Errors
/// A sentence for the person.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let fail = |error: ReadError| Error::new(error.is_local, format!("the file cannot be read: {error}"));
    let handed_over =
        path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd");
    if !handed_over && !std::fs::metadata(path).map_err(|error| fail(error.into()))?.is_file() {
        return Err("it is not a file".into());
    }
    let file = std::fs::File::open(path).map_err(|error| fail(error.into()));
    read_text(&mut file?, MAX_SECRETS).map_err(fail)
}

/// A secret out of a variable. Does not say which variable, for the same reason.
///
/// # Errors
/// A sentence for the person.
pub(super) fn environment(variable: &str) -> Result<String, Error> {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        return Err("give the name of a variable, not its value".into());
    }
    std::env::var(variable).map_err(|error| match error {
        std::env::VarError::NotPresent => "no such variable is set; give its name, not its value".into(),
        std::env::VarError::NotUnicode(_) => "the variable is not UTF-8".into(),
    })
}
