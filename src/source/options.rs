//! How to behave towards an HTTP server: the numbers, each with its default and why.

use super::auth::SecretHeaders;
use super::requests::Requests;
use super::stop::Stop;
use std::path::PathBuf;
use std::time::Duration;

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
    /// For all requests together, from the moment the source is opened; whatever is under way then
    /// ends. `None`: no bound. Default: 24 hours, so that no server can hold a nightly job up for ever.
    pub deadline: Option<Duration>,
    /// The most requests a second, over all threads, redirects and further attempts included;
    /// evenly spaced, with no burst. What is no rate (zero, less, NaN) lets the first request through
    /// and no other. Default: no bound but `parallelism`.
    pub max_rps: Option<f64>,
    /// Further attempts after a time-out, a connection error, 408, 425, 429, 5xx or a body cut
    /// short. Default: 4.
    pub retries: u32,
    /// The same once the server has served something: where it is restarted in the middle, a minute's
    /// budget saves the night; where it never answered, nobody wants to wait for that. Default: 8.
    pub later_retries: u32,
    /// The longest wait before the first of them; doubles each time. Default: 500 milliseconds.
    pub backoff_base: Duration,
    /// Where the doubling ends. Default: 30 seconds.
    pub backoff_cap: Duration,
    /// The longest `Retry-After` that is honoured in full. With 429 and 503, by all threads. What cannot end in the
    /// time that there is, is not waited for at all. Default: 120 seconds.
    pub retry_after_cap: Duration,
    /// Further looks for a required file after 404 or 410, or where a directory does not have it. Default: 2.
    pub missing_retries: u32,
    /// The wait before each of them. Default: 300 milliseconds.
    pub missing_delay: Duration,
    /// Requests at once; a thread more waits for its turn. Default: 8.
    pub parallelism: usize,
    /// Whether a connection is kept for the next request. Default: true.
    pub keep_alive: bool,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count. Default: true.
    pub env_proxy: bool,
    /// A PEM file of certificates to trust beside those of the system, for a log behind a private
    /// authority. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Secrets that go with every request to the log's origin and nowhere else. Default: none.
    pub headers: SecretHeaders,
    /// Ends all requests at any moment, as the deadline does. Default: nobody's.
    pub stop: Stop,
    /// Counts all requests. Default: nobody looks.
    pub requests: Requests,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            contact: None,
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(60),
            resource_timeout: Duration::from_secs(300),
            deadline: Some(Duration::from_secs(24 * 60 * 60)),
            max_rps: None,
            retries: 4,
            later_retries: 8,
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            retry_after_cap: Duration::from_secs(120),
            missing_retries: 2,
            missing_delay: Duration::from_millis(300),
            parallelism: 8,
            keep_alive: true,
            env_proxy: true,
            ca_file: None,
            headers: SecretHeaders::default(),
            stop: Stop::default(),
            requests: Requests::default(),
        }
    }
}
