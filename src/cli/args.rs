//! The arguments, as typed.

use super::audit_args::{AuditOptions, NetOptions};
use super::gate::args::GateOptions;
use super::monitor_args::{ConfigCommand, MonitorOptions};
use super::plain;
use crate::config::{Colour, DecisionOption, Expected, GivenFormat};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Independent auditor for approval transparency logs.
///
/// Exit codes: 0 clean; 1 a check failed; 2 wrong usage; 3 could not be decided; 4 the log key
/// signed contradictory statements; 5 a fault on this side, the log is not accused.
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
    Cli::from_arg_matches(&command().try_get_matches()?)
}

/// Options of every command.
#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct Common {
    /// A TOML file with any of these options under the same names; options win
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which [[log]] of the config is meant, where there are several
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<String>,
    /// How the report is written; for `receipt`, how the receipt is: json (the default) or tlog-proof
    #[arg(long, global = true, value_enum)]
    pub format: Option<GivenFormat>,
    /// No progress, and no text report where the verdict is clean
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Say on stderr what is being done, and list the checks that hold
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colours in the text report; auto: on a terminal, unless NO_COLOR is set [default: auto]
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub color: Option<Colour>,
    /// The log's public key, as a C2SP verifier key "origin+keyid+key". Get it from the log's
    /// operator, never from the log
    #[arg(long, global = true, help_heading = "Trust", value_name = "VKEY")]
    pub log_key: Option<String>,
    /// A witness policy (C2SP tlog-policy): which witnesses must have cosigned the newest checkpoint; the
    /// log key that it lists is pinned where --log-key is not given
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
    /// The nightly job: mirror what is new, rebuild the root, check every head and entry, report
    Audit(AuditOptions),
    /// Check receipts, offline: may the action run? Only where the exit code is 0
    Verify(VerifyOptions),
    /// Write the receipt of an approval, from the mirror or from the log, once it verifies
    Receipt(ReceiptOptions),
    /// Ask a person, verify the answer, and run COMMAND once; the journal of what was asked and used
    Gate(Box<GateOptions>),
    /// The history of signed heads
    #[command(subcommand)]
    Heads(HeadsCommand),
    /// Misbehaviour files
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// The mirror itself
    #[command(subcommand)]
    Mirror(MirrorCommand),
    /// Watch one log or several: the same audit again and again, with metrics and health; --once for cron
    Monitor(MonitorOptions),
    /// Config files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the help of a command, or a page of the guide
    Help {
        /// A command, with those below it, or a topic; without any, both are listed
        #[arg(value_name = "COMMAND|TOPIC")]
        words: Vec<String>,
    },
    /// Print completions of these arguments for a shell
    Completions {
        /// Whose
        shell: Shell,
    },
    /// Print the manual page, or write one for each command, and for each page of the guide, into a directory
    Man {
        /// Where to; files there are replaced
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

#[derive(Args, Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Receipts, verification bundles or .tlog-proof files; directories of them; "-" is stdin, with one
    /// receipt, or with one on each line
    #[arg(required = true, value_name = "RECEIPT")]
    pub receipts: Vec<PathBuf>,
    #[command(flatten)]
    pub expected: ExpectedOptions,
    /// Warnings make the verdict invalid
    #[arg(long)]
    pub deny_warnings: bool,
    /// Where a misbehaviour file goes, if the receipt holds one [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    /// Threads that check many receipts [default: one a core]
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

/// What a receipt must be of.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Expected of the receipt")]
pub struct ExpectedOptions {
    /// Your own payload, the arguments that you are about to use: the approval must be of exactly this.
    /// Never take it from the receipt. "-" is stdin
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// The action text, for logs whose passkeys sign it too
    #[arg(long, value_name = "TEXT")]
    pub action: Option<String>,
    /// The approver's address must be this one
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// The approver must be this one, exactly as the entry has it (repeatable: one of these)
    #[arg(long, value_name = "NAME")]
    pub approver: Vec<String>,
    /// The approval must have this id
    #[arg(long, value_name = "ID")]
    pub expect_id: Option<String>,
    /// The decision may be this old at most, such as 10m
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
    /// What must have been decided [default: approved]
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
    /// Ask the log instead of the mirror: for what is newer, and for reveals
    #[arg(long)]
    pub from_log: bool,
    /// The log, as in `audit`; with --from-log
    #[arg(long, value_name = "URL-or-DIR")]
    pub log: Option<String>,
    /// The URL is the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// The mirror, an SQLite file
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Where the receipt goes [default: stdout]; with --all-of a directory. Files there are replaced
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Where a misbehaviour file goes, if the log gives one away [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    #[command(flatten)]
    pub net: Box<NetOptions>,
}

/// Of what a receipt is wanted.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = false)]
pub struct ReceiptSelector {
    /// The approval's id
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// The entry's place in the log, from 0
    #[arg(long, value_name = "N")]
    pub index: Option<u64>,
    /// Everything that this approver approved, a file each; from the mirror
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
    /// Every signed head ever seen
    List {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
    },
    /// Add heads seen elsewhere, and hold them against all heads kept
    Import {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
        /// Where misbehaviour files go [default: beside the mirror]
        #[arg(long, value_name = "DIR")]
        evidence_dir: Option<PathBuf>,
        /// What `heads export` wrote, STHs as lines of JSON, or one checkpoint; "-" is stdin, and an
        /// http:// or https:// URL is fetched
        #[arg(value_name = "FILE|URL")]
        file: PathBuf,
        #[command(flatten)]
        net: Box<NetOptions>,
    },
    /// Write all heads as lines of JSON, for `heads import` elsewhere
    Export {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
    },
}

/// What to do with a mirror.
#[derive(Subcommand, Clone, Debug)]
pub enum MirrorCommand {
    /// Check every part of the mirror; nothing is asked of the log
    Check {
        /// The mirror, an SQLite file
        #[arg(long, value_name = "FILE")]
        db: Option<PathBuf>,
        /// Make again what follows from its entries, and say what cannot be made again; the damaged file is kept
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
    /// Check a misbehaviour file with the log's key: 0, it proves what it says; 1, it does not
    Verify {
        /// The file; "-" is stdin
        file: PathBuf,
    },
}
