//! The command line, with one file for each command. It makes no decision about a log.
//!
//! A command parses its arguments, calls a service, prints the result and returns an exit code. Every option has a key
//! of the same name in the config file, and options take precedence. The report goes to stdout; progress and errors go
//! to stderr.
//!
//! The files `…args`, `gate/args` and `values` define the arguments, and `settings` turns them into settings. `markdown` parses the
//! pages of the guide; `plain` renders them for `guide`, and `roff` for `generate`.

mod alerts;
mod args;
mod audit;
mod audit_args;
mod config_check;
mod evidence;
mod failure;
mod gate;
mod generate;
mod guide;
mod heads;
mod markdown;
mod mirror;
mod monitor;
mod monitor_args;
mod output;
mod plain;
mod progress;
mod receipt;
mod roff;
mod settings;
mod signals;
mod style;
mod values;
mod verify;

use crate::monitor::outlive_file_size_limit;
use crate::service::Error;
use args::{Cli, Command, EvidenceCommand, MirrorCommand};
use audit_args::AuditOptions;
use failure::USAGE;
use monitor_args::ConfigCommand;
use output::Answer;
use settings::settings_of;
use std::process::ExitCode;

/// Runs the command that the arguments name, and returns its exit code. `release_memory` returns free memory of the
/// allocator to the system; it is `None` if the C library cannot do that.
pub fn main(release_memory: Option<fn()>) -> ExitCode {
    // This comes before anything is written. Its failure is reported later, since help works without it.
    let started = outlive_file_size_limit().map_err(|error| Error::Local(format!("cannot start: {error}")));
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // The message repeats the arguments, which may come from an untrusted party if the command is run as a
            // gate.
            output::error_text(&error.to_string());
            return ExitCode::from(USAGE);
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

fn dispatch(cli: Cli, answer: &mut Answer, release_memory: Option<fn()>) -> Result<u8, Error> {
    let Cli { common, command } = cli;
    match command {
        Command::Audit(options) => audit::run(settings_of(common, options)?, answer),
        Command::Heads(command) => {
            let settings = settings_of(common, command.options())?;
            heads::run(&settings, &command, answer)
        }
        Command::Verify(options) => {
            let settings = settings_of(common, options.shared())?;
            verify::run(&settings, options, answer)
        }
        Command::Receipt(options) => receipt::run(common, &options, answer),
        Command::Gate(options) => gate::run(common, *options, answer),
        Command::Evidence(EvidenceCommand::Verify { file }) => {
            let settings = settings_of(common, AuditOptions::default())?;
            evidence::verify(&settings, &file, answer)
        }
        Command::Mirror(MirrorCommand::Check { db, rebuild }) => {
            let options = AuditOptions { db, ..AuditOptions::default() };
            mirror::check(&settings_of(common, options)?, rebuild, answer)
        }
        Command::Monitor(options) => monitor::run(&common, &options, answer, release_memory),
        Command::Config(ConfigCommand::Check) => config_check::run(&common, answer),
        Command::Help { words } => guide::help(&words, answer),
        Command::Completions { shell } => Ok(generate::completions(shell, answer)),
        Command::Man { directory } => generate::man(directory.as_deref(), answer),
    }
}
