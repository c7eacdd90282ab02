//! `countersign-testlog`: makes approval logs with software passkeys, for tests, benches and demos.
//!
//! Nothing that it makes proves anything. Its log keys and passkeys come from a seed that anybody
//! may know, and four RSA keys are published in this repository. What it proves is about the
//! auditor: an honest log, made by code that shares only formats with the checks, is found clean.
//!
//! | file | makes |
//! |---|---|
//! | `seed` | all randomness, from one text |
//! | `keys`, `ring` | software passkeys; who owns which |
//! | `assertion` | what a browser and an authenticator sign |
//! | `entry` | entry *i* of a log, from seed and *i* alone |
//! | `tiles` | the files of a tiled log |
//! | `heads` | the log key; checkpoints and STHs |
//! | `build` | `build` and `grow` |
//! | `captures` | `demo`: a log of passkey assertions that were captured in a browser |
//! | `output` | what is printed |
//! | `serve` | `serve` and `lies`: a log over HTTP, honest or not |
#![forbid(unsafe_code)]

mod args;
mod assertion;
mod build;
mod captures;
mod entry;
mod heads;
mod keys;
mod output;
mod ring;
mod seed;
mod serve;
mod tiles;

use args::{Cli, Command};
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => output::print_help(&help),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            output::note(&format!("countersign-testlog: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Build(options) => build::build(&options),
        Command::Grow(options) => build::grow(&options),
        Command::Demo(options) => captures::demo(&options),
        Command::Serve(options) => serve::serve(options),
        Command::Lies(options) => serve::list::print(options.format),
    }
}
