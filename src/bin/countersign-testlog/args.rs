//! The arguments as typed.

use super::passkeys::AlgorithmMix;
use super::serve::disturb::Disturbance;
use super::serve::lies::Lie;
use crate::error::TestlogError;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Make approval logs with software passkeys, for tests, benches and demos.
///
/// Prints a JSON object on one line: logKey, rpId, allowOrigins, treeSize, and rootHash or (`serve`) url;
/// with --approvals also service, apiKey and approverKeys.
#[derive(Parser, Debug)]
#[command(name = "countersign-testlog", version, max_term_width = 100)]
pub struct TestlogCli {
    #[command(subcommand)]
    pub command: TestlogCommand,
}

#[derive(Subcommand, Debug)]
pub enum TestlogCommand {
    /// Make an honest log; the same options give the same bytes
    Build(LogOptions),
    /// Extend a log that `build` made with the same options, except for the number of entries
    Grow(LogOptions),
    /// Make a log of passkey assertions that were captured in a browser
    Demo(DemoOptions),
    /// Serve a log over HTTP, as tiles and as a JSON API, honestly or with the given lies
    Serve(Box<ServeOptions>),
    /// List the lies and disturbances of `serve`, and what the auditor reports for each
    Lies(LiesOptions),
}

#[derive(Args, Debug)]
pub struct LogOptions {
    /// Directory for the log's files
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Number of entries of the finished log
    #[arg(long, value_name = "N")]
    pub entries: u64,
    #[command(flatten)]
    pub generator: GeneratorOptions,
}

/// Options for the entries.
#[derive(Args, Debug)]
pub struct GeneratorOptions {
    /// Text from which all keys, ids and times are derived
    #[arg(long, default_value = "countersign")]
    pub seed: String,
    /// The log's origin
    #[arg(long, default_value = "log.approvals.example/test")]
    pub origin: String,
    /// Number of approvers; at most four of them use RS256
    #[arg(long, default_value_t = 200, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub approvers: u32,
    /// Signature algorithms with their weights
    #[arg(long, default_value = "es256=85,rs256=8,eddsa=5,es384=2")]
    pub mix: AlgorithmMix,
    /// Publish COSE keys with kty as text instead of a number, as some authenticators do
    #[arg(long)]
    pub named_kty: bool,
    /// Percentage of entries that are rejected
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub rejected_percent: u8,
    /// Percentage of entries that expired
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub expired_percent: u8,
    /// Number of threads that sign [default: one per core]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
}

#[derive(Args, Debug)]
pub struct DemoOptions {
    /// Directory for the log's files
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A JSON file of captured assertions, as in fixtures/captures (repeatable)
    #[arg(long, value_name = "FILE", required = true)]
    pub captures: Vec<PathBuf>,
    /// Text from which the log key, ids and times are derived
    #[arg(long, default_value = "countersign demo")]
    pub seed: String,
    /// The log's origin
    #[arg(long, default_value = "log.approvals.example/demo")]
    pub origin: String,
    /// Time of the first approval request, in Unix milliseconds
    #[arg(long, default_value_t = 1_782_000_000_000, value_name = "MS")]
    pub start: u64,
}

#[derive(Args, Debug)]
pub struct ServeOptions {
    /// Tiled log to serve; its own heads are served unchanged
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Number of entries to make in memory, without --dir
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "dir")]
    pub entries: u64,
    #[command(flatten)]
    pub generator: GeneratorOptions,
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Number of entries to append per second; a head is signed at each tick of 100 ms or more
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub grow: Option<f64>,
    /// Maximum number of entries in one answer of the JSON API
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub page: u64,
    /// Tell a lie, see `countersign-testlog lies` (repeatable: they combine)
    #[arg(long = "lie", value_name = "NAME[:ARG]", value_parser = Lie::parse)]
    pub lies: Vec<Lie>,
    /// Disturb an honest log, see `countersign-testlog lies` (repeatable)
    #[arg(long = "disturb", value_name = "NAME[:ARG]", value_parser = Disturbance::parse)]
    pub disturbances: Vec<Disturbance>,
    /// Serve over TLS with this certificate chain
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Compress bodies above 1 KiB for clients that accept zstd or gzip
    #[arg(long)]
    pub compress: bool,
    #[command(flatten)]
    pub approvals: ApprovalOptions,
}

/// Options for the approval service.
#[derive(Args, Debug)]
pub struct ApprovalOptions {
    /// Serve the approval service too, whose decisions enter the log at once. Its passkeys are of the site
    /// http://localhost:PORT. The log is in memory: a restart begins another one
    #[arg(long, conflicts_with = "dir")]
    pub approvals: bool,
    /// A file with the API key [default: a published one, which is printed]
    #[arg(long, value_name = "FILE", requires = "approvals")]
    pub api_key_file: Option<PathBuf>,
    /// Passkeys sign the action text together with the payload
    #[arg(long, requires = "approvals")]
    pub sign_action: bool,
    /// How long somebody may take to decide
    #[arg(long, value_name = "DURATION", default_value = "300s", value_parser = humantime::parse_duration, requires = "approvals")]
    pub expires: Duration,
    /// Decide without a person, with software passkeys: for tests
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Decider::Never, requires = "approvals")]
    pub decide: Decider,
    /// How long --decide waits
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = humantime::parse_duration, requires = "approvals")]
    pub decide_after: Duration,
}

/// What is decided without a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Decider {
    /// Everything is approved
    Approve,
    /// Everything is rejected
    Reject,
    /// Nothing: a person decides on the page
    Never,
}

fn rate(text: &str) -> Result<f64, TestlogError> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= 10_000.0 { Ok(rate) } else { Err("must be above 0 and at most 10000".into()) }
}

#[derive(Args, Debug)]
pub struct LiesOptions {
    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// How a list is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ListFormat {
    Text,
    Json,
    Markdown,
}
