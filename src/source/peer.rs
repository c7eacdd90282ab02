//! Where others keep the heads that they were shown: another auditor's history, a witness's newest checkpoint, a
//! file. As little believed as a log; what comes out of it counts only if the log's key signed it.
//!
//! A peer must not hold the audit up: it gets a few seconds, and at most so many bytes.

use super::document::Document;
use super::lack::{Lack, lack_of};
use super::options::HttpOptions;
use super::user_file::open_regular;
use super::{FetchError, OpenError};
use crate::core::encoding::encode_hex;
use crate::core::hash::sha256;
use crate::core::limits::MAX_CHECKPOINT;
use crate::core::text::escape;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For everything that is asked of a peer at once, with all attempts and waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A history, or the part of it that is asked for: about 50,000 heads as `heads export` writes them.
const MAX_HISTORY: usize = 32 * 1024 * 1024;

/// Where the heads of a peer are, as the config says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerPlace {
    /// The URL of another auditor's `/heads`, or of what `heads export` wrote.
    Heads(String),
    /// The monitoring prefix of a C2SP witness.
    Witness(String),
    /// A file.
    File(PathBuf),
    /// A URL that is taken exactly as it is.
    Url(String),
}

/// A peer, not asked yet.
pub struct Peer {
    name: String,
    id: String,
    transport: Transport,
    /// Of a file; a document keeps its own.
    lack: Lack,
}

enum Transport {
    Heads(Document),
    Witness(Document),
    File(PathBuf),
    Url(Document),
}

impl Peer {
    /// The peer at a place, for the log with this origin. `options` are those for the log; of its time a peer
    /// gets a few seconds at most, and its secrets must not be among them.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(
        name: &str,
        place: &PeerPlace,
        origin: &str,
        options: &HttpOptions,
    ) -> Result<Peer, OpenError> {
        let options = &hurried(options);
        let (kind, what, transport) = match place {
            PeerPlace::Heads(url) => ("heads", url.clone(), Transport::Heads(Document::new(url, options)?)),
            PeerPlace::Witness(prefix) => {
                let url = checkpoint_url(prefix, origin)?;
                ("witness", prefix.clone(), Transport::Witness(Document::new(&url, options)?))
            }
            PeerPlace::File(path) => ("file", path.display().to_string(), Transport::File(path.clone())),
            PeerPlace::Url(url) => ("url", url.clone(), Transport::Url(Document::new(url, options)?)),
        };
        let id = encode_hex(sha256(format!("{kind}\0{what}").as_bytes()).as_bytes());
        Ok(Peer { name: name.to_owned(), id, transport, lack: Lack::default() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A digest of where it is: another place is another peer, whatever it is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is, escaped, without anything secret.
    pub fn location(&self) -> String {
        match &self.transport {
            Transport::Heads(document) | Transport::Witness(document) | Transport::Url(document) => {
                document.location()
            }
            Transport::File(path) => escape(&path.display().to_string()),
        }
    }

    /// Whether it can be asked for a part of its history.
    pub fn has_since(&self) -> bool {
        matches!(self.transport, Transport::Heads(_))
    }

    /// Its heads, verbatim; only those that it first saw at `since` (RFC 3339) or later, if it can be asked that
    /// and knows what is meant.
    ///
    /// # Errors
    /// [`FetchError`], which says nothing about the log.
    pub fn fetch(&self, since: Option<&str>) -> Result<Vec<u8>, FetchError> {
        match (&self.transport, since) {
            (Transport::Heads(document), Some(since)) => {
                document.fetch_with(&format!("since={since}"), MAX_HISTORY)
            }
            (Transport::Heads(document) | Transport::Url(document), _) => document.fetch(MAX_HISTORY),
            (Transport::Witness(document), _) => document.fetch(MAX_CHECKPOINT),
            (Transport::File(path), _) => read(path, &self.lack),
        }
    }

    /// What this machine had run out of, where the peer could not be asked.
    pub fn lacked(&self) -> Option<String> {
        match &self.transport {
            Transport::Heads(document) | Transport::Witness(document) | Transport::Url(document) => {
                document.lacked()
            }
            Transport::File(_) => self.lack.noted(),
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

/// RetryBudget with a peer: never more than with the log.
fn hurried(options: &HttpOptions) -> HttpOptions {
    HttpOptions {
        connect_timeout: options.connect_timeout.min(CONNECT),
        attempt_timeout: options.attempt_timeout.min(PATIENCE),
        resource_timeout: options.resource_timeout.min(PATIENCE),
        retries: 2,
        later_retries: 2,
        missing_retries: 0,
        // The rate is what the log's operator asked for.
        max_rps: None,
        parallelism: 1,
        ..options.clone()
    }
}

fn read(path: &Path, lack: &Lack) -> Result<Vec<u8>, FetchError> {
    let name = path.display().to_string();
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FetchError::not_found(&name),
        _ => match lack_of(&error) {
            Some(what) => {
                lack.note(what.clone());
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
    fn a_witness_is_asked_at_the_hash_of_the_origin() {
        for prefix in ["https://witness.example/w", "https://witness.example/w/"] {
            let made = checkpoint_url(prefix, "log.example").unwrap();

            assert_eq!(made, format!("https://witness.example/w/{}/checkpoint", sha256(b"log.example")));
        }
        assert!(checkpoint_url("https://witness.example/?a", "log.example").is_err());
    }

    #[test]
    fn what_opens_a_peer_is_not_shown_and_tells_peers_apart() {
        let peer = |url: &str| {
            let place = PeerPlace::Heads(url.to_owned());
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
