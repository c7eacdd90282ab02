//! The command line: one file a command, the options and the config, and nothing that decides.
//!
//! Every option has a key of the same name in the config file, and options win. The report goes to
//! stdout; progress and errors go to stderr.
//!
//! A config becomes settings in `config_file`, `config` and the `…_tables`, one of several logs in `watched`; `telling`
//! and `channels` connect the monitor's audits with alerts.

mod alert_tables;
mod alerts;
mod args;
mod audit;
mod channels;
mod config;
mod config_check;
mod config_file;
mod evidence;
mod generate;
mod heads;
mod mirror;
mod monitor;
mod monitor_args;
mod net;
mod output;
mod peer_tables;
mod progress;
mod receipt;
mod receipts;
mod telling;
mod toml_error;
mod verify;
mod watch_tables;
mod watched;
mod zones;

use args::{Cli, Command, EvidenceCommand, MirrorCommand};
use clap::Parser as _;
use monitor_args::ConfigCommand;
use std::process::ExitCode;

/// Wrong usage or configuration: nothing was checked.
const USAGE: u8 = 2;

/// A fault on this side.
const LOCAL_FAULT: u8 = 5;

/// Runs the command that the arguments name and gives its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // It repeats what was typed, and in a gate somebody else may have chosen that.
            output::error_text(&error.to_string());
            return ExitCode::from(USAGE);
        }
        Err(help) => help.exit(),
    };
    // A panic is a bug of ours. It must not look like a verdict, nor like a pass to a caller that
    // knows the exit codes of the contract only.
    std::panic::catch_unwind(|| dispatch(cli)).unwrap_or_else(|_| {
        output::error(
            "this is a bug in countersign, and says nothing about the log; please report what stands above",
        );
        ExitCode::from(LOCAL_FAULT)
    })
}

fn dispatch(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Audit(options) => {
            config::resolve(cli.common, options).and_then(|settings| audit::run(&settings))
        }
        Command::Heads(command) => config::resolve(cli.common, command.options())
            .and_then(|settings| heads::run(&settings, &command)),
        Command::Verify(options) => {
            config::resolve(cli.common, options.shared()).and_then(|settings| verify::run(&settings, options))
        }
        Command::Receipt(options) => receipt::run(cli.common, &options),
        Command::Evidence(EvidenceCommand::Verify { file }) => {
            config::resolve(cli.common, args::AuditOptions::default())
                .and_then(|settings| evidence::verify(&settings, &file))
        }
        Command::Mirror(MirrorCommand::Check { db, rebuild }) => {
            let options = args::AuditOptions { db, ..args::AuditOptions::default() };
            config::resolve(cli.common, options).and_then(|settings| mirror::check(&settings, rebuild))
        }
        Command::Monitor(options) => monitor::run(&cli.common, &options),
        Command::Config(ConfigCommand::Check) => config_check::run(&cli.common),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { directory } => generate::man(directory.as_deref()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            output::error(&message);
            ExitCode::from(USAGE)
        }
    }
}
