//! The log as served: where heads, entries and tiles come from.
//!
//! Nothing that comes out of here is believed. A source hands over bytes, bounded in size and in
//! time, and says apart what the auditor must keep apart: the log *does not have it*
//! ([`FetchError::NotFound`], which becomes a finding) and *we could not tell* (everything else,
//! which leaves the audit incomplete with its cause). It proves nothing about the bytes.
//!
//! Specification section 4 (tiled log). The JSON API of section 5 is not supported yet; it fits
//! behind [`LogSource`].

mod auth;
mod body;
mod client;
mod directory;
mod document;
mod error;
mod http;
mod limiter;
mod options;
mod places;
mod retry;
pub mod tiled;

pub use auth::SecretHeaders;
pub use document::{Document, same_origin};
pub use error::{FetchError, OpenError};
pub use options::HttpOptions;

use tiled::Tiled;

/// One log, as somebody serves it. Every answer is verbatim and unverified.
pub trait LogSource: Send + Sync {
    /// Where the log is read from, for reports: escaped, and without the credentials of a URL.
    fn location(&self) -> String;

    /// The newest checkpoint, verbatim; at most [`MAX_CHECKPOINT`](crate::core::limits::MAX_CHECKPOINT) bytes.
    fn checkpoint(&self) -> Result<Vec<u8>, FetchError>;

    /// The newest signed tree head, verbatim; at most [`MAX_STH`](crate::core::limits::MAX_STH)
    /// bytes. `None` where the log serves none, which it may (specification section 4).
    fn sth(&self) -> Result<Option<Vec<u8>>, FetchError>;

    /// Leaves `256 * n` up to, not including, `256 * n + width` of a log of at least that size:
    /// each a 16-bit big-endian length and then the leaf, verbatim.
    ///
    /// `width` is 1 to 256. The answer is not checked: it may hold fewer entries, more, or junk.
    fn bundle(&self, n: u64, width: u16) -> Result<Vec<u8>, FetchError>;

    /// The first `width` (1 to 256) hashes of Merkle tile `n` of `level`, verbatim and unchecked.
    ///
    /// Where [`has_tiles`](Self::has_tiles) is false it is always `NotFound`, which is then no gap.
    fn tile(&self, level: u8, n: u64, width: u16) -> Result<Vec<u8>, FetchError>;

    /// Whether this kind of source has Merkle tiles at all (the JSON API does not).
    fn has_tiles(&self) -> bool;

    /// How many fetches may usefully run at once; at least 1. The bound for a caller's threads.
    fn parallelism(&self) -> usize;
}

/// The log at `location`: an `http://` or `https://` prefix, a `file://` URL, or else the path of a
/// directory. Nothing is fetched or opened yet.
///
/// # Errors
///
/// [`OpenError`], which is wrong usage: a scheme that is not supported (`api+https://` included), a
/// URL that does not parse or has a query or fragment, or options that no HTTP client can have.
pub fn open(location: &str, options: &HttpOptions) -> Result<Box<dyn LogSource>, OpenError> {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => Ok(Box::new(Tiled::new(http::Http::new(location, options)?))),
        Some("file") => Ok(Box::new(Tiled::new(directory::Directory::from_url(location)?))),
        Some(scheme) if scheme.starts_with("api+") => Err(OpenError::JsonApi),
        Some(scheme) if is_scheme(scheme) => Err(OpenError::Scheme { scheme: scheme.to_owned() }),
        _ if location.is_empty() => Err(OpenError::Empty),
        _ => Ok(Box::new(Tiled::new(directory::Directory::new(location)))),
    }
}

/// RFC 3986 section 3.1. What is no scheme is a path, however odd.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(location: &str) -> String {
        match open(location, &HttpOptions::default()) {
            Ok(source) => panic!("{location} opened as {}", source.location()),
            Err(error) => error.to_string(),
        }
    }

    fn location(text: &str) -> String {
        open(text, &HttpOptions::default()).map_err(|e| e.to_string()).unwrap().location()
    }

    #[test]
    fn kinds_of_location() {
        assert_eq!(location("/srv/log"), "/srv/log");
        assert_eq!(location("log:2026"), "log:2026");
        assert_eq!(location("file:///srv/my%20log"), "/srv/my log");
        assert_eq!(location("file://localhost/srv/log"), "/srv/log");
        assert_eq!(location("https://log.example/2026"), "https://log.example/2026/");
        assert_eq!(location("HTTPS://log.example/2026/"), "https://log.example/2026/");
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
    fn what_cannot_be_opened_says_why() {
        assert!(error("api+https://log.example/api").contains("JSON API"));
        assert!(error("s3://bucket/x").contains("s3"));
        assert!(error("").contains("--log"));
        assert!(error("https://").contains("URL"));
        assert!(error("https://log.example/x?a=b").contains("query"));
        assert!(error("file://other.example/x").contains("host"));
    }

    #[test]
    fn a_contact_that_no_header_can_carry_is_refused() {
        let options = HttpOptions { contact: Some("a\r\nX: y".to_owned()), ..HttpOptions::default() };
        assert!(open("https://log.example/", &options).is_err());
    }
}
