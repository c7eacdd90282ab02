//! The command line: one file a command, the options and the config, and nothing that decides.
//!
//! Every option has a key of the same name in the config file, and options win. The report goes to
//! stdout; progress and errors go to stderr.
//!
//! A config becomes settings in `config_file`, `config` and the `…_tables`, one of several logs in `watched`; `notifications`
//! and `channels` connect the monitor's audits with alerts. The pages of the guide are read by `markdown`, and shown by
//! `plain` (`guide`) and `roff` (`generate`).

mod alert_tables;
mod alerts;
mod args;
mod audit;
mod channels;
mod config;
mod config_check;
mod config_file;
mod evidence;
mod failure;
mod file_name;
mod generate;
mod guide;
mod heads;
mod markdown;
mod mirror;
mod monitor;
mod monitor_args;
mod net;
mod notifications;
mod output;
mod peer_tables;
mod plain;
mod progress;
mod receipt;
mod receipts;
mod roff;
mod style;
mod toml_error;
mod verify;
mod watch_tables;
mod watched;
mod zones;

use crate::monitor::outlive_file_size_limit;
use args::{Cli, Command, EvidenceCommand, MirrorCommand};
use failure::Failure;
use monitor_args::ConfigCommand;
use output::Answer;
use std::process::ExitCode;

/// Runs the command that the arguments name and gives its exit code. `release_memory` returns to the system what the
/// allocator holds free; `None` where the C library cannot.
pub fn main(release_memory: Option<fn()>) -> ExitCode {
    // Before anything is written. What help needs is there in any case.
    let started = outlive_file_size_limit().map_err(|error| Failure::Local(format!("cannot start: {error}")));
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // It repeats what was typed, and in a gate somebody else may have chosen that.
            output::error_text(&error.to_string());
            return ExitCode::from(Failure::Usage(String::new()).exit_code());
        }
        Err(help) => {
            let mut answer = Answer::default();
            answer.print_help(&help.render());
            return answer.finish(Ok(0));
        }
    };
    std::panic::catch_unwind(move || {
        let mut answer = Answer::default();
        let result = started.and_then(|()| dispatch(cli, &mut answer, release_memory));
        answer.finish(result)
    })
    .unwrap_or_else(|_| output::bug())
}

fn dispatch(cli: Cli, answer: &mut Answer, release_memory: Option<fn()>) -> Result<u8, Failure> {
    let Cli { common, command } = cli;
    match command {
        Command::Audit(options) => audit::run(&config::resolve(common, options)?, answer),
        Command::Heads(command) => {
            let settings = config::resolve(common, command.options())?;
            heads::run(&settings, &command, answer)
        }
        Command::Verify(options) => {
            let settings = config::resolve(common, options.shared())?;
            verify::run(&settings, options, answer)
        }
        Command::Receipt(options) => receipt::run(common, &options, answer),
        Command::Evidence(EvidenceCommand::Verify { file }) => {
            let settings = config::resolve(common, args::AuditOptions::default())?;
            evidence::verify(&settings, &file, answer)
        }
        Command::Mirror(MirrorCommand::Check { db, rebuild }) => {
            let options = args::AuditOptions { db, ..args::AuditOptions::default() };
            mirror::check(&config::resolve(common, options)?, rebuild, answer)
        }
        Command::Monitor(options) => monitor::run(&common, &options, answer, release_memory),
        Command::Config(ConfigCommand::Check) => config_check::run(&common, answer),
        Command::Help { words } => guide::help(&words, answer),
        Command::Completions { shell } => Ok(generate::completions(shell, answer)),
        Command::Man { directory } => generate::man(directory.as_deref(), answer),
    }
}
