//! The journal of a gate: what was asked for, what came of it, and which approvals were used (gate specification
//! section 4). The only SQL of the gate.
//!
//! # What is proved
//!
//! - A step that returned is durable: the commit was synced, then the mark, and only then it returned. A process or a
//!   machine that stops at any moment leaves a journal that opens and has every step that returned.
//! - [`Consumed::Fresh`] is returned once for a nonce, and once for a row, however many processes ask, and whatever
//!   becomes of them. A process that is killed between the commit and its return has used the approval up, and nothing ran.
//! - What is read from a row was written by this program to this journal: no row is looked at before its seal was
//!   verified. [`Journal::open`] also verifies that all rows are there, in their newest version, with their indexes.
//! - The journal is not older than what was acknowledged: see the mark.
//!
//! # What is not
//!
//! - That an action ran, or how it ended: [`Journal::ended`] records what the caller says.
//! - Anything against somebody who can write the file and its mark: they can put both back together, and use an approval
//!   again. The journal belongs to another user than the agent's.
//! - A row that is lost while the journal is open is noticed when its index or seal is read, or at the next
//!   [`Journal::open`].
//!
//! There is a journal only where [`Journal::create`] made one. One that is missing, damaged or older than its mark is an
//! error, and never a fresh start: a fresh journal does not know which approvals were used.
//!
//! | file | holds |
//! |---|---|
//! | `schema.sql`, `schema` | tables, and whether a file has them |
//! | `handle` | the open journal: creation, opening, reading |
//! | `steps` | the steps of a confirmation, each one durable transaction: begin, decide, consume the approval (once), end |
//! | `keys` | first-seen keys, and how another one is accepted |
//! | `rows` | how a row is stored in columns |
//! | `seal` | integrity values |
//! | `db` | transactions, and what each verifies |
//! | `mark` | how an older copy is noticed |
//! | `error` | why a journal cannot be used |

mod db;
mod error;
mod handle;
mod keys;
mod mark;
mod rows;
mod schema;
mod seal;
mod steps;

#[cfg(all(test, unix))]
mod damage_tests;
#[cfg(all(test, unix))]
mod place_tests;
#[cfg(test)]
mod steps_tests;
#[cfg(test)]
mod test_kit;

pub use error::JournalError;
pub use handle::Journal;
pub use keys::{ApproverKey, Trusted};
pub use steps::{Consumed, Noted, Recorded};
