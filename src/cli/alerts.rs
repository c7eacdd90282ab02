//! `countersign alerts test`, and the desk that the config describes.

use super::alert_tables::{AlertTable, ChannelTable};
use super::args::Format;
use super::audit::unix_ms;
use super::config::Settings;
use super::{net, output};
use crate::alerts::{Channel, Command, Config, Desk, Log, Smtp, SmtpConfig, Way, Webhook};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use serde_json::json;

/// A shorter secret could be guessed from one signed alert.
const SHORTEST_SECRET: usize = 16;

/// Sends a test alert over every channel, and says how each went.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn test(settings: &Settings) -> Result<u8, String> {
    if settings.alerting.channels.is_empty() {
        return Err("there is no [[alert]] table in the config: give one with --config FILE".to_owned());
    }
    let desk = desk(settings)?;
    let origin = settings.log_key.as_ref().map_or_else(String::new, |key| escape(key.origin()));
    let log = Log { name: origin.clone(), origin };
    let results = desk.test(&log, unix_ms());
    let delivered = results.iter().all(|(_, result)| result.is_ok());
    let verdict = if delivered { Conclusion::Clean } else { Conclusion::Incomplete };
    let text = match settings.format {
        Format::Text => {
            let line = |(name, result): &(String, Result<(), String>)| match result {
                Ok(()) => format!("delivered      {name}\n"),
                Err(why) => format!("not delivered  {name}: {why}\n"),
            };
            results.iter().map(line).collect()
        }
        Format::Json => {
            let channel = |(name, result): &(String, Result<(), String>)| json!({ "name": name, "delivered": result.is_ok(), "error": result.as_ref().err() });
            let channels: Vec<_> = results.iter().map(channel).collect();
            let json = json!({
                "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "alerts test",
                "verdict": verdict.as_str(), "exitCode": verdict.exit_code(), "channels": channels,
            });
            format!("{json}\n")
        }
    };
    output::print(&text);
    Ok(verdict.exit_code())
}

/// The desk that the config describes, its secrets read.
///
/// # Errors
/// Wrong usage: a sentence for the person, without any secret.
pub fn desk(settings: &Settings) -> Result<Desk, String> {
    let channels = settings.alerting.channels.iter().map(|table| {
        channel(settings, table).map_err(|why| format!("alert channel {:?}: {why}", table.name))
    });
    Desk::new(Config {
        channels: channels.collect::<Result<_, _>>()?,
        reminder: settings.alerting.reminder,
        acknowledgements: settings.alerting.acknowledgements.clone(),
        of_rules: settings
            .watch
            .iter()
            .map(|watch| (watch.rule.name.clone(), watch.channels.clone()))
            .collect(),
    })
}

fn channel(settings: &Settings, channel: &ChannelTable) -> Result<Channel, String> {
    let table = &channel.table;
    let http = settings.net.plain();
    let way: Box<dyn Way> = match (&table.command, &table.webhook, &table.smtp) {
        (Some(command), _, _) => Box::new(Command::new(command)?),
        (_, Some(url), _) => {
            let secret = secret(table)?
                .ok_or("a webhook is signed: give its secret with secret-file or secret-env")?;
            if secret.len() < SHORTEST_SECRET {
                return Err(format!("the secret is shorter than {SHORTEST_SECRET} characters"));
            }
            Box::new(Webhook::new(url, &secret, &http).map_err(|error| error.to_string())?)
        }
        (_, _, server) => Box::new(Smtp::new(&SmtpConfig {
            server: server.clone().unwrap_or_default(),
            from: table.from.clone().ok_or("from: whose address is it sent from?")?,
            to: table.to.clone(),
            username: table.username.clone(),
            password: secret(table)?,
            ca_file: http.ca_file,
        })?),
    };
    let ChannelTable { name, least, retry_for, .. } = channel.clone();
    Ok(Channel { name, least, retry_for, way })
}

/// The secret of a channel; one line end after it is taken away.
fn secret(table: &AlertTable) -> Result<Option<String>, String> {
    let read = match (&table.secret_file, &table.secret_env) {
        (Some(path), _) => net::read(path).map_err(|why| format!("secret-file: {why}"))?,
        (_, Some(variable)) => net::environment(variable).map_err(|why| format!("secret-env: {why}"))?,
        _ => return Ok(None),
    };
    let secret = read.strip_suffix('\n').unwrap_or(&read);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    Ok(Some(secret.to_owned()))
}
