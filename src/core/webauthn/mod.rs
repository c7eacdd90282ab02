//! Passkey assertions: WebAuthn Level 3 section 7.2, in the order of specification section 9.
//!
//! [`check_assertion`] proves that the holder of a credential's private key signed *this* nonce and
//! payload hash, with the ceremony that the policy asks for (origin, relying party, presence,
//! verification). It does not prove who the holder is, what was on the screen, or that the credential
//! belongs to the approver: that is what the log claims, and what the checks across entries watch.

pub mod assertion;
pub mod authenticator_data;
pub mod cbor;
pub mod client_data;
pub mod cose;
pub mod key_cache;
pub mod outcome;
#[cfg(test)]
mod tests;

pub use assertion::{Assertion, AssertionResult, AuthenticatorFacts, RelyingParty, check_assertion};
pub use authenticator_data::AuthenticatorData;
pub use client_data::ClientData;
pub use cose::{CosePublicKey, KeyFinding};
pub use key_cache::KeyCache;
pub use outcome::Outcome;
