//! `countersign completions` and `countersign man`: made from the arguments and the guide, so that they cannot lag behind.

use super::args;
use super::output::Answer;
use super::roff;
use crate::docs;
use crate::service::{Error, files};
use clap::Command;
use clap_complete::Shell;
use std::path::Path;

/// As it is installed.
const PROGRAM: &str = "countersign";

/// Prints what a shell needs to complete our arguments.
pub fn completions(shell: Shell, answer: &mut Answer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), PROGRAM, &mut script);
    answer.print(&String::from_utf8_lossy(&script));
    0
}

/// Writes a manual page for each command and each page of the guide into a directory, or prints the main one.
///
/// # Errors
/// Nothing can be written there.
pub fn man(directory: Option<&Path>, answer: &mut Answer) -> Result<u8, Error> {
    let mut command = args::command();
    command.build();
    let Some(directory) = directory else {
        answer.print(&String::from_utf8_lossy(&page(command)?.1));
        return Ok(0);
    };
    // A name that is no directory is a slip, also where there is nothing yet.
    if !directory.is_dir() {
        return Err(Error::Usage(format!(
            "cannot write the manual pages: {directory:?} is no directory; create it first"
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

/// A page and the name of its file.
fn page(command: Command) -> Result<(String, Vec<u8>), String> {
    let page = clap_mangen::Man::new(command)
        .source(concat!("countersign ", env!("CARGO_PKG_VERSION")))
        .manual("countersign");
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| format!("cannot make a manual page: {error}"))?;
    Ok((page.get_filename(), text))
}
