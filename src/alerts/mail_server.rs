//! One conversation with a mail server, bounded in time and in bytes whatever the server does.
//!
//! A limit on each answer alone is not enough: a server may drip, or never end a line. Everything that was said
//! before TLS is discarded, because anybody may have said it. A server's answer to a password is not quoted,
//! because it may contain the password.

use super::channels::Delivery;
use super::error::SetupError;
use super::mail_stream::{BoundedStream, Deadline};
use super::starttls::start_tls;
use crate::core::text::escape;
use crate::source::runtime::{resolve_host, runtime};
use crate::source::{Secrets, ca_certificates};
use crate::source::{exhaustion_in_connecting, exhaustion_of};
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
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

/// The settings from the config.
#[derive(Clone, Default)]
pub struct SmtpConfig {
    /// `smtp://host:port` or `smtps://host:port`.
    pub server: String,
    /// One address.
    pub from: String,
    /// One address or several.
    pub to: Vec<String>,
    /// Requires a password.
    pub username: Option<String>,
    /// Requires a user name.
    pub password: Option<String>,
    /// A PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
}

/// The time for the whole conversation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The time for `QUIT`.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many characters of its answers are quoted.
const MAX_QUOTED: usize = 400;

/// The mail library expects a greeting first: this replaces the one that came before TLS.
const REPLAYED_GREETING: &[u8] = b"220 greeted before\r\n";

/// When TLS starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// From the first byte.
    First,
    /// After `STARTTLS`, if it is offered, or else never.
    Offered,
    /// After `STARTTLS`, which the server must offer.
    Required,
}

/// A mail server: its address, TLS and login.
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
    ///
    /// # Errors
    /// [`SetupError`], which is wrong usage.
    pub(super) fn new(config: &SmtpConfig) -> Result<MailServer, SetupError> {
        let (host, port, wrapped) = address(&config.server)?;
        let login = match (&config.username, &config.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            _ => return Err(SetupError::Login),
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

    /// The same with another time limit.
    pub(super) fn with_timeout(self, timeout: Duration) -> MailServer {
        MailServer { timeout, ..self }
    }

    /// The address, for messages.
    fn place(&self) -> String {
        format!("{}:{}", escape(&self.host), self.port)
    }

    /// Delivers one mail. Must not be called on a thread that runs asynchronous tasks.
    pub(super) fn deliver(&self, mail: &Message) -> Delivery {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                return match exhaustion_of(&error) {
                    Some(what) => Delivery::ResourceExhausted(format!("no mail can be sent: {what}")),
                    None => Delivery::Retryable(format!("no mail can be sent: {error}")),
                };
            }
        };
        let delivery = runtime.block_on(async {
            let deadline = Deadline::after(self.timeout);
            let mut connection = match timeout(self.timeout, self.converse(mail, &deadline)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(delivery)) => return delivery,
                Err(_) => return Delivery::Retryable(format!("{}: {}", self.place(), deadline.message())),
            };
            // The server has the mail, whatever it answers to `QUIT`.
            let _ = timeout(GOODBYE, connection.quit()).await;
            Delivery::Delivered
        });
        // A name look-up cannot be cancelled: it is not waited for, and ends by itself.
        runtime.shutdown_background();
        delivery
    }

    async fn converse(&self, mail: &Message, deadline: &Deadline) -> Result<AsyncSmtpConnection, Delivery> {
        let smtp = |error| self.smtp_failure(&error);
        let hello = ClientId::default();
        let stream = self.connect(&hello, deadline).await.map_err(|error| self.connect_failure(&error))?;
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(smtp)?;
        self.log_in(&mut connection).await?;
        self.hand_over(&mut connection, mail).await?;
        Ok(connection)
    }

    /// RFC 5321 section 3.3, accepting only the one kind of answer that each step allows. The library accepts
    /// any answer that is not a refusal, and a mail could count as delivered that no server accepted.
    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<(), Delivery> {
        let smtp = |error| self.smtp_failure(&error);
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
            false => Err(Delivery::Retryable(format!("{}: {code} is not an answer to {to}", self.place()))),
        }
    }

    /// A stream that begins with a greeting, inside TLS if TLS is used.
    async fn connect(&self, hello: &ClientId, deadline: &Deadline) -> io::Result<Box<dyn AsyncTokioStream>> {
        let addresses = resolve_host(&self.host, self.port).await?;
        let socket = TcpStream::connect(addresses.as_slice()).await?;
        let address = socket.peer_addr()?;
        if self.tls == Tls::First {
            let stream = self.tls_stream(BoundedStream::wire(socket, address, deadline)).await?;
            return Ok(Box::new(BoundedStream::text(stream, address, deadline)));
        }
        let mut clear = BoundedStream::text(socket, address, deadline);
        match start_tls(&mut clear, hello).await? {
            true => {
                let stream =
                    self.tls_stream(BoundedStream::wire(clear.into_inner(), address, deadline)).await?;
                Ok(with_greeting(stream, address, deadline))
            }
            false if self.tls == Tls::Required => {
                Err(io::Error::other("it does not offer STARTTLS, and a password is sent only over TLS"))
            }
            false => Ok(with_greeting(clear.into_inner(), address, deadline)),
        }
    }

    async fn tls_stream<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.trust)).connect(name, stream).await
    }

    /// The result of a failed connection.
    fn connect_failure(&self, error: &io::Error) -> Delivery {
        match exhaustion_in_connecting(error) {
            Some(what) => Delivery::ResourceExhausted(format!("{}: {what}", self.place())),
            None => self.retryable(&error.to_string()),
        }
    }

    /// The failure concerns us or the network, and not this message. The text may contain the password.
    fn retryable(&self, answer: &str) -> Delivery {
        let answer = if self.secrets.contained_in(answer) {
            "its answer is not shown, because it contains the password"
        } else {
            answer
        };
        Delivery::Retryable(format!(
            "{}: {}",
            self.place(),
            answer.chars().take(MAX_QUOTED).collect::<String>()
        ))
    }

    /// Logs in. Only the code of an answer is shown.
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
            // The failure concerns us, and not this message.
            Err(Some(code)) => Err(down(&format!("user name and password were not accepted ({code})"))),
            Err(None) => Err(down("its answer to user name and password cannot be understood")),
        }
    }

    /// The result of an SMTP error. Once the password was sent, any answer may contain it.
    fn smtp_failure(&self, error: &lettre::transport::smtp::Error) -> Delivery {
        let mut answer = error.to_string();
        if self.secrets.contained_in(&answer) {
            answer = error
                .status()
                .map_or("its answer is not shown, because it contains the password".to_owned(), |code| {
                    code.to_string()
                });
        }
        let why = format!("{}: {}", self.place(), answer.chars().take(MAX_QUOTED).collect::<String>());
        // 53x concerns us, and not this message.
        let about_us = error.status().is_some_and(|code| code.to_string().starts_with("53"));
        if error.is_permanent() && !about_us { Delivery::Refused(why) } else { Delivery::Retryable(why) }
    }
}

/// Parses host, port, and whether TLS comes first.
fn address(text: &str) -> Result<(String, u16, bool), SetupError> {
    let wrong = || SetupError::Server;
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

/// The certificates to trust in addition to the system's.
fn roots(config: &SmtpConfig) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    ca_certificates(path).map_err(|error| SetupError::CaFile(path.clone(), error.to_string()))
}

fn no_tls(error: impl std::fmt::Display) -> SetupError {
    SetupError::Tls(error.to_string())
}

/// The TLS configuration, for TLS from the first byte and after `STARTTLS`.
fn trust(config: &SmtpConfig) -> Result<Arc<ClientConfig>, SetupError> {
    let roots = roots(config)?;
    let provider = Arc::new(default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(no_tls)?.dangerous();
    let verifier = Arc::new(verifier.map_err(no_tls)?);
    Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// A stream that starts with a greeting, for a server whose own greeting was read already.
fn with_greeting<S>(stream: S, address: SocketAddr, deadline: &Deadline) -> Box<dyn AsyncTokioStream>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    let (read, write) = tokio::io::split(stream);
    Box::new(BoundedStream::text(tokio::io::join(REPLAYED_GREETING.chain(read), write), address, deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_parsed() {
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
            assert!(!address(wrong).unwrap_err().to_string().contains("s3cret"));
        }
    }
}
