//! A line of the tables of lies and disturbances, and how one is read from the command line.

use super::expected::Expected;

/// What may stand behind the colon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    None,
    /// Exactly this, where the name alone is not enough.
    Word(&'static str),
    /// Something of this name, with its default.
    Value(&'static str, &'static str),
}

/// A line of a table.
pub struct Row<M: 'static> {
    pub name: &'static str,
    pub argument: Argument,
    pub does: &'static str,
    /// What the auditor says to the tiled log; `None` where nothing is different there.
    pub tiles: Option<Expected>,
    /// What the auditor says to the JSON API.
    pub api: Option<Expected>,
    /// Makes it of its argument.
    pub make: fn(&str) -> Result<M, String>,
}

/// Reads `NAME[:ARG]` by a table.
pub fn parse<M>(text: &str, rows: &[Row<M>]) -> Result<M, String> {
    let (name, given) = text.split_once(':').map_or((text, None), |(name, given)| (name, Some(given)));
    let named = || rows.iter().filter(|row| row.name == name);
    for row in named() {
        let argument = match (row.argument, given) {
            (Argument::None, None) => "",
            (Argument::Word(word), Some(given)) if word == given => word,
            (Argument::Value(_, default), given) => given.unwrap_or(default),
            (Argument::None | Argument::Word(_), _) => continue,
        };
        return (row.make)(argument).map_err(|why| format!("{name}: {why}"));
    }
    let usage = |rows: Vec<&Row<M>>| rows.iter().map(|row| row.usage()).collect::<Vec<_>>().join(", ");
    match named().next() {
        Some(_) => Err(format!("there is {}", usage(named().collect()))),
        None => Err(format!("there is no {name:?}, but {}", usage(rows.iter().collect()))),
    }
}

impl<M> Row<M> {
    /// How it is written, its argument included.
    pub fn usage(&self) -> String {
        match self.argument {
            Argument::None => self.name.to_owned(),
            Argument::Word(word) => format!("{}:{word}", self.name),
            Argument::Value(argument, _) => format!("{}[:{argument}]", self.name),
        }
    }

    /// The shortest text that gives it.
    pub fn shortest(&self) -> String {
        match self.argument {
            Argument::Word(word) => format!("{}:{word}", self.name),
            Argument::None | Argument::Value(..) => self.name.to_owned(),
        }
    }
}
