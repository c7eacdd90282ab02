//! The log as served: where heads, entries and tiles come from.
//!
//! Nothing from a source is trusted. A source returns bytes, bounded in size and in time, and keeps two cases
//! apart: the log *does not have it* ([`FetchError::NotFound`], which becomes a finding), and *we could not
//! tell* (everything else, which leaves the audit incomplete with its cause). It proves nothing about the
//! bytes.
//!
//! Specification section 4 (tiled log: [`tiled`]) and section 5 (JSON API: [`json_api`]).
//!
//! This module also fetches the heads that others have (`peer`, `document`), posts to a URL (`post`), asks an approval
//! service (`service_client`), and reads the files that the user names ([`user_file`]). All HTTP of the crate is here.

mod auth;
mod base64_runs;
mod body;
mod certificate;
mod changes;
mod client;
mod coding;
mod directory;
mod document;
mod error;
mod escapes;
mod exhaustion;
mod failure;
mod header_error;
mod http;
pub mod json_api;
mod limiter;
mod log_source;
mod normaliser;
mod options;
mod peer;
mod pool;
mod post;
mod proxy;
mod recheck;
mod requests;
mod response;
mod retry;
pub mod runtime;
mod search;
mod secrets;
mod sender;
mod service_client;
mod stop;
pub mod tiled;
pub mod user_file;

pub use auth::SecretHeaders;
pub use client::ca_certificates;
pub use directory::Directory;
pub use document::{Document, host_of, same_origin};
pub use error::{FetchError, OpenError};
pub use exhaustion::{ResourceExhaustion, exhaustion_in_connecting, exhaustion_of};
pub use header_error::HeaderError;
pub use http::Http;
pub use log_source::{Lag, Leaves, LogApi, LogSource, ServedHead};
pub use options::HttpOptions;
pub use peer::{Peer, PeerLocation};
pub use post::{Post, PostError};
pub use requests::{RequestCounters, RequestOutcome};
pub use secrets::Secrets;
pub use service_client::{Pauses, ServiceAnswer, ServiceClient, ServiceFailure, ServiceRequest};
pub use stop::Stop;

use json_api::JsonApi;
use std::path::Path;
use tiled::Tiled;

/// The log at `location`: an `http://` or `https://` prefix, a `file://` URL, or else the path of a directory.
/// With `api+` before an HTTP URL, or with `api`, it is the base of the JSON API. Nothing is fetched or opened
/// yet.
///
/// # Errors
///
/// [`OpenError`], which is wrong usage: an unsupported scheme, a URL that does not parse or has a query or a
/// fragment, an API that is not a URL, or options that the HTTP client refuses.
pub fn open(location: &str, api: bool, options: &HttpOptions) -> Result<Box<dyn LogSource>, OpenError> {
    let plain = plain_url(location);
    let prefixed = plain.len() < location.len();
    let scheme = plain.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let no_api = || OpenError::no_api(location);
    match scheme.as_deref() {
        Some("http" | "https") if api || prefixed => {
            Ok(Box::new(JsonApi::new(http::Http::new(plain, options)?)))
        }
        Some(_) if api || prefixed => Err(no_api()),
        Some("http" | "https") => Ok(Box::new(Tiled::new(http::Http::new(plain, options)?))),
        Some("file") => Ok(Box::new(Tiled::new(directory::Directory::from_url(plain, options)?))),
        Some(scheme) if is_scheme(scheme) => Err(OpenError::Scheme { scheme: scheme.to_owned() }),
        _ if location.is_empty() => Err(OpenError::Empty),
        _ if api => Err(no_api()),
        _ if meant_as_url(location) && !Path::new(location).is_dir() => Err(OpenError::no_scheme(location)),
        // A directory may be called "api+x".
        _ => Ok(Box::new(Tiled::new(directory::Directory::new(location, options)))),
    }
}

/// Removes the `api+` that marks a JSON API.
fn plain_url(location: &str) -> &str {
    match location.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("api+") => rest,
        _ => location,
    }
}

/// Whether a location without a scheme was probably meant as a URL: it starts with the blank or quotation mark
/// of a badly cut variable, has slashes like a URL, or has a host name or address where a path would begin.
fn meant_as_url(location: &str) -> bool {
    let plain = plain_url(location);
    let lower = plain.to_ascii_lowercase();
    if plain.contains("://") || ["http:", "https:", "//"].iter().any(|start| lower.starts_with(start)) {
        return true;
    }
    if location.starts_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')) {
        return true;
    }
    let authority = plain.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    is_host(host)
}

/// Whether `text` is a host, with or without a port: a name whose last label consists of letters, as for all
/// top-level domains, or an address, or `localhost`.
fn is_host(text: &str) -> bool {
    if text.starts_with('[') {
        return text.contains("]:") || text.ends_with(']');
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || !host.split('.').all(is_label) {
        return false;
    }
    let is_domain =
        |(_, last): (&str, &str)| last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || host.rsplit_once('.').is_some_and(is_domain)
}

/// RFC 3986 section 3.1. Anything that is not a scheme is a path.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(location: &str) -> String {
        match open(location, false, &HttpOptions::default()) {
            Ok(source) => panic!("{location} opened as {}", source.location()),
            Err(error) => error.to_string(),
        }
    }

    fn location(text: &str) -> String {
        open(text, false, &HttpOptions::default()).map_err(|e| e.to_string()).unwrap().location()
    }

    #[test]
    fn kinds_of_location() {
        assert_eq!(location("/srv/log"), "/srv/log");
        assert_eq!(location("log:2026"), "log:2026");
        assert_eq!(location("file:///srv/my%20log"), "/srv/my log");
        assert_eq!(location("file://localhost/srv/log"), "/srv/log");
        assert_eq!(location("https://log.example/2026"), "https://log.example/2026/");
        assert_eq!(location("HTTPS://log.example/2026/"), "https://log.example/2026/");
        assert_eq!(location("api+https://log.example/2026"), "api+https://log.example/2026/");
        assert_eq!(location("API+HTTPS://u:p@log.example/"), "api+https://log.example/");
        assert_eq!(location("api+plus"), "api+plus");
    }

    #[test]
    fn credentials_never_show() {
        assert_eq!(location("https://u:secret@log.example/x"), "https://log.example/x/");
        for bad in [
            "https://u:secret@log.example:99999/x",
            "https://u:sec/secret@bad host/",
            "https://u:secret@log.example/x?y=secret",
            "https://u:secret@log.example/x#secret",
            "file://u:secret@host/x",
        ] {
            assert!(!error(bad).contains("secret"), "{}", error(bad));
        }
    }

    #[test]
    fn an_unusable_location_says_why() {
        assert!(error("api+s3://log.example/api").contains("JSON API"));
        assert!(!error("api+s3://u:secret@log.example/api").contains("secret"));
        assert!(open("/srv/log", true, &HttpOptions::default()).is_err());
        assert!(error("s3://bucket/x").contains("s3"));
        assert!(error("").contains("--log"));
        assert!(error("https://").contains("URL"));
        assert!(error("https://log.example/x?a=b").contains("query"));
        assert!(error("file://other.example/x").contains("host"));
    }

    #[test]
    fn a_url_without_scheme_is_not_a_path() {
        for meant in [
            "log.example/2026",
            "localhost:80",
            "10.0.0.1/x",
            "[::1]:80/x",
            " https://log.example/",
            "//log.example",
        ] {
            let message = error(meant);
            assert!(message.contains("a URL must begin with https://"), "{meant}: {message}");
        }
        assert!(!error("u:secret@log.example/x?secret").contains("secret"));
        for path in [
            "log",
            "logs/log.example",
            "./log.example",
            "backup.2026/x",
            "x.d/log",
            "log:2026",
            "a b/log",
            "..",
            ".",
            "log.example:x/",
        ] {
            assert!(!meant_as_url(path), "{path}");
        }
    }

    #[test]
    fn a_contact_with_a_line_break_is_refused() {
        let options = HttpOptions { contact: Some("a\r\nX: y".to_owned()), ..HttpOptions::default() };
        assert!(open("https://log.example/", false, &options).is_err());
    }
}
