//! Which process has the mirror. For messages, and to tell being kept waiting by one from being so by another; the
//! lock itself is the operating system's, and nothing rests on what is written in it.

use super::place_of;
use super::side_files::{self, beside};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

/// Longer is nothing of ours.
const MAX: usize = 64;

/// This process, told from all others also where they have the same number in containers of their own.
pub fn holder_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| format!("process {} {:016x}", std::process::id(), fastrand::u64(..)))
}

/// Writes into the lock that this process has it.
pub(super) fn sign(mut lock: &File) {
    // Who has a full disk has the lock all the same.
    let _ = lock.set_len(0).and_then(|()| lock.write_all(holder_id().as_bytes()));
}

/// Who took the mirror's lock last, where he said so and it was not this process.
pub fn holder_of(mirror: &Path) -> String {
    let text = side_files::read(&beside(&place_of(mirror), ".lock"), MAX).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let is_holder = text.starts_with("process ") && text != holder_id();
    if is_holder { text } else { "unknown".to_owned() }
}
