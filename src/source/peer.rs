//! Peers: where others keep the heads that they saw. Another auditor's history, a witness's newest checkpoint,
//! or a file. A peer is trusted no more than a log: its heads count only if the log's key signed them.
//!
//! A peer must not delay the audit: it gets a few seconds and a bounded number of bytes.

use super::document::Document;
use super::exhaustion::{ResourceExhaustion, exhaustion_of};
use super::options::HttpOptions;
use super::user_file::open_regular;
use super::{FetchError, OpenError};
use crate::core::encoding::encode_hex;
use crate::core::hash::sha256;
use crate::core::limits::MAX_CHECKPOINT;
use crate::core::text::escape;
use crate::core::time::UnixMillis;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time for one request to a peer, with all attempts and waits.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);

/// The time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest history, or part of one: about 50,000 heads as `heads export` writes them.
const MAX_HISTORY: usize = 32 * 1024 * 1024;

/// Where the heads of a peer are, as the config names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerLocation {
    /// The URL of another auditor's `/heads`, or of a file that `heads export` wrote.
    Heads(String),
    /// The monitoring prefix of a C2SP witness.
    Witness(String),
    /// A file.
    File(PathBuf),
    /// A URL that is used unchanged.
    Url(String),
}

/// A peer. No request was made yet.
pub struct Peer {
    name: String,
    id: String,
    transport: PeerTransport,
    /// For a file; a document has its own.
    exhaustion: ResourceExhaustion,
}

enum PeerTransport {
    Heads(Document),
    Witness(Document),
    File(PathBuf),
    Url(Document),
}

impl Peer {
    /// The peer at `place`, for the log with this origin. `options` are those for the log, without its secrets;
    /// the times in them are reduced for a peer.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(
        name: &str,
        place: &PeerLocation,
        origin: &str,
        options: &HttpOptions,
    ) -> Result<Peer, OpenError> {
        let options = &peer_options(options);
        let (kind, what, transport) = match place {
            PeerLocation::Heads(url) => {
                ("heads", url.clone(), PeerTransport::Heads(Document::new(url, options)?))
            }
            PeerLocation::Witness(prefix) => {
                let url = checkpoint_url(prefix, origin)?;
                ("witness", prefix.clone(), PeerTransport::Witness(Document::new(&url, options)?))
            }
            PeerLocation::File(path) => {
                ("file", path.display().to_string(), PeerTransport::File(path.clone()))
            }
            PeerLocation::Url(url) => ("url", url.clone(), PeerTransport::Url(Document::new(url, options)?)),
        };
        let id = encode_hex(sha256(format!("{kind}\0{what}").as_bytes()).as_bytes());
        Ok(Peer { name: name.to_owned(), id, transport, exhaustion: ResourceExhaustion::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A digest of its location: another location is another peer, whatever its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its location, escaped and without secrets.
    pub fn location(&self) -> String {
        match &self.transport {
            PeerTransport::Heads(document)
            | PeerTransport::Witness(document)
            | PeerTransport::Url(document) => document.location(),
            PeerTransport::File(path) => escape(&path.display().to_string()),
        }
    }

    /// Whether it can serve a part of its history.
    pub fn has_since(&self) -> bool {
        matches!(self.transport, PeerTransport::Heads(_))
    }

    /// Fetches its heads, verbatim. With `since`, only those that it first saw then or later, if it
    /// supports that.
    ///
    /// # Errors
    /// [`FetchError`], which says nothing about the log.
    pub fn fetch(&self, since: Option<UnixMillis>) -> Result<Vec<u8>, FetchError> {
        match (&self.transport, since) {
            (PeerTransport::Heads(document), Some(since)) => {
                document.fetch_with(&format!("since={since}"), MAX_HISTORY)
            }
            (PeerTransport::Heads(document) | PeerTransport::Url(document), _) => document.fetch(MAX_HISTORY),
            (PeerTransport::Witness(document), _) => document.fetch(MAX_CHECKPOINT),
            (PeerTransport::File(path), _) => read(path, &self.exhaustion),
        }
    }

    /// The resource that this machine had run out of when the peer could not be reached.
    pub fn resource_exhaustion(&self) -> Option<String> {
        match &self.transport {
            PeerTransport::Heads(document)
            | PeerTransport::Witness(document)
            | PeerTransport::Url(document) => document.resource_exhaustion(),
            PeerTransport::File(_) => self.exhaustion.recorded(),
        }
    }
}

/// C2SP tlog-witness, "Monitor Retrieval": `<monitoring prefix>/<origin hash>/checkpoint`.
fn checkpoint_url(prefix: &str, origin: &str) -> Result<String, OpenError> {
    if prefix.contains(['?', '#']) {
        return Err(OpenError::url(prefix, "a witness's prefix has no query (?) and no fragment (#)"));
    }
    let origin_hash = encode_hex(sha256(origin.as_bytes()).as_bytes());
    Ok(format!("{}/{origin_hash}/checkpoint", prefix.trim_end_matches('/')))
}

/// The options for a peer: never more time than for the log.
fn peer_options(options: &HttpOptions) -> HttpOptions {
    HttpOptions {
        connect_timeout: options.connect_timeout.min(CONNECT_TIMEOUT),
        attempt_timeout: options.attempt_timeout.min(PEER_TIMEOUT),
        resource_timeout: options.resource_timeout.min(PEER_TIMEOUT),
        retries: 2,
        later_retries: 2,
        missing_retries: 0,
        // The rate limit is for the operator of the log.
        max_rps: None,
        parallelism: 1,
        ..options.clone()
    }
}

fn read(path: &Path, exhaustion: &ResourceExhaustion) -> Result<Vec<u8>, FetchError> {
    let name = path.display().to_string();
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FetchError::not_found(&name),
        _ => match exhaustion_of(&error) {
            Some(what) => {
                exhaustion.record(what.clone());
                FetchError::unavailable(&name, &what)
            }
            None => FetchError::unavailable(&name, &error.to_string()),
        },
    };
    let Some(file) = open_regular(path).map_err(fail)? else {
        return Err(FetchError::refused(&name, "it is not a file"));
    };
    let limit = u64::try_from(MAX_HISTORY).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() > MAX_HISTORY {
        true => Err(FetchError::too_large(&name, MAX_HISTORY)),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_url_contains_the_origin_hash() {
        for prefix in ["https://witness.example/w", "https://witness.example/w/"] {
            let made = checkpoint_url(prefix, "log.example").unwrap();

            assert_eq!(made, format!("https://witness.example/w/{}/checkpoint", sha256(b"log.example")));
        }
        assert!(checkpoint_url("https://witness.example/?a", "log.example").is_err());
    }

    #[test]
    fn a_peer_id_depends_on_secrets_and_hides_them() {
        let peer = |url: &str| {
            let place = PeerLocation::Heads(url.to_owned());
            Peer::new("them", &place, "log.example", &HttpOptions::default()).map_err(|e| e.to_string())
        };
        let one = peer("https://u:s3cret@other.example/heads?key=s3cret").unwrap();
        assert_eq!(one.location(), "https://other.example/heads");
        assert!(
            !one.id().contains("s3cret") && one.id() != peer("https://other.example/heads").unwrap().id()
        );
        assert!(peer("http://u:s3cret@other.example/heads").is_err_and(|why| !why.contains("s3cret")));
        assert!(peer("ftp://other.example/heads").is_err());
    }
}
