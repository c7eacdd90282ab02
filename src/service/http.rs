//! How things are fetched, with secrets where they belong.

use super::{Error, secrets};
use crate::config::{Net, Settings};
use crate::source::{HttpOptions, OpenError, RequestCounters, same_origin};
use std::time::Duration;

/// For what is not the log's: without any secret, and not counted as requests to it.
pub(super) fn plain(net: &Net) -> HttpOptions {
    let defaults = HttpOptions::default();
    HttpOptions {
        attempt_timeout: net.timeout.unwrap_or(defaults.attempt_timeout),
        resource_timeout: net.retry_for.unwrap_or(defaults.resource_timeout),
        deadline: net.deadline.or(defaults.deadline),
        contact: net.contact.clone(),
        max_rps: net.max_rps,
        ca_file: net.ca_file.clone(),
        // Whoever asks for more threads wants more requests at once, too.
        parallelism: net.workers.map_or(defaults.parallelism, usize::from),
        ..defaults
    }
}

/// The most time that one run takes over the network.
pub fn deadline(settings: &Settings) -> Option<Duration> {
    plain(&settings.net).deadline
}

/// For what is at `url`, which may be another party's than `log`. The secrets of the config are the log's, and go there
/// only; those that were given are for what they name. Also whether any were left out. Requests to the log are counted.
///
/// # Errors
/// A sentence for the person, without any secret.
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

/// Of what cannot be opened, in these words; where a variable is at fault, in words about that alone.
pub(super) fn opening(error: &OpenError, say: impl FnOnce(&OpenError) -> String) -> Error {
    match error {
        OpenError::Proxy { .. } => Error::Environment(error.to_string()),
        error => Error::new(error.is_local(), say(error)),
    }
}
