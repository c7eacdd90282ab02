//! What can go wrong in asking a log, kept apart by what it allows the auditor to say.

use crate::core::text::escape;
use std::fmt;

/// Why something was not fetched. `what` is the URL or path that was asked for, escaped and without
/// credentials; `cause` is escaped too.
///
/// Only [`NotFound`](Self::NotFound) says something about the log; a `TooLarge` body is one that no
/// honest log can serve, and the other two mean "could not tell".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// Definitely not there: no such file, or 404 or 410 also when asked again.
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Longer than anything of its kind may be. No more than the limit and one byte was kept.
    TooLarge {
        /// What was asked for.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// No full answer, also when asked again: time-out, connection, TLS or DNS error, 429, 5xx, a
    /// body cut short; for a directory, an input or output error, or no such directory.
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why there was no answer.
        cause: String,
    },
    /// An answer, but not with what was asked for: 401, 403 and other 4xx, a redirect that is not
    /// followed, an HTML page; for a directory, something that is no regular file.
    Refused {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
}

impl FetchError {
    pub(crate) fn not_found(what: &str) -> FetchError {
        FetchError::NotFound { what: escape(what) }
    }

    pub(crate) fn too_large(what: &str, limit: usize) -> FetchError {
        FetchError::TooLarge { what: escape(what), limit }
    }

    pub(crate) fn unavailable(what: &str, cause: &str) -> FetchError {
        FetchError::Unavailable { what: escape(what), cause: escape(cause) }
    }

    pub(crate) fn refused(what: &str, cause: &str) -> FetchError {
        FetchError::Refused { what: escape(what), cause: escape(cause) }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::NotFound { what } => write!(
                f,
                "{what}: not there; check that --log is the log's prefix, otherwise ask its operator \
                 for the missing part"
            ),
            FetchError::TooLarge { what, limit } => write!(
                f,
                "{what}: longer than the {limit} bytes that this may have, the rest was not read; \
                 check that --log is the log's prefix, otherwise ask its operator"
            ),
            FetchError::Unavailable { what, cause } => {
                write!(f, "{what}: could not be fetched: {cause}; run again when the log can be reached")
            }
            FetchError::Refused { what, cause } => write!(
                f,
                "{what}: not served: {cause}; check --log and the access that it needs, then run again"
            ),
        }
    }
}

impl std::error::Error for FetchError {}

/// Why a `--log` cannot be used at all: wrong usage, nothing was asked of any log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Nothing was given.
    Empty,
    /// `api+http://` or `api+https://`.
    JsonApi,
    /// Another scheme.
    Scheme {
        /// The scheme, without `://`.
        scheme: String,
    },
    /// A URL that is malformed, or of a shape that no log prefix has.
    Url {
        /// The URL, escaped, without credentials, query and fragment.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Secrets that were given, and cannot be sent there.
    Secrets {
        /// The URL, escaped, without credentials, query and fragment.
        url: String,
        /// Why.
        cause: String,
    },
    /// The HTTP client could not be set up.
    Client {
        /// Why.
        cause: String,
    },
}

impl OpenError {
    /// For a URL that parsed and whose credentials were taken out.
    pub(crate) fn secrets(url: &str, cause: &str) -> OpenError {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        OpenError::Secrets { url: escape(url), cause: escape(cause) }
    }

    /// For a URL as the user wrote it, which may hold a password in any place, as it may not parse.
    pub(crate) fn url(text: &str, cause: &str) -> OpenError {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        // The last '@', not the first: a password may hold '/', '?' and '@' where nobody escaped them.
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        OpenError::Url { url: escape(&format!("{scheme}://{rest}")), cause: escape(cause) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Empty => write!(f, "no log given: set --log to a directory or an https:// prefix"),
            OpenError::JsonApi => write!(
                f,
                "the JSON API (api+https://) is not supported by this version: set --log to the tiled \
                 log's directory or https:// prefix"
            ),
            OpenError::Scheme { scheme } => write!(
                f,
                "{}:// is not supported: set --log to a directory, or a file://, http:// or https:// prefix",
                escape(scheme)
            ),
            OpenError::Url { url, cause } => write!(f, "{url} is not a log's URL: {cause}: check --log"),
            OpenError::Secrets { url, cause } => write!(f, "{url}: {cause}"),
            OpenError::Client { cause } => write!(f, "the HTTP client cannot be set up: {cause}"),
        }
    }
}

impl std::error::Error for OpenError {}
