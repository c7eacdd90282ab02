//! `countersign completions` and `countersign man`: generated from the arguments and the guide, so that they
//! stay current.

use super::args;
use super::output::Answer;
use super::roff;
use crate::docs;
use crate::service::{Error, files};
use clap::Command;
use clap_complete::Shell;
use std::path::Path;

/// The name of the installed program.
const PROGRAM: &str = "countersign";

/// Prints a completion script for a shell.
pub fn completions(shell: Shell, answer: &mut Answer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), PROGRAM, &mut script);
    answer.print(&String::from_utf8_lossy(&script));
    0
}

/// Writes a manual page for each command and each page of the guide into a directory, or prints the main one.
///
/// # Errors
/// Returns [`Error`] if `directory` is not a directory, or if a page cannot be written.
pub fn man(directory: Option<&Path>, answer: &mut Answer) -> Result<u8, Error> {
    let mut command = args::command();
    command.build();
    let Some(directory) = directory else {
        answer.print(&String::from_utf8_lossy(&page(command)?.1));
        return Ok(0);
    };
    // The directory must exist: a name that is not a directory is a mistake.
    if !directory.is_dir() {
        return Err(Error::Usage(format!(
            "cannot write the manual pages: {directory:?} is not a directory; create it first"
        )));
    }
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|below| !below.is_hide_set()).cloned());
        let (name, page) = page(command)?;
        write(directory, &name, &page)?;
    }
    for page in docs::PAGES {
        write(directory, &roff::file_name(page), roff::render(page).as_bytes())?;
    }
    Ok(0)
}

fn write(directory: &Path, name: &str, page: &[u8]) -> Result<(), Error> {
    let path = directory.join(name);
    files::replace_file(&path, page).map_err(|error| Error::not_written(files::name(&path), &error))
}

/// Renders the manual page of a command. Returns its file name and its text.
fn page(command: Command) -> Result<(String, Vec<u8>), String> {
    let page = clap_mangen::Man::new(command)
        .source(concat!("countersign ", env!("CARGO_PKG_VERSION")))
        .manual("countersign");
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| format!("cannot make a manual page: {error}"))?;
    Ok((page.get_filename(), text))
}
