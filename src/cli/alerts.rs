//! `countersign monitor test-alert`, and the dispatcher that the config describes.

use super::alert_tables::{Alerting, ChannelTable};
use super::args::{AuditOptions, Common, Format};
use super::audit::unix_ms;
use super::config::{self, Settings};
use super::config_file::{self, Config as ConfigOf};
use super::failure::Failure;
use super::monitor_args::MonitorOptions;
use super::output::Answer;
use super::{net, watched};
use crate::alerts::{Channel, Command, Config, Dispatcher, Log, Smtp, SmtpConfig, Transport, Webhook};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use crate::source::OpenError;
use serde_json::json;
use std::path::PathBuf;

/// A shorter secret could be guessed from one signed alert.
const SHORTEST_SECRET: usize = 16;

/// How one channel took a test.
struct Tried {
    log: String,
    channel: String,
    result: Result<(), String>,
}

/// Sends a test alert over every channel, and says how each went. A channel that several logs have is tried
/// once.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn test(common: &Common, options: &MonitorOptions, answer: &mut Answer) -> Result<u8, Failure> {
    if *options != (MonitorOptions { command: options.command, ..MonitorOptions::default() }) {
        return Err(
            "monitor test-alert audits nothing: of the options, it takes --config, --name and --format"
                .into(),
        );
    }
    let logs = logs(common)?;
    let format = logs.first().map(|(_, settings)| settings.format).unwrap_or_default();
    let (mut seen, mut tried) = (Vec::new(), Vec::new());
    for (log, settings) in logs {
        // All are set up before anything is sent: a slip in the config sends nothing.
        let channels =
            settings.alerting.channels.iter().filter(|channel| is_new(&mut seen, &settings, channel));
        let alerting = Alerting { channels: channels.cloned().collect(), ..Alerting::default() };
        let origin = settings.log_key.as_ref().map_or_else(String::new, |key| escape(key.origin()));
        tried.push((Log { name: log, origin }, dispatcher(&Settings { alerting, ..settings })?));
    }
    if seen.is_empty() {
        return Err("there is no [[alert]] table in the config: give one with --config FILE".into());
    }
    let send = |(log, dispatcher): &(Log, Dispatcher)| {
        let results = dispatcher.test(log, unix_ms()).into_iter();
        let log = log.name.clone();
        results.map(move |(channel, result)| Tried { log: log.clone(), channel, result })
    };
    let desks = tried;
    let tried: Vec<Tried> = desks.iter().flat_map(send).collect();
    let delivered = tried.iter().all(|tried| tried.result.is_ok());
    let lacked = desks.iter().any(|(_, dispatcher)| dispatcher.lacked().is_some());
    let verdict = match delivered {
        true => Conclusion::Clean,
        false if lacked => Conclusion::LocalFault,
        false => Conclusion::Incomplete,
    };
    answer.print(&shown(&tried, verdict, format));
    Ok(verdict.exit_code())
}

/// The logs of the config. That of one log need not name the log to have its channels tried.
fn logs(common: &Common) -> Result<Vec<(String, Settings)>, Failure> {
    let several = match &common.config {
        Some(path) => matches!(config_file::read(path, common.name.as_deref())?, ConfigOf::Several(_)),
        None => false,
    };
    if several {
        let watched = watched::resolve(common, &MonitorOptions::default())?;
        return Ok(watched.logs.into_iter().map(|log| (log.name, log.settings)).collect());
    }
    let settings = config::resolve(common.clone(), AuditOptions::default())?;
    let origin = settings.log_key.as_ref().map_or_else(String::new, |key| escape(key.origin()));
    Ok(vec![(origin, settings)])
}

/// Whether this is not yet one of those that were seen, by everything that decides how it sends.
fn is_new(
    seen: &mut Vec<(ChannelTable, Option<PathBuf>)>,
    settings: &Settings,
    channel: &ChannelTable,
) -> bool {
    let channel = (channel.clone(), settings.net.plain().ca_file);
    let is_new = !seen.contains(&channel);
    if is_new {
        seen.push(channel);
    }
    is_new
}

fn shown(tried: &[Tried], verdict: Conclusion, format: Format) -> String {
    match format {
        Format::Text => {
            let line = |Tried { channel, result, .. }: &Tried| match result {
                Ok(()) => format!("delivered      {channel}\n"),
                Err(why) => format!("not delivered  {channel}: {why}\n"),
            };
            tried.iter().map(line).collect()
        }
        Format::Json => {
            let channel = |Tried { log, channel, result }: &Tried| {
                json!({
                    "log": log, "name": channel, "delivered": result.is_ok(), "error": result.as_ref().err(),
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

/// The dispatcher that the config describes, its secrets read.
///
/// # Errors
/// Wrong usage: a sentence for the person, without any secret.
pub fn dispatcher(settings: &Settings) -> Result<Dispatcher, Failure> {
    let channels = settings.alerting.channels.iter().map(|table| {
        channel(settings, table)
            .map_err(|failure| failure.within(|why| format!("alert channel {:?}: {why}", table.name)))
    });
    Ok(Dispatcher::new(Config {
        channels: channels.collect::<Result<_, _>>()?,
        reminder: settings.alerting.reminder,
        acknowledgements: settings.alerting.acknowledgements.clone(),
        of_rules: settings
            .watch
            .iter()
            .map(|watch| (watch.rule.name.clone(), watch.channels.clone()))
            .collect(),
    })?)
}

fn channel(settings: &Settings, channel: &ChannelTable) -> Result<Channel, Failure> {
    let table = &channel.table;
    let http = settings.net.plain();
    let transport: Box<dyn Transport> = match (&table.command, table.is_webhook()) {
        (Some(command), _) => Box::new(Command::new(command)?),
        (None, true) => {
            let key = secret("secret", &table.secret_file, &table.secret_env)?
                .ok_or("a webhook is signed: give its secret with secret-file or secret-env")?;
            if key.len() < SHORTEST_SECRET {
                return Err(format!("the secret is shorter than {SHORTEST_SECRET} characters").into());
            }
            let url = match &table.webhook {
                Some(url) => url.clone(),
                None => secret("webhook", &table.webhook_file, &table.webhook_env)?.unwrap_or_default(),
            };
            Box::new(Webhook::new(url.trim(), &key, &http).map_err(unusable)?)
        }
        (None, false) => Box::new(Smtp::new(&SmtpConfig {
            server: table.smtp.clone().unwrap_or_default(),
            from: table.from.clone().ok_or("from: whose address is it sent from?")?,
            to: table.to.clone(),
            username: table.username.clone(),
            password: secret("secret", &table.secret_file, &table.secret_env)?,
            ca_file: http.ca_file,
        })?),
    };
    let ChannelTable { name, least, retry_for, .. } = channel.clone();
    Ok(Channel { name, least, retry_for, transport })
}

/// It is not the log's URL that is wrong.
fn unusable(error: OpenError) -> Failure {
    match error {
        OpenError::Url { url, cause } => format!("webhook: {url}: {cause}").into(),
        other => Failure::opening(&other, OpenError::to_string),
    }
}

/// A secret of a channel; one line end after it is taken away. Neither it nor where it stands is ever shown:
/// a person may have typed the secret itself there.
fn secret(name: &str, file: &Option<PathBuf>, variable: &Option<String>) -> Result<Option<String>, Failure> {
    let read = match (file, variable) {
        (Some(path), _) => {
            net::read(path).map_err(|failure| failure.within(|why| format!("{name}-file: {why}")))?
        }
        (_, Some(variable)) => net::environment(variable).map_err(|why| format!("{name}-env: {why}"))?,
        _ => return Ok(None),
    };
    let secret = read.strip_suffix('\n').unwrap_or(&read);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    Ok(Some(secret.to_owned()))
}
