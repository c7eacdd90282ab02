//! What the tests of the journal have in common.

use super::Journal;
use crate::core::entry::Decision;
use crate::core::hash::sha256;
use crate::core::time::UnixMillis;
use crate::gate::row::{Accepted, Asked, Consumption, NewRow};
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder, and the path of a journal in it.
pub(super) fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("j.db");
    (folder, path)
}

/// So many milliseconds after the beginning of 1970.
pub(super) fn moment(ms: u64) -> UnixMillis {
    UnixMillis::new(ms)
}

pub(super) fn request(key: &str) -> NewRow {
    NewRow {
        key: key.to_owned(),
        service: "https://service.example".to_owned(),
        origin: "log.example/1".to_owned(),
        username: "alex".to_owned(),
        action: "Deploy".to_owned(),
        payload_hash: sha256(b"{}"),
        asked_at: moment(1_000),
        post_until: moment(31_000),
    }
}

pub(super) fn answer(id: &str) -> Asked {
    Asked {
        id: id.to_owned(),
        url: format!("https://service.example/c/{id}"),
        encoding: Accepted::JcsPayload,
        expires_at: moment(301_000),
    }
}

pub(super) fn approval(nonce: &str) -> Consumption {
    Consumption {
        nonce: nonce.to_owned(),
        credential: "00ff".to_owned(),
        key_pinned: true,
        action_signed: false,
        receipt: b"{\"entry\":{}}".to_vec(),
        at: moment(5_000),
    }
}

/// Brings a row to an approval.
pub(super) fn approve(journal: &mut Journal, key: &str) {
    approve_for(journal, request(key));
}

pub(super) fn approve_for(journal: &mut Journal, request: NewRow) {
    journal.begin(&request).unwrap();
    journal.asked(&request.key, &answer(&format!("id-{}", request.key))).unwrap();
    journal.decided(&request.key, Decision::Approved, moment(4_000)).unwrap();
}
