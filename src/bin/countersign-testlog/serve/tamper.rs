//! Entries that an honest log would not commit to.

use super::history::History;
use crate::error::TestlogError;
use countersign::core::encoding::{decode_base64url, encode_base64url};
use countersign::core::entry::EntryJson;

/// The first approval from `index` on: its index, leaf and signature.
fn approval(history: &History, index: u64) -> Result<(u64, &[u8], String), TestlogError> {
    let signature = |leaf: &[u8]| {
        let entry: EntryJson<'_> = serde_json::from_slice(leaf).ok()?;
        Some(entry.assertion?.signature.into_owned())
    };
    (index..history.len())
        .find_map(|at| history.leaf(at).and_then(|leaf| Some((at, leaf, signature(leaf)?))))
        .ok_or_else(|| format!("there is no approval from entry {index} on").into())
}

/// The history with an approval whose signature is well-formed but does not verify.
///
/// # Errors
/// There is no approval from `index` on.
pub fn forge(history: &History, index: u64) -> Result<History, TestlogError> {
    let (at, leaf, signature) = approval(history, index)?;
    let mut bytes = decode_base64url(&signature).ok_or("a signature is not base64url")?;
    // The lowest byte of s: the last byte of ECDSA in DER and of RSA, and byte 33 of 64 of Ed25519. Changing it keeps the
    // signature in range.
    let low = if bytes.len() == 64 { 32 } else { bytes.len().saturating_sub(1) };
    bytes.get_mut(low).map(|byte| *byte ^= 1).ok_or("a signature is empty")?;
    let leaf = String::from_utf8_lossy(leaf).replace(&signature, &encode_base64url(&bytes));
    history.replaced(at, leaf.as_bytes())
}

/// Appends a copy of an approval.
///
/// # Errors
/// There is no approval from `index` on.
pub fn replay(history: &mut History, index: u64) -> Result<(), TestlogError> {
    let leaf = approval(history, index)?.1.to_vec();
    history.push(&leaf)
}
