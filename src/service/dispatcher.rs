//! Builds the dispatcher of alerts that a config describes.

use super::{Error, http, secrets};
use crate::alerts::{
    Channel, CommandTransport, Dispatcher, DispatcherConfig, Smtp, SmtpConfig, Transport, Webhook,
};
use crate::config::{ChannelTable, Settings};
use crate::source::OpenError;
use std::path::PathBuf;

/// A shorter secret could be guessed from one signed alert.
const SHORTEST_SECRET: usize = 16;

/// Builds the dispatcher that the config describes, and reads the secrets of its channels.
///
/// # Errors
/// Returns [`Error`] if a channel cannot be used or its secret cannot be read. The message contains no secret.
pub fn dispatcher(settings: &Settings) -> Result<Dispatcher, Error> {
    let channels = settings.alerting.channels.iter().map(|table| {
        channel(settings, table)
            .map_err(|error| error.within(|why| format!("alert channel {:?}: {why}", table.name)))
    });
    let config = DispatcherConfig {
        channels: channels.collect::<Result<_, _>>()?,
        reminder: settings.alerting.reminder,
        acknowledgements: settings.alerting.acknowledgements.clone(),
        rule_channels: settings
            .watch
            .iter()
            .map(|watch| (watch.rule.name.clone(), watch.channels.clone()))
            .collect(),
    };
    Ok(Dispatcher::new(config).map_err(|error| error.to_string())?)
}

fn channel(settings: &Settings, channel: &ChannelTable) -> Result<Channel, Error> {
    let table = &channel.table;
    let http = http::plain(&settings.net);
    let transport: Box<dyn Transport> = match (&table.command, table.is_webhook()) {
        (Some(command), _) => Box::new(CommandTransport::new(command).map_err(|error| error.to_string())?),
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
        (None, false) => {
            let config = SmtpConfig {
                server: table.smtp.clone().unwrap_or_default(),
                from: table.from.clone().ok_or("from: whose address is it sent from?")?,
                to: table.to.clone(),
                username: table.username.clone(),
                password: secret("secret", &table.secret_file, &table.secret_env)?,
                ca_file: http.ca_file,
            };
            Box::new(Smtp::new(&config).map_err(|error| error.to_string())?)
        }
    };
    let ChannelTable { name, least, retry_for, .. } = channel.clone();
    Ok(Channel { name, least, retry_for, transport })
}

/// Names the webhook as the cause: by itself an [`OpenError`] reads as if the log's URL were wrong.
fn unusable(error: OpenError) -> Error {
    match error {
        OpenError::Url { url, cause } => format!("webhook: {url}: {cause}").into(),
        other => http::opening(&other, OpenError::to_string),
    }
}

/// Reads a secret of a channel and removes one line ending from it. Errors show neither the secret nor the file or
/// variable name, because a user may have put the secret itself in its place.
fn secret(name: &str, file: &Option<PathBuf>, variable: &Option<String>) -> Result<Option<String>, Error> {
    let read = match (file, variable) {
        (Some(path), _) => {
            secrets::read(path).map_err(|error| error.within(|why| format!("{name}-file: {why}")))?
        }
        (_, Some(variable)) => secrets::environment(variable).map_err(|why| format!("{name}-env: {why}"))?,
        _ => return Ok(None),
    };
    let secret = read.strip_suffix('\n').unwrap_or(&read);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    Ok(Some(secret.to_owned()))
}
