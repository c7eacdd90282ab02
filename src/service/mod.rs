//! What a program calls: one audit, receipts, heads, the logs that a monitor watches.
//!
//! Settings come in ([`crate::config`]), a value comes out, such as a [`Report`](crate::report::Report). Nothing here
//! knows a command line, prints, ends the process or sets anything of it; time, progress and the sign to stop are
//! arguments. Why something was not begun is an [`Error`]; what an audit found, could not decide or met on this side is
//! in its report.
//!
//! | file | holds |
//! |---|---|
//! | `audit`, `fill` | [`audit()`]; what its report says |
//! | `clock` | [`Clock`] |
//! | `load`, `files`, `places` | [`settings`] out of files; files that a person names |
//! | `log`, `peers`, `http`, `secrets` | the log and its peers, opened, with their secrets |
//! | [`receipts`], [`verify`], [`receipt_files`], `evidence` | receipts are made; receipts are checked, and read |
//! | [`heads`], `mirrors` | heads that others have seen; the mirror itself |
//! | `watched`, `watch` | the logs of a config, each audited again and again |
//! | `dispatcher`, `notifications`, `channels`, `test_alert` | who is told of it |

mod audit;
mod channels;
mod clock;
mod dispatcher;
mod evidence;
pub mod files;
mod fill;
pub mod heads;
mod http;
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
pub use clock::{Clock, SystemClock, unix_ms};
pub use evidence::save_evidence;
pub use http::deadline;
pub use load::settings;
pub use log::{NO_LOG_KEY, OpenLog, asked, cores, open_log};
pub use mirrors::{MirrorCheck, check_mirror, mirror_of};
pub use peers::open as open_peers;
pub use places::{evidence_dir, init_left, missing_file};
pub use test_alert::{TestAlerts, Tried, test_alerts};
pub use watch::{LogWatch, Told};
pub use watched::{LogConfig, WatchSpec, Watched, watched};
