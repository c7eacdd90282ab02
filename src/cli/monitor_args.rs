//! The arguments of `monitor` and `config`, as typed.

use super::audit_args::AuditOptions;
use crate::config::LogFormat;
use clap::{Args, Subcommand};

#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct MonitorOptions {
    #[command(subcommand)]
    pub command: Option<MonitorCommand>,
    /// Audit every log once, print the reports, and end with the worst exit code
    #[arg(long)]
    pub once: bool,
    /// Serve /metrics, /healthz and /heads here; a port alone is on this machine only
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub listen: Option<String>,
    /// Time between two audits of a log, give or take a tenth [default: 5m]
    #[arg(long, value_name = "DURATION", conflicts_with = "once")]
    pub interval: Option<String>,
    /// How what happens is written to stderr
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    #[command(flatten)]
    pub audit: AuditOptions,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MonitorCommand {
    /// Send a test alert over every channel of the config, and say how each went: 0, all delivered; 3, not
    /// all; 2, the config is wrong
    TestAlert,
}

#[derive(Subcommand, Clone, Debug)]
pub enum ConfigCommand {
    /// Read a config with all that it names, and say what would be checked and what not: 0, it can be used;
    /// 2, it cannot
    Check,
}
