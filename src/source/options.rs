//! Limits and settings for HTTP requests, each with its default and the reason for it.

use super::auth::SecretHeaders;
use super::requests::RequestCounters;
use super::stop::Stop;
use std::path::PathBuf;
use std::time::Duration;

/// Settings for HTTP requests. The defaults suit a public log.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// A URL or address where the operator can ask about our requests: the User-Agent is `countersign/<version>
    /// (+<contact>)`. Default: none.
    pub contact: Option<String>,
    /// The time to connect, TLS included. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// The time for one request with its redirects and its whole body, so that a slow drip ends too. Default:
    /// 60 seconds, in which 16 MiB, the largest bundle, need 280 KB/s.
    pub attempt_timeout: Duration,
    /// The time for one file with all its attempts and waits. Default: 5 minutes.
    pub resource_timeout: Duration,
    /// The time for all requests together, from when the source is opened. Requests in progress end then.
    /// `None`: no limit. Default: 24 hours, so that no server can stall a nightly job for ever.
    pub deadline: Option<Duration>,
    /// The most requests a second over all threads, including redirects and retries; evenly spaced, without
    /// bursts. An invalid rate (zero, negative, NaN) allows the first request and no other. Default: no limit
    /// but `parallelism`.
    pub max_rps: Option<f64>,
    /// Retries after a time-out, a connection error, 408, 425, 429, 5xx or a body that was cut short. Default:
    /// 4.
    pub retries: u32,
    /// The retries once the server has served something: waiting a minute for a restart saves a nightly run,
    /// but a server that never answered is not worth the wait. Default: 8.
    pub later_retries: u32,
    /// The longest wait before the first retry; doubles each time. Default: 500 milliseconds.
    pub backoff_base: Duration,
    /// The upper bound of the doubling. Default: 30 seconds.
    pub backoff_cap: Duration,
    /// The longest `Retry-After` that is honoured in full. After 429 and 503 it applies to all threads. A wait
    /// beyond the remaining time is not begun. Default: 120 seconds.
    pub retry_after_cap: Duration,
    /// Repeated looks for a required file after 404 or 410, or if a directory does not have it. Default: 2.
    pub missing_retries: u32,
    /// The wait before each repeated look. Default: 300 milliseconds.
    pub missing_delay: Duration,
    /// Concurrent requests; further threads wait for their turn. Default: 8.
    pub parallelism: usize,
    /// Whether a connection is kept for the next request. Default: true.
    pub keep_alive: bool,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` apply. Default: true.
    pub env_proxy: bool,
    /// A PEM file of certificates to trust in addition to those of the system, for a log behind a private
    /// authority. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Secrets sent with every request to the log's origin and nowhere else. Default: none.
    pub headers: SecretHeaders,
    /// Ends all requests when it is set, as the deadline does. Default: never set.
    pub stop: Stop,
    /// Counts all requests. Default: counters that nothing reads.
    pub requests: RequestCounters,
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
            requests: RequestCounters::default(),
        }
    }
}
