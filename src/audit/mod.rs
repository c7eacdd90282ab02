//! What an audit decides, as pure functions: bytes, policy and time in, findings out.
//!
//! | module | decides |
//! |---|---|
//! | [`policy`] | what the user who runs the audit trusts |
//! | [`entries`] | everything that one entry shows by itself (specification sections 2 and 9) |
//! | [`across`] | what shows only in comparison with earlier entries: reuse, shared keys, counters |
//! | [`bundle`] | whether a verification bundle belongs to the entry that is in the log |
//! | [`heads`] | which pairs of signed heads no single append-only log could have |
//! | [`peer`] | the result of comparing heads with a peer |
//! | [`journal`] | whether a gate's journal and the log agree |
//! | [`conclusion`] | the answer in one word, and its exit code |
//! | [`finding`] | one finding as it is kept and reported |
//! | [`subject`] | what a finding is about, and its text in the mirror |
//! | [`acknowledge`] | which findings have been acknowledged, and until when |
//! | [`watch_list`], [`hours`] | which entries a user wants to be notified of; the hours of a week in a time zone |
//! | [`trust`] | what a caller who checks one receipt trusts and expects |
//! | [`receipt`] | everything that one receipt shows (specification section 8) |
//! | [`verdict`] | the result of each check of a receipt |
//! | [`tally`] | which checks were made, how often, and which were not |
//!
//! Nothing here does I/O. State that is kept between entries and runs is behind the trait [`across::Memory`],
//! which the mirror implements; `crate::run` connects the two to a log.

pub mod acknowledge;
pub mod across;
pub mod bundle;
pub mod conclusion;
pub mod entries;
mod expected;
pub mod finding;
pub mod heads;
pub mod hours;
pub mod journal;
pub mod peer;
pub mod policy;
pub mod receipt;
mod receipt_case;
mod receipt_entry;
pub mod subject;
pub mod tally;
pub mod trust;
pub mod verdict;
pub mod watch_list;
