//! The command line: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign::cli::main()
}
