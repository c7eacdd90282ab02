//! What settings come to on this machine's disk.

use crate::config::{NamedPeer, PeerAt, Settings};
use crate::mirror::{folder, place_of};
use std::path::{Path, PathBuf};

/// Where misbehaviour files go: beside the mirror itself, whatever links lead to it, unless told otherwise.
pub fn evidence_dir(settings: &Settings, db: &Path) -> PathBuf {
    settings.evidence_dir.clone().unwrap_or_else(|| folder(&place_of(db)).to_owned())
}

/// The file of a peer, where it has one that is not there.
pub fn missing_file(peer: &NamedPeer) -> Option<&Path> {
    match &peer.at {
        PeerAt::File(path) if !path.is_file() => Some(path),
        _ => None,
    }
}

/// What to say where the mirror is there and would be made anew if it were not.
pub fn init_left(settings: &Settings) -> Option<&'static str> {
    let is_there = settings.db.as_ref().is_some_and(|db| db.exists());
    (settings.init && is_there).then_some(INIT_LEFT)
}

/// Its mirror is made, and it may still be made anew.
const INIT_LEFT: &str = "the mirror is there: take init = true (or --init) out, or a mirror that gets lost is a fresh \
                         start, which forgets every head seen, and no fault that you hear of";
