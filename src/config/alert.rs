//! `[[alert]]`: one channel for alerts.

use super::duration::duration;
use super::error::Error;
use crate::core::encoding::encode_hex;
use crate::core::finding::Severity;
use crate::core::hash::sha256;
use crate::core::text::quoted;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long an alert is retried by default: a weekend and a day.
const RETRY_FOR: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The most bytes of a name, which is shown in metrics and messages.
const MAX_NAME: usize = 64;

/// One `[[alert]]`, as written.
#[derive(Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AlertTable {
    name: Option<String>,
    severity: Option<String>,
    retry_for: Option<String>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) webhook: Option<String>,
    /// A URL is often a secret itself. It can then be kept out of the config.
    pub(crate) webhook_file: Option<PathBuf>,
    pub(crate) webhook_env: Option<String>,
    pub(crate) smtp: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
    pub(crate) username: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) secret_env: Option<String>,
}

impl AlertTable {
    /// Whether the channel is a webhook, wherever its URL is kept.
    pub fn is_webhook(&self) -> bool {
        self.webhook.is_some() || self.webhook_file.is_some() || self.webhook_env.is_some()
    }
}

/// One checked channel. Its secrets are not read yet.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelTable {
    /// The name of the channel.
    pub name: String,
    /// The least severity that is sent over it.
    pub least: Severity,
    /// How long an alert is retried.
    pub retry_for: Duration,
    /// The rest of the table.
    pub table: AlertTable,
}

/// Checks one table.
///
/// # Errors
/// Returns [`Error::Usage`] if values are missing, wrong, or contradict each other.
pub(super) fn channel(table: AlertTable) -> Result<ChannelTable, Error> {
    let ways = [
        table.command.is_some(),
        table.webhook.is_some(),
        table.webhook_file.is_some(),
        table.webhook_env.is_some(),
        table.smtp.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err("give one of command, webhook (or webhook-file, or webhook-env) and smtp".into());
    }
    if table.secret_file.is_some() && table.secret_env.is_some() {
        return Err("secret-file and secret-env: give one of them".into());
    }
    if table.smtp.is_none() && (table.from.is_some() || !table.to.is_empty() || table.username.is_some()) {
        return Err("from, to and username are only for smtp".into());
    }
    if table.command.is_some() && (table.secret_file.is_some() || table.secret_env.is_some()) {
        return Err("secret-file and secret-env are not for a command".into());
    }
    let least = match &table.severity {
        None => Severity::Warning,
        Some(text) => Severity::from_text(text)
            .ok_or_else(|| format!("severity {}: write info, warning, invalid or violation", quoted(text)))?,
    };
    let retry_for = table.retry_for.as_deref().map(duration).transpose();
    let retry_for =
        retry_for.map_err(|error| error.within(|why| format!("retry-for: {why}")))?.unwrap_or(RETRY_FOR);
    let name = table.name.clone().unwrap_or_else(|| name_of(&table));
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err(
            format!("name {}: write 1 to {MAX_NAME} printable ASCII characters", quoted(&name)).into()
        );
    }
    Ok(ChannelTable { name, least, retry_for, table })
}

/// The default name of a channel. Its queue is stored under the name, so the name must not depend on the order of the
/// tables. It shows no part of a URL, which is often a secret.
fn name_of(table: &AlertTable) -> String {
    let (kind, what) = match (&table.command, &table.webhook, &table.smtp) {
        (Some(command), _, _) => ("command", command.join("\0")),
        (_, Some(url), _) => ("webhook", url.clone()),
        _ if table.is_webhook() => ("webhook", format!("{:?}{:?}", table.webhook_file, table.webhook_env)),
        (_, _, smtp) => ("smtp", format!("{smtp:?}{:?}{:?}", table.from, table.to)),
    };
    let digest = encode_hex(sha256(what.as_bytes()).as_bytes());
    format!("{kind}-{}", digest.get(..8).unwrap_or_default())
}
