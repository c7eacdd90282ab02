//! The values that are looked up.

use crate::audit::across::Fingerprint;

/// A fingerprint as a number, which sorts as its bytes do.
pub type Key = u128;

/// A fingerprint as a number.
pub fn key_of(fingerprint: Fingerprint) -> Key {
    Key::from_be_bytes(fingerprint)
}
