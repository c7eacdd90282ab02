//! A row of the tables of lies and disturbances, and its parser for the command line.

use super::expected::{Expected, GateExpected};
use crate::error::TestlogError;

/// The argument after the colon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    None,
    /// Exactly this word, which is required.
    Word(&'static str),
    /// A value with this placeholder and default.
    Value(&'static str, &'static str),
}

/// A row of a table.
pub struct Row<M: 'static> {
    pub name: &'static str,
    pub argument: Argument,
    pub does: &'static str,
    /// The expected result for the tiled log; `None` if the row does not change it.
    pub tiles: Option<Expected>,
    /// The expected result for the JSON API.
    pub api: Option<Expected>,
    /// The expected result of a gate; `None` if it is no lie of the approval service.
    pub gate: Option<GateExpected>,
    /// Makes the value from its argument.
    pub make: fn(&str) -> Result<M, TestlogError>,
}

/// Parses `NAME[:ARG]` from tables.
///
/// # Errors
/// A user-facing message: there is no such name, or its argument is wrong.
pub fn parse<M: 'static>(
    text: &str,
    rows: impl Iterator<Item = &'static Row<M>> + Clone,
) -> Result<M, TestlogError> {
    let (name, given) = text.split_once(':').map_or((text, None), |(name, given)| (name, Some(given)));
    let named = || rows.clone().filter(|row| row.name == name);
    for row in named() {
        let argument = match (row.argument, given) {
            (Argument::None, None) => "",
            (Argument::Word(word), Some(given)) if word == given => word,
            (Argument::Value(_, default), given) => given.unwrap_or(default),
            (Argument::None | Argument::Word(_), _) => continue,
        };
        return (row.make)(argument).map_err(|why| format!("{name}: {why}").into());
    }
    let usage = |rows: Vec<&Row<M>>| rows.iter().map(|row| row.usage()).collect::<Vec<_>>().join(", ");
    match named().next() {
        Some(_) => Err(format!("wrong argument: write {}", usage(named().collect())).into()),
        None => Err(format!("unknown name {name:?}: the names are {}", usage(rows.clone().collect())).into()),
    }
}

impl<M> Row<M> {
    /// How it is written, including its argument.
    pub fn usage(&self) -> String {
        match self.argument {
            Argument::None => self.name.to_owned(),
            Argument::Word(word) => format!("{}:{word}", self.name),
            Argument::Value(argument, _) => format!("{}[:{argument}]", self.name),
        }
    }

    /// The shortest text that selects it.
    pub fn shortest(&self) -> String {
        match self.argument {
            Argument::Word(word) => format!("{}:{word}", self.name),
            Argument::None | Argument::Value(..) => self.name.to_owned(),
        }
    }
}
