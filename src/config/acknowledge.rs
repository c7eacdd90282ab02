//! `[[acknowledge]]`: the user acknowledges a finding until a given day.

use super::error::Error;
use crate::audit::acknowledge::Acknowledgement;
use crate::core::finding::Code;
use crate::core::text::quoted;
use crate::core::time::UnixMillis;
use serde::Deserialize;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One `[[acknowledge]]`, as written.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AcknowledgeTable {
    code: String,
    index: Option<u64>,
    id: Option<String>,
    approver: Option<String>,
    rule: Option<String>,
    until: Day,
    comment: String,
}

/// A day, as a string or as a TOML date.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Day {
    Text(String),
    Date(toml::value::Datetime),
}

/// Checks one table.
///
/// # Errors
/// Returns [`Error::Usage`] if a value is missing or wrong.
pub(super) fn rule(table: AcknowledgeTable) -> Result<Acknowledgement, Error> {
    let code = Code::from_text(&table.code)
        .ok_or_else(|| format!("code {}: there is no such finding code", quoted(&table.code)))?;
    if table.comment.trim().is_empty() {
        return Err("comment: give the reason, for the next reader of the report".into());
    }
    let until_text = match table.until {
        Day::Text(text) => text,
        Day::Date(date) => date.to_string(),
    };
    let until = until(&until_text).ok_or_else(|| {
        format!(
            "until {}: write a day such as 2026-12-31, which is the last day included (UTC)",
            quoted(&until_text)
        )
    })?;
    let AcknowledgeTable { index, id, approver, rule, comment, .. } = table;
    if rule.is_some() && code != Code::WatchList {
        return Err(format!("rule: only {} findings belong to a watch rule", Code::WatchList).into());
    }
    Ok(Acknowledgement { code, index, id, approver, rule, until, until_text, comment })
}

/// Parses a day, which counts to its end, or a time in RFC 3339.
fn until(text: &str) -> Option<UnixMillis> {
    let is_day = !text.contains(['T', 't', ' ']);
    let moment = if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    UnixMillis::parse(&moment)?.checked_add(if is_day { DAY } else { Duration::ZERO })
}
