//! `countersign-testlog`: makes approval logs with software passkeys, for tests, benches and demos.
//!
//! Its logs prove nothing: log keys and passkeys come from a public seed, and four RSA keys are published in this
//! repository. It is there to test the auditor: an honest log, made by code that shares only formats with the checks, must
//! be found clean.
//!
//! | file | makes |
//! |---|---|
//! | `seed` | all randomness, from one text |
//! | `keys`, `passkeys` | software passkeys and their owners |
//! | `assertion` | assertions as a browser and an authenticator make them |
//! | `entry` | entry *i* of a log, from the seed and *i* alone |
//! | `tiles` | the files of a tiled log |
//! | `heads` | the log key; checkpoints and STHs |
//! | `build` | `build` and `grow` |
//! | `captures` | `demo`: a log of passkey assertions that were captured in a browser |
//! | `output` | standard output and standard error |
//! | `error` | why a command failed |
//! | `serve` | `serve` and `lies`: a log over HTTP, honest or not |
#![forbid(unsafe_code)]

mod args;
mod assertion;
mod build;
mod captures;
mod entry;
mod error;
mod heads;
mod keys;
mod output;
mod passkeys;
mod seed;
mod serve;
mod tiles;

use args::{TestlogCli, TestlogCommand};
use clap::Parser as _;
use error::TestlogError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match TestlogCli::try_parse() {
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

fn run(command: TestlogCommand) -> Result<(), TestlogError> {
    match command {
        TestlogCommand::Build(options) => build::build(&options),
        TestlogCommand::Grow(options) => build::grow(&options),
        TestlogCommand::Demo(options) => captures::demo(&options),
        TestlogCommand::Serve(options) => serve::serve(&options),
        TestlogCommand::Lies(options) => serve::list::print(options.format),
    }
}
