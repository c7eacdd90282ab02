//! The monitor: the same audit again and again, and something that can itself be watched.
//!
//! A thread for each log audits it, waits, and audits it again. What came of it is kept on a [`state::StatusRegistry`],
//! from which `/metrics` and `/healthz` are written, and said in one line for each [`event::Event`].
//!
//! It decides nothing about a log: that is the audit's, and what the audit found is in the mirror before it is
//! said here. So the monitor may be killed at any moment. Three things stay apart: the log *misbehaves* (the
//! verdict and the findings), the log *cannot be reached* (asked again after growing waits, and not accused),
//! and the fault is *ours* (`/healthz` says so).
//!
//! That the log shows others the same is known as far as others are asked: an audit compares the heads of the
//! peers in its config, and `/heads` gives our history of signed heads away, so that they can compare ours.
//!
//! | file | holds |
//! |---|---|
//! | [`state`] | what is known of each log, and what one more report changes |
//! | [`clock`] | the time that is shown, and the one that is judged by |
//! | [`event`] | what happened, as a line of text or JSON |
//! | `log` | the way of these lines to stderr, through `tracing` |
//! | `channels` | what is said of alert channels |
//! | [`peers`] | what is known of those whose heads are compared with ours |
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
pub use signals::{outlive_file_size_limit, stop_on_signal};
pub use supervise::{Read, StartError, run};

use crate::mirror::{HeadReader, Queue};
use crate::report::Report;
use crate::service::Error;
use crate::source::{RequestCounters, Stop};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One log with everything that an audit of it needs.
pub trait Auditable: Send + Sync {
    /// Audits it, until it is done or `stop` ends it.
    ///
    /// # Errors
    /// A sentence for the person: the audit could not be begun, because what the config names is not
    /// (any more) as it must be.
    fn audit(&self, stop: &Stop) -> Result<Report, Error>;

    /// The history of its heads, also while an audit is under way.
    ///
    /// # Errors
    /// A sentence for the person.
    fn heads(&self) -> Result<HeadReader, Error>;

    /// How the requests to it came out.
    fn requests(&self) -> RequestCounters {
        RequestCounters::default()
    }

    /// The queue of each channel that tells of it, as it was after the last audit.
    fn channels(&self) -> BTreeMap<String, Queue> {
        BTreeMap::new()
    }
}

/// A log that is watched.
#[derive(Clone)]
pub struct Watched {
    /// What it is called, once among all.
    pub name: String,
    /// Between two audits, give or take a tenth.
    pub interval: Duration,
    /// The most time that one audit takes over the network.
    pub deadline: Option<Duration>,
    /// The log.
    pub subject: Arc<dyn Auditable>,
}

/// What is to be watched, and how.
pub struct Plan {
    /// The logs, at least one.
    pub logs: Vec<Watched>,
    /// Where `/metrics` and the others are served, if anywhere.
    pub listen: Option<SocketAddr>,
    /// Whether events are lines of JSON.
    pub json: bool,
    /// What is to be said of it besides, whenever it comes into force.
    pub notes: Vec<event::Event>,
}
