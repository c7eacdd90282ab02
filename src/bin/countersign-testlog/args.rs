//! The arguments as typed.

use super::passkeys::AlgorithmMix;
use super::serve::disturb::Disturbance;
use super::serve::lies::Lie;
use crate::error::TestlogError;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Makes approval logs with software passkeys, for tests, benches and demos.
///
/// A line on stdout is a JSON object: logKey, rpId, allowOrigins, treeSize, and rootHash or (`serve`) url;
/// with --approvals also service, apiKey and approverKeys.
#[derive(Parser, Debug)]
#[command(name = "countersign-testlog", version, max_term_width = 100)]
pub struct TestlogCli {
    #[command(subcommand)]
    pub command: TestlogCommand,
}

#[derive(Subcommand, Debug)]
pub enum TestlogCommand {
    /// Makes an honest log: the same options make the same bytes
    Build(LogOptions),
    /// Extends a log that `build` made with the same options, except for the number of entries
    Grow(LogOptions),
    /// Makes a log of passkey assertions that were captured in a browser
    Demo(DemoOptions),
    /// Serves a log over HTTP, as tiles and as the JSON API; honestly, or with lies that are asked for
    Serve(Box<ServeOptions>),
    /// Lists the lies and disturbances of `serve`, and what the auditor says to each
    Lies(LiesOptions),
}

#[derive(Args, Debug)]
pub struct LogOptions {
    /// Where the log's files go
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// How many entries the log has in the end
    #[arg(long, value_name = "N")]
    pub entries: u64,
    #[command(flatten)]
    pub generator: GeneratorOptions,
}

/// Options for the entries.
#[derive(Args, Debug)]
pub struct GeneratorOptions {
    /// All keys, ids and times come from this text
    #[arg(long, default_value = "countersign")]
    pub seed: String,
    /// The log's origin
    #[arg(long, default_value = "log.approvals.example/test")]
    pub origin: String,
    /// How many people approve; RS256 is for four of them at most
    #[arg(long, default_value_t = 200, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub approvers: u32,
    /// Which algorithms sign, by weight
    #[arg(long, default_value = "es256=85,rs256=8,eddsa=5,es384=2")]
    pub mix: AlgorithmMix,
    /// Publish COSE keys whose kty is its name, as some authenticators write it
    #[arg(long)]
    pub named_kty: bool,
    /// How many of a hundred entries are rejections
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub rejected_percent: u8,
    /// How many of a hundred entries expired
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub expired_percent: u8,
    /// Threads that sign [default: one a core]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
}

#[derive(Args, Debug)]
pub struct DemoOptions {
    /// Where the log's files go
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A JSON file of captured assertions, as in fixtures/captures (repeatable)
    #[arg(long, value_name = "FILE", required = true)]
    pub captures: Vec<PathBuf>,
    /// The log key, ids and times come from this text
    #[arg(long, default_value = "countersign demo")]
    pub seed: String,
    /// The log's origin
    #[arg(long, default_value = "log.approvals.example/demo")]
    pub origin: String,
    /// When the first approval was asked for, in Unix milliseconds
    #[arg(long, default_value_t = 1_782_000_000_000, value_name = "MS")]
    pub start: u64,
}

#[derive(Args, Debug)]
pub struct ServeOptions {
    /// A tiled log to serve; its own heads are served as they are
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How many entries are made in memory, where there is no --dir
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "dir")]
    pub entries: u64,
    #[command(flatten)]
    pub generator: GeneratorOptions,
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many entries a second are appended; a head is signed at each tick of 100 ms or more
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub grow: Option<f64>,
    /// Most entries in one answer of the JSON API
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub page: u64,
    /// A lie, see `countersign-testlog lies` (repeatable: they combine)
    #[arg(long = "lie", value_name = "NAME[:ARG]", value_parser = Lie::parse)]
    pub lies: Vec<Lie>,
    /// Faults around an honest log, see `countersign-testlog lies` (repeatable)
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
    if rate > 0.0 && rate <= 10_000.0 { Ok(rate) } else { Err("above 0 and at most 10000".into()) }
}

#[derive(Args, Debug)]
pub struct LiesOptions {
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
