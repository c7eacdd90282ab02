//! `countersign help`: the commands, the pages of the guide, or one of them.

use super::output::Answer;
use super::{args, plain};
use crate::core::text::quoted;
use crate::docs;
use crate::service::Error;
use clap::Command;

/// Shows the help of a command, a page of the guide, or both if a word names both.
///
/// # Errors
/// Returns [`Error`] if there is no such command and no such topic.
pub fn help(words: &[String], answer: &mut Answer) -> Result<u8, Error> {
    let mut program = args::command();
    program.build();
    let page = match words {
        [word] => docs::page(word),
        _ => None,
    };
    match (find(&mut program, words), page) {
        (None, None) => return Err(Error::Usage(nothing(words))),
        (None, Some(page)) => answer.print(&plain::render(page.text)),
        (Some(command), None) => answer.print_help(&command.render_long_help()),
        (Some(command), Some(page)) => {
            let (dashes, word) = (plain::WIDTH, page.name);
            answer.print(&format!(
                "The options of {word} come first; the guide is below the line of {dashes} dashes.\n\n"
            ));
            answer.print_help(&command.render_long_help());
            answer.print(&format!("\n{}\n\n{}", "-".repeat(plain::WIDTH), plain::render(page.text)));
        }
    }
    Ok(0)
}

/// Finds the command with these words, or the program itself if there are none.
fn find<'a>(program: &'a mut Command, words: &[String]) -> Option<&'a mut Command> {
    words.iter().try_fold(program, |command, word| command.find_subcommand_mut(word))
}

fn nothing(words: &[String]) -> String {
    let names: Vec<&str> = docs::PAGES.iter().map(|page| page.name).collect();
    format!(
        "there is no command and no topic {}; topics are {}; `countersign help` lists the commands too",
        quoted(&words.join(" ")),
        names.join(", ")
    )
}
