//! Receipts (specification section 8) put together: from the mirror, which needs no log, or from the log.
//!
//! What is put together here is a claim, whichever way it came. It is a receipt once the exact bytes
//! that are to be handed out were verified with [`crate::verify_receipt`], as their reader will verify them.
//! That shows one entry and what was signed with it. What only the whole log shows, such as a nonce
//! that was used before or a second history, is known to the mirror alone: [`mirrored`] refuses entries
//! that the audit found so, [`served`] cannot, and [`compared`] compares what it gives with the mirror.

pub mod compared;
mod made;
pub mod mirrored;
mod no_receipt;
pub mod served;

pub use made::Made;
pub use no_receipt::NoReceipt;
