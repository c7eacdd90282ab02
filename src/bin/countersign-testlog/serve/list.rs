//! `lies`: lists the lies and disturbances of `serve`, for people and for scripts.
//!
//! The lies of the approval service are of a kind of their own: they need `--approvals`, and have the reason of a gate.

use super::super::args::ListFormat;
use super::super::output;
use super::disturb::DISTURBANCES;
use super::lies::SERVICE_LIES;
use super::lies::expected::{Expected, GateExpected};
use super::lies::row::{Argument, Row};
use super::lies::table::LIES;
use crate::error::TestlogError;
use serde_json::{Value, json};

/// Prints all tables.
pub fn print(format: ListFormat) -> Result<(), TestlogError> {
    let text = match format {
        ListFormat::Json => {
            let mut all: Vec<Value> = LIES.iter().map(|row| to_json(row, "lie")).collect();
            all.extend(DISTURBANCES.iter().map(|row| to_json(row, "disturbance")));
            all.extend(SERVICE_LIES.iter().map(|row| to_json(row, "service-lie")));
            format!("{}\n", Value::Array(all))
        }
        ListFormat::Text => format!(
            "Lies (--lie):\n{}\nDisturbances (--disturb), under which the audit ends clean:\n{}\nLies of the approval \
             service (--approvals --lie), with the reason of a gate, and the audit after it:\n{}",
            to_text(LIES),
            to_text(DISTURBANCES),
            to_text(SERVICE_LIES)
        ),
        ListFormat::Markdown => {
            format!(
                "{MARKDOWN_HEAD}{}{}\n{SERVICE_MARKDOWN_HEAD}{}",
                to_markdown(LIES, "`--lie"),
                to_markdown(DISTURBANCES, "`--disturb"),
                to_markdown(SERVICE_LIES, "`--approvals --lie")
            )
        }
    };
    output::print(&text)
}

const MARKDOWN_HEAD: &str = "| option | does | tiles | JSON API |\n|---|---|---|---|\n";

const SERVICE_MARKDOWN_HEAD: &str = "| option | does | gate | tiles | JSON API |\n|---|---|---|---|---|\n";

fn to_json<M>(row: &Row<M>, kind: &str) -> Value {
    let (argument, default) = match row.argument {
        Argument::None => (None, None),
        Argument::Word(word) => (Some(word), None),
        Argument::Value(argument, default) => (Some(argument), Some(default)),
    };
    let mut listed = json!({
        "kind": kind, "name": row.name, "argument": argument, "default": default, "option": row.shortest(),
        "does": row.does, "tiles": row.tiles, "api": row.api,
    });
    if let (Some(gate), Some(members)) = (row.gate, listed.as_object_mut()) {
        members.insert("gate".to_owned(), json!(gate));
    }
    listed
}

fn to_text<M>(rows: &[Row<M>]) -> String {
    rows.iter()
        .map(|row| {
            let default = match row.argument {
                Argument::Value(argument, default) => format!(" [{argument}: {default}]"),
                Argument::None | Argument::Word(_) => String::new(),
            };
            let (tiles, api) = (describe(row.tiles.as_ref()), describe(row.api.as_ref()));
            let gate = row.gate.map(|gate| format!("gate: {}; ", describe_gate(gate))).unwrap_or_default();
            format!(
                "  {}{default}\n      {}\n      {gate}tiles: {tiles}; JSON API: {api}\n",
                row.usage(),
                row.does
            )
        })
        .collect()
}

fn to_markdown<M>(rows: &[Row<M>], option: &str) -> String {
    rows.iter()
        .map(|row| {
            let (tiles, api) = (describe(row.tiles.as_ref()), describe(row.api.as_ref()));
            let gate = row.gate.map(|gate| format!("{} | ", describe_gate(gate))).unwrap_or_default();
            format!("| {option} {}` | {} | {gate}{tiles} | {api} |\n", row.usage(), row.does)
        })
        .collect()
}

/// The expected result of the gate in one line.
fn describe_gate(expected: GateExpected) -> String {
    let mut text = expected.reason.unwrap_or("approved").to_owned();
    if expected.runs > 1 {
        text.push_str(&format!(" at run {}", expected.runs));
    }
    if expected.pinned {
        text.push_str(" with the approver's key pinned");
    }
    text
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
