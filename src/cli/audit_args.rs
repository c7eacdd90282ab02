//! The arguments of `audit`, which other commands share, as typed.

use crate::config::GivenNet;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct AuditOptions {
    /// The log: a directory, a file://, http:// or https:// prefix, or the base of a JSON API as
    /// api+https://host/public/log
    #[arg(long, value_name = "URL-or-DIR")]
    pub log: Option<String>,
    /// Treat the URL as the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// The mirror, an SQLite file
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Create the mirror. Without this option a missing mirror is a fault, never a fresh start
    #[arg(long)]
    pub init: bool,
    /// Directory for misbehaviour files [default: beside the mirror]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    /// Number of threads that fetch and check [default: one per core, eight for a log over HTTP]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Check all mirrored entries again, and the mirror itself
    #[arg(long)]
    pub full: bool,
    /// Follow only the signed heads, to detect split views: no entries are fetched, mirrored or checked
    #[arg(long)]
    pub heads_only: bool,
    /// Warn if the newest head is older than this, such as 36h
    #[arg(long, value_name = "DURATION")]
    pub max_head_age: Option<String>,
    /// Make the verdict invalid if there are warnings
    #[arg(long)]
    pub deny_warnings: bool,
    /// Refuse to mirror a log with more entries than this [default: 100000000]
    #[arg(long, value_name = "N")]
    pub max_entries: Option<u64>,
    /// Stop if there are more findings than this [default: 50000]
    #[arg(long, value_name = "N")]
    pub max_findings: Option<u64>,
    /// The journal of a gate, an SQLite file: what was approved and used must be in the log
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub net: Box<NetOptions>,
}

/// The HTTP options, as typed.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[command(next_help_heading = "HTTP")]
pub struct NetOptions {
    /// Address or URL where the log's operator can reach you, sent with requests
    #[arg(long, value_name = "CONTACT")]
    pub contact: Option<String>,
    /// Maximum number of requests per second over all threads, evenly spaced; retries and redirects
    /// count. Operators of public logs may ask for a limit [default: no limit]
    #[arg(long, value_name = "N")]
    pub max_rps: Option<f64>,
    /// Time limit for one request with its redirects and its whole body [default: 60s, in which the
    /// largest bundle, 16 MiB, needs 280 KB/s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Time limit for one request with all its retries and the waits between them [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub retry_for: Option<String>,
    /// Time limit for the whole run: no requests are sent after it. What was fetched is kept, the rest is
    /// not checked, and the next run continues from there [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    #[command(flatten)]
    pub access: AccessOptions,
}

/// What a server asks for before it answers, as typed.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[command(next_help_heading = "HTTP")]
pub struct AccessOptions {
    /// PEM file of certificates to trust in addition to the system's, for a private authority
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// File with a bearer token for the log. Secrets are sent only to the log's origin, and only over
    /// https:// or to this machine; they are never shown or stored
    #[arg(long, value_name = "FILE")]
    pub bearer_file: Option<PathBuf>,
    /// Name of an environment variable with a bearer token
    #[arg(long, value_name = "VAR", conflicts_with = "bearer_file")]
    pub bearer_env: Option<String>,
    /// File with secret headers, one "Name: value" on each line
    #[arg(long, value_name = "FILE")]
    pub header_file: Option<PathBuf>,
    /// Name of an environment variable with a secret header "Name: value"
    #[arg(long, value_name = "VAR")]
    pub header_env: Option<String>,
}

impl From<NetOptions> for GivenNet {
    fn from(options: NetOptions) -> GivenNet {
        let NetOptions { contact, max_rps, timeout, retry_for, deadline, access } = options;
        GivenNet { contact, max_rps, timeout, retry_for, deadline, ..GivenNet::from(access) }
    }
}

impl From<AccessOptions> for GivenNet {
    fn from(options: AccessOptions) -> GivenNet {
        let AccessOptions { ca_file, bearer_file, bearer_env, header_file, header_env } = options;
        GivenNet { ca_file, bearer_file, bearer_env, header_file, header_env, ..GivenNet::default() }
    }
}
