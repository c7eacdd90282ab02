//! Errors of fetching, separated by what they allow the auditor to conclude.

use crate::core::text::escape;
use std::fmt;

/// Why something was not fetched. `what` is the requested URL or path, escaped and without credentials; `cause`
/// is escaped too.
///
/// [`NotFound`](Self::NotFound), [`TooLarge`](Self::TooLarge), [`Lacking`](Self::Lacking),
/// [`Excess`](Self::Excess) and [`Malformed`](Self::Malformed) say something about the log: an honest log never
/// answers so. The other variants mean "could not tell".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// Definitely not there: no such file, or 404 or 410 on every attempt; or 403 for an optional file.
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Longer than any honest answer of its kind. At most the limit and one byte were kept.
    TooLarge {
        /// What was asked for.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// An answer with less than was requested, on every attempt: fewer entries than a signed head commits to,
    /// or entries of another position.
    Lacking {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer with more than was requested, on every attempt.
    Excess {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer that is not in the required format, on every attempt.
    Malformed {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No complete answer on any attempt: a time-out, a connection, TLS or DNS error, 429, 5xx, a body that was
    /// cut short or cannot be decoded; for a directory, an I/O error, or no such directory.
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why there was no answer.
        cause: String,
    },
    /// The server rejects the request: 400, 416 or 422. All our requests are valid, so a server may answer this
    /// for what it does not have; or it does not understand us, and we could not tell.
    Rejected {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer, but not the requested content: 401, 403 and other 4xx, a redirect that is not followed, an
    /// HTML page, a coding that was not asked for; for a directory, something that is not a regular file.
    Refused {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
}

impl FetchError {
    /// The same error with another name for what was requested. The name must be escaped.
    pub(crate) fn about(mut self, name: String) -> FetchError {
        match &mut self {
            FetchError::NotFound { what }
            | FetchError::TooLarge { what, .. }
            | FetchError::Lacking { what, .. }
            | FetchError::Excess { what, .. }
            | FetchError::Malformed { what, .. }
            | FetchError::Unavailable { what, .. }
            | FetchError::Rejected { what, .. }
            | FetchError::Refused { what, .. } => *what = name,
        }
        self
    }

    /// A message about fetching the heads of a peer: it does not speak of the log.
    pub fn describe_for_heads(&self) -> String {
        match self {
            FetchError::NotFound { what } => format!("{what}: not there; ask whoever exports the heads"),
            FetchError::TooLarge { what, limit } => {
                format!("{what}: longer than {limit} bytes, and not read")
            }
            FetchError::Unavailable { what, cause } => format!("{what}: could not be fetched: {cause}"),
            FetchError::Rejected { what, cause } | FetchError::Refused { what, cause } => {
                format!("{what}: not served: {cause}")
            }
            FetchError::Lacking { what, cause }
            | FetchError::Excess { what, cause }
            | FetchError::Malformed { what, cause } => format!("{what}: {cause}"),
        }
    }

    pub(crate) fn not_found(what: &str) -> FetchError {
        FetchError::NotFound { what: escape(what) }
    }

    pub(crate) fn too_large(what: &str, limit: usize) -> FetchError {
        FetchError::TooLarge { what: escape(what), limit }
    }

    pub(crate) fn lacking(what: &str, cause: &str) -> FetchError {
        FetchError::Lacking { what: escape(what), cause: escape(cause) }
    }

    pub(crate) fn excess(what: &str, cause: &str) -> FetchError {
        FetchError::Excess { what: escape(what), cause: escape(cause) }
    }

    pub(crate) fn malformed(what: &str, cause: &str) -> FetchError {
        FetchError::Malformed { what: escape(what), cause: escape(cause) }
    }

    pub(crate) fn unavailable(what: &str, cause: &str) -> FetchError {
        FetchError::Unavailable { what: escape(what), cause: escape(cause) }
    }

    pub(crate) fn rejected(what: &str, cause: &str) -> FetchError {
        FetchError::Rejected { what: escape(what), cause: escape(cause) }
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
            FetchError::Lacking { what, cause }
            | FetchError::Excess { what, cause }
            | FetchError::Malformed { what, cause } => write!(f, "{what}: {cause}"),
            FetchError::Unavailable { what, cause } if cause.contains("run again") => {
                write!(f, "{what}: could not be fetched: {cause}")
            }
            FetchError::Unavailable { what, cause } => {
                write!(f, "{what}: could not be fetched: {cause}; run again when the log can be reached")
            }
            FetchError::Rejected { what, cause } | FetchError::Refused { what, cause }
                if cause.contains("run again") =>
            {
                write!(f, "{what}: not served: {cause}")
            }
            FetchError::Rejected { what, cause } | FetchError::Refused { what, cause } => write!(
                f,
                "{what}: not served: {cause}; check --log and the access that it needs, then run again"
            ),
        }
    }
}

impl std::error::Error for FetchError {}

/// Why a `--log` cannot be used: wrong usage, no request was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Nothing was given.
    Empty,
    /// The JSON API was requested for something that is not an `http://` or `https://` URL.
    NoApi {
        /// What was given, escaped, without credentials.
        location: String,
    },
    /// Not a directory, and probably meant as a URL: a host without a scheme, or a blank or quotation mark
    /// before it.
    NoScheme {
        /// What was given, escaped, without credentials, query and fragment.
        location: String,
    },
    /// An unsupported scheme.
    Scheme {
        /// The scheme, without `://`.
        scheme: String,
    },
    /// A URL that is malformed, or that cannot be a log prefix.
    Url {
        /// The URL, escaped, without credentials, query and fragment.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Secrets that cannot be sent to this URL.
    Secrets {
        /// The URL, escaped, without credentials, query and fragment.
        url: String,
        /// Why.
        cause: String,
    },
    /// An environment variable that applies to this URL and does not name a proxy.
    Proxy {
        /// Which variable, and why, without its value. Begins with the name of the variable, as no other input
        /// is at fault.
        cause: String,
    },
    /// The HTTP client could not be set up.
    Client {
        /// Why.
        cause: String,
    },
    /// The HTTP client could not be set up because this machine lacks a resource, such as descriptors or
    /// threads. Not wrong usage.
    Local {
        /// What.
        cause: String,
    },
}

impl OpenError {
    /// Whether this machine is at fault, and not the input.
    pub fn is_local(&self) -> bool {
        matches!(self, OpenError::Local { .. })
    }

    pub(crate) fn no_api(location: &str) -> OpenError {
        // The text may hold a password, which must not be shown.
        let shown = location.rsplit_once('@').map_or(location, |(_, rest)| rest);
        OpenError::NoApi { location: escape(shown) }
    }

    pub(crate) fn no_scheme(location: &str) -> OpenError {
        let shown = location.rsplit_once('@').map_or(location, |(_, rest)| rest);
        OpenError::NoScheme { location: escape(shown.split(['?', '#']).next().unwrap_or_default()) }
    }

    /// For a parsed URL without its credentials.
    pub(crate) fn secrets(url: &str, cause: &str) -> OpenError {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        OpenError::Secrets { url: escape(url), cause: escape(cause) }
    }

    /// For a URL as the user wrote it. It may not parse, and may hold a password anywhere.
    pub(crate) fn url(text: &str, cause: &str) -> OpenError {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        // The last '@', not the first: an unescaped password may contain '/', '?' and '@'.
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        OpenError::Url { url: escape(&format!("{scheme}://{rest}")), cause: escape(cause) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Empty => write!(f, "no log given: set --log to a directory or an https:// prefix"),
            OpenError::NoApi { location } => write!(
                f,
                "{location}: the JSON API is reached over http:// or https:// only: write --log \
                 api+https://host/public/log, or leave --api out for a tiled log"
            ),
            OpenError::NoScheme { location } => write!(
                f,
                "\"{location}\" is not an existing directory, and a URL must begin with https:// (or http://, or \
                 api+https:// for the JSON API), without a space or a quotation mark before it"
            ),
            OpenError::Scheme { scheme } => write!(
                f,
                "{}:// is not supported: set --log to a directory, a file://, http:// or https:// prefix, or \
                 the JSON API as api+https://",
                escape(scheme)
            ),
            OpenError::Url { url, cause } => write!(f, "{url} is not a log's URL: {cause}: check --log"),
            OpenError::Secrets { url, cause } => write!(f, "{url}: {cause}"),
            OpenError::Proxy { cause } => f.write_str(cause),
            OpenError::Client { cause } | OpenError::Local { cause } => {
                write!(f, "the HTTP client cannot be set up: {cause}")
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// An error with its causes, without repetition.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
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
