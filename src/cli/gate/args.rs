//! The arguments of `gate`, as typed.

use crate::cli::audit_args::AccessOptions;
use crate::config::GivenGate;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Clone, Debug, Default)]
#[command(subcommand_value_name = "SUBCOMMAND")]
pub struct GateOptions {
    #[command(subcommand)]
    pub command: Option<GateCommand>,
    /// What to run, once, if the person approves: a program with its arguments, after "--". It is started without a shell,
    /// and gets the approved arguments on stdin as canonical JSON, the name of a file with the receipt in
    /// COUNTERSIGN_RECEIPT, and COUNTERSIGN_NONCE. The exit code is COMMAND's, or one of the gate's own: 125 if it refused,
    /// 126 if COMMAND cannot be run, 127 if it was not found. Without COMMAND the approval is printed as JSON
    #[arg(last = true, value_name = "COMMAND")]
    pub run: Vec<OsString>,
    #[command(flatten)]
    pub ask: Box<AskOptions>,
}

/// What is asked, and where.
#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct AskOptions {
    /// The approval service: an https:// URL, or http:// on this machine
    #[arg(long, value_name = "URL")]
    pub service: Option<String>,
    /// The JSON API of the log, as api+https://host/public/log. An approval counts once the log has it
    #[arg(long, value_name = "URL")]
    pub log: Option<String>,
    /// Treat the URL of --log as the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// Who is asked
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// What they are asked to approve, in words
    #[arg(long, value_name = "TEXT")]
    pub action: Option<String>,
    /// The arguments, as JSON: exactly these are approved and used. "-" is stdin
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// How long to wait for the person [default: 300s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How long to wait for the log to have the approval [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub log_wait: Option<String>,
    /// The idempotency key: a run with the same key goes on with the same question, and never asks twice
    /// [default: a new one each time]
    #[arg(long, value_name = "IDEMPOTENCY-KEY")]
    pub key: Option<String>,
    /// Ask again although an earlier run with this --key may have asked already. Look at the service first: if it has the
    /// question, the person would get it twice
    #[arg(long, requires = "key")]
    pub ask_again: bool,
    /// The journal, an SQLite file [default: countersign/gate.db in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Create the journal. Without it a missing journal is a fault: a fresh one does not know what was used
    #[arg(long)]
    pub init: bool,
    /// A file with the API key of the service. It is sent to the service only, and never shown or stored
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// The name of an environment variable with the API key; COMMAND does not get it [default: COSIGNET_API_KEY]
    #[arg(long, value_name = "VAR", conflicts_with = "api_key_file")]
    pub api_key_env: Option<String>,
    /// Refuse an approval unless its passkey is pinned for the person, under [approvers] in the config
    #[arg(long)]
    pub require_pinned_key: bool,
    /// Refuse an approval in which the passkey did not sign the action text
    #[arg(long)]
    pub require_signed_action: bool,
    /// Directory for a misbehaviour file, which proves that the log signed two histories [default: beside the journal]
    #[arg(long, value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,
    #[command(flatten)]
    pub access: AccessOptions,
}

impl AskOptions {
    /// Whether anything is to be asked, rather than a journal to be made.
    pub fn asks(&self) -> bool {
        self.username.is_some() || self.action.is_some() || self.payload.is_some() || self.key.is_some()
    }

    /// The values that the config can have as well.
    pub fn given(&self) -> GivenGate {
        let options = self.clone();
        GivenGate {
            service: options.service,
            username: options.username,
            action: options.action,
            payload: options.payload,
            timeout: options.timeout,
            log_wait: options.log_wait,
            journal: options.journal,
            api_key_file: options.api_key_file,
            api_key_env: options.api_key_env,
            require_pinned_key: options.require_pinned_key,
            require_signed_action: options.require_signed_action,
        }
    }
}

#[derive(Subcommand, Clone, Debug)]
pub enum GateCommand {
    /// List all questions, and what came of each
    List(JournalOption),
    /// Show all that the journal has about one question
    Show {
        /// The idempotency key
        #[arg(value_name = "IDEMPOTENCY-KEY")]
        key: String,
        #[command(flatten)]
        journal: JournalOption,
    },
    /// Write all of the journal as lines of JSON, with the receipts
    Export(JournalOption),
    /// Record how an action ended that was approved without COMMAND, and ran elsewhere
    Done {
        /// The idempotency key
        #[arg(value_name = "IDEMPOTENCY-KEY")]
        key: String,
        #[command(flatten)]
        ending: EndingOptions,
        #[command(flatten)]
        journal: JournalOption,
    },
    /// Accept the passkey because of which a person's last approval was refused. First ask them, in another way than
    /// through the approval service, whether it is theirs
    Trust {
        /// The person's name at the approval service
        #[arg(value_name = "USERNAME")]
        username: String,
        #[command(flatten)]
        journal: JournalOption,
    },
}

impl GateCommand {
    /// The journal that it names.
    pub fn journal(&self) -> Option<PathBuf> {
        match self {
            GateCommand::List(option) | GateCommand::Export(option) => option.journal.clone(),
            GateCommand::Show { journal, .. }
            | GateCommand::Done { journal, .. }
            | GateCommand::Trust { journal, .. } => journal.journal.clone(),
        }
    }
}

#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct JournalOption {
    /// The journal, an SQLite file [default: countersign/gate.db in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

/// How an action ended.
#[derive(Args, Clone, PartialEq, Debug, Default)]
#[group(required = true, multiple = false)]
pub struct EndingOptions {
    /// It did what it should
    #[arg(long)]
    pub ok: bool,
    /// It failed, and how
    #[arg(long, value_name = "TEXT")]
    pub failed: Option<String>,
}
