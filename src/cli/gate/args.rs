//! The arguments of `gate`, as typed.

use crate::cli::audit_args::AccessOptions;
use crate::config::GivenGate;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Clone, Debug, Default)]
#[command(subcommand_value_name = "SUBCOMMAND", subcommand_help_heading = "Subcommands")]
pub struct GateOptions {
    #[command(subcommand)]
    pub command: Option<GateCommand>,
    #[command(flatten)]
    pub ask: Box<AskOptions>,
    /// What runs, once, if it is approved: a program with its arguments, without a shell. It gets the canonical payload on
    /// stdin, and COUNTERSIGN_RECEIPT (a file) and COUNTERSIGN_NONCE. Its exit code is passed on; 125 is a refusal, 126 it
    /// cannot be run, 127 it is not there. Without COMMAND the approval is printed as JSON
    #[arg(last = true, value_name = "COMMAND")]
    pub run: Vec<OsString>,
}

/// What is asked, and where.
#[derive(Args, Clone, PartialEq, Debug, Default)]
pub struct AskOptions {
    /// The approval service: an https:// URL, or http:// on this machine
    #[arg(long, value_name = "URL")]
    pub service: Option<String>,
    /// The JSON API of the log, as api+https://host/public/log: an approval is believed once it is there
    #[arg(long, value_name = "URL")]
    pub log: Option<String>,
    /// The URL is the base of a JSON API, as if it began with api+
    #[arg(long)]
    pub api: bool,
    /// Who is asked
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// What they are told that it does
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
    /// The idempotency key: a run with the same key goes on with the same confirmation, and never asks twice
    /// [default: a new one each time]
    #[arg(long, value_name = "IDEMPOTENCY-KEY")]
    pub key: Option<String>,
    /// Ask again where the outcome of an earlier request under this key is unknown. Look at the service first
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
    /// Refuse an approval by a passkey that is not pinned for the person, under [approvers] in the config
    #[arg(long)]
    pub require_pinned_key: bool,
    /// Refuse an approval in which the passkey did not sign the action text
    #[arg(long)]
    pub require_signed_action: bool,
    /// Where a misbehaviour file goes, if the log gives one away [default: beside the journal]
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
    /// What was asked, and what came of it
    List(JournalOption),
    /// All that the journal has about one key
    Show {
        /// The idempotency key
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        journal: JournalOption,
    },
    /// Write all of the journal as lines of JSON, with the receipts
    Export(JournalOption),
    /// Record how an action ended that ran elsewhere
    Done {
        /// The idempotency key
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        ending: EndingOptions,
        #[command(flatten)]
        journal: JournalOption,
    },
    /// Accept the passkey of a person that was refused last, as theirs. Ask them in another way before
    Trust {
        /// Whose
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
