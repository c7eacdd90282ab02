//! What an audit decides, as pure functions: bytes, policy and time in, findings out.
//!
//! | module | decides |
//! |---|---|
//! | [`policy`] | whom and what the person who runs the audit trusts |
//! | [`entries`] | everything that one entry shows by itself (specification sections 2 and 9) |
//! | [`across`] | what only shows against the earlier entries: reuse, shared keys, counters |
//! | [`bundle`] | whether a verification bundle is of the entry that is in the log |
//! | [`heads`] | which signed heads no single append-only log could have |
//! | [`peer`] | what came of comparing heads with somebody else |
//! | [`conclusion`] | the answer in one word, and its exit code |
//! | [`finding`] | one finding as it is kept and reported |
//! | [`subject`] | what a finding is about, and its text in the mirror |
//! | [`acknowledge`] | which findings somebody answers for, until a day |
//! | [`watch_list`], [`hours`] | which entries somebody wants to hear of; the hours of a week at some place |
//! | [`trust`] | whom and what somebody who checks one receipt brings |
//! | [`receipt`] | everything that one receipt shows (specification section 8) |
//! | [`verdict`] | what it showed, check by check |
//! | [`tally`] | which checks were made, how often, and which were not |
//!
//! Nothing here does I/O. What has to be remembered between entries and runs is behind the trait
//! [`across::Memory`], which the mirror implements; `crate::run` connects the two to a log.

pub mod acknowledge;
pub mod across;
pub mod bundle;
pub mod conclusion;
pub mod entries;
mod expected;
pub mod finding;
pub mod heads;
pub mod hours;
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
