//! The arguments, as typed.

use super::audit_args::{AuditOptions, NetOptions};
use super::gate::args::GateOptions;
use super::monitor_args::{ConfigCommand, MonitorOptions};
use super::plain;
use crate::config::{Colour, DecisionOption, Expected, GivenFormat};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Independent auditor for approval transparency logs.
///
/// Exit codes: 0 clean; 1 a check failed; 2 wrong usage; 3 could not be decided; 4 the log key
/// signed contradictory statements; 5 a local fault, which says nothing about the log.
#[derive(Parser, Debug)]
#[command(name = "countersign", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// The program with its commands. Its help lists the pages of the guide below them.
pub fn command() -> clap::Command {
    Cli::command().after_help(plain::topics())
}

/// Parses the arguments of this process.
///
/// # Errors
/// Returns the error of clap if the arguments are wrong, or if they ask for help or the version.
pub fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches().map_err(tell_separator)?)
}

/// Tells whoever typed a command behind the options of `gate` that `--` stands before it.
fn tell_separator(mut error: clap::Error) -> clap::Error {
    let is_of_gate = std::env::args_os().any(|word| word == "gate");
    let is_word = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(word)) if !word.starts_with('-'));
    if error.kind() == ErrorKind::UnknownArgument && is_of_gate && is_word {
        let tip = "\"--\" stands before the command that is to run: countersign gate [OPTIONS] -- COMMAND";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.to_owned().into()]));
    }
    error
}

/// Options of every command.
#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct Common {
    /// Read options from a TOML file, under the same names; the command line takes precedence
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Select one [[log]] of a config that has several
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<String>,
    /// Output format of the report [default: text]; for `receipt`, of the receipt: json (the default) or
    /// tlog-proof
    #[arg(long, global = true, value_enum)]
    pub format: Option<GivenFormat>,
    /// Show no progress, and no text report if the verdict is clean
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Report progress on stderr, and list the checks that passed
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colours in the text report; auto: on a terminal, unless NO_COLOR is set [default: auto]
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub color: Option<Colour>,
    /// The log's public key, as a C2SP verifier key "origin+keyid+key". Get it from the log's
    /// operator, never from the log
    #[arg(long, global = true, help_heading = "Trust", value_name = "VKEY")]
    pub log_key: Option<String>,
    /// A witness policy (C2SP tlog-policy): which witnesses must have cosigned the newest checkpoint. The
    /// log key that it lists is pinned if --log-key is not given
    #[arg(long, global = true, help_heading = "Trust", value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The WebAuthn relying party id that approvals must be made for
    #[arg(long, global = true, help_heading = "Trust", value_name = "ID")]
    pub rp_id: Option<String>,
    /// A web origin that approvals may be signed on, such as https://approvals.example (repeatable)
    #[arg(long, global = true, help_heading = "Trust", value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Accept approvals signed inside a frame of another origin
    #[arg(long, global = true, help_heading = "Trust")]
    pub allow_cross_origin: bool,
    /// A top-level origin that may frame the approval page (repeatable; with --allow-cross-origin)
    #[arg(long, global = true, help_heading = "Trust", value_name = "ORIGIN")]
    pub allow_top_origin: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Audit a log: mirror new entries, rebuild the root, check every head and entry, and report
    Audit(AuditOptions),
    /// Check receipts offline; the action may run only if the exit code is 0
    Verify(VerifyOptions),
    /// Verify the receipt of an approval, from the mirror or from the log, and write it
    Receipt(ReceiptOptions),
    /// Ask a person, verify the answer, and run a command once, with exactly what they approved
    Gate(Box<GateOptions>),
    /// List, import and export signed heads
    #[command(subcommand)]
    Heads(HeadsCommand),
    /// Check misbehaviour files
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Check and rebuild the mirror
    #[command(subcommand)]
    Mirror(MirrorCommand),
    /// Audit one or more logs repeatedly, with metrics and health checks; --once for cron
    Monitor(MonitorOptions),
    /// Check config files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the help of a command, or a page of the guide
    Help {
        /// A command with its subcommands, or a topic; without it, all are listed
        #[arg(value_name = "COMMAND|TOPIC")]
        words: Vec<String>,
    },
    /// Print shell completions
    Completions {
        /// The shell to print completions for
        shell: Shell,
    },
    /// Print the manual page, or write the manual pages of all commands and topics to a directory
    Man {
        /// Directory for the manual pages; existing files are replaced
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

#[derive(Args, Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Receipts, verification bundles or .tlog-proof files, or directories of them; "-" reads stdin, which
    /// has one receipt, or one on each line
    #[arg(required = true, value_name = "RECEIPT")]
    pub receipts: Vec<PathBuf>,
    #[command(flatten)]
    pub expected: ExpectedOptions,
    /// Make the verdict invalid if there are warnings
    #[arg(long)]
    pub deny_warnings: bool,
    /// Directory for a misbehaviour file, if the receipt proves misbehaviour [default: the current
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    /// Number of threads that check receipts [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
}

impl VerifyOptions {
    /// The options that it shares with `audit`.
    pub fn shared(&self) -> AuditOptions {
        AuditOptions {
            deny_warnings: self.deny_warnings,
            evidence_dir: self.evidence_dir.clone(),
            workers: self.workers,
            ..AuditOptions::default()
        }
    }
}

/// What a receipt is expected to be for.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Expected values")]
pub struct ExpectedOptions {
    /// File with the payload that you are about to use: exactly this must have been approved. Never take
    /// it from the receipt. "-" reads stdin
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// Require this action text, for logs whose passkeys sign it too
    #[arg(long, value_name = "TEXT")]
    pub action: Option<String>,
    /// Require this email address of the approver
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Require this approver, written exactly as in the entry (repeatable: any one of these)
    #[arg(long, value_name = "NAME")]
    pub approver: Vec<String>,
    /// Require this approval id
    #[arg(long, value_name = "ID")]
    pub expect_id: Option<String>,
    /// Require a decision that is at most this old, such as 10m
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
    /// Require this decision [default: approved]
    #[arg(long, value_enum)]
    pub decision: Option<DecisionOption>,
}

impl From<ExpectedOptions> for Expected {
    fn from(options: ExpectedOptions) -> Expected {
        let ExpectedOptions { payload, action, email, approver, expect_id, max_age, decision } = options;
        Expected { payload, action, email, approver, expect_id, max_age, decision }
    }
}

#[derive(Args, Clone, Debug, Default)]
pub struct ReceiptOptions {
    #[command(flatten)]
    pub which: ReceiptSelector,
    /// Ask the log instead of the mirror, for newer entries and for reveals
    #[arg(long)]
    pub from_log: bool,
    /// The log, as in `audit`; used with --from-log
    #[arg(long, value_name = "URL-or-DIR")]
    pub log: Option<String>,
    /// Treat the URL as the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// The mirror, an SQLite file
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// File for the receipt [default: stdout], or with --all-of a directory. Existing files are replaced
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Directory for a misbehaviour file, if the log's heads prove misbehaviour [default: the current
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    #[command(flatten)]
    pub net: Box<NetOptions>,
}

/// Selects the entries to write receipts for.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = false)]
pub struct ReceiptSelector {
    /// Id of the approval
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Index of the entry in the log, from 0
    #[arg(long, value_name = "N")]
    pub index: Option<u64>,
    /// Write a receipt for everything that this approver approved, one file each, from the mirror
    #[arg(long, value_name = "APPROVER")]
    pub all_of: Option<String>,
}

impl ReceiptOptions {
    /// The options that it shares with `audit`.
    pub fn shared(&self) -> AuditOptions {
        AuditOptions {
            log: self.log.clone(),
            api: self.api,
            db: self.db.clone(),
            evidence_dir: self.evidence_dir.clone(),
            net: self.net.clone(),
            ..AuditOptions::default()
        }
    }
}

#[derive(Subcommand, Clone, Debug)]
pub enum HeadsCommand {
    /// List every signed head ever seen
    List {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
    },
    /// Import heads seen elsewhere, and compare them with all stored heads
    Import {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
        /// Directory for misbehaviour files [default: beside the mirror]
        #[arg(long, value_name = "DIR")]
        evidence_dir: Option<PathBuf>,
        /// Output of `heads export`, STHs as lines of JSON, or one checkpoint; "-" reads stdin, and an
        /// http:// or https:// URL is fetched
        #[arg(value_name = "FILE|URL")]
        file: PathBuf,
        #[command(flatten)]
        net: Box<NetOptions>,
    },
    /// Print all heads as lines of JSON, for `heads import` elsewhere
    Export {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
    },
}

/// The commands for a mirror.
#[derive(Subcommand, Clone, Debug)]
pub enum MirrorCommand {
    /// Check every part of the mirror, without contacting the log
    Check {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
        /// Rebuild everything that can be derived from its entries, and report what is lost; the damaged
        /// file is kept
        #[arg(long)]
        rebuild: bool,
    },
}

impl HeadsCommand {
    /// The options that it shares with `audit`.
    pub fn options(&self) -> AuditOptions {
        match self.clone() {
            HeadsCommand::List { db } | HeadsCommand::Export { db } => {
                AuditOptions { db, ..AuditOptions::default() }
            }
            HeadsCommand::Import { db, evidence_dir, net, .. } => {
                AuditOptions { db, evidence_dir, net, ..AuditOptions::default() }
            }
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum EvidenceCommand {
    /// Check a misbehaviour file with the log's key. Exit code 0: it proves what it says; 1: it does not
    Verify {
        /// The misbehaviour file; "-" reads stdin
        file: PathBuf,
    },
}
