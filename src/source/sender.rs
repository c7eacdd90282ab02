//! Sends single requests to one server that is no log: the receiver of an alert, or an approval service.
//!
//! What is sent is only for the server that the user named: over `https://` or to this machine, past no redirect. TLS, the
//! private authority and the proxies are the same as for a log.

use super::OpenError;
use super::auth::is_loopback;
use super::certificate;
use super::client::{Background, client};
use super::error::describe;
use super::exhaustion::{exhaustion_in, exhaustion_in_connecting};
use super::options::HttpOptions;
use super::proxy::{Proxy, direct_only, proxy_for};
use super::secrets::Secrets;
use crate::core::text::escape;
use reqwest::{Client, Url};
use tokio::runtime::Handle;

/// Parses an `https://` URL, or an `http://` URL of this machine, without user and password.
///
/// # Errors
/// [`OpenError::Url`], which shows only the origin of the URL.
pub(super) fn private_url(text: &str) -> Result<Url, OpenError> {
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
    Ok(url)
}

/// A client for one server, and the thread that keeps its connections.
pub(super) struct Sender {
    pub client: Client,
    pub handle: Handle,
    /// What must not be shown, the password of the proxy among it.
    pub secrets: Secrets,
    proxy: Option<Proxy>,
    ca_file: bool,
    _background: Background,
}

/// Why there was no answer.
pub(super) struct SendFailure {
    /// The cause, without secrets.
    pub cause: String,
    /// Whether no connection was made, so that nothing was sent.
    pub is_unsent: bool,
    /// Whether this machine has run out of a resource.
    pub is_exhausted: bool,
}

impl Sender {
    /// Prepares to send to `url`. `secrets` are hidden in what is shown. Does not connect yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage. It shows only the origin of the URL.
    pub(super) fn new(url: &Url, options: &HttpOptions, mut secrets: Secrets) -> Result<Sender, OpenError> {
        // To this machine, nothing must go through a proxy.
        let options = &if url.scheme() == "https" { options.clone() } else { direct_only(url, options)? };
        let (background, handle) = Background::start()?;
        let (client, proxy) = (client(url, options)?, proxy_for(url, options)?);
        if let Some(url) = proxy.as_ref().map(Proxy::expose) {
            secrets.add_credentials(url.username(), url.password().unwrap_or_default(), false);
        }
        let ca_file = options.ca_file.is_some();
        Ok(Sender { client, handle, secrets, proxy, ca_file, _background: background })
    }

    /// Describes a failure without secrets.
    pub(super) fn failure(&self, error: reqwest::Error) -> SendFailure {
        let (is_unsent, error) = (error.is_connect(), error.without_url());
        let exhaustion = if is_unsent { exhaustion_in_connecting(&error) } else { exhaustion_in(&error) };
        if let Some(cause) = exhaustion {
            return SendFailure { cause, is_unsent, is_exhausted: true };
        }
        let advice = certificate::advice(&error, self.ca_file);
        // The error may contain text of the server, for example from its certificate.
        let cause = self.secrets.hide(&describe(&error));
        let cause = advice.map_or_else(|| cause.clone(), |advice| format!("{cause}: {advice}"));
        let cause = self.proxy.as_ref().map_or_else(|| cause.clone(), |proxy| proxy.with_proxy_named(&cause));
        SendFailure { cause, is_unsent, is_exhausted: false }
    }
}
