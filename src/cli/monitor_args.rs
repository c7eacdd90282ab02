//! The arguments of `monitor` and `config`, as typed.

use super::audit_args::AuditOptions;
use crate::config::LogFormat;
use clap::{Args, Subcommand};

#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct MonitorOptions {
    #[command(subcommand)]
    pub command: Option<MonitorCommand>,
    /// Audit every log once, print the reports, and exit with the worst exit code
    #[arg(long)]
    pub once: bool,
    /// Serve /metrics, /healthz and /heads on this address; a port alone listens on this machine only
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub listen: Option<String>,
    /// Time between two audits of a log, plus or minus 10% [default: 5m]
    #[arg(long, value_name = "DURATION", conflicts_with = "once")]
    pub interval: Option<String>,
    /// Format of the events on stderr [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    #[command(flatten)]
    pub audit: AuditOptions,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MonitorCommand {
    /// Send a test alert over every channel of the config, and print each result. Exit code 0: all
    /// delivered; 3: not all; 2: the config is wrong
    TestAlert,
}

#[derive(Subcommand, Clone, Debug)]
pub enum ConfigCommand {
    /// Check a config and the files that it names, and print what would be checked and what not. Exit
    /// code 0: it can be used; 2: it cannot
    Check,
}
