//! `countersign completions` and `countersign man`: made from the arguments, so that they cannot lag behind.

use super::args::Cli;
use super::output;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use std::path::Path;

/// As it is installed.
const PROGRAM: &str = "countersign";

/// Prints what a shell needs to complete our arguments.
///
/// # Errors
/// Stdout cannot be written.
pub fn completions(shell: Shell) -> Result<u8, String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    print(&script)
}

/// Writes a manual page for each command into a directory, or prints the main one.
///
/// # Errors
/// A sentence for the person: nothing can be written there.
pub fn man(directory: Option<&Path>) -> Result<u8, String> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = directory else { return print(&page(command)?.1) };
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|below| !below.is_hide_set()).cloned());
        let (name, page) = page(command)?;
        let path = directory.join(name);
        output::replace_file(&path, &page).map_err(|error| format!("cannot write {path:?}: {error}"))?;
    }
    Ok(0)
}

/// A page and the name of its file.
fn page(command: Command) -> Result<(String, Vec<u8>), String> {
    let page = clap_mangen::Man::new(command)
        .source(concat!("countersign ", env!("CARGO_PKG_VERSION")))
        .manual("countersign");
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| format!("cannot make a manual page: {error}"))?;
    Ok((page.get_filename(), text))
}

fn print(text: &[u8]) -> Result<u8, String> {
    output::print_whole(&String::from_utf8_lossy(text))
        .map_err(|error| format!("cannot write to stdout: {error}"))?;
    Ok(0)
}
