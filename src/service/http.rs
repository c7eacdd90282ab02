//! Options for HTTP requests, and which secrets go to which server.

use super::{Error, secrets};
use crate::config::{Net, Settings};
use crate::source::{HttpOptions, OpenError, RequestCounters, same_origin};
use std::time::Duration;

/// Options for requests to others than the log: without any secret, and not counted as requests to the log.
pub(super) fn plain(net: &Net) -> HttpOptions {
    let defaults = HttpOptions::default();
    HttpOptions {
        attempt_timeout: net.timeout.unwrap_or(defaults.attempt_timeout),
        resource_timeout: net.retry_for.unwrap_or(defaults.resource_timeout),
        deadline: net.deadline.or(defaults.deadline),
        contact: net.contact.clone(),
        max_rps: net.max_rps,
        ca_file: net.ca_file.clone(),
        // More threads also mean more requests at once.
        parallelism: net.workers.map_or(defaults.parallelism, usize::from),
        ..defaults
    }
}

/// The time limit of one run for its network requests.
pub fn deadline(settings: &Settings) -> Option<Duration> {
    plain(&settings.net).deadline
}

/// Options for requests to `url`, which may belong to another party than `log`, and whether any secret was left out.
/// The secrets of the config are sent only to the log. Secrets from the command line are sent to any `url`. Requests to
/// the log are counted.
///
/// # Errors
/// Returns [`Error`] if a secret cannot be read. The message contains no secret.
pub(super) fn options_for(
    net: &Net,
    url: &str,
    log: Option<&str>,
    requests: &RequestCounters,
) -> Result<(HttpOptions, bool), Error> {
    if log.is_some_and(|log| log == url || same_origin(log, url)) {
        let headers = secrets::headers(&net.all)?;
        return Ok((HttpOptions { headers, requests: requests.clone(), ..plain(net) }, false));
    }
    let options = HttpOptions { headers: secrets::headers(&net.typed)?, ..plain(net) };
    Ok((options, net.all != net.typed))
}

/// Turns a failure to open into an [`Error`] with the message that `say` gives. If a proxy variable of the environment
/// is at fault, the message is about that variable alone.
pub(super) fn opening(error: &OpenError, say: impl FnOnce(&OpenError) -> String) -> Error {
    match error {
        OpenError::Proxy { .. } => Error::Environment(error.to_string()),
        error => Error::new(error.is_local(), say(error)),
    }
}
