//! The command line: parse, dispatch, exit code; and the one call of the C library that Rust has no safe name for.
#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign::cli::main(RELEASE_MEMORY)
}

/// What a monitor calls after an audit, so that it does not hold for months what its first audit needed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const RELEASE_MEMORY: Option<fn()> = Some(release_memory);

/// No other C library that this is built for has such a call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const RELEASE_MEMORY: Option<fn()> = None;

/// Returns free pages of all arenas to the operating system (`malloc_trim(3)`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn release_memory() {
    // SAFETY: it takes a number, touches only memory that the allocator knows to be free, locks each arena while it
    // does, and may be called by any thread at any time (MT-Safe).
    unsafe { libc::malloc_trim(0) };
}
