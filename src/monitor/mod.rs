//! The monitor: runs the same audit repeatedly, and can itself be monitored.
//!
//! Each log has a thread that audits it, waits, and audits it again. The results are kept in a
//! [`state::StatusRegistry`], from which `/metrics` and `/healthz` are written, and each [`event::Event`] is logged
//! in one line.
//!
//! The monitor decides nothing about a log; the audit does, and its findings are in the mirror before the monitor
//! reports them. The monitor can therefore be killed at any moment. It keeps three cases apart: the log *misbehaves*
//! (the verdict and the findings), the log *cannot be reached* (it is asked again after growing waits, and not
//! accused), and the fault is *ours* (`/healthz` reports it).
//!
//! Whether the log shows others the same is known only as far as others are asked: an audit compares the heads of the
//! peers in its config, and `/heads` serves our history of signed heads, so that peers can compare theirs.
//!
//! | file | holds |
//! |---|---|
//! | [`state`] | what is known about each log, and how a report changes it |
//! | [`clock`] | the time for display, and the time for deadlines |
//! | [`event`] | an event, as a line of text or JSON |
//! | `log` | how these lines get to stderr, through `tracing` |
//! | `channels` | events about alert channels |
//! | [`peers`] | what is known about the peers of a log |
//! | `watch` | the thread of a log |
//! | `supervise` | start, reload, stop |
//! | `serve`, `metrics`, `process` | `/metrics`, `/healthz`, `/heads` |
//! | `signals`, `notify` | the operating system and systemd |

mod channels;
pub mod clock;
pub mod event;
mod log;
mod metrics;
mod notify;
pub mod peers;
mod process;
mod serve;
mod signals;
pub mod state;
mod supervise;
mod watch;

pub use channels::of_channel;
pub use signals::{Signal, on_signal, outlive_file_size_limit, stop_on_signal};
pub use supervise::{Read, StartError, run};

use crate::mirror::{HeadReader, Queue};
use crate::report::Report;
use crate::service::Error;
use crate::source::{RequestCounters, Stop};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A log with everything that an audit of it needs.
pub trait Auditable: Send + Sync {
    /// Audits the log, until the audit is done or `stop` ends it.
    ///
    /// # Errors
    /// [`Error`] if the audit could not begin, for example because a file that the config names is missing or
    /// invalid.
    fn audit(&self, stop: &Stop) -> Result<Report, Error>;

    /// The history of its heads, also while an audit is running.
    ///
    /// # Errors
    /// [`Error`] if the mirror cannot be read.
    fn heads(&self) -> Result<HeadReader, Error>;

    /// The counts of the requests to the log by their result.
    fn requests(&self) -> RequestCounters {
        RequestCounters::default()
    }

    /// The queue of each alert channel of the log, as of the end of the last audit.
    fn channels(&self) -> BTreeMap<String, Queue> {
        BTreeMap::new()
    }
}

/// A log that is monitored.
#[derive(Clone)]
pub struct WatchedLog {
    /// Its name, unique among all logs.
    pub name: String,
    /// The time between two audits, plus or minus a tenth.
    pub interval: Duration,
    /// The maximum time that one audit takes over the network.
    pub deadline: Option<Duration>,
    /// The log.
    pub subject: Arc<dyn Auditable>,
}

/// The logs to monitor, and how.
pub struct Plan {
    /// The logs, at least one.
    pub logs: Vec<WatchedLog>,
    /// The address at which `/metrics` and the other pages are served, if any.
    pub listen: Option<SocketAddr>,
    /// Whether events are lines of JSON.
    pub json: bool,
    /// Further events to report whenever the plan takes effect.
    pub notes: Vec<event::Event>,
}
