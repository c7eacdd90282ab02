//! The arguments, as typed.

use super::ring::Mix;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Makes approval logs with software passkeys, for tests, benches and demos.
///
/// The last line on stdout is a JSON object: logKey, rpId, allowOrigins, treeSize, rootHash.
#[derive(Parser, Debug)]
#[command(name = "countersign-testlog", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Makes an honest log: the same options make the same bytes
    Build(LogOptions),
    /// Extends a log that `build` made with the same options, except for the number of entries
    Grow(LogOptions),
    /// Makes a log of passkey assertions that were captured in a browser
    Demo(DemoOptions),
}

#[derive(Args, Debug)]
pub struct LogOptions {
    /// Where the log's files go
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// How many entries the log has in the end
    #[arg(long, value_name = "N")]
    pub entries: u64,
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
    pub mix: Mix,
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
