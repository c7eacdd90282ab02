//! Reads secrets from files and environment variables. Errors show neither a secret nor the name of its file or
//! variable, because a user may have put the secret itself in place of the name.

use super::Error;
use crate::config::SecretPlaces;
use crate::source::SecretHeaders;
use crate::source::user_file::{ReadError, read_text};
use std::path::Path;

/// The most bytes of a file of secrets. A longer file is the wrong file.
const MAX_SECRETS: usize = 64 * 1024;

/// Reads the secret headers from these places.
///
/// # Errors
/// Returns [`Error`] if a secret cannot be read or is not valid in a header. The message contains no secret.
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

/// Reads a secret from a file. Only regular files are opened, since opening a named pipe could wait forever.
/// Descriptors that a shell passes on are open already and are allowed.
///
/// # Errors
/// Returns [`Error`] if the file cannot be read. The message does not name the file.
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

/// Reads a secret from an environment variable.
///
/// # Errors
/// Returns [`Error`] if the variable is not set or not UTF-8. The message does not name the variable.
pub(super) fn environment(variable: &str) -> Result<String, Error> {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        return Err("give the name of a variable, not its value".into());
    }
    std::env::var(variable).map_err(|error| match error {
        std::env::VarError::NotPresent => "no such variable is set; give its name, not its value".into(),
        std::env::VarError::NotUnicode(_) => "the variable is not UTF-8".into(),
    })
}
