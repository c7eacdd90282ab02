//! The command line: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A monitor runs for months on what its first audit left: this one gives memory back (see `cli::monitor`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    countersign::cli::main()
}
