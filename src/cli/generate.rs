//! `countersign completions` and `countersign man`: made from the arguments, so that they cannot lag behind.

use super::args::Cli;
use super::failure::Failure;
use super::output::{self, Answer};
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use std::path::Path;

/// As it is installed.
const PROGRAM: &str = "countersign";

/// Prints what a shell needs to complete our arguments.
pub fn completions(shell: Shell, answer: &mut Answer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    answer.print(&String::from_utf8_lossy(&script));
    0
}

/// Writes a manual page for each command into a directory, or prints the main one.
///
/// # Errors
/// Nothing can be written there.
pub fn man(directory: Option<&Path>, answer: &mut Answer) -> Result<u8, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = directory else {
        answer.print(&String::from_utf8_lossy(&page(command)?.1));
        return Ok(0);
    };
    // A name that is no directory is a slip, also where there is nothing yet.
    if !directory.is_dir() {
        return Err(Failure::Usage(format!(
            "cannot write the manual pages: {directory:?} is no directory; create it first"
        )));
    }
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|below| !below.is_hide_set()).cloned());
        let (name, page) = page(command)?;
        let path = directory.join(name);
        output::replace_file(&path, &page)
            .map_err(|error| Failure::not_written(output::name(&path), &error))?;
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
