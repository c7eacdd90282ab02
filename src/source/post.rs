//! Posts to one URL, such as an alert. It is in this module because all HTTP is: TLS, the private authority and
//! the proxies are the same as for a log.
//!
//! The URL is often a secret itself, so only its origin is ever shown. Redirects are not followed: the content
//! is only for the given URL.

use super::options::HttpOptions;
use super::secrets::Secrets;
use super::sender::{Sender, private_url};
use super::{OpenError, SecretHeaders};
use crate::core::text::escape;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use std::time::Duration;

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
    sender: Sender,
    timeout: Duration,
}

impl Post {
    /// Prepares to post to this `https://` URL, or to an `http://` URL of this machine. Does not connect yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage. It shows only the origin of the URL.
    pub fn new(text: &str, options: &HttpOptions) -> Result<Post, OpenError> {
        let url = private_url(text)?;
        let options = HttpOptions {
            // The headers of a log are not for this server.
            headers: SecretHeaders::default(),
            parallelism: 1,
            // The next alert may be weeks away.
            keep_alive: false,
            ..options.clone()
        };
        let sender = Sender::new(&url, &options, secrets(&url))?;
        Ok(Post { url, sender, timeout: options.attempt_timeout.min(TIMEOUT) })
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
        let mut request = self.sender.client.post(self.url.clone()).timeout(self.timeout);
        request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // The future is created inside the runtime, whose clock the time-out needs.
        match self.sender.handle.block_on(async move { request.send().await }) {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => {
                let failure = self.sender.failure(error);
                Err(match failure.is_exhausted {
                    true => PostError::ResourceExhausted(failure.cause),
                    false => PostError::Failed(failure.cause),
                })
            }
        }
    }
}

/// The parts of the URL that may be secret.
fn secrets(url: &Url) -> Secrets {
    /// Shorter parts are ordinary words.
    const MIN_PART: usize = 8;
    let mut secrets = Secrets::default();
    let query = url.query().unwrap_or_default();
    let parts = url.path().split('/').chain(query.split(['&', '=']));
    parts.filter(|part| part.len() >= MIN_PART).for_each(|part| secrets.add_part(part));
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
