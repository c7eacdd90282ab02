//! Opens the peers of a config.

use super::{Error, http, secrets};
use crate::config::{NamedPeer, PeerAt, Settings};
use crate::core::head::LogKey;
use crate::core::text::quoted;
use crate::mirror::identity_of;
use crate::source::{HttpOptions, OpenError, Peer, PeerLocation, SecretHeaders, Stop};

/// Opens the peers of the config and reads their secrets. The secrets of the log are not sent to them.
///
/// # Errors
/// Returns [`Error`] if a peer cannot be used or its secret cannot be read. The message contains no secret.
pub fn open(settings: &Settings, key: &LogKey, stop: &Stop) -> Result<Vec<Peer>, Error> {
    let mirror = settings.db.as_deref().map(identity_of);
    let open_one = |peer: &NamedPeer| {
        // The mirror is not a peer. Also, SQLite would lose its locks on the file if it were opened and closed here.
        if let (PeerAt::File(path), Some(mirror)) = (&peer.at, &mirror)
            && identity_of(path) == *mirror
        {
            return Err("this file is the mirror itself".into());
        }
        let plain = http::plain(&settings.net);
        let options = HttpOptions {
            headers: secret(peer)?,
            ca_file: peer.ca_file.clone().or(plain.ca_file.clone()),
            stop: stop.clone(),
            ..plain
        };
        Peer::new(&peer.name, &place(&peer.at), key.origin(), &options).map_err(|error| match error {
            OpenError::Url { url, cause } => format!("{url}: {cause}").into(),
            error => http::opening(&error, OpenError::to_string),
        })
    };
    let named = |peer: &NamedPeer| {
        let say = |why| format!("peer {}: {why}", quoted(&peer.name));
        open_one(peer).map_err(|error: Error| error.within(say))
    };
    settings.peers.iter().map(named).collect()
}

fn secret(peer: &NamedPeer) -> Result<SecretHeaders, Error> {
    let mut headers = SecretHeaders::default();
    if let Some(path) = &peer.bearer_file {
        let token = secrets::read(path).map_err(|error| error.within(|why| format!("bearer-file: {why}")))?;
        headers.add_bearer(&token).map_err(|why| format!("bearer-file: {why}"))?;
    }
    if let Some(variable) = &peer.bearer_env {
        let token = secrets::environment(variable).map_err(|why| format!("bearer-env: {why}"))?;
        headers.add_bearer(&token).map_err(|why| format!("bearer-env: {why}"))?;
    }
    Ok(headers)
}

fn place(at: &PeerAt) -> PeerLocation {
    match at.clone() {
        PeerAt::Heads(url) => PeerLocation::Heads(url),
        PeerAt::Witness(prefix) => PeerLocation::Witness(prefix),
        PeerAt::File(path) => PeerLocation::File(path),
        PeerAt::Url(url) => PeerLocation::Url(url),
    }
}
