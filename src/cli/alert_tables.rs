//! The tables of a config that say who is told of what: `[[alert]]`, `[[acknowledge]]`, `alert-reminder`.

use super::config::duration;
use crate::audit::acknowledge::Acknowledgement;
use crate::core::encoding::encode_hex;
use crate::core::finding::{Code, Severity};
use crate::core::hash::sha256;
use crate::core::text::{parse_time, quoted};
use serde::Deserialize;
use std::path::PathBuf;

/// So long an alert is tried unless told otherwise, in milliseconds: a weekend and a day.
const RETRY_FOR: u64 = 3 * 24 * 60 * 60 * 1000;

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// A name is shown in metrics and messages.
const MAX_NAME: usize = 64;

/// One `[[alert]]`, as written.
#[derive(Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AlertTable {
    name: Option<String>,
    severity: Option<String>,
    retry_for: Option<String>,
    pub command: Option<Vec<String>>,
    pub webhook: Option<String>,
    /// A URL is often itself a secret: then it stands elsewhere than in the config.
    pub webhook_file: Option<PathBuf>,
    pub webhook_env: Option<String>,
    pub smtp: Option<String>,
    pub from: Option<String>,
    pub to: Vec<String>,
    pub username: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub secret_env: Option<String>,
}

impl AlertTable {
    /// Wherever its URL stands.
    pub fn is_webhook(&self) -> bool {
        self.webhook.is_some() || self.webhook_file.is_some() || self.webhook_env.is_some()
    }
}

/// One `[[acknowledge]]`, as written.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AcknowledgeTable {
    code: String,
    index: Option<u64>,
    id: Option<String>,
    approver: Option<String>,
    rule: Option<String>,
    until: Day,
    comment: String,
}

/// In quotation marks or as TOML has dates.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Day {
    Text(String),
    Date(toml::value::Datetime),
}

/// One channel, with what it needs still to be read.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelTable {
    /// Its name.
    pub name: String,
    /// Of nothing less severe.
    pub least: Severity,
    /// Milliseconds.
    pub retry_for: u64,
    /// The rest of the table.
    pub table: AlertTable,
}

/// All of it, checked. Secrets are read only where something is sent.
#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// Who is told.
    pub channels: Vec<ChannelTable>,
    /// How often to remind, in milliseconds.
    pub reminder: Option<u64>,
    /// Of what nothing is told for now.
    pub acknowledgements: Vec<Acknowledgement>,
}

impl Alerting {
    /// Checks the tables.
    ///
    /// # Errors
    /// A sentence for the person.
    pub fn resolve(
        alerts: Vec<AlertTable>,
        reminder: Option<String>,
        acknowledge: Vec<AcknowledgeTable>,
    ) -> Result<Alerting, String> {
        let numbered = |number: usize, why: String| format!("[[alert]] number {number}: {why}");
        let channels =
            (1..).zip(alerts).map(|(number, table)| channel(table).map_err(|why| numbered(number, why)));
        let rules = (1usize..).zip(acknowledge).map(|(number, table)| {
            rule(table).map_err(|why| format!("[[acknowledge]] number {number}: {why}"))
        });
        let reminder = reminder.map(|text| duration(&text)).transpose();
        let reminder = reminder.map_err(|why| format!("alert-reminder: {why}"))?;
        if reminder.is_some_and(|reminder| reminder < 60 * 1000) {
            return Err("alert-reminder: at least 1m; leave it out for none".to_owned());
        }
        Ok(Alerting {
            channels: channels.collect::<Result<_, _>>()?,
            reminder,
            acknowledgements: rules.collect::<Result<_, _>>()?,
        })
    }
}

fn channel(table: AlertTable) -> Result<ChannelTable, String> {
    let ways = [
        table.command.is_some(),
        table.webhook.is_some(),
        table.webhook_file.is_some(),
        table.webhook_env.is_some(),
        table.smtp.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err("give one of command, webhook (or webhook-file, or webhook-env) and smtp".to_owned());
    }
    if table.secret_file.is_some() && table.secret_env.is_some() {
        return Err("secret-file and secret-env: give one of them".to_owned());
    }
    if table.smtp.is_none() && (table.from.is_some() || !table.to.is_empty() || table.username.is_some()) {
        return Err("from, to and username are for smtp".to_owned());
    }
    if table.command.is_some() && (table.secret_file.is_some() || table.secret_env.is_some()) {
        return Err("a command has no secret of ours".to_owned());
    }
    let least = match &table.severity {
        None => Severity::Warning,
        Some(text) => Severity::from_text(text)
            .ok_or_else(|| format!("severity {}: write info, warning, invalid or violation", quoted(text)))?,
    };
    let retry_for = table.retry_for.as_deref().map(duration).transpose();
    let retry_for = retry_for.map_err(|why| format!("retry-for: {why}"))?.unwrap_or(RETRY_FOR);
    let name = table.name.clone().unwrap_or_else(|| name_of(&table));
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err(format!("name {}: write 1 to {MAX_NAME} printable ASCII characters", quoted(&name)));
    }
    Ok(ChannelTable { name, least, retry_for, table })
}

/// The queue of a channel goes by its name, so it must not change with the order of the tables. Nothing of
/// a URL is shown by it, which is often a secret.
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

fn rule(table: AcknowledgeTable) -> Result<Acknowledgement, String> {
    let code = Code::from_text(&table.code)
        .ok_or_else(|| format!("code {}: there is no such finding", quoted(&table.code)))?;
    if table.comment.trim().is_empty() {
        return Err("comment: say why, whoever reads the report next wants to know".to_owned());
    }
    let until_text = match table.until {
        Day::Text(text) => text,
        Day::Date(date) => date.to_string(),
    };
    let until = until(&until_text).ok_or_else(|| {
        format!("until {}: write a day such as 2026-12-31, which is then the last (UTC)", quoted(&until_text))
    })?;
    let AcknowledgeTable { index, id, approver, rule, comment, .. } = table;
    if rule.is_some() && code != Code::WatchList {
        return Err(format!("rule: only {} is of a watch rule", Code::WatchList));
    }
    Ok(Acknowledgement { code, index, id, approver, rule, until, until_text, comment })
}

/// The end of a day, or a moment in RFC 3339, in Unix milliseconds.
fn until(text: &str) -> Option<u64> {
    let is_day = !text.contains(['T', 't', ' ']);
    let moment = if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    parse_time(&moment)?.checked_add(if is_day { DAY } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct File {
        alert: Vec<AlertTable>,
        alert_reminder: Option<String>,
        acknowledge: Vec<AcknowledgeTable>,
    }

    fn resolve(text: &str) -> Result<Alerting, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Alerting::resolve(file.alert, file.alert_reminder, file.acknowledge)
    }

    #[test]
    fn tables_become_channels_and_rules() {
        let alerting = resolve(
            "alert-reminder = '7days'\n[[alert]]\ncommand = ['page', '--now']\n
             [[alert]]\nname = 'chat'\nwebhook = 'https://hooks.example/s3cret'\nseverity = 'invalid'\nretry-for = '1h'\n
             [[acknowledge]]\ncode = 'key-shared'\nindex = 7\nuntil = 2026-12-31\ncomment = 'known'\n
             [[acknowledge]]\ncode = 'gap'\nuntil = '2026-12-31'\ncomment = 'known'\n
             [[acknowledge]]\ncode = 'gap'\nuntil = 2026-12-31T01:00:00Z\ncomment = 'known'",
        )
        .unwrap();
        assert_eq!(alerting.reminder, Some(7 * DAY));
        let [command, chat] = alerting.channels.as_slice() else { panic!("{alerting:?}") };
        assert_eq!((command.least, command.retry_for), (Severity::Warning, 3 * DAY));
        assert_eq!((chat.name.as_str(), chat.least, chat.retry_for), ("chat", Severity::Invalid, 3_600_000));
        assert!(command.name.starts_with("command-"), "{}", command.name);
        let untils: Vec<u64> = alerting.acknowledgements.iter().map(|rule| rule.until).collect();
        let newyear = 1_798_761_600_000;
        assert_eq!(untils, [newyear, newyear, newyear - 23 * 3_600_000]);
    }

    /// What the guide shows can be used as it stands.
    #[test]
    fn the_example_of_the_guide_loads() {
        let page = include_str!("../docs/alerts.md");
        let blocks = page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
        let ours: Vec<&str> =
            blocks.filter(|block| block.contains("[[alert]]") || block.contains("[[acknowledge]]")).collect();
        let loaded: Vec<Alerting> = ours.iter().map(|block| resolve(block).unwrap()).collect();
        let counts: Vec<(usize, usize)> =
            loaded.iter().map(|all| (all.channels.len(), all.acknowledgements.len())).collect();
        assert_eq!(counts, [(3, 0), (0, 1)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("[[alert]]", "one of"),
            ("[[alert]]\ncommand = ['a']\nwebhook = 'https://a.example/'", "one of"),
            ("[[alert]]\nwebhook-file = 'a'\nwebhook = 'https://a.example/'", "one of"),
            ("[[alert]]\nwebhook-file = 'a'\nwebhook-env = 'A'", "one of"),
            ("[[alert]]\nwebhook-env = 'A'\nfrom = 'a@b.example'", "for smtp"),
            ("[[alert]]\ncommand = ['a']\nseverity = 'loud'", "severity"),
            ("[[alert]]\ncommand = ['a']\nsecret-env = 'A'", "no secret"),
            ("[[alert]]\ncommand = ['a']\nto = ['a@b.example']", "for smtp"),
            ("[[alert]]\nwebhook = 'x'\nsecret-env = 'A'\nsecret-file = 'a'", "one of them"),
            ("[[alert]]\ncommand = ['a']\nretry-for = 'long'", "retry-for"),
            ("[[alert]]\ncommand = ['a']\nname = \"a\\nb\"", "name"),
            ("[[alert]]\ncommand = ['a']\nsecret = 'typed'", "unknown field"),
            ("alert-reminder = '1s'", "alert-reminder"),
            ("[[acknowledge]]\ncode = 'gap'\ncomment = 'x'", "until"),
            ("[[acknowledge]]\ncode = 'gap'\nuntil = '2026-12-31'", "comment"),
            ("[[acknowledge]]\ncode = 'gap'\nuntil = '2026-12-31'\ncomment = ' '", "comment"),
            (
                "[[acknowledge]]\ncode = 'gap'\nrule = 'a'\nuntil = '2026-12-31'\ncomment = 'x'",
                "only watch-list",
            ),
            ("[[acknowledge]]\ncode = 'gaps'\nuntil = '2026-12-31'\ncomment = 'x'", "no such finding"),
            ("[[acknowledge]]\ncode = 'gap'\nuntil = 'for ever'\ncomment = 'x'", "until"),
            ("[[acknowledge]]\ncode = 'gap'\nuntil = '1950-12-31'\ncomment = 'x'", "until"),
        ] {
            let why = resolve(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
