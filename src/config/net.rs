//! Checked settings for HTTP. Options take precedence over the config. Absent values are left to the defaults of the
//! HTTP client.

use super::error::Error;
use super::given::GivenNet;
use crate::core::text::quoted;
use std::path::PathBuf;
use std::time::Duration;

/// The longest time that can be set. A longer one is a mistake.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most requests a second that can be set. Above it the clock is too coarse to space them.
const MAX_RPS: f64 = 10_000.0;

/// The most bytes of a contact. Servers refuse longer headers.
const MAX_CONTACT: usize = 256;

/// Where secrets are read from. They are read only when something is fetched, so that other commands can share the
/// config without access to the secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecretPlaces {
    /// A file with a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// A variable with a bearer token.
    pub bearer_env: Option<String>,
    /// A file with secret headers.
    pub header_file: Option<PathBuf>,
    /// A variable with a secret header.
    pub header_env: Option<String>,
}

impl SecretPlaces {
    fn of(given: GivenNet) -> Result<SecretPlaces, Error> {
        let GivenNet { bearer_file, bearer_env, header_file, header_env, .. } = given;
        if bearer_file.is_some() && bearer_env.is_some() {
            return Err("bearer-file and bearer-env: give one of them, there is one token at most".into());
        }
        Ok(SecretPlaces { bearer_file, bearer_env, header_file, header_env })
    }

    fn or(self, other: SecretPlaces) -> SecretPlaces {
        let bearer = self.bearer_file.is_some() || self.bearer_env.is_some();
        let (bearer_file, bearer_env) =
            if bearer { (self.bearer_file, self.bearer_env) } else { (other.bearer_file, other.bearer_env) };
        SecretPlaces {
            bearer_file,
            bearer_env,
            header_file: self.header_file.or(other.header_file),
            header_env: self.header_env.or(other.header_env),
        }
    }
}

/// Checked settings for HTTP.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// An address or URL for the log's operator, sent with requests.
    pub contact: Option<String>,
    /// The most requests a second.
    pub max_rps: Option<f64>,
    /// The most time for one request.
    pub timeout: Option<Duration>,
    /// The most time for one resource, retries included.
    pub retry_for: Option<Duration>,
    /// The most time for all requests of a run.
    pub deadline: Option<Duration>,
    /// A PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The number of threads, if given. It is also the number of concurrent requests.
    pub workers: Option<u16>,
    /// Secrets given as options, for the server that the options name.
    pub typed: SecretPlaces,
    /// The same and the secrets of the config, which are only for its log.
    pub all: SecretPlaces,
}

impl Net {
    /// Combines options and config.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if a value is wrong.
    pub(super) fn resolve(typed: GivenNet, file: GivenNet, workers: Option<u16>) -> Result<Net, Error> {
        let time = |name: &str, typed: &Option<String>, file: &Option<String>| {
            typed.as_ref().or(file.as_ref()).map(|text| duration(name, text)).transpose()
        };
        let timeout = time("timeout", &typed.timeout, &file.timeout)?;
        let retry_for = time("retry-for", &typed.retry_for, &file.retry_for)?;
        let deadline = time("deadline", &typed.deadline, &file.deadline)?;
        let contact = typed.contact.clone().or(file.contact.clone()).map(contact).transpose()?;
        let max_rps = typed.max_rps.or(file.max_rps).map(max_rps).transpose()?;
        let ca_file = typed.ca_file.clone().or(file.ca_file.clone());
        let typed = SecretPlaces::of(typed)?;
        let all = typed.clone().or(SecretPlaces::of(file)?);
        Ok(Net { contact, max_rps, timeout, retry_for, deadline, ca_file, workers, typed, all })
    }
}

fn duration(name: &str, text: &str) -> Result<Duration, Error> {
    let time = humantime::parse_duration(text).map_err(|error| {
        format!("--{name}: {} is not a duration ({error}); write it as 90s, 30m or 2h", quoted(text))
    })?;
    if time.is_zero() || time > MAX_TIME {
        return Err(format!("--{name}: {} is not between 1ns and a year", quoted(text)).into());
    }
    Ok(time)
}

fn max_rps(rate: f64) -> Result<f64, Error> {
    if rate > 0.0 && rate <= MAX_RPS {
        return Ok(rate);
    }
    Err(format!("--max-rps: {rate} is not above 0 and at most {MAX_RPS} requests per second").into())
}

fn contact(contact: String) -> Result<String, Error> {
    if contact.trim().is_empty() || contact.len() > MAX_CONTACT || contact.contains(char::is_control) {
        return Err(format!(
            "--contact {}: write an address or URL in one line of 1 to {MAX_CONTACT} characters, without control \
             characters",
            quoted(contact.get(..MAX_CONTACT).unwrap_or(&contact))
        )
        .into());
    }
    Ok(contact)
}
