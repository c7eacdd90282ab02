//! The gate: asks a person, verifies the answer, and lets an action run once.
//!
//! What the service says is a claim. An approval is returned only after its receipt was verified against the caller's
//! own trust policy, and after its nonce was consumed, durably, in the journal. Whoever gets an [`Outcome::Approved`]
//! may act once, with exactly the payload that is in it.
//!
//! Comments cite the gate specification, which is `src/approval-gate-v1.md`, by its sections.
//!
//! It does not prove that the action ran: the journal records what the caller says about that.
//!
//! | file | holds |
//! |---|---|
//! | [`reason`] | why an action does not run |
//! | [`request`] | pure: what is asked, its bytes fixed |
//! | [`row`] | pure: a row of the journal |
//! | [`wire`] | pure: the names of the service's wire |
//! | [`step`] | pure: what to do next, given what is known |
//! | [`judge`] | pure: whether a bundle is the approval of what was asked |
//! | [`service`] | asks the service, and looks what became of it |
//! | [`journal`] | what was asked, decided and used, durably |
//! | [`run`] | the steps in their order |

pub mod journal;
pub mod judge;
pub mod reason;
pub mod request;
pub mod row;
pub mod run;
pub mod service;
pub mod step;
pub mod wire;

pub use run::{Approval, Gate, Limits, Observer, Outcome};
