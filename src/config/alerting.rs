//! The settings of alerts: `[[alert]]`, `[[acknowledge]]` and `alert-reminder` together.

use super::acknowledge::{self, AcknowledgeTable};
use super::alert::{self, AlertTable, ChannelTable};
use super::duration::duration;
use super::error::Error;
use crate::audit::acknowledge::Acknowledgement;
use std::time::Duration;

/// More reminders than this are noise.
const SHORTEST_REMINDER: Duration = Duration::from_secs(60);

/// The checked settings of alerts. Secrets are read only when something is sent.
#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// The channels that alerts are sent over.
    pub channels: Vec<ChannelTable>,
    /// The time between two reminders.
    pub reminder: Option<Duration>,
    /// The findings for which no alert is sent for now.
    pub acknowledgements: Vec<Acknowledgement>,
}

impl Alerting {
    /// Checks the tables.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] with the number of the wrong table.
    pub(super) fn resolve(
        alerts: Vec<AlertTable>,
        reminder: Option<String>,
        acknowledge: Vec<AcknowledgeTable>,
    ) -> Result<Alerting, Error> {
        let numbered = |number: usize, why: &str| format!("[[alert]] number {number}: {why}");
        let channels = (1..).zip(alerts).map(|(number, table)| {
            alert::channel(table).map_err(|error| error.within(|why| numbered(number, &why)))
        });
        let rules = (1usize..).zip(acknowledge).map(|(number, table)| {
            acknowledge::rule(table)
                .map_err(|error| error.within(|why| format!("[[acknowledge]] number {number}: {why}")))
        });
        let reminder = reminder.map(|text| duration(&text)).transpose();
        let reminder = reminder.map_err(|error| error.within(|why| format!("alert-reminder: {why}")))?;
        if reminder.is_some_and(|reminder| reminder < SHORTEST_REMINDER) {
            return Err("alert-reminder: at least 1m; leave it out for none".into());
        }
        Ok(Alerting {
            channels: channels.collect::<Result<_, Error>>()?,
            reminder,
            acknowledgements: rules.collect::<Result<_, Error>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Severity;
    use serde::Deserialize;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
            .map_err(|error| error.to_string())
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
        assert_eq!(
            (chat.name.as_str(), chat.least, chat.retry_for),
            ("chat", Severity::Invalid, Duration::from_secs(3600))
        );
        assert!(command.name.starts_with("command-"), "{}", command.name);
        let untils: Vec<u64> = alerting.acknowledgements.iter().map(|rule| rule.until.get()).collect();
        let newyear = 1_798_761_600_000;
        assert_eq!(untils, [newyear, newyear, newyear - 23 * 3_600_000]);
    }

    /// The examples of the guide can be used unchanged.
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
    fn mistakes_are_reported() {
        for (text, part) in [
            ("[[alert]]", "one of"),
            ("[[alert]]\ncommand = ['a']\nwebhook = 'https://a.example/'", "one of"),
            ("[[alert]]\nwebhook-file = 'a'\nwebhook = 'https://a.example/'", "one of"),
            ("[[alert]]\nwebhook-file = 'a'\nwebhook-env = 'A'", "one of"),
            ("[[alert]]\nwebhook-env = 'A'\nfrom = 'a@b.example'", "for smtp"),
            ("[[alert]]\ncommand = ['a']\nseverity = 'loud'", "severity"),
            ("[[alert]]\ncommand = ['a']\nsecret-env = 'A'", "not for a command"),
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
