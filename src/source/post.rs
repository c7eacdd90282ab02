//! Posts to one URL, such as an alert. It is in this module because all HTTP is: TLS, the private authority and
//! the proxies are the same as for a log.
//!
//! The URL is often a secret itself, so only its origin is ever shown. Redirects are not followed: the content
//! is only for the given URL.

use super::auth::is_loopback;
use super::certificate;
use super::client::{Background, client};
use super::error::describe;
use super::exhaustion::{exhaustion_in, exhaustion_in_connecting};
use super::options::HttpOptions;
use super::proxy::{Proxy, direct_only, proxy_for};
use super::secrets::Secrets;
use super::{OpenError, SecretHeaders};
use crate::core::text::escape;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use std::time::Duration;
use tokio::runtime::Handle;

/// The time for one request and the status of its answer. The rest of the answer is not read.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why nothing was posted. The text does not show the URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PostError {
    /// There was no answer.
    Failed(String),
    /// This machine has run out of a resource, and made no request.
    ResourceExhausted(String),
}

/// A URL to post to. Posting blocks, and must not be done on a thread that runs asynchronous tasks.
pub struct Post {
    url: Url,
    client: Client,
    proxy: Option<Proxy>,
    secrets: Secrets,
    timeout: Duration,
    ca_file: bool,
    handle: Handle,
    _background: Background,
}

impl Post {
    /// Prepares to post to this `https://` URL, or to an `http://` URL of this machine. Does not connect yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage. It shows only the origin of the URL.
    pub fn new(text: &str, options: &HttpOptions) -> Result<Post, OpenError> {
        let url = Url::parse(text).map_err(|error| OpenError::Url {
            url: "the address".to_owned(),
            cause: escape(&format!("not a URL ({error})")),
        })?;
        let wrong = |cause: &str| {
            Err(OpenError::Url { url: escape(&url.origin().ascii_serialization()), cause: cause.to_owned() })
        };
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(host) => {}
            ("http", _) => return wrong("what is posted must not be read on the way: write https://"),
            _ => return wrong("write an https:// URL"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("write no user name or password in it");
        }
        let options = if url.scheme() == "https" { options.clone() } else { direct_only(&url, options)? };
        let options = HttpOptions {
            // The headers of a log are not for this server.
            headers: SecretHeaders::default(),
            parallelism: 1,
            // The next alert may be weeks away.
            keep_alive: false,
            ..options
        };
        let (background, handle) = Background::start()?;
        let timeout = options.attempt_timeout.min(TIMEOUT);
        let ca_file = options.ca_file.is_some();
        let (client, proxy) = (client(&url, &options)?, proxy_for(&url, &options)?);
        let secrets = secrets(&url, proxy.as_ref());
        Ok(Post { url, client, proxy, secrets, timeout, ca_file, handle, _background: background })
    }

    /// The origin of the URL, for messages.
    pub fn place(&self) -> String {
        escape(&self.url.origin().ascii_serialization())
    }

    /// Posts JSON and returns the status of the answer.
    ///
    /// # Errors
    /// Why there was no answer.
    pub fn json(&self, body: &str, headers: &[(&str, &str)]) -> Result<u16, PostError> {
        let mut request = self.client.post(self.url.clone()).timeout(self.timeout);
        request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // The future is created inside the runtime, whose clock the time-out needs.
        match self.handle.block_on(async move { request.send().await }) {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => {
                let error = error.without_url();
                let exhaustion =
                    if error.is_connect() { exhaustion_in_connecting(&error) } else { exhaustion_in(&error) };
                if let Some(what) = exhaustion {
                    return Err(PostError::ResourceExhausted(what));
                }
                let advice = certificate::advice(&error, self.ca_file);
                // The error may contain text of the server, for example from its certificate.
                let cause = self.secrets.hide(&describe(&error));
                let cause = advice.map_or_else(|| cause.clone(), |advice| format!("{cause}: {advice}"));
                let cause =
                    self.proxy.as_ref().map_or_else(|| cause.clone(), |proxy| proxy.with_proxy_named(&cause));
                Err(PostError::Failed(cause))
            }
        }
    }
}

/// The parts of the URL that may be secret, and the password of the proxy.
fn secrets(url: &Url, proxy: Option<&Proxy>) -> Secrets {
    /// Shorter parts are ordinary words.
    const MIN_PART: usize = 8;
    let mut secrets = Secrets::default();
    let query = url.query().unwrap_or_default();
    let parts = url.path().split('/').chain(query.split(['&', '=']));
    parts.filter(|part| part.len() >= MIN_PART).for_each(|part| secrets.add_part(part));
    if let Some(url) = proxy.map(Proxy::expose) {
        secrets.add_credentials(url.username(), url.password().unwrap_or_default(), false);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback_urls_are_accepted() {
        let place = |url: &str| Post::new(url, &HttpOptions::default()).map(|post| post.place());
        assert_eq!(place("https://hooks.example/s3cret?s3cret").unwrap(), "https://hooks.example");
        assert_eq!(place("http://127.0.0.1:8080/s3cret").unwrap(), "http://127.0.0.1:8080");
        for wrong in [
            "http://hooks.example/s3cret",
            "https://user:s3cret@hooks.example/",
            "ftp://hooks.example/s3cret",
            "s3cret",
            "https://s3 cret/",
            "file:///s3cret",
        ] {
            let error = place(wrong).unwrap_err().to_string();
            assert!(!error.contains("s3"), "{wrong}: {error}");
        }
    }
}
