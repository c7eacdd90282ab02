//! `countersign monitor test-alert`.

use super::args::Common;
use super::audit_args::AuditOptions;
use super::monitor_args::MonitorOptions;
use super::output::Answer;
use super::settings::given;
use crate::config::Format;
use crate::service::{Error, SystemClock, TestAlerts, Tried, test_alerts};
use serde_json::json;

/// Sends a test alert over every channel, and prints the result of each.
///
/// # Errors
/// Returns [`Error`] if the options or the config cannot be used. Nothing was then sent.
pub fn test(common: &Common, options: &MonitorOptions, answer: &mut Answer) -> Result<u8, Error> {
    if *options != (MonitorOptions { command: options.command, ..MonitorOptions::default() }) {
        return Err(
            "monitor test-alert audits nothing: of the options, it takes --config, --name and --format"
                .into(),
        );
    }
    let given = given(common.clone(), AuditOptions::default());
    let clock = SystemClock::default();
    let tested = test_alerts(common.config.as_deref(), common.name.as_deref(), &given, &clock)?;
    answer.print(&shown(&tested));
    Ok(tested.verdict.exit_code())
}

fn shown(TestAlerts { tried, verdict, format }: &TestAlerts) -> String {
    match format {
        Format::Text => {
            let line = |Tried { channel, error, .. }: &Tried| match error {
                None => format!("delivered      {channel}\n"),
                Some(why) => format!("not delivered  {channel}: {why}\n"),
            };
            tried.iter().map(line).collect()
        }
        Format::Json => {
            let channel = |Tried { log, channel, error }: &Tried| {
                json!({
                    "log": log, "name": channel, "delivered": error.is_none(), "error": error,
                })
            };
            let channels: Vec<_> = tried.iter().map(channel).collect();
            let json = json!({
                "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "monitor test-alert",
                "verdict": verdict.as_str(), "exitCode": verdict.exit_code(), "channels": channels,
            });
            format!("{json}\n")
        }
    }
}
