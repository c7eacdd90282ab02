//! Sends alerts by email: a text, with the JSON and the misbehaviour file as attachments.
//!
//! STARTTLS is used if the server offers it. A password is sent only over TLS or to this machine. The message
//! id is the alert's key, so that a mail that is sent twice can be recognised.

use super::channels::{Delivery, Message, Transport};
use super::error::{MAX_RECIPIENTS, SetupError};
use super::mail_server::{MailServer, SmtpConfig};
use super::message::Alert;
use crate::core::text::escape;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// The longest subject. Mail programs cut longer ones in their lists.
const MAX_SUBJECT: usize = 160;

/// A mail server and the addresses.
pub struct Smtp {
    server: MailServer,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Smtp {
    /// Prepares to send mail. Does not connect yet.
    ///
    /// # Errors
    /// [`SetupError`], which is wrong usage.
    pub fn new(config: &SmtpConfig) -> Result<Smtp, SetupError> {
        let server = MailServer::new(config)?;
        if config.to.is_empty() || config.to.len() > MAX_RECIPIENTS {
            return Err(SetupError::Recipients);
        }
        Ok(Smtp {
            server,
            from: mailbox(&config.from)?,
            to: config.to.iter().map(|address| mailbox(address)).collect::<Result<_, _>>()?,
        })
    }

    /// The same with another time limit for one mail.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Smtp {
        Smtp { server: self.server.with_timeout(timeout), ..self }
    }

    fn compose(&self, message: &Message<'_>) -> Result<lettre::Message, String> {
        let alert = message.alert;
        let json = ContentType::parse("application/json").map_err(|error| error.to_string())?;
        let attach = |name: &str, bytes: Vec<u8>| Attachment::new(name.to_owned()).body(bytes, json.clone());
        let mut parts = MultiPart::mixed()
            .singlepart(SinglePart::plain(text(alert)))
            .singlepart(attach("alert.json", message.json.as_bytes().to_vec()));
        if let Some(evidence) = &alert.evidence_content {
            parts = parts.singlepart(attach("misbehaviour.json", evidence.as_bytes().to_vec()));
        }
        let date = UNIX_EPOCH.checked_add(Duration::from_millis(message.now.get())).unwrap_or(UNIX_EPOCH);
        let id = format!("<{}@{}>", alert.key, self.from.email.domain());
        let mut builder = lettre::Message::builder().from(self.from.clone());
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder
            .date(date)
            .message_id(Some(id))
            .subject(subject(alert))
            .multipart(parts)
            .map_err(|error| error.to_string())
    }
}

impl Transport for Smtp {
    fn send(&self, message: &Message<'_>) -> Delivery {
        match self.compose(message) {
            Ok(mail) => self.server.deliver(&mail),
            Err(why) => Delivery::Refused(format!("the message cannot be written: {why}")),
        }
    }
}

/// The subject: one line, whatever text a log chose. The library encodes what is not ASCII.
fn subject(alert: &Alert) -> String {
    let log = if alert.log.name.is_empty() { "" } else { &alert.log.name };
    let entry = alert.index.map_or(String::new(), |index| format!(", entry {index}"));
    let many = if alert.count > 1 { format!(" ({})", alert.count) } else { String::new() };
    let rule = alert.rule.as_ref().map_or(String::new(), |rule| format!(" {rule:?}"));
    let line = format!(
        "[countersign] {} {}: {}{rule}{many}{entry} {log}",
        alert.severity,
        alert.kind.as_str(),
        alert.code
    );
    escape(&line).chars().take(MAX_SUBJECT).collect::<String>().trim_end().to_owned()
}

/// The text of the mail. Each value is escaped, so it stays on its line.
fn text(alert: &Alert) -> String {
    let mut out = format!("{}\n\n", escape(&alert.message));
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(out, "{name:<11} {}", escape(value));
        }
    };
    let index = alert.index.map(|index| index.to_string());
    line("log", Some(&alert.log.name));
    line("origin", Some(&alert.log.origin));
    line("severity", Some(&alert.severity));
    line("code", Some(&alert.code));
    line("entry", index.as_deref());
    line("id", alert.id.as_deref());
    line("first seen", Some(&alert.first_seen));
    line("ended", alert.ended.as_deref());
    line("proof", alert.evidence.as_deref());
    line("not attached", alert.evidence_missing.as_deref());
    for item in &alert.first {
        let place = item.index.map_or(String::new(), |index| format!("entry {index}: "));
        let _ = writeln!(out, "  - {place}{}", escape(&item.message));
    }
    let shown = u64::try_from(alert.first.len()).unwrap_or(u64::MAX);
    if !alert.first.is_empty() && alert.count > shown {
        let _ = writeln!(out, "  and {} more: see the report", alert.count.saturating_sub(shown));
    }
    let _ = writeln!(out, "\ncountersign {}, alert {}", escape(&alert.version), escape(&alert.key));
    out
}

fn mailbox(address: &str) -> Result<Mailbox, SetupError> {
    let wrong = || SetupError::Address(address.to_owned());
    if address.contains(char::is_control) {
        return Err(wrong());
    }
    address.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::super::kind::AlertKind;
    use super::super::message::LogName;
    use super::*;
    use crate::core::finding::Severity;
    use crate::core::time::UnixMillis;

    #[test]
    fn text_of_a_log_cannot_inject_headers_or_lines() {
        let config = SmtpConfig {
            server: "smtp://127.0.0.1:1".to_owned(),
            from: "Watch <watch@example.org>".to_owned(),
            to: vec!["ops@example.org".to_owned()],
            ..SmtpConfig::default()
        };
        let smtp = Smtp::new(&config).unwrap();
        for evil in
            ["a\r\nBcc: x@evil.example", "a\nX-Evil: 1\n\nbody", "a\rX-Evil: 1", "\u{2028}X-Evil: 1", "\0"]
        {
            let log = LogName { name: evil.to_owned(), origin: evil.to_owned() };
            let mut alert = Alert::new(
                AlertKind::New,
                "00ff".to_owned(),
                log,
                Severity::Invalid,
                evil,
                UnixMillis::EPOCH,
            );
            alert.message = evil.to_owned();
            alert.id = Some(evil.to_owned());
            let json = alert.to_json().unwrap();
            let mail = smtp.compose(&Message { alert: &alert, json: &json, now: UnixMillis::EPOCH }).unwrap();
            let formatted = String::from_utf8(mail.formatted()).unwrap();
            let lines = |line: &&str| {
                let line = line.to_ascii_lowercase();
                line.starts_with("bcc:") || line.starts_with("x-evil:")
            };
            assert_eq!(formatted.split(['\r', '\n']).filter(lines).count(), 0, "{formatted}");
            assert_eq!(mail.envelope().to().len(), 1);
            assert!(!subject(&alert).contains(char::is_control));
        }
        for wrong in ["", "x", "a@b.example\r\nBcc: x@evil.example", "a@b.example, c@d.example"] {
            assert!(
                Smtp::new(&SmtpConfig { from: wrong.to_owned(), ..config.clone() }).is_err(),
                "{wrong:?}"
            );
        }
    }
}
