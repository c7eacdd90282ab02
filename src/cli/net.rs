//! The options of everything that is fetched over HTTP.

use super::failure::Failure;
use crate::core::text::quoted;
use crate::source::user_file::{ReadError, read_text};
use crate::source::{HttpOptions, RequestCounters, SecretHeaders, same_origin};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of secrets longer than this is the wrong file.
const MAX_SECRETS: usize = 64 * 1024;

/// The longest time that can be asked for; longer ones are slips.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most requests a second that can be asked for. Above it the clock is too coarse to keep them apart.
const MAX_RPS: f64 = 10_000.0;

/// A longer contact would make a header that servers refuse.
const MAX_CONTACT: usize = 256;

/// As typed, or as the config has it.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[command(next_help_heading = "HTTP")]
pub struct NetOptions {
    /// An address or URL for the log's operator to reach you, sent with requests
    #[arg(long, value_name = "CONTACT")]
    pub contact: Option<String>,
    /// At most so many requests a second, evenly spaced, over all threads; retries and redirects
    /// count. Operators of public logs may ask for that [default: no bound]
    #[arg(long, value_name = "N")]
    pub max_rps: Option<f64>,
    /// The most time for one request with its redirects and its whole body [default: 60s, in which the
    /// largest bundle, 16 MiB, needs 280 KB/s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How long to go on asking for one thing that is not served, waits included [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub retry_for: Option<String>,
    /// Ask nothing more once the run has taken so long, as where a job must end before the next one
    /// starts. What was fetched is kept, the rest is not checked, and the next run goes on
    /// [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// A PEM file of certificates to trust beside the system's, for a private authority
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token for the log. A secret is sent to the log's origin only, over
    /// https:// or to this machine only, and is never shown or stored
    #[arg(long, value_name = "FILE")]
    pub bearer_file: Option<PathBuf>,
    /// The name of an environment variable with a bearer token
    #[arg(long, value_name = "VAR", conflicts_with = "bearer_file")]
    pub bearer_env: Option<String>,
    /// A file with secret headers, each a line "Name: value"
    #[arg(long, value_name = "FILE")]
    pub header_file: Option<PathBuf>,
    /// The name of an environment variable with a secret header "Name: value"
    #[arg(long, value_name = "VAR")]
    pub header_env: Option<String>,
}

/// Where secrets are to be read from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Secrets {
    bearer_file: Option<PathBuf>,
    bearer_env: Option<String>,
    header_file: Option<PathBuf>,
    header_env: Option<String>,
}

impl Secrets {
    fn of(options: NetOptions) -> Result<Secrets, String> {
        let NetOptions { bearer_file, bearer_env, header_file, header_env, .. } = options;
        if bearer_file.is_some() && bearer_env.is_some() {
            return Err("bearer-file and bearer-env: give one of them, there is one token at most".to_owned());
        }
        Ok(Secrets { bearer_file, bearer_env, header_file, header_env })
    }

    fn or(self, other: Secrets) -> Secrets {
        let bearer = self.bearer_file.is_some() || self.bearer_env.is_some();
        let (bearer_file, bearer_env) =
            if bearer { (self.bearer_file, self.bearer_env) } else { (other.bearer_file, other.bearer_env) };
        Secrets {
            bearer_file,
            bearer_env,
            header_file: self.header_file.or(other.header_file),
            header_env: self.header_env.or(other.header_env),
        }
    }

    fn read(&self) -> Result<SecretHeaders, Failure> {
        let mut headers = SecretHeaders::default();
        let found = [
            ("--bearer-file", self.bearer_file.as_deref().map(read)),
            ("--bearer-env", self.bearer_env.as_deref().map(|name| Ok(environment(name)?))),
            ("--header-file", self.header_file.as_deref().map(read)),
            ("--header-env", self.header_env.as_deref().map(|name| Ok(environment(name)?))),
        ];
        for (name, secret) in found {
            let Some(secret) = secret else { continue };
            let added = secret.and_then(|secret| match name {
                "--bearer-file" | "--bearer-env" => {
                    Ok(headers.add_bearer(&secret).map_err(|error| error.to_string())?)
                }
                _ => Ok(headers.add_lines(&secret).map_err(|error| error.to_string())?),
            });
            added.map_err(|failure: Failure| failure.within(|why| format!("{name}: {why}")))?;
        }
        Ok(headers)
    }
}

/// Options over config, each checked. Secrets are read only where something is fetched, so that
/// other commands can share the config without them.
#[derive(Clone, Debug, Default)]
pub struct Net {
    options: HttpOptions,
    /// Those on the command line alone.
    typed: Secrets,
    /// Those and the config's.
    all: Secrets,
}

impl Net {
    /// Puts options and config together.
    ///
    /// # Errors
    /// A sentence for the person: wrong usage.
    pub fn resolve(typed: NetOptions, file: NetOptions, workers: Option<u16>) -> Result<Net, String> {
        let defaults = HttpOptions::default();
        let time = |name: &str, typed: &Option<String>, file: &Option<String>| {
            typed.as_ref().or(file.as_ref()).map(|text| duration(name, text)).transpose()
        };
        let options = HttpOptions {
            attempt_timeout: time("timeout", &typed.timeout, &file.timeout)?
                .unwrap_or(defaults.attempt_timeout),
            resource_timeout: time("retry-for", &typed.retry_for, &file.retry_for)?
                .unwrap_or(defaults.resource_timeout),
            deadline: time("deadline", &typed.deadline, &file.deadline)?.or(defaults.deadline),
            contact: typed.contact.clone().or(file.contact.clone()).map(contact).transpose()?,
            max_rps: typed.max_rps.or(file.max_rps).map(max_rps).transpose()?,
            ca_file: typed.ca_file.clone().or(file.ca_file.clone()),
            // Whoever asks for more threads wants more requests at once, too.
            parallelism: workers.map_or(defaults.parallelism, usize::from),
            ..defaults
        };
        let typed = Secrets::of(typed)?;
        let all = typed.clone().or(Secrets::of(file)?);
        Ok(Net { options, typed, all })
    }

    /// The most time that one run takes over the network.
    pub fn deadline(&self) -> Option<Duration> {
        self.options.deadline
    }

    /// From now on, requests to the log are counted here.
    pub fn count_in(&mut self, requests: RequestCounters) {
        self.options.requests = requests;
    }

    /// For what is not the log's: without any secret, and not counted as requests to it.
    pub fn plain(&self) -> HttpOptions {
        HttpOptions { requests: RequestCounters::default(), ..self.options.clone() }
    }

    /// For requests to the log.
    ///
    /// # Errors
    /// A sentence for the person, without any secret: wrong usage.
    fn options(&self) -> Result<HttpOptions, Failure> {
        Ok(HttpOptions { headers: self.all.read()?, ..self.options.clone() })
    }

    /// For what is at `url`, which may be another party's than `log`. The secrets of the config
    /// are the log's, and go there only; those on the command line are for what it names. Also
    /// whether any were left out.
    ///
    /// # Errors
    /// A sentence for the person, without any secret: wrong usage.
    pub fn options_for(&self, url: &str, log: Option<&str>) -> Result<(HttpOptions, bool), Failure> {
        if log.is_some_and(|log| log == url || same_origin(log, url)) {
            return Ok((self.options()?, false));
        }
        let options = HttpOptions { headers: self.typed.read()?, ..self.plain() };
        Ok((options, self.all != self.typed))
    }
}

/// A secret out of a file. Does not say which file: a person may have typed the secret itself. Opening what is no
/// file, such as a pipe with a name, could wait for ever; what a shell hands over is open already.
///
/// # Errors
/// A sentence for the person.
pub fn read(path: &Path) -> Result<String, Failure> {
    let fail = |error: ReadError| Failure::new(error.is_local, format!("the file cannot be read: {error}"));
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
pub fn environment(variable: &str) -> Result<String, String> {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        return Err("give the name of a variable, not its value".to_owned());
    }
    std::env::var(variable).map_err(|error| match error {
        std::env::VarError::NotPresent => "no such variable is set; give its name, not its value".to_owned(),
        std::env::VarError::NotUnicode(_) => "the variable is not UTF-8".to_owned(),
    })
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| {
        format!("--{name}: {} is no duration ({error}); write it as 90s, 30m or 2h", quoted(text))
    })?;
    if time.is_zero() || time > MAX_TIME {
        return Err(format!("--{name}: {} is not between 1ns and a year", quoted(text)));
    }
    Ok(time)
}

fn max_rps(rate: f64) -> Result<f64, String> {
    if rate > 0.0 && rate <= MAX_RPS {
        return Ok(rate);
    }
    Err(format!("--max-rps: {rate} is not more than 0 and at most {MAX_RPS} requests a second"))
}

fn contact(contact: String) -> Result<String, String> {
    if contact.trim().is_empty() || contact.len() > MAX_CONTACT || contact.contains(char::is_control) {
        return Err(format!(
            "--contact {}: write an address or URL in one line of 1 to {MAX_CONTACT} characters, without control \
             characters",
            quoted(contact.get(..MAX_CONTACT).unwrap_or(&contact))
        ));
    }
    Ok(contact)
}
