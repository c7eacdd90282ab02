//! A tiled log over HTTP(S), read as from a server that is slow, broken or hostile.
//!
//! Bounded in bytes (after decompression), time and redirects. TLS says whom we talk to; it proves
//! nothing about the log, whose signature on its heads does.

use super::retry::{Patience, Timer, retry_after};
use super::tiled::{Fetcher, Found, Wanted};
use super::{FetchError, OpenError};
use crate::core::text::escape;
use humantime::format_duration;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use std::error::Error;
use std::io::Read;
use std::time::{Duration, SystemTime};

/// Same-origin redirects followed for one file: one to move the log, one to tidy the path, one more.
const MAX_REDIRECTS: usize = 3;

/// How to behave towards an HTTP server. The defaults suit a public log.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Whom the operator can ask about our requests (a URL or address): the User-Agent is
    /// `countersign/<version> (+<contact>)`. Default: none.
    pub contact: Option<String>,
    /// For a connection to be made, TLS included. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// For one request with its redirects and its whole body, so that a slow drip ends too.
    /// Default: 60 seconds, in which 16 MiB, the largest bundle, need 280 KB/s.
    pub attempt_timeout: Duration,
    /// For one file with all its attempts and waits. Default: 5 minutes.
    pub resource_timeout: Duration,
    /// Further attempts after a time-out, a connection error, 408, 425, 429, 5xx or a body cut
    /// short. Default: 4.
    pub retries: u32,
    /// The longest wait before the first of them; doubles each time. Default: 500 milliseconds.
    pub backoff_base: Duration,
    /// Where the doubling ends. Default: 30 seconds.
    pub backoff_cap: Duration,
    /// The longest `Retry-After` that is honoured in full. Default: 120 seconds.
    pub retry_after_cap: Duration,
    /// Further looks for a required file after 404 or 410. Default: 2.
    pub missing_retries: u32,
    /// The wait before each of them. Default: 300 milliseconds.
    pub missing_delay: Duration,
    /// Connections at once, as a bound for the caller's threads. Default: 8.
    pub parallelism: usize,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count. Default: true.
    pub env_proxy: bool,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            contact: None,
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(60),
            resource_timeout: Duration::from_secs(300),
            retries: 4,
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            retry_after_cap: Duration::from_secs(120),
            missing_retries: 2,
            missing_delay: Duration::from_millis(300),
            parallelism: 8,
            env_proxy: true,
        }
    }
}

/// The files below one URL.
pub(super) struct Http {
    client: Client,
    /// Ends with a slash; without credentials, so that no message can show them.
    base: Url,
    credentials: Option<(String, Option<String>)>,
    options: HttpOptions,
}

/// Why one attempt brought nothing.
enum Miss {
    Absent,
    TooLarge,
    Refused(String),
    Failed { cause: String, retry_after: Option<Duration> },
}

impl Miss {
    fn failed(cause: impl Into<String>) -> Miss {
        Miss::Failed { cause: cause.into(), retry_after: None }
    }

    fn timed_out(timer: &Timer) -> Miss {
        Miss::failed(format!("no full answer within {}", format_duration(timer.limit())))
    }
}

impl Http {
    /// The log below the `http://` or `https://` URL `text`. Connects to nothing yet.
    pub(super) fn new(text: &str, options: &HttpOptions) -> Result<Http, OpenError> {
        let mut base =
            Url::parse(text).map_err(|error| OpenError::url(text, &format!("no URL ({error})")))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(OpenError::url(text, "a prefix has no query (?) and no fragment (#)"));
        }
        let credentials = take_credentials(&mut base);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = client(options)
            .map_err(|error| OpenError::Client { cause: escape(&describe(&error.without_url())) })?;
        Ok(Http { client, base, credentials, options: options.clone() })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Each path once, until one is there. A definite "no" goes on to the next path also where it
    /// is no 404, because some object stores say 403 for what is missing, and some sites an HTML
    /// page; but that "no" is then what is reported, as it is no proof of absence.
    fn round(&self, wanted: &Wanted<'_>, patience: &Patience<'_>) -> Result<Found, (String, Miss)> {
        let mut first_miss: Option<(String, Miss)> = None;
        for (place, path) in wanted.paths.iter().enumerate() {
            let url = self.url(path);
            match self.ask(&url, wanted.limit, &patience.attempt()) {
                Ok(bytes) => return Ok(Found { place, bytes }),
                Err(miss @ Miss::Failed { .. }) => return Err((url, miss)),
                Err(miss) => match &first_miss {
                    None => first_miss = Some((url, miss)),
                    Some((_, Miss::Absent)) if !matches!(miss, Miss::Absent) => {
                        first_miss = Some((url, miss))
                    }
                    Some(_) => {}
                },
            }
        }
        Err(first_miss.unwrap_or_else(|| (self.base.to_string(), Miss::Absent)))
    }

    /// One attempt at one file: its redirects, its headers, its body.
    fn ask(&self, url: &str, limit: usize, timer: &Timer) -> Result<Vec<u8>, Miss> {
        let mut url = Url::parse(url).map_err(|error| Miss::Refused(error.to_string()))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&url, timer)?;
            if !is_redirect(response.status()) {
                check_status(&response)?;
                check_content(&response)?;
                return read_body(response, limit, timer);
            }
            url = self.redirected(&url, &response)?;
        }
        Err(Miss::Refused(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn send(&self, url: &Url, timer: &Timer) -> Result<Response, Miss> {
        // From connecting to the end of the body, whatever trickles in between.
        let request = self.client.get(self.with_credentials(url)).timeout(timer.remaining());
        request.send().map_err(|error| {
            if timer.is_up() { Miss::timed_out(timer) } else { Miss::failed(describe(&error.without_url())) }
        })
    }

    /// For the client alone, which makes an `Authorization` header of them.
    fn with_credentials(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some((user, password)) = &self.credentials {
            // These only fail for a URL without a host, which an http URL always has.
            let _ = url.set_username(user);
            let _ = url.set_password(password.as_deref());
        }
        url
    }

    /// Where the redirect leads, if that is the same origin: another one would be another party
    /// than the one whose name was given, and must not see the credentials.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, Miss> {
        let target = header(response, &LOCATION).and_then(|location| from.join(&location).ok());
        let Some(mut target) = target else {
            return Err(Miss::Refused(format!("HTTP {} that leads nowhere", response.status())));
        };
        take_credentials(&mut target);
        if target.origin() == self.base.origin() {
            return Ok(target);
        }
        target.set_query(None);
        target.set_fragment(None);
        Err(Miss::Refused(format!(
            "redirected to {target}, which is another origin and not followed (if the log has moved there, set --log to it)"
        )))
    }

    fn error(&self, url: &str, miss: Miss, limit: usize, attempts: u32) -> FetchError {
        match miss {
            Miss::Absent => FetchError::not_found(url),
            Miss::TooLarge => FetchError::too_large(url, limit),
            Miss::Refused(cause) => FetchError::refused(url, &cause),
            Miss::Failed { cause, .. } if attempts == 1 => FetchError::unavailable(url, &cause),
            Miss::Failed { cause, .. } => {
                FetchError::unavailable(url, &format!("{cause} (asked {attempts} times)"))
            }
        }
    }
}

impl Fetcher for Http {
    fn location(&self) -> String {
        escape(self.base.as_str())
    }

    fn parallelism(&self) -> usize {
        self.options.parallelism
    }

    fn fetch(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
        let mut patience = Patience::new(&self.options);
        loop {
            let (url, miss) = match self.round(wanted, &patience) {
                Ok(found) => return Ok(found),
                Err(missed) => missed,
            };
            let again = match &miss {
                Miss::Absent => wanted.required && patience.after_absence(),
                Miss::Failed { retry_after, .. } => patience.after_failure(*retry_after),
                Miss::TooLarge | Miss::Refused(_) => false,
            };
            if !again {
                return Err(self.error(&url, miss, wanted.limit, patience.attempts()));
            }
        }
    }
}

fn client(options: &HttpOptions) -> reqwest::Result<Client> {
    let mut agent = concat!("countersign/", env!("CARGO_PKG_VERSION")).to_owned();
    if let Some(contact) = &options.contact {
        agent.push_str(&format!(" (+{contact})"));
    }
    let builder = Client::builder()
        .user_agent(agent)
        .connect_timeout(options.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(options.parallelism.max(1));
    if options.env_proxy { builder.build() } else { builder.no_proxy().build() }
}

/// The user and password of a URL, percent-encoded, which it then no longer has.
fn take_credentials(url: &mut Url) -> Option<(String, Option<String>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let credentials = (url.username().to_owned(), url.password().map(str::to_owned));
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(credentials)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn check_status(response: &Response) -> Result<(), Miss> {
    let status = response.status();
    match status.as_u16() {
        200 => Ok(()),
        404 | 410 => Err(Miss::Absent),
        408 | 425 | 429 | 500..=599 => Err(Miss::Failed {
            cause: format!("HTTP {status}"),
            retry_after: header(response, &RETRY_AFTER).and_then(|v| retry_after(&v, SystemTime::now())),
        }),
        _ => Err(Miss::Refused(format!("HTTP {status}"))),
    }
}

/// Sites that answer every path with a page, and log-in pages, say 200 as well.
fn check_content(response: &Response) -> Result<(), Miss> {
    let kind = header(response, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/html") || kind.starts_with("application/xhtml") {
        return Err(Miss::Refused("an HTML page was served in its place".to_owned()));
    }
    // The client takes the header away with the gzip that it decodes.
    match header(response, &CONTENT_ENCODING) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(Miss::Refused(format!("sent in an encoding that was not asked for: {encoding}")))
        }
        _ => Ok(()),
    }
}

/// The body, decompressed, in at most `limit` bytes and one that tells that there are more.
fn read_body(mut response: Response, limit: usize, timer: &Timer) -> Result<Vec<u8>, Miss> {
    let most = limit.saturating_add(1);
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limit)) {
        return Err(Miss::TooLarge);
    }
    let mut body = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let room = most.saturating_sub(body.len()).min(chunk.len());
        let buffer = chunk.get_mut(..room).unwrap_or_default();
        match response.read(buffer) {
            Ok(0) => return Ok(body),
            Ok(n) => body.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) if timer.is_up() => return Err(Miss::timed_out(timer)),
            Err(error) => return Err(Miss::failed(format!("the body broke off: {}", describe(&error)))),
        }
        if body.len() > limit {
            return Err(Miss::TooLarge);
        }
        if timer.is_up() {
            return Err(Miss::timed_out(timer));
        }
    }
}

/// A header as text; what is not UTF-8 shows as replacement characters.
fn header(response: &Response, name: &HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// An error with its causes, each said once.
fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
