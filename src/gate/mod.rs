//! The gate: asks a person, verifies the answer, and lets an action run once (gate specification).
//!
//! What the service says is a claim. An approval is returned only after its receipt was verified against the caller's
//! own trust policy, and after its nonce was consumed, durably, in the journal. Whoever gets an [`Outcome::Approved`]
//! may act once, with exactly the payload that is in it.
//!
//! It does not prove that the action ran: the journal records what the caller says about that.

pub mod journal;
pub mod reason;
pub mod row;
