//! What can go wrong in asking a log, kept apart by what it allows the auditor to say.

use crate::core::text::escape;
use std::fmt;

/// Why something was not fetched. `what` is the URL or path that was asked for, escaped and without
/// credentials; `cause` is escaped too.
///
/// [`NotFound`](Self::NotFound), [`TooLarge`](Self::TooLarge), [`Lacking`](Self::Lacking),
/// [`Excess`](Self::Excess) and [`Malformed`](Self::Malformed) say something about the log: no honest
/// one answers so. The other three mean "could not tell".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// Definitely not there: no such file, or 404 or 410 also when asked again; or 403 for a file that a log need
    /// not have.
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
    /// An answer with less than was asked for, also when asked again: fewer entries than a signed head
    /// commits to, or those of another place.
    Lacking {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer with more than was asked for, also when asked again.
    Excess {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer that is not of the form that it must have, also when asked again.
    Malformed {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No full answer, also when asked again: time-out, connection, TLS or DNS error, 429, 5xx, a
    /// body cut short or not in its coding; for a directory, an input or output error, or no such directory.
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why there was no answer.
        cause: String,
    },
    /// The answer that the question is wrong: 400, 416 or 422. As every question here is a good one, it may be what a server
    /// says of what it does not have; or we are not understood, and could not tell.
    Rejected {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
    /// An answer, but not with what was asked for: 401, 403 and other 4xx, a redirect that is not
    /// followed, an HTML page, a coding that was not asked for; for a directory, something that is no regular file.
    Refused {
        /// What was asked for.
        what: String,
        /// What the answer was.
        cause: String,
    },
}

impl FetchError {
    /// The same error of another name for what was asked for, which must be escaped.
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

    /// What went wrong in fetching somebody's heads, in words for whoever named them: the log is not meant.
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

/// Why a `--log` cannot be used at all: wrong usage, nothing was asked of any log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Nothing was given.
    Empty,
    /// The JSON API was asked for, of something that is no `http://` or `https://` URL.
    NoApi {
        /// What was given, escaped, without credentials.
        location: String,
    },
    /// No directory, and meant as a URL, as it seems: a host without a scheme, a blank or a quotation mark before one.
    NoScheme {
        /// What was given, escaped, without credentials, query and fragment.
        location: String,
    },
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
    /// A variable of the environment that names no proxy, and would be in force for this URL.
    Proxy {
        /// Which, and why, without its value. Begins with the variable: nothing else that was given is at fault.
        cause: String,
    },
    /// The HTTP client could not be set up.
    Client {
        /// Why.
        cause: String,
    },
    /// The same for want of something that this machine should have, such as descriptors or threads: no wrong usage.
    Local {
        /// What.
        cause: String,
    },
}

impl OpenError {
    /// Whether this machine is at fault, and not what was given.
    pub fn is_local(&self) -> bool {
        matches!(self, OpenError::Local { .. })
    }

    pub(crate) fn no_api(location: &str) -> OpenError {
        // Whatever it is, a password in it stays unsaid.
        let shown = location.rsplit_once('@').map_or(location, |(_, rest)| rest);
        OpenError::NoApi { location: escape(shown) }
    }

    pub(crate) fn no_scheme(location: &str) -> OpenError {
        let shown = location.rsplit_once('@').map_or(location, |(_, rest)| rest);
        OpenError::NoScheme { location: escape(shown.split(['?', '#']).next().unwrap_or_default()) }
    }

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
            OpenError::NoApi { location } => write!(
                f,
                "{location}: the JSON API is reached over http:// or https:// only: write --log \
                 api+https://host/public/log, or leave --api out for a tiled log"
            ),
            OpenError::NoScheme { location } => write!(
                f,
                "\"{location}\" is no directory that is there, and a URL begins with https:// (or http://, or \
                 api+https:// for the JSON API), without a blank or a quotation mark before it"
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
