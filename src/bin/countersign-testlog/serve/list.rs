//! `lies`: lists the lies and disturbances of `serve`, for people and for scripts.

use super::super::args::ListFormat;
use super::super::output;
use super::disturb::DISTURBANCES;
use super::lies::expected::Expected;
use super::lies::row::{Argument, Row};
use super::lies::table::LIES;
use crate::error::TestlogError;
use serde_json::{Value, json};

/// Prints both tables.
pub fn print(format: ListFormat) -> Result<(), TestlogError> {
    let text = match format {
        ListFormat::Json => {
            let mut all: Vec<Value> = LIES.iter().map(|row| to_json(row, "lie")).collect();
            all.extend(DISTURBANCES.iter().map(|row| to_json(row, "disturbance")));
            format!("{}\n", Value::Array(all))
        }
        ListFormat::Text => format!(
            "Lies (--lie):\n{}\nDisturbances (--disturb), under which the audit ends clean:\n{}",
            to_text(LIES),
            to_text(DISTURBANCES)
        ),
        ListFormat::Markdown => {
            format!(
                "{}{}{}",
                MARKDOWN_HEAD,
                to_markdown(LIES, "`--lie"),
                to_markdown(DISTURBANCES, "`--disturb")
            )
        }
    };
    output::print(&text)
}

const MARKDOWN_HEAD: &str = "| option | does | tiles | JSON API |\n|---|---|---|---|\n";

fn to_json<M>(row: &Row<M>, kind: &str) -> Value {
    let (argument, default) = match row.argument {
        Argument::None => (None, None),
        Argument::Word(word) => (Some(word), None),
        Argument::Value(argument, default) => (Some(argument), Some(default)),
    };
    json!({
        "kind": kind, "name": row.name, "argument": argument, "default": default, "option": row.shortest(),
        "does": row.does, "tiles": row.tiles, "api": row.api,
    })
}

fn to_text<M>(rows: &[Row<M>]) -> String {
    rows.iter()
        .map(|row| {
            let default = match row.argument {
                Argument::Value(argument, default) => format!(" [{argument}: {default}]"),
                Argument::None | Argument::Word(_) => String::new(),
            };
            let (tiles, api) = (describe(row.tiles.as_ref()), describe(row.api.as_ref()));
            format!("  {}{default}\n      {}\n      tiles: {tiles}; JSON API: {api}\n", row.usage(), row.does)
        })
        .collect()
}

fn to_markdown<M>(rows: &[Row<M>], option: &str) -> String {
    rows.iter()
        .map(|row| {
            let (tiles, api) = (describe(row.tiles.as_ref()), describe(row.api.as_ref()));
            format!("| {option} {}` | {} | {tiles} | {api} |\n", row.usage(), row.does)
        })
        .collect()
}

/// The expected result of the audit in one line.
fn describe(expected: Option<&Expected>) -> String {
    let Some(expected) = expected else { return "nothing is different".to_owned() };
    let mut text = format!("{} {}", expected.exit, expected.verdict);
    if !expected.codes.is_empty() {
        text.push_str(&format!(" ({})", expected.codes.join(", ")));
    }
    if expected.audits > 1 {
        text.push_str(&format!(" at audit {}", expected.audits));
    }
    if !expected.options.is_empty() {
        text.push_str(&format!(" with {}", expected.options.join(" ")));
    }
    text
}
