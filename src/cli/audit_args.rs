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
    /// The URL is the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// The mirror, an SQLite file
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Create the mirror. Without it a missing mirror is a fault, never a fresh start
    #[arg(long)]
    pub init: bool,
    /// Where misbehaviour files go [default: beside the mirror]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    /// Threads that fetch and check [default: one a core, eight for a log over HTTP]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Check all entries again from the mirror, and the mirror itself
    #[arg(long)]
    pub full: bool,
    /// Follow the signed heads alone, to see split views: no entry is fetched, mirrored or checked
    #[arg(long)]
    pub heads_only: bool,
    /// Warn where the newest head is older than this, such as 36h
    #[arg(long, value_name = "DURATION")]
    pub max_head_age: Option<String>,
    /// Warnings make the verdict invalid
    #[arg(long)]
    pub deny_warnings: bool,
    /// Refuse to mirror a log of more entries than this [default: 100000000]
    #[arg(long, value_name = "N")]
    pub max_entries: Option<u64>,
    /// Stop when more findings than this stand [default: 50000]
    #[arg(long, value_name = "N")]
    pub max_findings: Option<u64>,
    #[command(flatten)]
    pub net: Box<NetOptions>,
}

/// How things are fetched, as typed.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[command(next_help_heading = "HTTP")]
pub struct NetOptions {
    /// An address or URL for the log's operator to reach you, sent with requests
    #[arg(long, value_name = "CONTACT")]
    pub contact: Option<String>,
    /// At most so many requests a second, evenly spaced, over all threads; retries and redirects
    /// count. Operators of public logs may ask for that [default: no bound]
    #[arg(long, value_name = "N")]
    pub max_rps: Option<f64>,
    /// The most time for one request with its redirects and its whole body [default: 60s, in which the
    /// largest bundle, 16 MiB, needs 280 KB/s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How long to go on asking for one thing that is not served, waits included [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub retry_for: Option<String>,
    /// Ask nothing more once the run has taken so long, as where a job must end before the next one
    /// starts. What was fetched is kept, the rest is not checked, and the next run goes on
    /// [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    #[command(flatten)]
    pub access: AccessOptions,
}

/// What a server asks for before it answers, as typed.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[command(next_help_heading = "HTTP")]
pub struct AccessOptions {
    /// A PEM file of certificates to trust beside the system's, for a private authority
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token for the log. A secret is sent to the log's origin only, over
    /// https:// or to this machine only, and is never shown or stored
    #[arg(long, value_name = "FILE")]
    pub bearer_file: Option<PathBuf>,
    /// The name of an environment variable with a bearer token
    #[arg(long, value_name = "VAR", conflicts_with = "bearer_file")]
    pub bearer_env: Option<String>,
    /// A file with secret headers, each a line "Name: value"
    #[arg(long, value_name = "FILE")]
    pub header_file: Option<PathBuf>,
    /// The name of an environment variable with a secret header "Name: value"
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
