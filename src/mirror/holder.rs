//! Which process holds the mirror. Used for messages, and to distinguish being kept waiting by one process from being
//! kept waiting by another. The lock itself is the operating system's; nothing depends on the text in it.

use super::path::place_of;
use super::side_files::{self, beside};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

/// The maximum length; a longer text was not written by this program.
const MAX: usize = 64;

/// An id of this process, which is unique even if processes in different containers have the same number.
pub fn holder_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| format!("process {} {:016x}", std::process::id(), fastrand::u64(..)))
}

/// Writes the id of this process into the lock file.
pub(super) fn sign(mut lock: &File) {
    // A process holds the lock even if the disk is full and its id cannot be written.
    let _ = lock.set_len(0).and_then(|()| lock.write_all(holder_id().as_bytes()));
}

/// The process that took the mirror's lock last; `unknown` if it did not write its id or is this process.
pub fn holder_of(mirror: &Path) -> String {
    let text = side_files::read(&beside(&place_of(mirror), ".lock"), MAX).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let is_holder = text.starts_with("process ") && text != holder_id();
    if is_holder { text } else { "unknown".to_owned() }
}
