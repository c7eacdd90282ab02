//! One conversation with a mail server, bounded in time and in bytes whatever the server does.
//!
//! A bound on each answer alone is none: a server may drip, or never end a line. What was said before TLS is forgotten
//! inside it: anybody may have said it. What it says of a password is not repeated: it may have said it back.

use super::channels::Delivery;
use super::mail_stream::{Bounded, Deadline};
use super::smtp::SmtpConfig;
use super::starttls::start_tls;
use crate::core::text::escape;
use crate::source::start::{look_up, runtime};
use crate::source::{Secrets, ca_certificates};
use crate::source::{lack_in_connecting, lack_of};
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

/// For all of it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// So much of what it says is repeated.
const MAX_SAID: usize = 400;

/// For the mail library, which begins with a greeting, in the place of the one that came before TLS.
const GREETED: &[u8] = b"220 greeted before\r\n";

/// When it is talked to in secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// From the first byte.
    First,
    /// After `STARTTLS`, where it is offered, or else not at all.
    Offered,
    /// After `STARTTLS`, which it must offer.
    Required,
}

/// Where it is, and how it is talked to.
pub(super) struct MailServer {
    host: String,
    port: u16,
    tls: Tls,
    trust: Arc<ClientConfig>,
    login: Option<(String, String)>,
    secrets: Secrets,
    timeout: Duration,
}

impl MailServer {
    /// Connects to nothing yet.
    pub(super) fn new(config: &SmtpConfig) -> Result<MailServer, String> {
        let (host, port, wrapped) = address(&config.server)?;
        let login = match (&config.username, &config.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            _ => return Err("username and a secret go together".to_owned()),
        };
        let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let tls = match wrapped {
            true => Tls::First,
            false if login.is_some() && !here => Tls::Required,
            false => Tls::Offered,
        };
        let mut secrets = Secrets::default();
        if let Some((user, password)) = &login {
            secrets.add(password);
            // As AUTH PLAIN sends it.
            secrets.add_base64(&format!("\0{user}\0{password}"), true);
        }
        Ok(MailServer { host, port, tls, trust: trust(config)?, login, secrets, timeout: TIMEOUT })
    }

    /// The same with another time for all of it.
    pub(super) fn with_timeout(self, timeout: Duration) -> MailServer {
        MailServer { timeout, ..self }
    }

    /// For people.
    fn place(&self) -> String {
        format!("{}:{}", escape(&self.host), self.port)
    }

    /// Gives it one mail. Not for a thread that runs asynchronous tasks.
    pub(super) fn take(&self, mail: &Message) -> Delivery {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                return match lack_of(&error) {
                    Some(what) => Delivery::Lacking(format!("no mail can be sent: {what}")),
                    None => Delivery::Retryable(format!("no mail can be sent: {error}")),
                };
            }
        };
        let delivery = runtime.block_on(async {
            let deadline = Deadline::after(self.timeout);
            let mut connection = match timeout(self.timeout, self.talk(mail, &deadline)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(delivery)) => return delivery,
                Err(_) => return Delivery::Retryable(format!("{}: {}", self.place(), deadline.said())),
            };
            // It has the mail, and no goodbye changes that.
            let _ = timeout(GOODBYE, connection.quit()).await;
            Delivery::Delivered
        });
        // Looking a name up cannot be ended: it is not waited for, and ends by itself.
        runtime.shutdown_background();
        delivery
    }

    async fn talk(&self, mail: &Message, deadline: &Deadline) -> Result<AsyncSmtpConnection, Delivery> {
        let smtp = |error| self.failed(&error);
        let hello = ClientId::default();
        let stream = self.connect(&hello, deadline).await.map_err(|error| self.unreached(&error))?;
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(smtp)?;
        self.log_in(&mut connection).await?;
        self.hand_over(&mut connection, mail).await?;
        Ok(connection)
    }

    /// RFC 5321 section 3.3, with the one kind of answer that each step may have: the library takes any that is not
    /// a refusal for a yes, and then a mail counts as delivered that nobody took.
    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<(), Delivery> {
        let smtp = |error| self.failed(&error);
        let envelope = mail.envelope();
        let (from, bytes) = (envelope.from().cloned(), mail.formatted());
        let mut addresses = envelope.to().iter().chain(envelope.from());
        let is_named_further = addresses.any(|address| !address.to_string().is_ascii());
        let mut parameters = Vec::new();
        for (is_needed, feature, parameter) in [
            (is_named_further, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
            (
                !bytes.is_ascii(),
                Extension::EightBitMime,
                MailParameter::Body(MailBodyParameter::EightBitMime),
            ),
        ] {
            if !is_needed {
                continue;
            }
            if !connection.server_info().supports_feature(feature) {
                return Err(Delivery::Refused(format!("{}: it does not offer {parameter}", self.place())));
            }
            parameters.push(parameter);
        }
        let answer = connection.command(Mail::new(from, parameters)).await.map_err(smtp)?;
        self.check_answer(&answer, Severity::PositiveCompletion, "MAIL")?;
        for to in envelope.to() {
            let answer = connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(smtp)?;
            self.check_answer(&answer, Severity::PositiveCompletion, "RCPT")?;
        }
        let answer = connection.command(Data).await.map_err(smtp)?;
        self.check_answer(&answer, Severity::PositiveIntermediate, "DATA")?;
        let answer = connection.message(&bytes).await.map_err(smtp)?;
        self.check_answer(&answer, Severity::PositiveCompletion, "the mail")
    }

    fn check_answer(&self, answer: &Response, severity: Severity, to: &str) -> Result<(), Delivery> {
        let code = answer.code();
        match code.severity == severity {
            true => Ok(()),
            false => Err(Delivery::Retryable(format!("{}: {code} is no answer to {to}", self.place()))),
        }
    }

    /// A stream that begins with a greeting, inside TLS where there is to be TLS.
    async fn connect(&self, hello: &ClientId, deadline: &Deadline) -> io::Result<Box<dyn AsyncTokioStream>> {
        let addresses = look_up(&self.host, self.port).await?;
        let socket = TcpStream::connect(addresses.as_slice()).await?;
        let address = socket.peer_addr()?;
        if self.tls == Tls::First {
            let stream = self.secret(Bounded::wire(socket, address, deadline)).await?;
            return Ok(Box::new(Bounded::text(stream, address, deadline)));
        }
        let mut clear = Bounded::text(socket, address, deadline);
        match start_tls(&mut clear, hello).await? {
            true => {
                let stream = self.secret(Bounded::wire(clear.into_inner(), address, deadline)).await?;
                Ok(greeted(stream, address, deadline))
            }
            false if self.tls == Tls::Required => {
                Err(io::Error::other("it offers no STARTTLS, and a password is sent over TLS alone"))
            }
            false => Ok(greeted(clear.into_inner(), address, deadline)),
        }
    }

    async fn secret<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.trust)).connect(name, stream).await
    }

    /// What it means that there is no connection.
    fn unreached(&self, error: &io::Error) -> Delivery {
        match lack_in_connecting(error) {
            Some(what) => Delivery::Lacking(format!("{}: {what}", self.place())),
            None => self.down(&error.to_string()),
        }
    }

    /// It is about us, or about the way, and not about this message. What it says may hold the password.
    fn down(&self, said: &str) -> Delivery {
        let said = if self.secrets.are_in(said) { "an answer with the password in it" } else { said };
        Delivery::Retryable(format!("{}: {}", self.place(), said.chars().take(MAX_SAID).collect::<String>()))
    }

    /// Of the answers the code alone is shown.
    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Delivery> {
        const KNOWN: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
        let Some((user, password)) = &self.login else { return Ok(()) };
        let down = |why: &str| Delivery::Retryable(format!("{}: {why}", self.place()));
        if connection.server_info().get_auth_mechanism(&KNOWN).is_none() {
            return Err(down("it offers neither AUTH PLAIN nor AUTH LOGIN"));
        }
        let credentials = Credentials::new(user.clone(), password.clone());
        match connection.auth(&KNOWN, &credentials).await.map_err(|error| error.status()) {
            Ok(_) => Ok(()),
            // About us, and not about this message.
            Err(Some(code)) => Err(down(&format!("user name and password were not accepted ({code})"))),
            Err(None) => Err(down("no answer to user name and password that can be understood")),
        }
    }

    /// After the password was sent, it may be in everything that is said.
    fn failed(&self, error: &lettre::transport::smtp::Error) -> Delivery {
        let mut said = error.to_string();
        if self.secrets.are_in(&said) {
            said = error
                .status()
                .map_or("an answer with the password in it".to_owned(), |code| code.to_string());
        }
        let why = format!("{}: {}", self.place(), said.chars().take(MAX_SAID).collect::<String>());
        // 53x is about us and not about this message.
        let about_us = error.status().is_some_and(|code| code.to_string().starts_with("53"));
        if error.is_permanent() && !about_us { Delivery::Refused(why) } else { Delivery::Retryable(why) }
    }
}

/// Host, port, and whether TLS comes first.
fn address(text: &str) -> Result<(String, u16, bool), String> {
    let wrong = || "smtp: write smtp://host:port or smtps://host:port, and nothing else in it".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (wrapped, usual) = match scheme {
        "smtp" => (false, 587),
        "smtps" => (true, 465),
        _ => return Err(wrong()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, usual),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port, wrapped))
}

/// The certificates that are trusted beside the system's.
fn roots(config: &SmtpConfig) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    ca_certificates(path).map_err(|why| format!("the CA file {path:?}: {why}"))
}

fn no_tls(error: impl std::fmt::Display) -> String {
    format!("TLS cannot be set up: {error}")
}

/// Who is believed to be the server, for TLS from the first byte and after `STARTTLS`.
fn trust(config: &SmtpConfig) -> Result<Arc<ClientConfig>, String> {
    let roots = roots(config)?;
    let provider = Arc::new(default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(no_tls)?.dangerous();
    let verifier = Arc::new(verifier.map_err(no_tls)?);
    Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// For a server whose own greeting was heard already.
fn greeted<S>(stream: S, address: SocketAddr, deadline: &Deadline) -> Box<dyn AsyncTokioStream>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    let (read, write) = tokio::io::split(stream);
    Box::new(Bounded::text(tokio::io::join(GREETED.chain(read), write), address, deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let ok = |text| address(text).unwrap();
        assert_eq!(ok("smtp://mail.example:25"), ("mail.example".to_owned(), 25, false));
        assert_eq!(ok("smtps://mail.example"), ("mail.example".to_owned(), 465, true));
        assert_eq!(ok("smtp://[::1]:2525/"), ("::1".to_owned(), 2525, false));
        for wrong in [
            "",
            "mail.example",
            "http://mail.example",
            "smtp://",
            "smtp://user:s3cret@mail.example",
            "smtp://mail.example:x",
            "smtp://mail.example/?tls=none",
            "smtp://mail.example\r\nX: y",
        ] {
            assert!(!address(wrong).unwrap_err().contains("s3cret"));
        }
    }
}
