//! Files and directories of this machine that settings refer to.

use crate::config::{NamedPeer, PeerAt, Settings};
use crate::mirror::{folder, place_of};
use std::path::{Path, PathBuf};

/// The directory for misbehaviour files. By default it is that of the mirror, with links resolved.
pub fn evidence_dir(settings: &Settings, db: &Path) -> PathBuf {
    settings.evidence_dir.clone().unwrap_or_else(|| folder(&place_of(db)).to_owned())
}

/// The file of a peer, if it names one that does not exist.
pub fn missing_file(peer: &NamedPeer) -> Option<&Path> {
    match &peer.at {
        PeerAt::File(path) if !path.is_file() => Some(path),
        _ => None,
    }
}

/// The note for the user if the mirror exists and the settings still say to create a missing one.
pub fn init_left(settings: &Settings) -> Option<&'static str> {
    let is_there = settings.db.as_ref().is_some_and(|db| db.exists());
    (settings.init && is_there).then_some(INIT_LEFT)
}

const INIT_LEFT: &str = "the mirror exists: remove init = true (or --init); with it, a lost mirror is not \
                         reported, but replaced by an empty one, and every head seen is forgotten";
