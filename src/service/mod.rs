//! The functions that a program calls: one audit, receipts, heads, the logs that a monitor watches.
//!
//! Each takes settings ([`crate::config`]) and returns a value, such as a [`Report`](crate::report::Report). Nothing
//! here knows a command line, prints, ends the process or changes its state. Time, progress and the stop signal are
//! arguments. An [`Error`] says why an operation was not begun. The report of an audit says what it found, what it
//! could not decide, and which local faults it met.
//!
//! | file | holds |
//! |---|---|
//! | `audit`, `fill` | [`audit()`], and the contents of its report |
//! | `clock` | [`Clock`] |
//! | `load`, `files`, `places` | [`settings`] from files; files that the user names |
//! | `log`, `peers`, `http`, `secrets` | opening the log and its peers, with their secrets |
//! | [`receipts`], [`verify`], [`receipt_files`], `evidence` | making, verifying and reading receipts |
//! | [`gate`], `journal` | what a gate needs; its journal, for an audit |
//! | [`heads`], `mirrors` | export and import of heads; checks of the mirror |
//! | `watched`, `watch` | the logs of a config, and their repeated audits |
//! | `dispatcher`, `notifications`, `channels`, `test_alert` | alerts about them |

mod audit;
mod channels;
mod clock;
mod dispatcher;
mod evidence;
pub mod files;
mod fill;
pub mod gate;
pub mod heads;
mod http;
mod journal;
mod load;
mod log;
mod mirrors;
mod notifications;
mod peers;
mod places;
pub mod receipt_files;
pub mod receipts;
mod secrets;
mod test_alert;
pub mod verify;
mod watch;
mod watched;

pub use crate::config::Error;
pub use audit::{AuditSpec, audit, note_told};
pub use channels::ChannelChange;
pub use clock::{Clock, SystemClock, now};
pub use evidence::save_evidence;
pub use http::deadline;
pub use load::settings;
pub use log::{NO_LOG_KEY, OpenLog, asked, cores, open_log};
pub use mirrors::{MirrorCheck, check_mirror, mirror_of};
pub use peers::open as open_peers;
pub use places::{evidence_dir, init_left, missing_file};
pub use test_alert::{TestAlerts, Tried, test_alerts};
pub use watch::{AuditedLog, LogWatch};
pub use watched::{LogConfig, WatchSpec, WatchedLogs, watched};
